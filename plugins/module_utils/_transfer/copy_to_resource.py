# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Have Azure make a disk or snapshot of a disk, snapshot or blob of the same or another region.

The success of the operation that begins a copy between regions is not its end: completionPercent is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    WaitTimeout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    resource_id,
    same_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import (
    group_location,
    known_location,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_result import (
    COPY_OF,
    Copied,
    CopyOptions,
    is_copy,
    marks_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_source import (
    Original,
    ResourceSource,
    creation_data,
    inherited,
    sku_of_disk,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_steps import (
    Step,
    Temporary,
    steps_to,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_target import (
    ResourceTarget,
    completion,
    copy_failure,
    is_whole,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_waiting import wait_for_copy
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_access import without_leftovers
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_checks import (
    check_sku_and_zone,
    encryption_type,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_request import DEFAULT_SKU
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import and_left

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import ComputeResources
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_IN_USE = ("ActiveSAS", "ActiveSASFrozen", "ActiveUpload")


class ResourceCopy:
    """One copy into a managed disk or snapshot, from the checks to the complete one."""

    def __init__(
        self, session: AzureSession, source: Original, target: ResourceTarget, options: CopyOptions
    ) -> None:
        self._session = session
        self._source = source
        self._target = target
        self._options = options
        self._id = resource_id(
            session.subscription_id,
            target.resource_group,
            "Microsoft.Compute",
            f"{target.kind}s",
            target.name,
        )
        self._marks = marks_of(source.identity, source.virtual_size, source.content_sha256)
        self._temporary = Temporary.of(source, self._id)
        # Even a run that does not wait for its copy waits for what stands in the copy's way.
        self._patient = Waiter(wait=True, timeout=options.waiter.timeout)

    def run(self) -> Copied:
        """Bring the target into the wanted state; bad input raises before any change."""
        group_location(self._session, self._target.resource_group)
        wanted = self._target.location
        location = known_location(self._session, wanted) if wanted else self._source.location
        steps = self._steps(location)
        current = self._settled(self._target.kind, self._target.name)
        own = current is not None and self._is_own(current)
        if current is not None:
            self._check_present(current, own=own)
        keeps = current is not None and own and not self._is_spoilt(current)
        if current is not None and keeps and is_whole(current):
            return self._update(current, steps)
        if not keeps:
            self._check_offered(location)
        return self._copy(current, steps, location, goes_on=keeps)

    # Checks

    def _steps(self, location: str) -> list[Step]:
        source, target = self._source, self._target
        if same_resource(source.id, self._id):
            raise InvalidInput(
                f"source: {source.name} would be copied to itself.", remedy="Name another target."
            )
        incremental = source.kind == "disk" or source.incremental
        if target.incremental is not None:
            incremental = target.incremental
        if source.location != location and not incremental and target.kind == "snapshot":
            if target.incremental is not None:
                raise InvalidInput(
                    "incremental: Azure copies to another region only as an incremental snapshot.",
                    remedy="Leave incremental out, or set it to true.",
                )
            incremental = True
        if incremental and source.kind == "blob" and source.location == location:
            raise InvalidInput(
                "incremental: a snapshot of a blob is whole.",
                remedy="Leave incremental out, or set it to false.",
            )
        steps = steps_to(source, target.kind, location, incremental=incremental)
        if len(steps) > 1 and not self._options.waiter.wait:
            raise InvalidInput(
                f"wait: a {source.kind} is copied to a {target.kind} of another region by way of temporary"
                " snapshots, which have to be removed at the end.",
                remedy="Leave wait out, or use async and poll for the task.",
            )
        return steps

    def _check_offered(self, location: str) -> None:
        """Refuse what the region does not have; raises InvalidInput."""
        target, source, sku = self._target, self._source, self._disk_sku()
        target.check_bootable(
            source.properties.get("osType") if isinstance(source, ResourceSource) else target.os_type
        )
        if sku is not None and (target.sku or target.zone or location != source.location):
            check_sku_and_zone(self._session, location, sku, target.zone)
        if target.disk_encryption_set:
            kind = encryption_type(self._session, target.disk_encryption_set, location)
            self._target = target._replace(encryption_type=kind)

    def _disk_sku(self) -> str | None:
        """The kind of storage of the managed disk that is made; None for a snapshot."""
        if self._target.kind != "disk":
            return None
        return self._target.sku or sku_of_disk(self._source) or DEFAULT_SKU

    def _named(self) -> str:
        target = self._target
        return f"{target.kind.capitalize()} {target.name} in resource group {target.resource_group}"

    def _is_own(self, resource: Mapping[str, Any]) -> bool:
        return is_copy(resource.get("tags") or {}, self._source.identity, self._source.content_sha256)

    def _is_spoilt(self, current: Mapping[str, Any]) -> bool:
        """Whether it has to be made anew although it is a copy of the source."""
        return copy_failure(current) is not None or bool(self._target.differences(current))

    def _check_present(self, current: Mapping[str, Any], *, own: bool) -> None:
        """Refuse to replace what may not be; a copy that has failed makes way by itself."""
        reasons = self._target.differences(current)
        if not own:
            reasons.insert(0, f"it is no copy of {self._source.name} as it is now")
        if not reasons and copy_failure(current) is None:
            return
        if reasons and not self._options.force:
            raise InvalidInput(
                f"{self._named()} exists and is not this copy: {'; '.join(reasons)}.",
                remedy="Use another name, or set force to true to replace it.",
            )
        if current.get("managedBy"):
            raise InvalidInput(
                f"{self._named()} is attached to {current['managedBy']}, so that it cannot be replaced.",
                remedy="Detach it first, or use another name.",
            )
        if current["properties"].get("diskState") in _IN_USE:
            raise InvalidInput(
                f"{self._named()} is in state {current['properties']['diskState']}, so that it cannot be"
                " replaced.",
                remedy=f"End the access to it (az {self._target.kind} revoke-access), or use another name.",
            )

    # What is there

    def _collection(self, kind: str) -> ComputeResources:
        compute = self._session.compute
        return compute.disks if kind == "disk" else compute.snapshots

    def _get(self, kind: str, name: str) -> dict[str, Any] | None:
        return self._collection(kind).get(self._target.resource_group, name)

    def _settled(self, kind: str, name: str) -> dict[str, Any] | None:
        read = partial(self._get, kind, name)
        return settled(f"{kind.capitalize()} {name}", read(), read, self._options.waiter)

    def _delete(self, kind: str, name: str) -> None:
        self._collection(kind).delete(self._target.resource_group, name, self._patient)

    # Work

    def _update(self, current: Mapping[str, Any], steps: list[Step]) -> Copied:
        """The copy is there; tags and SKU may have to follow, and a killed run may have left something."""
        target = self._target
        before = target.facts(current)
        what = f"{target.kind} {target.name}"
        change: dict[str, Any] = {}
        actions = []
        tags = target.final_tags(current.get("tags"), self._marks)
        if tags != before["tags"]:
            change["tags"] = tags
            actions.append(f"Changed the tags of {what}.")
        if target.sku is not None and target.sku != before["sku"]:
            change["sku"] = {"name": target.sku}
            actions.append(f"Changed the SKU of {what} to {target.sku}.")
        left = list(self._left_over(steps))
        actions += [f"Removed {kind} {name}, which an earlier run had left." for kind, name in left]
        after = target.facts({**current, **change})
        if not self._options.check_mode:
            for kind, name in left:
                self._delete(kind, name)
            if change:
                after = self._changed(change)
        return Copied(bool(actions), after, before, after, actions)

    def _changed(self, change: Mapping[str, Any]) -> dict[str, Any]:
        target = self._target
        answer = self._collection(target.kind).update(
            target.resource_group, target.name, change, self._patient
        )
        return target.facts(answer)

    def _copy(
        self, current: Mapping[str, Any] | None, steps: list[Step], location: str, *, goes_on: bool
    ) -> Copied:
        target, source = self._target, self._source
        before = None if current is None else target.facts(current)
        kept = None if current is None or not goes_on else dict(current)
        body = self._body(steps[-1], source.id)
        actions = [f"Deleted {target.kind} {target.name}."] if current is not None and kept is None else []
        if self._options.check_mode:
            tags = target.final_tags({}, self._marks)
            made = target.predicted({**body, "tags": tags}, self._id, inherited(source), source.virtual_size)
            after = target.facts(kept or made)
        else:
            after = self._made(steps, kept, replaces=current is not None)
        verb = "Went on with the copy of" if goes_on else "Copied"
        if not self._options.waiter.wait:
            verb = "Looked at the copy of" if goes_on else "Began to copy"
        actions.append(f"{verb} {source.name} to {target.kind} {target.name} ({location}).")
        changed = self._options.waiter.wait or not goes_on or after != before
        return Copied(changed, after, before, after, actions if changed else [])

    def _body(self, step: Step, source_id: str) -> dict[str, Any]:
        """The request for the copy itself; until it is whole, its tags tell of what it is but not what it
        holds."""
        target, sku = self._target._replace(incremental=step.incremental), self._disk_sku()
        creation = creation_data(self._source, step.option, source_id, sku)
        body = target.body(step.location, creation, sku=sku or target.sku)
        begun = marks_of(self._source.identity, self._source.virtual_size, None)
        return {**body, "tags": target.final_tags({}, begun)}

    def _made(self, steps: list[Step], kept: dict[str, Any] | None, *, replaces: bool) -> dict[str, Any]:
        """Make the copy, or wait for the one that an earlier run has begun; the facts about it.

        What it replaces goes last, so that it is still there when anything before that fails.
        """
        target = self._target
        with self._tidied(steps):
            made = kept
            if made is None:
                source_id = self._source.id
                for number, step in enumerate(steps[:-1]):
                    source_id = self._temporarily(number, step, source_id)
                if replaces:
                    self._delete(target.kind, target.name)
                made = self._collection(target.kind).put(
                    target.resource_group,
                    target.name,
                    self._body(steps[-1], source_id),
                    self._options.waiter,
                )
            if not self._options.waiter.wait and not is_whole(made):
                return target.facts(made)
            made = self._whole(target.kind, target.name)
        tags = target.final_tags(made.get("tags"), self._marks)
        return self._changed({"tags": tags}) if tags != made.get("tags") else target.facts(made)

    def _temporarily(self, number: int, step: Step, source_id: str) -> str:
        """Make what lies on the way, unless an earlier run has; its id."""
        name = self._temporary.name(number)
        present = self._settled(step.kind, name)
        if present is not None and not self._temporary.is_own(present):
            raise InvalidInput(
                f"{step.kind.capitalize()} {name} in resource group {self._target.resource_group} is in the"
                " way, and was not made by this copy.",
                remedy="Remove or rename it.",
            )
        if present is not None and copy_failure(present) is not None:
            self._delete(step.kind, name)
            present = None
        if present is None:
            plain = self._target._replace(
                kind=step.kind, zone=None, incremental=step.incremental, disk_encryption_set=None
            )
            creation = creation_data(self._source, step.option, source_id)
            sku = DEFAULT_SKU if step.kind == "disk" else None
            body = {**plain.body(step.location, creation, sku=sku), "tags": self._temporary.tags()}
            self._collection(step.kind).put(self._target.resource_group, name, body, self._patient)
        return str(self._whole(step.kind, name)["id"])

    def _whole(self, kind: str, name: str) -> dict[str, Any]:
        """The disk or snapshot once its copy is complete; raises when that fails."""
        seen: list[dict[str, Any]] = []

        def is_complete() -> bool:
            found = self._get(kind, name)
            if found is None:
                raise AzureError(f"{kind.capitalize()} {name} was removed while it was copied.")
            failure = copy_failure(found)
            if failure is not None:
                raise AzureError(
                    f"The copy of {self._source.name} to {kind} {name} has failed: {failure.rstrip('.')}.",
                    code="CopyFailed",
                    remedy="Run the task again.",
                )
            size = self._source.virtual_size
            self._options.report(round(size * completion(found) / 100), size)
            seen[:] = [found]
            return is_whole(found)

        wait_for_copy(f"The copy of {self._source.name} to {kind} {name}", is_complete, self._patient)
        return seen[0]

    # Clean-up

    @contextmanager
    def _tidied(self, steps: list[Step]) -> Iterator[None]:
        """Nothing temporary is left on any way out, and no copy that cannot become whole."""
        try:
            yield
        except BaseException as error:
            left = self._given_up(steps, error)
            if left is None:
                raise
            raise and_left(error, left) from None
        self._remove_temporary(steps)

    def _given_up(self, steps: list[Step], error: BaseException) -> str | None:
        """Remove what is not complete; what to say of what is left."""
        target = self._target
        if len(steps) == 1 and isinstance(error, KeyboardInterrupt | WaitTimeout):
            return "The copy goes on in Azure: run the task again to wait for it." if self._begun() else None
        remedy = "Remove it by hand, or run the task again."
        work: list[tuple[Callable[[], None], str]] = [
            (self._remove_incomplete, f"The incomplete {target.kind} {target.name}"),
            (partial(self._remove_temporary, steps), f"What {self._temporary.name(0)} and others are named"),
        ]
        left = [said for clean, what in work if (said := without_leftovers(clean, what, remedy))]
        return " ".join(left) or None

    def _begun(self) -> bool:
        found = self._get(self._target.kind, self._target.name)
        return found is not None and (found.get("tags") or {}).get(COPY_OF) == self._source.identity

    def _remove_incomplete(self) -> None:
        if not self._begun():
            return
        found = self._settled(self._target.kind, self._target.name)
        if found is not None and not is_whole(found):
            self._delete(self._target.kind, self._target.name)

    def _left_over(self, steps: list[Step]) -> Iterator[tuple[str, str]]:
        """Kind and name of what is there of the temporary disks and snapshots, the last first."""
        for number, step in reversed(list(enumerate(steps[:-1]))):
            name = self._temporary.name(number)
            found = self._settled(step.kind, name)
            if found is not None and self._temporary.is_own(found):
                yield step.kind, name

    def _remove_temporary(self, steps: list[Step]) -> None:
        for kind, name in self._left_over(steps):
            self._delete(kind, name)
