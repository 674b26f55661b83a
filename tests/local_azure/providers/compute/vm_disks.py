# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The disks of a virtual machine while it lives: made, attached, read, let go."""

from __future__ import annotations

from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.blob_storage.vhd import whole_gib
from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import ArmError
from tests.local_azure.providers.compute.vm_blob_disks import BlobDisks
from tests.local_azure.providers.compute.vm_disk_plans import DiskPlanner
from tests.local_azure.providers.disks import disk_shapes
from tests.local_azure.providers.disks.disk_access import active_access
from tests.local_azure.providers.disks.disk_sources import RESIZED_DOWN
from tests.local_azure.providers.disks.disks import Disks
from tests.local_azure.store import Json, Resource


def owned_anew(disk: Resource) -> None:
    """The disk was attached or detached, or its machine started or deallocated."""
    disk.properties["LastOwnershipUpdateTime"] = wire_time(now())


class MachineDisks:
    """`planner` decides, this makes and releases."""

    def __init__(self, azure: LocalAzure, disks: Disks) -> None:
        self._azure = azure
        self._disks = disks
        self.blobs = BlobDisks(azure)
        self.planner = DiskPlanner(azure, self.blobs)

    # Making.

    async def make(self, machine: Resource, plans: list[Json]) -> None:
        """Creates or attaches the planned disks; done ones are passed over, so it may be run again."""
        if any(plan.get("vhd") for plan in plans):
            await self.blobs.make(machine, plans)
            return
        for plan in plans:
            disk = self._azure.store.get(plan["id"])
            if disk is None:
                disk = self._disks.new_for_vm(machine, plan["name"], plan["sku"], _born(plan))
                disk.hidden["blob"] = list(self._disks.content.new_address())
                if machine.body.get("zones"):
                    disk.body["zones"] = machine.body["zones"]
                self._azure.store.put(disk)
            if disk.state != "Succeeded":
                await self._fill(disk, plan)
            disk.body["managedBy"] = machine.id
            owned_anew(disk)
            self._disks.ready(disk, disk.hidden["size"])

    async def _fill(self, disk: Resource, plan: Json) -> None:
        address = BlobAddress(*disk.hidden["blob"])
        wanted = disk_shapes.size_bytes(plan["size_gb"]) if plan.get("size_gb") else None
        if plan["option"] == "Empty" and wanted is not None:
            await self._disks.content.empty(address, wanted)
            disk.hidden["size"] = wanted
            return
        had = int(plan["source_size"])
        if wanted is not None and plan["size_gb"] < whole_gib(had):
            self._azure.store.delete(disk.id)
            raise ArmError(400, "InvalidParameter", RESIZED_DOWN)
        if wanted is None and (plan.get("grow_to_gb") or 0) > whole_gib(had):
            wanted = disk_shapes.size_bytes(plan["grow_to_gb"])
        # An image may have a little more or less than whole GiB; what it is shown with is always enough.
        size = max(wanted or 0, had)
        if plan["source"] is None:
            await self._disks.content.empty(address, size)
        else:
            await self._disks.content.copy(BlobAddress(*plan["source"]), address)
            await self._disks.content.grow(address, had, size)
        disk.hidden["size"] = size

    def complete(self, machine: Resource, plans: list[Json]) -> None:
        """Puts names, ids and sizes of the disks that are there now into the storageProfile."""
        shown = machine.properties["storageProfile"]
        by_lun = {str(d["lun"]): d for d in shown["dataDisks"]}
        for plan in plans:
            entry = shown["osDisk"] if plan["key"] == "os" else by_lun.get(plan["key"])
            if entry is None:
                continue
            if plan.get("vhd"):
                entry["diskSizeGB"] = self.blobs.size_gb(machine, plan["key"])
                continue
            disk = self._azure.store.get(plan["id"])
            if disk is None:
                continue
            entry["name"] = disk.name
            entry["managedDisk"] |= {"storageAccountType": disk.body["sku"]["name"], "id": disk.id}
            entry["diskSizeGB"] = disk.properties["diskSizeGB"]

    # Letting go.

    def attached(self, machine: Resource) -> list[tuple[Json, Resource]]:
        """The machine's managed disks, the OS disk first, each with its entry in the storageProfile."""
        profile = machine.properties["storageProfile"]
        pairs = []
        for entry in (profile["osDisk"], *profile.get("dataDisks", [])):
            disk = self._azure.store.get((entry.get("managedDisk") or {}).get("id") or "")
            if disk is not None:
                pairs.append((entry, disk))
        return pairs

    def contents(self, machine: Resource) -> list[tuple[int | None, BlobAddress]]:
        """Where the machine's disks are, managed or not: the OS disk first, then each LUN's."""
        vhds = self.blobs.addresses(machine)
        if vhds:
            return [(None if key == "os" else int(key), address) for key, address in vhds.items()]
        return [
            (entry.get("lun"), BlobAddress(*disk.hidden["blob"])) for entry, disk in self.attached(machine)
        ]

    async def release(self, machine: Resource, entry: Json, disk: Resource, *, may_delete: bool) -> None:
        """Detaches a disk; deletes it if that is what was wanted for it."""
        owner = str(disk.body.get("managedBy", ""))
        if owner.lower() != machine.id.lower():
            return
        ephemeral = bool(entry.get("diffDiskSettings"))
        if may_delete and (ephemeral or entry.get("deleteOption") == "Delete"):
            await self._disks.remove(disk)
            return
        disk.body.pop("managedBy", None)
        owned_anew(disk)
        disk.properties["diskState"] = self._disks.state_of(disk)
        self._azure.store.put(disk)

    def moved(self, machine: Resource) -> None:
        """The machine was started or deallocated: that is when its disks' ownership changed last."""
        for _unused, disk in self.attached(machine):
            owned_anew(disk)
            self._azure.store.put(disk)

    def check_no_access(self, machine: Resource) -> None:
        """A machine cannot start while somebody holds a SAS for one of its disks."""
        for _unused, disk in self.attached(machine):
            if disk.hidden.get("access"):
                raise active_access(disk)

    # From blobs to managed disks.

    async def convert(self, machine: Resource) -> None:
        """Makes managed disks of the machine's blobs, which stay where they are."""
        profile = machine.properties["storageProfile"]
        for number, entry in enumerate((profile["osDisk"], *profile["dataDisks"]), 1):
            key = str(entry.get("lun", "os"))
            kept = machine.hidden["vhds"].get(key)
            if kept is None:
                continue
            word = "OsDisk" if key == "os" else "DataDisk"
            creation = {"createOption": "Import", "sourceUri": entry["vhd"]["uri"]}
            born: Json = {"creationData": creation}
            if key == "os":
                born |= {"osType": entry["osType"], "hyperVGeneration": machine.hidden["generation"]}
            disk = self._disks.new_for_vm(
                machine,
                f"{machine.name}_{word}_{number}_{machine.hidden['incarnation'][:8]}",
                "Standard_LRS",
                born,
            )
            disk.hidden["blob"] = list(self._disks.content.new_address())
            await self._disks.content.copy(BlobAddress(*kept["address"]), BlobAddress(*disk.hidden["blob"]))
            disk.hidden["size"] = kept["size"]
            self._azure.store.put(disk)
            self._disks.ready(disk, kept["size"])
            entry.pop("vhd")
            entry.pop("image", None)
            entry |= {"name": disk.name, "managedDisk": {"storageAccountType": "Standard_LRS", "id": disk.id}}
            del machine.hidden["vhds"][key]
            self._azure.store.put(machine)


def _born(plan: Json) -> Json:
    """The properties with which a planned disk comes into the world."""
    encryption: Json = {}
    if plan.get("encryption_set"):
        encryption = {
            "encryption": {
                "type": "EncryptionAtRestWithCustomerKey",
                "diskEncryptionSetId": plan["encryption_set"],
            }
        }
    if plan["option"] == "Empty":
        return {"creationData": {"createOption": "Empty"}, **encryption}
    reference: Json = {"id": plan["image"]}
    properties: Json = {}
    if plan["key"] == "os":
        properties = {"osType": plan["os_type"], "hyperVGeneration": plan["generation"]}
        if plan.get("security_type"):
            properties["securityProfile"] = {"securityType": plan["security_type"]}
        if plan.get("architecture") == "Arm64":
            properties["supportedCapabilities"] = {"architecture": "Arm64"}
    else:
        reference["lun"] = int(plan["key"])
    creation = {"createOption": "FromImage", "imageReference": reference}
    return {**properties, "creationData": creation, **encryption}


def lun_entry(entries: list[Json], lun: Any) -> Json | None:
    return next((e for e in entries if e.get("lun") == lun), None)
