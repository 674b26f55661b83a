# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A virtual machine as far as its backups are concerned: its state and its disks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    parse_resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import VmState, read_state

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


class AttachedDisk(NamedTuple):
    """`entry`: how the machine has it (wire shape), `lun` None for the operating system disk; `disk`: the
    managed disk itself, None where it is a blob, an ephemeral one or cannot be read."""

    lun: int | None
    entry: Mapping[str, Any]
    disk: Mapping[str, Any] | None

    @property
    def id(self) -> str | None:
        found = (self.entry.get("managedDisk") or {}).get("id")
        return str(found) if found else None

    @property
    def storage_account_type(self) -> str | None:
        """The disk tells it at any time, the machine only while it is allocated."""
        sku = ((self.disk or {}).get("sku") or {}).get("name")
        return sku or (self.entry.get("managedDisk") or {}).get("storageAccountType")


class Machine(NamedTuple):
    """`body` is in wire shape, read with its instance view."""

    body: Mapping[str, Any]
    state: VmState
    disks: Sequence[AttachedDisk]

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def name(self) -> str:
        return str(self.body["name"])

    @property
    def resource_group(self) -> str:
        return parse_resource_id(self.id).resource_group

    @property
    def location(self) -> str:
        return normalize_location(self.body["location"])

    @property
    def properties(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.body["properties"]
        return found

    def disk_at(self, lun: int | None) -> AttachedDisk | None:
        return next((disk for disk in self.disks if disk.lun == lun), None)


def read_machine(session: AzureSession, vm_id: str, waiter: Waiter) -> dict[str, Any] | None:
    """The machine with its instance view, once nobody is changing it any more; None when it is not there.

    A missing resource group counts as a missing machine.
    """
    parsed = parse_resource_id(vm_id)

    def read() -> dict[str, Any] | None:
        try:
            return session.compute.virtual_machines.get(
                parsed.resource_group, parsed.name, expand="instanceView"
            )
        except NotFound:
            return None

    return settled(f"Virtual machine {parsed.name}", read(), read, waiter)


def disk_entries(body: Mapping[str, Any]) -> list[tuple[int | None, Mapping[str, Any]]]:
    """The machine's disks as it has them, the operating system disk first, then by LUN."""
    storage = (body.get("properties") or {}).get("storageProfile") or {}
    data = sorted(storage.get("dataDisks") or [], key=lambda disk: int(disk["lun"]))
    return [(None, storage.get("osDisk") or {}), *((int(disk["lun"]), disk) for disk in data)]


def machine_with_disks(session: AzureSession, body: Mapping[str, Any]) -> Machine:
    """Reads the machine's managed disks, all at the same time."""
    entries = disk_entries(body)
    ids = [(entry.get("managedDisk") or {}).get("id") for _unused, entry in entries]
    disks = session.compute.disks

    def read(disk_id: str | None) -> dict[str, Any] | None:
        return get_by_id(disks, disk_id) if disk_id else None

    found = in_parallel(read, ids)
    attached = [AttachedDisk(lun, entry, disk) for (lun, entry), disk in zip(entries, found, strict=True)]
    return Machine(body, read_state(body), attached)


def get_by_id(collection: Any, resource_id: str) -> dict[str, Any] | None:
    """A disk or snapshot by its id; None when it or its group is not there."""
    parsed = parse_resource_id(resource_id)
    try:
        found: dict[str, Any] | None = collection.get(parsed.resource_group, parsed.name)
    except NotFound:
        return None
    return found
