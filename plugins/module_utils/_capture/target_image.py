# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A managed image of the machine, or of some of its disks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    resource_group_id,
    same_resource,
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
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceDisk, SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target import (
    ABSENT,
    OTHER,
    UNFINISHED,
    Needs,
    Target,
    made_or_gone,
    status_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import check, findings
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_facts import image_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    MANAGED_IMAGE,
    TargetFacts,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# One that is specialized Azure makes, but of no use.
_RULES = ("specialized-managed-image", "security-type-managed-image")


class ImageTarget(Target):
    """Of a machine with all its disks it is made with the machine as source, otherwise of disks."""

    while_running = False

    def __init__(self, session: AzureSession, request: CaptureRequest, wanted: TargetRequest) -> None:
        super().__init__(session, request, wanted)
        self._image: dict[str, Any] | None = None

    def _read(self) -> dict[str, Any] | None:
        return self.session.compute.images.get(self.wanted.group, self.wanted.name)

    def look(self, source: SourceVm | None, waiter: Waiter) -> None:  # noqa: ARG002 - the same for all targets
        try:
            self._image = settled(f"Image {self.wanted.name}", self._read(), self._read, waiter)
        except NotFound as error:
            self.missing.append(
                self.finding("resource-group-missing", error.message, error.remedy or "", "resource_group")
            )

    def status(self, source: SourceVm | None) -> str:
        return status_of(self._image, self.request, source)

    def of_whole_machine(self, source: SourceVm) -> bool:
        own_disks = self.wanted.storage_account_type or self.wanted.disk_encryption_set
        return super().of_whole_machine(source) and not own_disks

    def findings(self, source: SourceVm) -> list[Finding]:
        self.warn_of_plan(source)
        found = list(self.missing)
        asked = TargetFacts(MANAGED_IMAGE, self.title, os_state=self.request.os_state.capitalize())
        found += findings(check(source.facts, asked, _RULES), lambda _verdict: self.wanted.option)
        if self.status(source) == OTHER:
            made_of = image_facts(self._image or {})["source_virtual_machine"] or "other disks"
            found.append(
                self.finding(
                    "name-taken",
                    f"image {self.wanted.name} exists and was made of {made_of}, not of this machine as is.",
                    "Give another name, or delete that image first.",
                    "name",
                )
            )
        return found

    def changes(self) -> list[str]:
        return ["tags"] if self._tags() != ((self._image or {}).get("tags") or {}) else []

    def _tags(self) -> dict[str, str]:
        return completed(merged_tags((self._image or {}).get("tags"), self.request.tags, True))

    def change(self, waiter: Waiter, *, only_look: bool) -> None:
        if only_look:
            self._image = {**(self._image or {}), "tags": self._tags()}
        else:
            self._set_tags(self._tags(), waiter)

    def note_incomplete(self, waiter: Waiter, now: datetime) -> None:
        self._set_tags({**self._tags(), INCOMPLETE_TAG: time_text(now)}, waiter)

    def _set_tags(self, tags: Mapping[str, str], waiter: Waiter) -> None:
        images = self.session.compute.images
        self._image = images.update(self.wanted.group, self.wanted.name, {"tags": tags}, waiter)

    def unchangeable(self) -> list[Finding]:
        facts = image_facts(self._image or {})
        disks = [facts["os_disk"] or {}, *facts["data_disks"]]
        found = []
        asked = self.wanted.zone_resilient
        if asked is not None and asked != bool(facts["zone_resilient"]):
            found.append(self.cannot_change("zone_resilient", bool(facts["zone_resilient"])))
        kinds = {disk.get("storage_account_type") for disk in disks}
        if self.wanted.storage_account_type and kinds != {self.wanted.storage_account_type}:
            found.append(self.cannot_change("storage_account_type", ", ".join(sorted(map(str, kinds)))))
        wanted_set = self.wanted.disk_encryption_set
        sets = {str(disk.get("disk_encryption_set")) for disk in disks}
        if wanted_set and any(not same_resource(each, wanted_set) for each in sets):
            found.append(self.cannot_change("disk_encryption_set", ", ".join(sorted(sets))))
        return found

    def needs(self, source: SourceVm | None) -> list[Needs]:
        replaced = self.status(source) == UNFINISHED
        actions = ["Microsoft.Compute/images/write", *["Microsoft.Compute/images/delete"] * replaced]
        scope = resource_group_id(self.session.subscription_id, self.wanted.group)
        return [Needs(scope, actions, self.id, deletes=replaced)]

    def make(self, source: SourceVm, waiter: Waiter, now: datetime) -> None:
        images = self.session.compute.images
        group, name = self.wanted.group, self.wanted.name
        to_its_end = Waiter(True, waiter.timeout, waiter.progress)
        if self.status(source) != ABSENT:
            images.delete(group, name, to_its_end)
        body = self._body(source, now)
        self._image = made_or_gone(
            lambda: images.put(group, name, body, waiter),
            self._read,
            lambda: images.delete(group, name, to_its_end),
            self.request,
            waiter,
        )

    def _body(self, source: SourceVm, now: datetime) -> dict[str, Any]:
        properties: dict[str, Any] = {"hyperVGeneration": source.generation or "V1"}
        storage: dict[str, Any] = {}
        if self.of_whole_machine(source):
            properties["sourceVirtualMachine"] = {"id": source.id}
        else:
            disks = source.captured(self.request)
            storage["osDisk"] = {
                "osType": source.os_type,
                "osState": "Generalized",
                **self._disk(disks[0]),
            }
            storage["dataDisks"] = [{"lun": disk.lun, **self._disk(disk)} for disk in disks[1:]]
        if self.wanted.zone_resilient is not None:
            storage["zoneResilient"] = self.wanted.zone_resilient
        if storage:
            properties["storageProfile"] = storage
        return {"location": source.location, "tags": self.tags(source, now), "properties": properties}

    def _disk(self, disk: SourceDisk) -> dict[str, Any]:
        """As the machine has it, but for what was asked for."""
        wire = {
            "managedDisk": {"id": disk.id},
            "caching": disk.caching,
            "diskSizeGB": disk.size_gb,
            "storageAccountType": self.wanted.storage_account_type or disk.sku,
        }
        encryption_set = self.wanted.disk_encryption_set or disk.encryption_set
        return {**wire, "diskEncryptionSet": {"id": encryption_set}} if encryption_set else wire

    def facts(self, source: SourceVm | None) -> dict[str, Any]:
        if self._image is None and source is not None:
            body = self._body(source, datetime.now().astimezone())
            return image_facts({"id": self.id, "name": self.wanted.name, **body})
        return image_facts(self._image or {})
