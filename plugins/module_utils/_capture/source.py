# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The machine to capture, as Azure describes it and each of its disks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    parse_resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    STANDARD,
    SourceFacts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_resources import machine_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import VmState, read_state

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_NOT_RUNNING = ("stopped", "deallocated")
# What a run leaves that was killed meanwhile: an operation is at work, unless it has failed.
_SWITCHING = ("starting", "stopping", "deallocating")


class SourceDisk(NamedTuple):
    """One disk of the machine. `lun` None: the operating system disk. `attached` is its entry in the
    machine's storageProfile, `resource` the managed disk, None where there is none."""

    lun: int | None
    attached: Mapping[str, Any]
    resource: Mapping[str, Any] | None

    @property
    def label(self) -> str:
        """As a sentence names it: its name and place."""
        place = "operating system disk" if self.lun is None else f"data disk at LUN {self.lun}"
        return f"{place} {self.attached.get('name', '')}".rstrip()

    @property
    def id(self) -> str | None:
        managed = (self.attached.get("managedDisk") or {}).get("id")
        return str(managed) if managed else None

    @property
    def properties(self) -> Mapping[str, Any]:
        return (self.resource or {}).get("properties") or {}

    @property
    def sku(self) -> str | None:
        named = ((self.resource or {}).get("sku") or {}).get("name")
        return str(named) if named else (self.attached.get("managedDisk") or {}).get("storageAccountType")

    @property
    def size_gb(self) -> int | None:
        return self.properties.get("diskSizeGB") or self.attached.get("diskSizeGB")

    @property
    def encryption_set(self) -> str | None:
        """Id of the disk encryption set, None where the platform's keys are used."""
        return (self.properties.get("encryption") or {}).get("diskEncryptionSetId")

    @property
    def caching(self) -> str:
        return str(self.attached.get("caching") or "None")


class SourceVm(NamedTuple):
    """The machine in wire shape, its state, and its disks, the operating system's first."""

    machine: Mapping[str, Any]
    state: VmState
    disks: Sequence[SourceDisk]

    @property
    def id(self) -> str:
        return str(self.machine["id"])

    @property
    def name(self) -> str:
        return str(self.machine["name"])

    @property
    def properties(self) -> Mapping[str, Any]:
        return self.machine.get("properties") or {}

    @property
    def vm_id(self) -> str:
        """Azure's own id of the machine, another one when it is deleted and made anew."""
        return str(self.properties.get("vmId", ""))

    @property
    def location(self) -> str:
        return normalize_location(self.machine["location"])

    @property
    def tags(self) -> dict[str, str]:
        return dict(self.machine.get("tags") or {})

    @property
    def running(self) -> bool:
        """Also where Azure does not say whether it runs."""
        return self.state.power not in _NOT_RUNNING

    @property
    def os_disk(self) -> SourceDisk:
        return self.disks[0]

    @property
    def facts(self) -> SourceFacts:
        """The machine as the compatibility rules see it, with all its disks."""
        return machine_facts(self.machine, [(disk.attached, disk.resource) for disk in self.disks])

    @property
    def os_type(self) -> str | None:
        return self.facts.os_type

    @property
    def generation(self) -> str | None:
        return self.facts.generation

    @property
    def architecture(self) -> str | None:
        """x64 or Arm64, None where the disk does not say."""
        return self.facts.architecture

    @property
    def security_type(self) -> str:
        return self.facts.security_type or STANDARD

    @property
    def plan(self) -> Mapping[str, Any] | None:
        """The Marketplace plan: publisher, product and name."""
        return self.machine.get("plan") or None

    @property
    def image_reference(self) -> Mapping[str, Any]:
        return (self.properties.get("storageProfile") or {}).get("imageReference") or {}

    def captured(self, request: CaptureRequest) -> list[SourceDisk]:
        """The disks that are asked for."""
        return [disk for disk in self.disks if request.takes(disk.lun)]

    def captured_facts(self, request: CaptureRequest) -> SourceFacts:
        """As `facts`, with the data disks that are asked for."""
        facts = self.facts
        return replace(facts, data_disks=tuple(disk for disk in facts.data_disks if request.takes(disk.lun)))

    def is_whole(self, request: CaptureRequest) -> bool:
        """Whether all disks are asked for, so that the machine itself can be named as the source."""
        return all(request.takes(disk.lun) for disk in self.disks)


def _is_switched(state: VmState) -> bool:
    return state.power in _SWITCHING and state.provisioning.casefold() != "failed"


def read_source(session: AzureSession, request: CaptureRequest, waiter: Waiter) -> SourceVm | None:
    """The machine, once no other operation changes it, and its disks; None when there is none."""

    def read() -> dict[str, Any] | None:
        try:
            found = session.compute.virtual_machines.get(
                request.vm_group, request.vm_name, expand="instanceView"
            )
        except NotFound:
            return None
        if found is not None and _is_switched(read_state(found)):
            found["properties"]["provisioningState"] = "Updating"
        return found

    machine = settled(f"Virtual machine {request.vm_name}", read(), read, waiter)
    if machine is None:
        return None
    storage = (machine.get("properties") or {}).get("storageProfile") or {}
    attached: list[tuple[int | None, Mapping[str, Any]]] = [(None, storage.get("osDisk") or {})]
    data = sorted(storage.get("dataDisks") or [], key=lambda disk: int(disk["lun"]))
    attached += [(int(disk["lun"]), disk) for disk in data]

    def with_resource(pair: tuple[int | None, Mapping[str, Any]]) -> SourceDisk:
        lun, entry = pair
        disk = SourceDisk(lun, entry, None)
        if disk.id is None:
            return disk
        parsed = parse_resource_id(disk.id)
        try:
            return disk._replace(resource=session.compute.disks.get(parsed.resource_group, parsed.name))
        except NotFound:
            return disk

    return SourceVm(machine, read_state(machine), in_parallel(with_resource, attached))
