# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Brings an image version into the wanted state: made of its sources once, published as asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    NotFound,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import SOURCE_TAG, source_tag
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.deletion import to_its_end
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import (
    GALLERY_API,
    version_number,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.places import Placed, place_findings
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.replication import (
    Regions,
    put_version,
    read_version,
    telling_regions,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.soft_deleted import (
    purge,
    soft_deleted_in,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_changes import (
    changed_version,
    is_replicated,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_facts import (
    comparable,
    version_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_fit import (
    content_differences,
    home_of,
    protected_until,
    refusal_findings,
    shallow_findings,
    unchangeable,
    verdicts_on,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_material import (
    Material,
    find_material,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_numbers import next_number
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_request import (
    VersionRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding, refuse_if_any
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_tags import SOURCES_TAG
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import (
    in_transition,
    is_failed,
    settled,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

Tell = Callable[[Regions], None]


@dataclass
class _Seen:
    """What was looked up. `material` is None without a source, or where that has gone: `trouble` says so."""

    definition: dict[str, Any]
    material: Material | None = None
    trouble: AzureError | None = None


class VersionWork:
    """Brings one version into the wanted state. `tell` is told every few seconds how far its regions are."""

    def __init__(
        self,
        session: AzureSession,
        request: VersionRequest,
        *,
        check_mode: bool,
        waiter: Waiter,
        tell: Tell | None = None,
    ) -> None:
        self._session = session
        self._request = request
        self._check_mode = check_mode
        self._plain_waiter = waiter
        self._tell = tell
        self._versions: list[dict[str, Any]] | None = None

    def ensure(self) -> Ensured:
        """Create, change, bring back or (with `request.replace`) replace the version. Bad input raises before
        any change."""
        seen = self._look()
        current = self._current(seen)
        if current is None:
            if self._request.undelete:
                return self._undelete()
            return self._create(seen, None)
        if in_transition(current):
            # Somebody is at work on it, and this run is not to wait for that.
            facts = version_facts(current)
            return Ensured(False, facts, comparable(facts), comparable(facts))
        found = content_differences(current, self._request, seen.material)
        if not found:
            return self._update(current, seen)
        if not self._request.replace:
            raise InvalidInput(
                f"Version {current['name']} of {self._request.definition} exists and is another one:"
                f" {'; '.join(found)}.",
                remedy="A version never changes its disks. Give another number, let it be counted"
                " (next_patch), or set replace to true.",
            )
        return self._create(seen, current)

    # Looking.

    def _look(self) -> _Seen:
        request = self._request
        definition = self._session.arm.get(request.definition_id, GALLERY_API)
        if definition is None:
            raise InvalidInput(
                f"definition: there is no image definition {request.definition} in gallery"
                f" {request.gallery_id.rpartition('/')[2]}.",
                remedy="Make it first (module gallery_image), or correct the names.",
            )
        seen = _Seen(definition)
        if request.has_source:
            try:
                location = normalize_location(definition["location"])
                seen.material = find_material(self._session, request, location)
            except (InvalidInput, NotFound) as error:
                seen.trouble = error
        return seen

    def _current(self, seen: _Seen) -> dict[str, Any] | None:
        """The version there is: the one of that number, or, where it is counted, the latest that was made of
        the same sources."""
        name: str | None = self._request.version
        if self._request.is_automatic:
            if seen.trouble is not None:
                raise seen.trouble
            name = self._latest_like(seen)
        if name is None:
            return None
        version = self._request.id(name)

        def read() -> dict[str, Any] | None:
            return read_version(self._session, version)

        what = f"Version {name} of {self._request.definition}"
        return settled(what, read(), read, self._waiter(version))

    def _listed(self) -> list[dict[str, Any]]:
        """All versions of the definition, listed once."""
        if self._versions is None:
            self._versions = self._session.arm.list(f"{self._request.definition_id}/versions", GALLERY_API)
        return self._versions

    def _latest_like(self, seen: _Seen) -> str | None:
        same = [
            each["name"]
            for each in self._listed()
            if not content_differences(each, self._request, seen.material) and not _is_going(each)
        ]
        return max(same, key=_number, default=None)

    def _waiter(self, version: str) -> Waiter:
        return telling_regions(self._session, version, self._plain_waiter, self._tell)

    # Making.

    def _create(self, seen: _Seen, current: dict[str, Any] | None) -> Ensured:
        request = self._request
        if seen.trouble is not None:
            raise seen.trouble
        material = seen.material
        if material is None:
            raise InvalidInput(
                f"There is no version {request.version} of {request.definition} to update.",
                remedy="Give a source to make it of, or undelete to bring it back.",
            )
        kept = [each["name"] for each in soft_deleted_in(self._session, request.definition_id)]
        name = request.version
        if request.is_automatic:
            name = self._next(material, kept)
        home = home_of(request, seen.definition, material)
        verdicts = verdicts_on(request, seen.definition, material, home)
        findings = [*refusal_findings(verdicts), *shallow_findings(request.publishing)]
        findings += place_findings(self._session, [Placed("", request.publishing)], home)
        findings += self._name_findings(name, kept, current)
        refuse_if_any(f"make version {name} of {request.definition}", findings)
        warnings = [each.reason for _option, each in verdicts if each.severity == "warning"]
        body = self._body(material, home, (current or {}).get("tags"))
        version = request.id(name)
        before = comparable(version_facts(current)) if current else {}
        action = f"{'Replaced' if current else 'Created'} version {version} of {material.reference}"
        if self._check_mode:
            facts = version_facts({"id": version, "name": name, **body})
        else:
            if current is not None or name in kept:
                self._clear(name, current, keeps=name in kept)
            facts = version_facts(self._make(version, body))
        return Ensured(True, facts, before, comparable(facts), [action], warnings)

    def _next(self, material: Material, kept: Sequence[str]) -> str:
        taken = [*(each["name"] for each in self._listed()), *kept]
        today = datetime.now(timezone.utc).date()
        return next_number(self._request.version, taken, today, material.facts.version)

    def _name_findings(
        self, name: str, kept: Sequence[str], current: Mapping[str, Any] | None
    ) -> list[Finding]:
        request = self._request
        if current is not None:
            end = protected_until(current)
            if end is None:
                return []
            what = f"version {name} cannot be deleted before its end of life, {end}."
            remedy = "Set block_deletion_before_end_of_life to false first, or give another version."
            return [Finding("protected", what, "replace", remedy)]
        if request.is_automatic and name in [each["name"] for each in self._listed()]:
            what = f"version {name}, which is the source's, was made of something else."
            return [Finding("name-taken", what, "version", "Let it be counted (next_patch).")]
        if name in kept and not request.replace:
            what = f"version {name} was deleted and is kept; Azure would bring it back instead."
            remedy = "Give another version, undelete this one, or set replace to true to lose it for good."
            return [Finding("soft-deleted", what, "version", remedy)]
        return []

    def _body(self, material: Material, home: str, tags: Mapping[str, str] | None) -> dict[str, Any]:
        return {
            "location": home,
            "tags": self._tags(tags, material),
            "properties": {
                **self._request.publishing.new_profiles(home, material.luns),
                "storageProfile": material.storage,
            },
        }

    def _tags(self, present: Mapping[str, str] | None, material: Material | None) -> dict[str, str]:
        """The user's tags, and those that tell what the version was made of, which stay in any case."""
        own = {name: value for name, value in (present or {}).items() if name in (SOURCES_TAG, SOURCE_TAG)}
        if material is not None:
            own = {SOURCE_TAG: source_tag(material.reference)}
            if material.identity:
                own[SOURCES_TAG] = material.identity
        return {**merged_tags(present, self._request.tags, self._request.append_tags), **own}

    def _clear(self, name: str, current: Mapping[str, Any] | None, *, keeps: bool) -> None:
        """Make the number free, for good: what soft delete keeps would come back under it."""
        waiter = to_its_end(self._plain_waiter)
        if current is not None:
            self._session.arm.delete(self._request.id(name), GALLERY_API, waiter)
            kept = soft_deleted_in(self._session, self._request.definition_id)
            keeps = name in [each["name"] for each in kept]
        if keeps:
            purge(self._session, self._request.definition_id, name, waiter)

    def _make(self, version: str, body: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return put_version(self._session, version, body, self._waiter(version))
        except OperationFailed as error:
            self._tidy(version, error)
            raise

    def _tidy(self, version: str, error: OperationFailed) -> None:
        """A version that is in no region is of no use, and its number is wanted again."""
        try:
            remains = read_version(self._session, version)
            if remains is not None and is_failed(remains) and not is_replicated(remains):
                self._session.arm.delete(version, GALLERY_API, to_its_end(self._plain_waiter))
        except AzureError as further:
            error.remedy = f"{error.remedy or ''} What is left could not be deleted: {further}".lstrip()

    # Changing.

    def _update(self, current: dict[str, Any], seen: _Seen, actions: Sequence[str] = ()) -> Ensured:
        request, version = self._request, str(current["id"])
        findings = unchangeable(current, request)
        home = normalize_location(current["location"])
        before = comparable(version_facts(current))
        tags = self._tags(current.get("tags"), None)
        body, changed = changed_version(current, request.publishing, tags)
        if is_failed(current):
            changed.append("replication")
            if not is_replicated(current) and seen.material is not None:
                # It never got its disks: Azure is asked for the whole of it again.
                body = self._body(seen.material, home, current.get("tags"))
        if "regions" in changed:
            findings += place_findings(self._session, [Placed("", request.publishing)], home)
        refuse_if_any(f"bring version {current['name']} of {request.definition} into that state", findings)
        if not changed:
            facts = version_facts(current)
            return Ensured(bool(actions), facts, before, comparable(facts), actions)
        action = f"Changed {', '.join(changed)} of version {version}"
        if self._check_mode:
            properties = {**current["properties"], **body["properties"]}
            facts = version_facts({**current, **body, "properties": properties})
        else:
            facts = version_facts(put_version(self._session, version, body, self._waiter(version)))
        return Ensured(True, facts, before, comparable(facts), [*actions, action])

    def _undelete(self) -> Ensured:
        request = self._request
        kept = {each["name"]: each for each in soft_deleted_in(self._session, request.definition_id)}
        if request.version not in kept:
            raise InvalidInput(
                f"undelete: no deleted version {request.version} of {request.definition} is kept.",
                remedy="Galleries keep deleted versions for a week, if soft_delete is on.",
            )
        version = request.id()
        actions = [f"Brought back version {version}"]
        body = {"location": kept[request.version]["location"]}
        if self._check_mode:
            facts = version_facts({"id": version, "name": request.version, **body})
            return Ensured(True, facts, {}, comparable(facts), actions)
        restored = put_version(self._session, version, body, to_its_end(self._waiter(version)))
        done = self._update(restored, _Seen({}), actions)
        return done._replace(before={})


def _is_going(version: Mapping[str, Any]) -> bool:
    state = (version.get("properties") or {}).get("provisioningState")
    return str(state).casefold() == "deleting"


def _number(name: str) -> tuple[int, ...]:
    return version_number(name) or ()
