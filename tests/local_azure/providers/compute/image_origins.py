# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a managed image is made of: a generalized machine, or disks, snapshots and blobs in any mixture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.blob_storage.vhd import whole_gib
from tests.local_azure.body_types import RESOURCE, Shape, resource_id, word
from tests.local_azure.call import Call
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, not_allowed
from tests.local_azure.providers.compute.vm_state import is_ephemeral
from tests.local_azure.providers.disks import disk_shapes
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.providers.disks.disk_sources import DISK, SNAPSHOT
from tests.local_azure.store import Json, Resource

VIRTUAL_MACHINE = "Microsoft.Compute/virtualMachines"
GENERATIONS_SINCE = "2019-03-01"
# Before that a blob was looked for only while the image was made.
_BLOBS_CHECKED_SINCE = "2018-06-01"
_SOURCES = ("snapshot", "managedDisk", "blobUri")
_WORDS = (
    ("osType", ("Linux", "Windows")),
    ("osState", ("Generalized", "Specialized")),
    ("caching", ("None", "ReadOnly", "ReadWrite")),
    ("storageAccountType", disk_shapes.SKUS),
)
_DISK: Mapping[str, Shape] = {
    "osType": str,
    "osState": str,
    "caching": str,
    "storageAccountType": str,
    "diskSizeGB": int,
    "blobUri": str,
    "lun": int,
    "snapshot": {"id": str},
    "managedDisk": {"id": str},
    "diskEncryptionSet": {"id": str},
}
SHAPE: Mapping[str, Shape] = {
    **RESOURCE,
    "properties": {
        "hyperVGeneration": str,
        "sourceVirtualMachine": {"id": str},
        "storageProfile": {"osDisk": _DISK, "dataDisks": [_DISK], "zoneResilient": bool},
    },
}


class Origins(NamedTuple):
    """The properties to show, where the bytes of "os" and each LUN are, and what is kept unseen."""

    properties: Json
    sources: Json
    hidden: Json


def from_machine(azure: LocalAzure, machine_id: str, given: Json, location: str) -> Origins:
    """ArmError when the machine is missing, elsewhere, busy, not generalized, or of a kind that cannot."""
    machine = _source_machine(azure, machine_id, location)
    generation = machine.hidden.get("generation", "V1")
    if given.get("hyperVGeneration") not in (None, generation):
        raise invalid_value("hyperVGeneration")
    profile = machine.properties["storageProfile"]
    entry, source = _machine_disk(azure, machine, profile["osDisk"])
    os_disk = {"osType": profile["osDisk"]["osType"], "osState": "Generalized", **entry}
    sources: Json = {"os": source}
    data_disks = []
    for disk in profile["dataDisks"]:
        entry, source = _machine_disk(azure, machine, disk)
        data_disks.append({"lun": disk["lun"], **entry})
        sources[str(disk["lun"])] = source
    properties: Json = {
        "sourceVirtualMachine": {"id": machine.id},
        "storageProfile": {"osDisk": os_disk, "dataDisks": data_disks},
        "provisioningState": "Creating",
        "hyperVGeneration": generation,
    }
    kept = ("os_release", "image_plan", "architecture")
    return Origins(properties, sources, {k: machine.hidden.get(k) for k in kept})


def _source_machine(azure: LocalAzure, machine_id: str, location: str) -> Resource:
    resource_id(machine_id, "properties.sourceVirtualMachine.id")
    machine = azure.store.get(machine_id)
    if machine is None or machine.type != VIRTUAL_MACHINE or machine.location != location:
        raise ArmError(
            404,
            "NotFound",
            f"Source Virtual Machine '{machine_id.rpartition('/')[2]}' specified in the request does not "
            "exist in this Azure location.",
        )
    security = machine.properties.get("securityProfile", {}).get("securityType", "Standard")
    if security != "Standard":
        raise not_allowed(
            f"Creation of managed images are not supported for virtual machine with {security} security type."
        )
    if is_ephemeral(machine):
        raise not_allowed(
            f"Operation 'Create Image' is not supported for VM '{machine.name}' using an ephemeral OS disk."
        )
    if not machine.hidden.get("generalized"):
        raise not_allowed(
            f"The operation 'Create Image' requires the Virtual Machine '{machine.name}' to be Generalized."
        )
    if azure.operations.busy(machine.id):
        raise not_allowed(
            f"Operation 'Create Image' is not allowed on VM '{machine.name}' since another operation is in "
            "progress."
        )
    return machine


def _machine_disk(azure: LocalAzure, machine: Resource, disk: Json) -> tuple[Json, Json]:
    """Sizes of blobs are known at once, those of managed disks only when the image is there."""
    kept = machine.hidden.get("vhds", {}).get(str(disk.get("lun", "os")))
    caching = {"caching": disk.get("caching", "None")}
    if kept is not None:
        size = {"diskSizeGB": whole_gib(kept["size"]), "blobUri": disk["vhd"]["uri"]}
        return {**size, **caching, "storageAccountType": "Standard_LRS"}, {
            "address": kept["address"],
            "size": kept["size"],
        }
    managed = azure.store.get((disk.get("managedDisk") or {}).get("id") or "")
    if managed is None:
        raise ArmError(404, "NotFound", f"Resource {disk.get('name', machine.name)} is not found.")
    sku = managed.body["sku"]["name"]
    return {"managedDisk": {"id": managed.id}, **caching, "storageAccountType": sku}, {"id": managed.id}


