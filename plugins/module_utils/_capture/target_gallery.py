# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A version of an image definition in an Azure Compute Gallery, made of the machine or of some disks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    NotFound,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.definition_fit import (
    definition_findings,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.evidence import time_text
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.provenance import (
    INCOMPLETE_TAG,
    completed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import (
    CaptureRequest,
    TargetRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target import (
    ABSENT,
    OTHER,
    UNFINISHED,
    Needs,
    Target,
    made_or_gone,
    status_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import GALLERY_API
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.replication import (
    put_version,
    read_version,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_changes import (
    changed_version,
    is_replicated,
    locked_regions,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_facts import (
    version_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import check, findings
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import is_failed, settled
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import SourceFacts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import VIRTUAL_MACHINE
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    GALLERY_VERSION,
    TargetFacts,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_WRITE = "Microsoft.Compute/galleries/images/versions/write"
_DELETE = "Microsoft.Compute/galleries/images/versions/delete"


class GalleryTarget(Target):
    """The version's home is the machine's region, which therefore is among its regions."""

    def __init__(self, session: AzureSession, request: CaptureRequest, wanted: TargetRequest) -> None:
        super().__init__(session, request, wanted)
        self._definition_id = wanted.definition_id(session.subscription_id)
        self._definition: dict[str, Any] | None = None
        self._version: dict[str, Any] | None = None

    def _read(self) -> dict[str, Any] | None:
        return read_version(self.session, self.id)

    def look(self, source: SourceVm | None, waiter: Waiter) -> None:  # noqa: ARG002 - the same for all targets
        try:
            self._definition = self.session.arm.get(self._definition_id, GALLERY_API)
            if self._definition is not None:
                name = f"Version {self.wanted.version} of {self.wanted.definition}"
                self._version = settled(name, self._read(), self._read, waiter)
        except NotFound as error:
            self.missing.append(
                self.finding("resource-group-missing", error.message, error.remedy or "", "resource_group")
            )
            return
        if self._definition is None:
            self.missing.append(
                self.finding(
                    "definition-missing",
                    f"there is no image definition {self.wanted.definition} in gallery {self.wanted.gallery}"
                    f" of resource group {self.wanted.group}.",
                    "Create the gallery and the definition first, or correct their names.",
                    "definition",
                )
            )

    def status(self, source: SourceVm | None) -> str:
        usable = is_replicated(self._version)
        return status_of(self._version, self.request, source, usable=usable)

    def changes(self) -> list[str]:
        if self._version is None:
            return []
        changes = self._changed(self._version)[1]
        return [*changes, *["replication"] * is_failed(self._version)]

    def _changed(self, version: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        tags = completed(merged_tags(version.get("tags"), self.request.tags, True))
        return changed_version(version, self.wanted.publishing, tags)

    def change(self, waiter: Waiter, *, only_look: bool) -> None:
        present = self._version or {}
        body = self._changed(present)[0]
        if only_look:
            self._version = {**present, **body, "properties": {**present["properties"], **body["properties"]}}
            return
        self._put(body, waiter)

    def note_incomplete(self, waiter: Waiter, now: datetime) -> None:
        body = self._changed(self._version or {})[0]
        self._put({**body, "tags": {**body["tags"], INCOMPLETE_TAG: time_text(now)}}, waiter)

    def unchangeable(self) -> list[Finding]:
        facts = version_facts(self._version or {})
        there = SourceFacts(VIRTUAL_MACHINE, self.title, location=str(facts["location"]))
        found = self._unfit(there, "region-mismatch")
        mode = facts["replication_mode"] or "Full"
        if self.wanted.publishing.replication_mode not in (None, mode):
            found.append(self.cannot_change("replication_mode", mode))
        more = locked_regions(self._version or {}, self.wanted.publishing)
        if more:
            found.append(
                self.finding(
                    "regions-protected",
                    f"{self.title} is in {', '.join(more)} too, and its safety profile does not let it be"
                    " removed there.",
                    "Add that to the regions, or allow it first (module gallery_image_version,"
                    " allow_deletion_of_replicated_locations).",
                    "regions",
                )
            )
        return found

    def _unfit(self, facts: SourceFacts, *rules: str) -> list[Finding]:
        """What speaks against a version in the region of the machine, or of the version itself."""
        publishing = self.wanted.publishing
        target = TargetFacts(
            GALLERY_VERSION,
            location=facts.location,
            regions=tuple(region.name for region in publishing.regions),
            replication_mode=publishing.replication_mode,
        )
        parts = {"region-mismatch": f"{self.wanted.option}.regions"}
        return findings(check(facts, target, rules), lambda each: parts.get(each.id, self.wanted.option))

    def findings(self, source: SourceVm) -> list[Finding]:
        found = list(self.missing)
        if self._definition is not None:
            found += definition_findings(self.wanted.option, self._definition, self.request, source)
        found += self._unfit(source.captured_facts(self.request), "region-mismatch", "disk-too-large")
        if self.status(source) == OTHER:
            found.append(
                self.finding(
                    "name-taken",
                    f"version {self.wanted.version} exists and was not made of this machine as it is.",
                    "Give another version.",
                    "version",
                )
            )
        return found

    def needs(self, source: SourceVm | None) -> list[Needs]:
        replaced = self.status(source) == UNFINISHED
        return [Needs(self._definition_id, [_WRITE, *[_DELETE] * replaced], self.id, deletes=replaced)]

    def make(self, source: SourceVm, waiter: Waiter, now: datetime) -> None:
        arm = self.session.arm
        to_its_end = Waiter(True, waiter.timeout, waiter.progress)
        if self.status(source) != ABSENT:
            arm.delete(self.id, GALLERY_API, to_its_end)
        body = self._body(source, now)
        self._version = made_or_gone(
            lambda: self._put(body, waiter),
            self._read,
            lambda: arm.delete(self.id, GALLERY_API, to_its_end),
            self.request,
            waiter,
        )

    def _put(self, body: dict[str, Any], waiter: Waiter) -> dict[str, Any]:
        """Make or change it; returns it, and keeps it, with its replication as far as that is by then."""
        self._version = put_version(self.session, self.id, body, waiter)
        return self._version

    def _body(self, source: SourceVm, now: datetime) -> dict[str, Any]:
        luns = [disk.lun for disk in source.captured(self.request) if disk.lun is not None]
        profiles = self.wanted.publishing.new_profiles(source.location, luns)
        return {
            "location": source.location,
            "tags": self.tags(source, now),
            "properties": {**profiles, "storageProfile": self._storage(source)},
        }

    def _storage(self, source: SourceVm) -> dict[str, Any]:
        if self.of_whole_machine(source):
            return {"source": {"virtualMachineId": source.id}}
        disks = source.captured(self.request)
        entries = [{"source": {"id": disk.id}, "hostCaching": disk.caching} for disk in disks]
        storage: dict[str, Any] = {"osDiskImage": entries[0]}
        if len(disks) > 1:
            pairs = zip(disks[1:], entries[1:], strict=True)
            storage["dataDiskImages"] = [{"lun": disk.lun, **entry} for disk, entry in pairs]
        return storage

    def facts(self, source: SourceVm | None) -> dict[str, Any]:
        if self._version is None and source is not None:
            body = self._body(source, datetime.now().astimezone())
            return version_facts({"id": self.id, "name": self.wanted.version, **body})
        return version_facts(self._version or {})
