# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What each disk of a new or changed virtual machine will be, decided before anything is made."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.vhd import whole_gib
from tests.local_azure.call import properties_of
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, not_allowed
from tests.local_azure.kinds import check_entity_name
from tests.local_azure.providers.compute.image_sources import DiskContent, ImageSource
from tests.local_azure.providers.compute.machine_sizes import MachineSize
from tests.local_azure.providers.compute.vm_blob_disks import BlobDisks
from tests.local_azure.providers.disks.disk_access import active_access
from tests.local_azure.providers.disks.disk_sources import DISK
from tests.local_azure.store import Json, Resource

_LUN_TEXT = (
    "StorageProfile.dataDisks.lun does not have required value(s) for image specified in storage profile."
)
_MAX_LUN = 63


class Wish(NamedTuple):
    """What the request says beside its disks: decides defaults and what is refused."""

    machine: Resource
    size: MachineSize
    image: ImageSource | None
    ultra: bool


class DiskPlanner:
    """Plans are JSON, so that a restart of the server can go on with them.

    `key` is "os" or the LUN; `id` a managed disk's, `vhd` a blob's URI; `source` the blob to copy, with
    `source_size` bytes; `named` whether the request named the disk.
    """

    def __init__(self, azure: LocalAzure, blobs: BlobDisks) -> None:
        self._azure = azure
        self._blobs = blobs

    def plan(self, wish: Wish, profile: Json) -> tuple[Json, list[Json]]:
        """The storageProfile to show and, for each disk, what has to be done for it."""
        os_disk = profile.get("osDisk")
        if os_disk is None and wish.image is not None:
            os_disk = {"createOption": "FromImage"}
        if os_disk is None:
            raise missing_parameter("storageProfile.osDisk")
        option = os_disk.get("createOption")
        if option is None:
            raise missing_parameter("osDisk.createOption")
        if option == "FromImage" and wish.image is None and not os_disk.get("image"):
            raise missing_parameter("storageProfile.imageReference")
        if option == "Attach" and wish.image is not None:
            raise invalid_value("imageReference", "Parameter 'imageReference' is not allowed.")
        check_luns(profile.get("dataDisks") or [])
        plans = [self._os_plan(wish, os_disk), *self._data_plans(wish, profile)]
        check_one_kind(plans)
        shown: Json = {"osDisk": {"osType": plans[0]["os_type"], **shown_disk(plans[0])}}
        shown["dataDisks"] = [shown_disk(p) for p in plans[1:]]
        return shown, plans

    # The disk of the operating system.

    def _os_plan(self, wish: Wish, disk: Json) -> Json:
        image = wish.image
        if disk.get("vhd") or disk.get("image"):
            return self._blobs.plan_os(wish.machine, disk, image)
        if image is None:
            plan = self._attach(wish, disk, "os")
            attached = self._azure.store.get(plan["id"])
            os_type = disk.get("osType") or (attached.properties.get("osType") if attached else None)
            if os_type is None:
                raise missing_parameter("osDisk.osType")
            generation = attached.properties.get("hyperVGeneration", "V1") if attached else "V1"
            return {**plan, "os_type": os_type, "generation": generation}
        word = "disk1" if image.is_managed_image else "OsDisk_1"
        plan = self._from_image(wish, disk, image.os_disk, "os", f"{wish.machine.name}_{word}")
        plan |= {"os_type": image.os_type, "generation": image.generation, "architecture": image.architecture}
        if disk.get("diffDiskSettings"):
            plan["ephemeral"] = _ephemeral(wish.size, disk)
        return plan

    # Data disks.

    def _data_plans(self, wish: Wish, profile: Json) -> list[Json]:
        wanted = {d["lun"]: d for d in profile.get("dataDisks") or []}
        of_image = {lun for lun, _unused in wish.image.data_disks} if wish.image else set()
        plans = []
        for number, lun in enumerate(sorted(of_image | set(wanted)), 2):
            disk = wanted.get(lun, {"lun": lun, "createOption": "FromImage"})
            plans.append(self.data_disk(wish, disk, number))
        return plans

    def data_disk(self, wish: Wish, disk: Json, number: int) -> Json:
        """`number` counts a machine's disks, the first data disk being 2: it is part of the disk's name."""
        option, lun = disk.get("createOption"), disk["lun"]
        if disk.get("vhd"):
            return self._blobs.plan_data(wish.machine, disk)
        of_image = {lun for lun, _unused in wish.image.data_disks} if wish.image else set()
        if (option == "FromImage") != (lun in of_image):
            raise invalid_value("dataDisk.lun", _LUN_TEXT)
        name = f"{wish.machine.name}_disk{number}"
        if option == "FromImage" and wish.image is not None:
            if not wish.image.is_managed_image:
                name = f"{wish.machine.name}_lun_{lun}_{number}"
            return self._from_image(wish, disk, wish.image.data_disk(lun), str(lun), name)
        if option == "Attach":
            return self._attach(wish, disk, str(lun))
        if option == "Empty":
            if not isinstance(disk.get("diskSizeGB"), int):
                raise missing_parameter("dataDisk.diskSizeGB")
            return self._new(wish, disk, str(lun), name, {"caching": disk.get("caching") or "None"})
        if option is None:
            raise missing_parameter("dataDisk.createOption")
        raise invalid_value("dataDisk.createOption")

    # Managed disks.

    def _new(self, wish: Wish, disk: Json, key: str, name: str, more: Json) -> Json:
        machine = wish.machine
        disk_name = disk.get("name") or f"{name}_{uuid.uuid4().hex}"
        check_entity_name(disk_name, "osDisk.name" if key == "os" else "dataDisk.name")
        disk_id = f"{machine.id.rpartition('/providers/')[0]}/providers/{DISK}/{disk_name}"
        if self._azure.store.get(disk_id) is not None:
            raise ArmError(
                409,
                "ConflictingUserInput",
                f"Disk {disk_name} already exists in resource group {machine.resource_group.upper()}. Only "
                "CreateOption.Attach is supported.",
                target=f"/subscriptions/{disk_id.split('/')[2]}",
            )
        managed = disk.get("managedDisk") or {}
        default = "Premium_LRS" if wish.size.premium else "Standard_LRS"
        of_image, of_image_set = more.pop("sku", None), more.pop("encryption_set", None)
        sku = managed.get("storageAccountType") or of_image or default
        _check_sku(wish, sku, disk_name, more["caching"])
        return {
            "key": key,
            "id": disk_id,
            "name": disk_name,
            "named": bool(disk.get("name")),
            "option": disk.get("createOption", "FromImage"),
            "delete": disk.get("deleteOption") or "Detach",
            "size_gb": disk.get("diskSizeGB"),
            "sku": sku,
            "encryption_set": (managed.get("diskEncryptionSet") or {}).get("id") or of_image_set,
            "disk_security": managed.get("securityProfile"),
            **more,
        }

    def _from_image(self, wish: Wish, disk: Json, content: DiskContent, key: str, name: str) -> Json:
        image = wish.image
        assert image is not None
        default = "ReadWrite" if key == "os" else "None"
        return self._new(
            wish,
            {"createOption": "FromImage", **disk},
            key,
            name,
            {
                "source": list(content.blob) if content.blob else None,
                "source_size": content.size_bytes,
                "shown_gb": disk.get("diskSizeGB") or content.shown_size_gb or whole_gib(content.size_bytes),
                "grow_to_gb": content.shown_size_gb,
                "image": image.id,
                "caching": disk.get("caching") or content.caching or default,
                "encryption_set": content.encryption_set,
                # A gallery's storage type is that of the replica; only a managed image asks for its disks'.
                "sku": content.storage_type if image.is_managed_image else None,
            },
        )

    def _attach(self, wish: Wish, disk: Json, key: str) -> Json:
        path = "osDisk" if key == "os" else "dataDisk"
        disk_id = (disk.get("managedDisk") or {}).get("id")
        if disk_id is None:
            raise missing_parameter(f"{path}.managedDisk.id")
        found = self._azure.store.get(disk_id)
        name = disk_id.rpartition("/")[2]
        if found is None or found.type != DISK or found.location != wish.machine.location:
            raise ArmError(404, "NotFound", f"Resource {name} is not found.", target=f"{path}.managedDisk")
        owner = found.body.get("managedBy")
        if owner and owner.lower() != wish.machine.id.lower():
            raise ArmError(
                409,
                "ConflictingUserInput",
                f"Cannot attach the disk {found.name} to VM {wish.machine.id} because it is already attached "
                f"to VM {owner}. A disk can be attached to only one VM at a time.",
                target=found.id,
            )
        if found.hidden.get("access"):
            raise active_access(found)
        if found.hidden.get("size") is None:
            raise not_allowed(f"Disk {found.name} cannot be attached: its upload is not finished.")
        caching = disk.get("caching") or ("ReadWrite" if key == "os" else "None")
        _check_sku(wish, found.body["sku"]["name"], found.name, caching)
        return {
            "key": key,
            "id": found.id,
            "name": found.name,
            "named": True,
            "option": "Attach",
            "caching": caching,
            "delete": disk.get("deleteOption") or "Detach",
            "sku": found.body["sku"]["name"],
            "size_gb": None,
            "shown_gb": found.properties.get("diskSizeGB"),
            "security_type": (properties_of(found.body).get("securityProfile") or {}).get("securityType"),
        }


