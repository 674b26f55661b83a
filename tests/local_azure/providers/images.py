# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Managed images: from a generalized machine, or from disks, snapshots and blobs in any mixture."""

from __future__ import annotations

from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blobs import BlobAddress
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, not_allowed
from tests.local_azure.kinds import ResourceKind, check_tags, json_object
from tests.local_azure.providers.disk_content import DiskContent
from tests.local_azure.providers.disk_sources import DISK, SNAPSHOT
from tests.local_azure.store import Json, Resource
from tests.local_azure.vhd import whole_gib

IMAGE = "Microsoft.Compute/images"
VIRTUAL_MACHINE = "Microsoft.Compute/virtualMachines"
_SOURCES = ("snapshot", "managedDisk", "blobUri")
_GENERATIONS_SINCE = "2019-03-01"


class Images(ResourceKind):
    """`hidden.sources` are what the disks are copied from, `hidden.blobs` the image's own copies of them."""

    type = IMAGE

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self._content = DiskContent(azure)
        self.define("create", self._finish_create)
        self.define("update", self._finish_update)
        self.define("delete", self._finish_delete)

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = self.check_write(call, existing)
        if existing is not None:
            # Azure answers success to any other source too, and changes nothing but the tags.
            return self._update(call, existing, body)
        given = properties_of(body)
        profile = given.get("storageProfile") or {}
        machine_id = (given.get("sourceVirtualMachine") or {}).get("id")
        if machine_id is not None:
            if profile.get("osDisk") or profile.get("dataDisks"):
                raise invalid_value(
                    "sourceVirtualMachine",
                    "An image is made either of a virtual machine or of the disks in 'storageProfile'.",
                )
            properties, sources = self._from_machine(machine_id, given, body["location"])
        else:
            properties, sources = await self._from_disks(call, given, profile, body["location"])
        if profile.get("zoneResilient") is not None:
            properties["storageProfile"]["zoneResilient"] = bool(profile["zoneResilient"])
        resource = self.new_resource(
            call,
            {
                "location": body["location"],
                "tags": body.get("tags") or {},
                "properties": properties,
            },
            {"sources": sources},
        )
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "create")
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(201, resource.body, headers)

    # From a machine.

    def _from_machine(self, machine_id: Any, given: Json, location: str) -> tuple[Json, Json]:
        if not isinstance(machine_id, str):
            raise invalid_value("sourceVirtualMachine.id")
        name = machine_id.rpartition("/")[2]
        machine = self.azure.store.get(machine_id)
        if machine is None or machine.type != VIRTUAL_MACHINE or machine.location != location:
            raise ArmError(
                404,
                "NotFound",
                f"Source Virtual Machine '{name}' specified in the request does not exist in this Azure "
                "location.",
            )
        if machine.properties.get("securityProfile", {}).get("securityType") == "TrustedLaunch":
            raise not_allowed(
                "Creation of managed images are not supported for virtual machine with TrustedLaunch "
                "security "
                "type."
            )
        if not machine.hidden.get("generalized"):
            raise not_allowed(
                f"The operation 'Create Image' requires the Virtual Machine '{machine.name}' to be "
                "Generalized."
            )
        generation = machine.hidden.get("generation", "V1")
        if given.get("hyperVGeneration") not in (None, generation):
            raise invalid_value("hyperVGeneration")
        os_disk, sources = self._machine_disk(machine.properties["storageProfile"]["osDisk"])
        os_disk = {"osType": os_disk.pop("osType"), "osState": "Generalized", **os_disk}
        result: Json = {"os": sources}
        data_disks = []
        for disk in machine.properties["storageProfile"].get("dataDisks", []):
            entry, source = self._machine_disk(disk)
            entry.pop("osType", None)
            data_disks.append({"lun": disk["lun"], **entry})
            result[str(disk["lun"])] = source
        properties: Json = {
            "sourceVirtualMachine": {"id": machine.id},
            "storageProfile": {"osDisk": os_disk, "dataDisks": data_disks},
            "provisioningState": "Creating",
            "hyperVGeneration": generation,
        }
        return properties, result

    def _machine_disk(self, disk: Json) -> tuple[Json, Json]:
        managed = self.azure.store.get(disk["managedDisk"]["id"])
        if managed is None:
            raise ArmError(404, "NotFound", f"Resource {disk['name']} is not found.")
        entry = {
            "osType": disk.get("osType", "Linux"),
            "managedDisk": {"id": managed.id},
            "caching": disk.get("caching", "None"),
            "storageAccountType": managed.body["sku"]["name"],
        }
        return entry, {"id": managed.id}

    # From disks, snapshots, blobs.

    async def _from_disks(self, call: Call, given: Json, profile: Json, location: str) -> tuple[Json, Json]:
        os_disk = profile.get("osDisk")
        if not isinstance(os_disk, dict):
            raise missing_parameter("storageProfile.osDisk" if profile else "storageProfile")
        generation = given.get("hyperVGeneration")
        if generation is None and call.api_version >= _GENERATIONS_SINCE:
            raise missing_parameter("hyperVGeneration")
        if generation not in (None, "V1", "V2"):
            raise invalid_value("hyperVGeneration")
        for key, values in (("osType", ("Linux", "Windows")), ("osState", ("Generalized", "Specialized"))):
            if os_disk.get(key) is None:
                raise missing_parameter(f"osDisk.{key}")
            if os_disk[key] not in values:
                raise invalid_value(f"osDisk.{key}")
        entry, source = await self._source(os_disk, "osDisk", call.name, location)
        sources = {"os": source}
        shown: Json = {"osType": os_disk["osType"], "osState": os_disk["osState"], **entry}
        data_disks = []
        for index, disk in enumerate(profile.get("dataDisks") or []):
            lun = disk.get("lun")
            if lun is None:
                raise missing_parameter(f"dataDisks[{index}].lun")
            if not isinstance(lun, int) or not 0 <= lun <= 63:
                raise invalid_value(f"dataDisks[{index}].lun")
            if str(lun) in sources:
                raise invalid_value(
                    f"dataDisks[{index}].lun", f"More than one data disk of the image has LUN {lun}."
                )
            entry, source = await self._source(disk, f"dataDisks[{index}]", call.name, location)
            sources[str(lun)] = source
            data_disks.append({"lun": lun, **entry})
        properties: Json = {
            "storageProfile": {"osDisk": shown, "dataDisks": data_disks},
            "provisioningState": "Creating",
            "hyperVGeneration": generation or "V1",
        }
        return properties, sources

    async def _source(self, disk: Json, path: str, name: str, location: str) -> tuple[Json, Json]:
        """One disk of the request as shown, and where its bytes are."""
        named = [key for key in _SOURCES if disk.get(key)]
        if not named:
            raise missing_parameter(f"{path}.managedDisk")
        if len(named) > 1:
            raise invalid_value(path, f"'{path}' names more than one source: {', '.join(named)}.")
        entry: Json = {k: disk[k] for k in ("diskSizeGB",) if disk.get(k) is not None}
        if named == ["blobUri"]:
            await self._content.imported(disk["blobUri"], name, "disk.blobUri")
            self._check_account_region(disk["blobUri"], location)
            entry["blobUri"] = disk["blobUri"]
            source: Json = {"blob_uri": disk["blobUri"]}
        else:
            wanted = DISK if named == ["managedDisk"] else SNAPSHOT
            found = self.azure.store.get(str(disk[named[0]].get("id")))
            crosses = found is not None and found.location != location
            if found is None or found.type != wanted or (crosses and wanted == DISK):
                raise ArmError(
                    404,
                    "NotFound",
                    f"Resource {str(disk[named[0]].get('id')).rpartition('/')[2]} is not found.",
                )
            entry[named[0]] = {"id": found.id}
            source = {"id": found.id, "foreign": crosses}
        entry["caching"] = disk.get("caching") or "None"
        entry["storageAccountType"] = disk.get("storageAccountType") or "Standard_LRS"
        return entry, source

    def _check_account_region(self, url: str, location: str) -> None:
        for account in self.azure.store.of_type("Microsoft.Storage/storageAccounts"):
            if f"/{account.name}/" in url or f"//{account.name}.blob." in url:
                if account.location != location:
                    raise ArmError(
                        400,
                        "StorageAccountLocationMismatch",
                        f"The storage account '{account.name}' of the blob {url} is in location "
                        f"'{account.location}', the image in '{location}'.",
                    )
                return

    # The works.

    async def _finish_create(self, resource: Resource, _arguments: Json) -> None:
        sources = resource.hidden["sources"]
        profile = resource.properties["storageProfile"]
        shown = {"os": profile["osDisk"], **{str(d["lun"]): d for d in profile["dataDisks"]}}
        blobs: Json = resource.hidden.setdefault("blobs", {})
        sizes: Json = resource.hidden.setdefault("sizes", {})
        try:
            for key, source in sources.items():
                origin, size = await self._origin(source, resource.name)
                target = BlobAddress(*blobs[key]) if key in blobs else self._content.new_address()
                blobs[key], sizes[key] = list(target), size
                self.keep(resource)
                await self._content.copy(origin, target)
        except ArmError:
            self.fail(resource)
            raise
        for key, disk in shown.items():
            order = ("lun", "osType", "osState")
            size_gb = disk.get("diskSizeGB") or whole_gib(sizes[key])
            replaced = {k: disk[k] for k in order if k in disk} | {"diskSizeGB": size_gb}
            replaced |= {k: v for k, v in disk.items() if k not in replaced}
            disk.clear()
            disk.update(replaced)
        self.succeed(resource)

    async def _origin(self, source: Json, name: str) -> tuple[BlobAddress, int]:
        if "blob_uri" in source:
            return await self._content.imported(source["blob_uri"], name, "disk.blobUri")
        disk = self.azure.store.get(source["id"])
        if disk is None or source.get("foreign") or disk.hidden.get("size") is None:
            # What Azure says of a snapshot elsewhere and of an upload nobody ended.
            raise ArmError(500, "InternalExecutionError", "An internal execution error occurred.")
        return BlobAddress(*disk.hidden["blob"]), int(disk.hidden["size"])

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self._update(call, resource, body)

    def _update(self, call: Call, resource: Resource, body: Json) -> Reply:
        self.refuse_concurrent(resource)
        if body.get("tags") is not None:
            resource.body["tags"] = body["tags"]
        resource.properties["provisioningState"] = "Updating"
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "update")
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(200, resource.body, headers)

    async def _finish_update(self, resource: Resource, _arguments: Json) -> None:
        self.succeed(resource)

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        users = [
            machine.name
            for machine in self.azure.store.of_type(VIRTUAL_MACHINE)
            if machine.state == "Creating"
            and (machine.hidden.get("image") or "").lower() == resource.id.lower()
            and self.azure.operations.busy(machine.id)
        ]
        if users:
            raise not_allowed(
                f"Operation 'Delete Image' is not allowed on Image '{resource.name}' since the Virtual "
                "Machines "
                f"'{','.join(users)}' are being provisioned using the Image '{resource.name}'."
            )
        operation = self.begin(call, resource, "delete")
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.remove(resource)

    async def remove(self, resource: Resource) -> None:
        await self._content.delete(resource)
        await super().remove(resource)