class DiskOrigins:
    """Images of disks, snapshots and blobs."""

    def __init__(self, azure: LocalAzure, content: DiskContent) -> None:
        self._azure = azure
        self._content = content

    async def read(self, call: Call, given: Json, profile: Json, location: str) -> Origins:
        os_disk = profile.get("osDisk")
        if os_disk is None:
            raise missing_parameter("storageProfile.osDisk" if profile else "storageProfile")
        generation = given.get("hyperVGeneration")
        if generation is None and call.api_version >= GENERATIONS_SINCE:
            raise missing_parameter("hyperVGeneration")
        if generation not in (None, "V1", "V2"):
            raise invalid_value("hyperVGeneration")
        for key in ("osType", "osState"):
            if os_disk.get(key) is None:
                raise missing_parameter(f"osDisk.{key}")
        entry, source = await self._source(call, os_disk, "osDisk", location)
        sources = {"os": source}
        shown: Json = {"osType": os_disk["osType"], "osState": os_disk["osState"], **entry}
        data_disks = []
        for index, disk in enumerate(profile.get("dataDisks") or []):
            lun = disk.get("lun")
            if lun is None:
                raise missing_parameter(f"dataDisks[{index}].lun")
            if not 0 <= lun <= 63:
                raise invalid_value(f"dataDisks[{index}].lun")
            if str(lun) in sources:
                raise invalid_value(
                    f"dataDisks[{index}].lun", f"More than one data disk of the image has LUN {lun}."
                )
            entry, source = await self._source(call, disk, f"dataDisks[{index}]", location)
            sources[str(lun)] = source
            data_disks.append({"lun": lun, **entry})
        properties: Json = {
            "storageProfile": {"osDisk": shown, "dataDisks": data_disks},
            "provisioningState": "Creating",
            "hyperVGeneration": generation or "V1",
        }
        return Origins(properties, sources, {})

    async def _source(self, call: Call, disk: Json, path: str, location: str) -> tuple[Json, Json]:
        """One disk of the request as shown, and where its bytes are."""
        for key, words in _WORDS:
            if key in disk:
                disk[key] = word(disk[key], words, f"{path}.{key}")
        named = [key for key in _SOURCES if disk.get(key)]
        if not named:
            raise missing_parameter(f"{path}.managedDisk")
        if len(named) > 1:
            raise invalid_value(path, f"'{path}' names more than one source: {', '.join(named)}.")
        entry: Json = {k: disk[k] for k in ("diskSizeGB",) if disk.get(k) is not None}
        if named == ["blobUri"]:
            entry["blobUri"] = disk["blobUri"]
            source: Json = {"blob_uri": disk["blobUri"], "late": call.api_version < _BLOBS_CHECKED_SINCE}
            if not source["late"]:
                await self._content.imported(disk["blobUri"], call.name, "disk.blobUri")
                self._check_account_region(disk["blobUri"], location)
        else:
            found = self._found(named[0], disk[named[0]].get("id"), location)
            entry[named[0]] = {"id": found.id}
            source = {"id": found.id, "foreign": found.location != location}
        entry["caching"] = disk.get("caching") or "None"
        if call.api_version >= _BLOBS_CHECKED_SINCE or disk.get("storageAccountType"):
            entry["storageAccountType"] = disk.get("storageAccountType") or "Standard_LRS"
        if disk.get("diskEncryptionSet"):
            entry["diskEncryptionSet"] = disk["diskEncryptionSet"]
        return entry, source

    def _found(self, kind: str, source_id: str | None, location: str) -> Resource:
        if source_id is None:
            raise missing_parameter(f"{kind}.id")
        source_id = resource_id(source_id, f"properties.storageProfile.{kind}.id")
        wanted = DISK if kind == "managedDisk" else SNAPSHOT
        found = self._azure.store.get(source_id)
        crosses = found is not None and found.location != location
        # A snapshot elsewhere is found, and the image fails in the making.
        if found is None or found.type != wanted or (crosses and wanted == DISK):
            raise ArmError(404, "NotFound", f"Resource {source_id.rpartition('/')[2]} is not found.")
        security = (found.properties.get("securityProfile") or {}).get("securityType", "Standard")
        if security != "Standard":
            raise not_allowed(
                f"Creation of managed images are not supported for disks with {security} security type."
            )
        return found

    def _check_account_region(self, url: str, location: str) -> None:
        for account in self._azure.store.of_type("Microsoft.Storage/storageAccounts"):
            if f"/{account.name}/" in url or f"//{account.name}.blob." in url:
                if account.location != location:
                    raise ArmError(
                        400,
                        "StorageAccountLocationMismatch",
                        f"The storage account '{account.name}' of the blob {url} is in location "
                        f"'{account.location}', the image in '{location}'.",
                    )
                return

    async def content(self, source: Json, name: str) -> tuple[BlobAddress, int]:
        """Where the bytes of one source are now, and how many; ArmError is how the image's making ends."""
        if "address" in source:
            return BlobAddress(*source["address"]), int(source["size"])
        if "blob_uri" in source:
            try:
                return await self._content.imported(source["blob_uri"], name, "disk.blobUri")
            except ArmError as error:
                if source.get("late") and "is not accessible" in error.message:
                    raise ArmError(
                        409, "ImageBlobNotFound", f"Unable to find VHD blob with URI {source['blob_uri']}."
                    ) from error
                raise
        disk = self._azure.store.get(source["id"])
        if disk is None or source.get("foreign") or disk.hidden.get("size") is None:
            # What Azure says of a snapshot elsewhere and of an upload nobody ended.
            raise ArmError(500, "InternalExecutionError", "An internal execution error occurred.")
        return BlobAddress(*disk.hidden["blob"]), int(disk.hidden["size"])