def check_luns(disks: list[Json]) -> None:
    luns = [d.get("lun") for d in disks]
    for index, lun in enumerate(luns):
        if lun is None:
            raise missing_parameter(f"dataDisks[{index}].lun")
        if not 0 <= lun <= _MAX_LUN:
            raise invalid_value(f"dataDisks[{index}].lun")
        if lun in luns[:index]:
            raise invalid_value("dataDisk.lun", f"A disk at LUN {lun} already exists.")


def check_one_kind(plans: list[Json]) -> None:
    """A machine's disks are either all managed or all blobs."""
    blobs = [bool(plan.get("vhd")) for plan in plans]
    if any(blobs) and not all(blobs):
        raise not_allowed(
            "Addition of a managed disk to a VM with blob based disks is not supported."
            if blobs[0]
            else "Addition of a blob based disk to VM with managed disks is not supported."
        )


def _check_sku(wish: Wish, sku: str, disk: str, caching: str) -> None:
    if sku == "UltraSSD_LRS" and not wish.ultra:
        raise invalid_value(
            "managedDisk.storageAccountType",
            "StorageAccountType 'UltraSSD_LRS' can be used only when "
            "additionalCapabilities.ultraSSDEnabled is set.",
        )
    if sku.startswith("Premium") and not wish.size.premium:
        raise invalid_value(
            "managedDisk.storageAccountType",
            f"Requested operation cannot be performed because the VM size {wish.size.name} does not support "
            f"the storage account type {sku} of disk '{disk}'. Consider updating the VM to a size that "
            "supports Premium storage.",
        )
    if sku in ("UltraSSD_LRS", "PremiumV2_LRS") and caching != "None":
        raise invalid_value("caching", f"A disk with storage account type {sku} cannot be cached.")


