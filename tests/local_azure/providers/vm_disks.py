# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The disks of a virtual machine: planned when it is asked for, made when its turn comes."""

from __future__ import annotations

import uuid
from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blobs import BlobAddress
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, not_allowed
from tests.local_azure.kinds import check_entity_name
from tests.local_azure.providers import disk_shapes
from tests.local_azure.providers.disk_sources import DISK
from tests.local_azure.providers.disks import RESIZED_DOWN, Disks, active_access
from tests.local_azure.providers.images import IMAGE
from tests.local_azure.store import Json, Resource

_LUN_TEXT = (
    "StorageProfile.dataDisks.lun does not have required value(s) for image specified in storage profile."
)


def _sku(given: Json, default: str) -> str:
    sku = str((given.get("managedDisk") or {}).get("storageAccountType") or default)
    if sku not in disk_shapes.SKUS:
        raise invalid_value("managedDisk.storageAccountType")
    return sku


class MachineDisks:
    def __init__(self, azure: LocalAzure, disks: Disks) -> None:
        self._azure = azure
        self._disks = disks

    # Planning.

    def image_of(self, profile: Json, location: str) -> Resource | None:
        """The managed image a machine is to be made of; None without an imageReference."""
        reference = profile.get("imageReference")
        if not reference:
            return None
        image_id = reference.get("id")
        if not isinstance(image_id, str):
            raise ArmError(
                404,
                "PlatformImageNotFound",
                f"The platform image '{reference.get('publisher')}:{reference.get('offer')}:"
                f"{reference.get('sku')}:{reference.get('version')}' is not available. Verify that all "
                "fields "
                "in the storage profile are correct.",
                target="imageReference",
            )
        image = self._azure.store.get(image_id)
        if image is None or image.type != IMAGE or image.location != location:
            raise ArmError(
                404,
                "NotFound",
                f"The Image '{image_id}' cannot be found in '{location}' region.",
                target="imageReference",
            )
        if image.state in ("Creating", "Failed"):
            raise not_allowed(
                f"The resource Virtual Machine cannot be created from Image {image.name} until Image has "
                "been "
                "successfully created."
            )
        if self._azure.operations.busy(image.id) and image.state != "Updating":
            raise not_allowed(
                f"Operation 'Create VM' is not allowed on Image '{image.name}' since the Image is marked for "
                "deletion. You can only retry the Delete operation (or wait for an ongoing one to complete)."
            )
        return image

    def plan(self, machine: Resource, profile: Json, image: Resource | None) -> tuple[Json, list[Json]]:
        """The storageProfile to show and, for each disk, what has to be done for it."""
        os_disk = profile.get("osDisk")
        if os_disk is None and image is not None:
            os_disk = {"createOption": "FromImage"}
        if not isinstance(os_disk, dict):
            raise missing_parameter("storageProfile.osDisk")
        option = os_disk.get("createOption")
        if option is None:
            raise missing_parameter("osDisk.createOption")
        if (option == "FromImage") != (image is not None) or option not in ("FromImage", "Attach"):
            raise invalid_value(
                "osDisk.createOption",
                "createOption must be FromImage with an imageReference, and Attach without one.",
            )
        given_luns = [d.get("lun") for d in profile.get("dataDisks") or []]
        for index, lun in enumerate(given_luns):
            if not isinstance(lun, int) or not 0 <= lun <= 63:
                raise missing_parameter(f"dataDisks[{index}].lun")
            if lun in given_luns[:index]:
                raise invalid_value("dataDisk.lun", f"A disk at LUN {lun} already exists.")
        if image is not None:
            os_plan = self._from_image(machine, os_disk, image, "os", f"{machine.name}_OsDisk_1")
            os_type = image.properties["storageProfile"]["osDisk"]["osType"]
        else:
            os_plan = self._attach(machine, os_disk, "os")
            os_type = os_disk.get("osType") or self._disk_os_type(os_plan["id"])
        plans = [os_plan, *self._data_plans(machine, profile, image)]
        shown: Json = {"osDisk": {"osType": os_type, **self.shown(os_plan)}}
        if image is not None:
            shown = {"imageReference": {"id": image.id}, **shown}
        shown["dataDisks"] = [self.shown(p) for p in plans[1:]]
        return shown, plans

    def _disk_os_type(self, disk_id: str) -> str:
        disk = self._azure.store.get(disk_id)
        os_type = disk.properties.get("osType") if disk else None
        if os_type is None:
            raise missing_parameter("osDisk.osType")
        return str(os_type)

    def _data_plans(self, machine: Resource, profile: Json, image: Resource | None) -> list[Json]:
        wanted = {d["lun"]: d for d in profile.get("dataDisks") or []}
        of_image = {d["lun"] for d in image.properties["storageProfile"]["dataDisks"]} if image else set()
        plans = []
        for number, lun in enumerate(sorted(of_image | set(wanted)), 2):
            disk = wanted.get(lun, {"lun": lun, "createOption": "FromImage"})
            plans.append(self.plan_data_disk(machine, disk, number, image, of_image))
        return plans

    def plan_data_disk(
        self, machine: Resource, disk: Json, number: int, image: Resource | None, of_image: set[int]
    ) -> Json:
        option, lun = disk.get("createOption"), disk["lun"]
        name = f"{machine.name}_disk{number}"
        if (option == "FromImage") != (lun in of_image):
            raise invalid_value("dataDisk.lun", _LUN_TEXT)
        if option == "FromImage" and image is not None:
            return self._from_image(machine, disk, image, str(lun), name)
        if option == "Attach":
            return self._attach(machine, disk, str(lun))
        if option == "Empty":
            if not isinstance(disk.get("diskSizeGB"), int):
                raise missing_parameter("dataDisk.diskSizeGB")
            return self._new(machine, disk, str(lun), name, {"size_gb": disk["diskSizeGB"]})
        raise (
            missing_parameter("dataDisk.createOption")
            if option is None
            else invalid_value("dataDisk.createOption")
        )

    def _new(self, machine: Resource, disk: Json, key: str, name: str, more: Json) -> Json:
        disk_name = str(disk.get("name") or f"{name}_{uuid.uuid4().hex}")
        check_entity_name(disk_name, "osDisk.name" if key == "os" else "dataDisk.name")
        scope = machine.id.rpartition("/providers/")[0]
        disk_id = f"{scope}/providers/{DISK}/{disk_name}"
        if self._azure.store.get(disk_id) is not None:
            raise ArmError(
                409,
                "ConflictingUserInput",
                f"Disk {disk_name} already exists in resource group {machine.resource_group.upper()}. Only "
                "CreateOption.Attach is supported.",
                target=f"/subscriptions/{disk_id.split('/')[2]}",
            )
        return {
            "key": key,
            "id": disk_id,
            "name": disk_name,
            "option": disk["createOption"],
            "caching": disk.get("caching") or ("ReadWrite" if key == "os" else "None"),
            "delete": disk.get("deleteOption") or "Detach",
            **more,
        } | {"sku": _sku(disk, more.get("sku", "Standard_LRS"))}

    def _from_image(self, machine: Resource, disk: Json, image: Resource, key: str, name: str) -> Json:
        stored = image.properties["storageProfile"]
        source = (
            stored["osDisk"] if key == "os" else next(d for d in stored["dataDisks"] if str(d["lun"]) == key)
        )
        more = {
            "source": image.hidden["blobs"][key],
            "source_size": image.hidden["sizes"][key],
            "size_gb": disk.get("diskSizeGB"),
            "image": image.id,
            "generation": image.properties.get("hyperVGeneration", "V1"),
            "os_type": source.get("osType"),
            "sku": source.get("storageAccountType", "Standard_LRS"),
        }
        given = {"createOption": "FromImage", **disk}
        if not given.get("caching"):
            given["caching"] = source.get("caching")
        return self._new(machine, given, key, name, more)

    def _attach(self, machine: Resource, disk: Json, key: str) -> Json:
        path = "osDisk" if key == "os" else "dataDisk"
        disk_id = (disk.get("managedDisk") or {}).get("id")
        if not isinstance(disk_id, str):
            raise missing_parameter(f"{path}.managedDisk.id")
        found = self._azure.store.get(disk_id)
        if found is None or found.type != DISK or found.location != machine.location:
            raise ArmError(
                404,
                "NotFound",
                f"Resource {disk_id.rpartition('/')[2]} is not found.",
                target=f"{path}.managedDisk",
            )
        owner = found.body.get("managedBy")
        if owner and owner.lower() != machine.id.lower():
            raise ArmError(
                409,
                "ConflictingUserInput",
                f"Cannot attach the disk {found.name} to VM {machine.id} because it is already attached to "
                "VM "
                f"{owner}. A disk can be attached to only one VM at a time.",
                target=found.id,
            )
        if found.hidden.get("access"):
            raise active_access(found)
        if found.hidden.get("size") is None:
            raise not_allowed(f"Disk {found.name} cannot be attached: its upload is not finished.")
        return {
            "key": key,
            "id": found.id,
            "name": found.name,
            "option": "Attach",
            "caching": disk.get("caching") or ("ReadWrite" if key == "os" else "None"),
            "delete": disk.get("deleteOption") or "Detach",
            "sku": found.body["sku"]["name"],
            "size_gb": None,
        }

    @staticmethod
    def shown(plan: Json) -> Json:
        """A disk as the machine's body has it before the disk is there."""
        shown: Json = {} if plan["key"] == "os" else {"lun": int(plan["key"])}
        shown |= {"name": plan["name"], "createOption": plan["option"], "caching": plan["caching"]}
        shown["managedDisk"] = {"storageAccountType": plan["sku"]}
        if plan["option"] == "Attach":
            shown["managedDisk"]["id"] = plan["id"]
        shown["deleteOption"] = plan["delete"]
        if plan.get("size_gb"):
            shown["diskSizeGB"] = plan["size_gb"]
        if plan["key"] != "os":
            shown["toBeDetached"] = False
        return shown

    # Making.

    async def make(self, machine: Resource, plans: list[Json]) -> None:
        """Creates or attaches the planned disks; done ones are passed over, so it may be run again."""
        for plan in plans:
            disk = self._azure.store.get(plan["id"])
            if disk is None:
                disk = self._disks.new_for_vm(machine, plan["name"], plan["sku"], self._born(plan))
                disk.hidden["blob"] = list(self._disks.content.new_address())
                self._azure.store.put(disk)
            if disk.state != "Succeeded":
                await self._fill(disk, plan)
            disk.body["managedBy"] = machine.id
            self._disks.ready(disk, disk.hidden["size"])

    @staticmethod
    def _born(plan: Json) -> Json:
        if plan["option"] == "Empty":
            return {"creationData": {"createOption": "Empty"}}
        reference: Json = {"id": plan["image"]}
        properties: Json = {}
        if plan["key"] == "os":
            properties = {"osType": plan["os_type"], "hyperVGeneration": plan["generation"]}
        else:
            reference["lun"] = int(plan["key"])
        return {**properties, "creationData": {"createOption": "FromImage", "imageReference": reference}}

    async def _fill(self, disk: Resource, plan: Json) -> None:
        address = BlobAddress(*disk.hidden["blob"])
        wanted = disk_shapes.size_bytes(plan["size_gb"]) if plan.get("size_gb") else None
        if plan["option"] == "Empty" and wanted is not None:
            await self._disks.content.empty(address, wanted)
            disk.hidden["size"] = wanted
            return
        if wanted is not None and wanted < plan["source_size"]:
            # An image may be a little under a whole number of GiB; its shown size is always enough.
            if wanted < disk_shapes.size_bytes(plan["source_size"] // disk_shapes.size_bytes(1)):
                self._azure.store.delete(disk.id)
                raise ArmError(400, "InvalidParameter", RESIZED_DOWN)
            wanted = None
        await self._disks.content.copy(BlobAddress(*plan["source"]), address)
        size = wanted or plan["source_size"]
        await self._disks.content.grow(address, plan["source_size"], size)
        disk.hidden["size"] = size

    def complete(self, shown: Json, plans: list[Json]) -> None:
        """Puts ids and sizes of the disks that are there now into the storageProfile."""
        by_lun = {str(d["lun"]): d for d in shown["dataDisks"]}
        for plan in plans:
            disk = self._azure.store.get(plan["id"])
            entry = shown["osDisk"] if plan["key"] == "os" else by_lun.get(plan["key"])
            if disk is None or entry is None:
                continue
            entry["managedDisk"] = {"storageAccountType": disk.body["sku"]["name"], "id": disk.id}
            entry["diskSizeGB"] = disk.properties["diskSizeGB"]

    # Letting go.

    def attached(self, machine: Resource) -> list[tuple[Json, Resource]]:
        """The machine's disks, the OS disk first, each with its entry in the storageProfile."""
        profile = machine.properties["storageProfile"]
        pairs = []
        for entry in (profile["osDisk"], *profile.get("dataDisks", [])):
            disk = self._azure.store.get((entry.get("managedDisk") or {}).get("id") or "")
            if disk is not None:
                pairs.append((entry, disk))
        return pairs

    async def release(self, entry: Json, disk: Resource, *, may_delete: bool) -> None:
        """Detaches a disk; deletes it if that is what was wanted for it."""
        if may_delete and entry.get("deleteOption") == "Delete":
            await self._disks.remove(disk)
            return
        disk.body.pop("managedBy", None)
        disk.properties["diskState"] = self._disks.state_of(disk)
        self._azure.store.put(disk)

    def check_no_access(self, machine: Resource) -> None:
        """A machine cannot start while somebody holds a SAS for one of its disks."""
        for _unused, disk in self.attached(machine):
            if disk.hidden.get("access"):
                raise active_access(disk)


def lun_entry(entries: list[Json], lun: Any) -> Json | None:
    return next((e for e in entries if e.get("lun") == lun), None)