def _ephemeral(size: MachineSize, disk: Json) -> Json:
    settings: Json = disk["diffDiskSettings"]
    if settings.get("option") != "Local":
        raise invalid_value("osDisk.diffDiskSettings.option")
    if disk.get("caching") != "ReadOnly":
        raise invalid_value(
            "osDisk.caching", "Ephemeral OS disks are only supported with caching type 'ReadOnly'."
        )
    if not size.local_disk and settings.get("placement") in (None, "ResourceDisk", "CacheDisk"):
        raise invalid_value(
            "osDisk.diffDiskSettings",
            f"OS disk of Ephemeral VM with size {size.name} is not supported: the size has no cache or "
            "resource disk.",
        )
    return dict(settings)


def shown_disk(plan: Json) -> Json:
    """A disk in the machine's body before it is there; without a name unless the request gave one."""
    shown: Json = {} if plan["key"] == "os" else {"lun": int(plan["key"])}
    if plan["named"]:
        shown["name"] = plan["name"]
    shown["createOption"] = plan["option"]
    if plan.get("vhd"):
        shown |= {k: {"uri": plan[k]} for k in ("image", "vhd") if plan.get(k)}
    shown["caching"] = plan["caching"]
    if plan.get("ephemeral"):
        shown["diffDiskSettings"] = plan["ephemeral"]
    if not plan.get("vhd"):
        managed: Json = {"storageAccountType": plan["sku"]}
        if plan.get("encryption_set"):
            managed["diskEncryptionSet"] = {"id": plan["encryption_set"]}
        if plan.get("disk_security"):
            managed["securityProfile"] = plan["disk_security"]
        if plan["option"] == "Attach":
            managed["id"] = plan["id"]
        shown["managedDisk"] = managed
    shown["deleteOption"] = plan["delete"]
    size: Any = plan.get("size_gb") or plan.get("shown_gb")
    if size:
        shown["diskSizeGB"] = size
    if plan["key"] != "os":
        shown["toBeDetached"] = False
    return shown
