# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Restore points: the disks of a virtual machine at one moment, each kept as a disk restore point."""

from __future__ import annotations

import copy
import uuid
from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, not_allowed
from tests.local_azure.kinds import ResourceKind, json_object
from tests.local_azure.locations import find_location
from tests.local_azure.providers.compute.usage import VIRTUAL_MACHINE
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.providers.disks.disk_sources import DISK_RESTORE_POINT, INHERITED
from tests.local_azure.providers.disks.restore_point_collections import RESTORE_POINT, shown_point
from tests.local_azure.store import Json, Resource

_MODES = ("CrashConsistent", "FileSystemConsistent", "ApplicationConsistent")
_METADATA = ("hardwareProfile", "osProfile", "diagnosticsProfile", "licenseType", "securityProfile")
_DISK = ("lun", "osType", "name", "diskSizeGB", "caching", "managedDisk", "writeAcceleratorEnabled")
# Measured: 13 s to make one, 5 s to delete it.
_CREATE_SECONDS, _DELETE_SECONDS = 13.0, 5.0


class RestorePoints(ResourceKind):
    """`hidden.disks` is what has to be copied: entries of the metadata, by LUN or "os", and their sources."""

    type = RESTORE_POINT

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self._content = DiskContent(azure)
        self.define("create", self._finish_create)
        self.define("delete", self._finish_delete)

    async def put(self, call: Call) -> Reply:
        collection = self.require_parent(call)
        self.check_name(call.name)
        if self.find(call) is not None:
            raise ArmError(
                409,
                "Conflict",
                f"Restore point '{call.name}' already exists. A restore point cannot be changed.",
            )
        given = properties_of(json_object(call))
        mode = given.get("consistencyMode")
        if mode is not None and mode not in _MODES:
            raise invalid_value("consistencyMode")
        metadata, excluded = self._metadata(collection, given)
        os_type = metadata["storageProfile"].get("osDisk", {}).get("osType")
        default = "ApplicationConsistent" if os_type == "Windows" else "FileSystemConsistent"
        properties: Json = {
            **({"excludeDisks": excluded} if excluded else {}),
            "sourceMetadata": metadata,
            "provisioningState": "Creating",
            "consistencyMode": mode or default,
            "timeCreated": wire_time(now()),
        }
        if given.get("sourceRestorePoint"):
            properties["sourceRestorePoint"] = given["sourceRestorePoint"]
        resource = self.new_resource(call, {"location": collection.location, "properties": properties})
        resource.body.pop("type")
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "create", azure_seconds=_CREATE_SECONDS)
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(201, self.render(resource, call), headers)

    def _metadata(self, collection: Resource, given: Json) -> tuple[Json, list[Json]]:
        """What is kept of the machine, and the disks left out, as the answer has them."""
        origin = given.get("sourceRestorePoint")
        if origin is not None:
            return self._copied_metadata(origin), []
        machine = self.azure.store.get(collection.properties["source"]["id"])
        if machine is None or machine.type != VIRTUAL_MACHINE:
            raise (
                missing_parameter("sourceRestorePoint")
                if machine
                else ArmError(
                    404,
                    "NotFound",
                    f"The source of the restore point collection '{collection.name}' is not found.",
                )
            )
        profile = machine.properties.get("storageProfile", {})
        disks = [profile.get("osDisk", {}), *profile.get("dataDisks", [])]
        if machine.state in ("Creating", "Failed") or not all(
            d.get("managedDisk", {}).get("id") for d in disks
        ):
            raise not_allowed(
                f"A restore point needs a virtual machine with managed disks that is there: '{machine.name}'."
            )
        excluded = self._excluded(given.get("excludeDisks"), disks)
        left_out = {entry["id"].lower() for entry in excluded}
        kept = [self._disk(d) for d in disks if d["managedDisk"]["id"].lower() not in left_out]
        place = find_location(machine.location)
        os_disk = next((d for d in kept if "lun" not in d), None)
        kept_profiles = copy.deepcopy(
            {k: machine.properties[k] for k in _METADATA if k in machine.properties}
        )
        for system in ("linuxConfiguration", "windowsConfiguration"):
            configuration = (kept_profiles.get("osProfile") or {}).get(system)
            if configuration is not None:
                configuration.setdefault("enableVMAgentPlatformUpdates", True)
        metadata: Json = {
            "vmId": machine.properties.get("vmId"),
            "location": place.compute_name if place else machine.location,
            **kept_profiles,
            "storageProfile": {
                **({"osDisk": os_disk} if os_disk else {}),
                "dataDisks": [d for d in kept if "lun" in d],
            },
        }
        generation = self._generation(profile.get("osDisk", {}))
        return copy.deepcopy(metadata | ({"hyperVGeneration": generation} if generation else {})), excluded

    def _disk(self, disk: Json) -> Json:
        shown = {k: disk[k] for k in _DISK if k in disk}
        managed = self.azure.store.get(disk["managedDisk"]["id"])
        if managed is not None and "diskSizeGB" in managed.properties:
            shown["diskSizeGB"] = managed.properties["diskSizeGB"]
        return shown

    def _generation(self, os_disk: Json) -> str | None:
        managed = self.azure.store.get((os_disk.get("managedDisk") or {}).get("id", ""))
        return None if managed is None else str(managed.properties.get("hyperVGeneration", "V1"))

    @staticmethod
    def _excluded(given: Any, disks: list[Json]) -> list[Json]:
        if given is None:
            return []
        known = {d["managedDisk"]["id"].lower() for d in disks}
        ids = (
            [entry.get("id") if isinstance(entry, dict) else None for entry in given]
            if isinstance(given, list)
            else [None]
        )
        for index, disk_id in enumerate(ids):
            if not isinstance(disk_id, str) or disk_id.lower() not in known:
                raise invalid_value(f"excludeDisks[{index}].id")
        return [{"id": disk_id} for disk_id in ids]

    def _copied_metadata(self, origin: Any) -> Json:
        """Of a restore point that is copied, to another region for instance."""
        point_id = origin.get("id") if isinstance(origin, dict) else None
        point = self.azure.store.get(point_id) if isinstance(point_id, str) else None
        if point is None or point.type != RESTORE_POINT or point.state != "Succeeded":
            raise ArmError(404, "NotFound", f"Resource {str(point_id).rpartition('/')[2]} is not found.")
        metadata: Json = copy.deepcopy(point.properties["sourceMetadata"])
        return metadata

    # The works.

    async def _finish_create(self, resource: Resource, _arguments: Json) -> None:
        try:
            for disk in _disks(resource):
                await self._keep_disk(resource, disk)
        except ArmError:
            self.fail(resource)
            raise
        self.succeed(resource)

    async def _keep_disk(self, point: Resource, disk: Json) -> None:
        """Copies one disk of the machine, or one that is already a disk restore point."""
        copied = "sourceRestorePoint" in point.properties
        source_id = disk["diskRestorePoint"]["id"] if copied else disk["managedDisk"]["id"]
        source = self.azure.store.get(source_id)
        if source is None or not source.hidden.get("blob") or source.hidden.get("size") is None:
            raise ArmError(404, "NotFound", f"Resource {source_id.rpartition('/')[2]} is not found.")
        address = self._content.new_address()
        await self._content.copy(BlobAddress(*source.hidden["blob"]), address)
        name = f"{disk['name']}_{uuid.uuid4()}"
        encryption = source.properties.get("encryption") or {"type": "EncryptionAtRestWithPlatformKey"}
        kept = Resource(
            id=f"{point.id}/diskRestorePoints/{name}",
            type=DISK_RESTORE_POINT,
            resource_group=point.resource_group,
            name=name,
            body={
                "name": name,
                "id": f"{point.id}/diskRestorePoints/{name}",
                "type": DISK_RESTORE_POINT,
                "location": point.location,
                "properties": {
                    "timeCreated": point.properties["timeCreated"],
                    "sourceResourceId": source.properties.get("sourceResourceId", source.id),
                    "sourceUniqueId": source.properties.get("sourceUniqueId", source.hidden["unique_id"]),
                    "sourceResourceLocation": source.location,
                    **{k: source.properties[k] for k in INHERITED if k in source.properties},
                    "familyId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{source.hidden['unique_id']}/restore")),
                    "encryption": encryption,
                    "networkAccessPolicy": "AllowAll",
                    "publicNetworkAccess": "Enabled",
                    "replicationState": "Succeeded",
                    "completionPercent": 100.0,
                },
            },
            hidden={
                "incarnation": str(uuid.uuid4()),
                "blob": list(address),
                "size": source.hidden["size"],
                "unique_id": str(uuid.uuid4()),
            },
        )
        self.azure.store.put(kept)
        disk["diskRestorePoint"] = {"encryption": {"type": encryption["type"]}, "id": kept.id}

    def render(self, resource: Resource, call: Call) -> Json:
        body = shown_point(resource)
        if "instanceview" not in call.query.get("$expand", "").lower():
            return body
        status = {"code": "ReplicationState/succeeded", "level": "Info", "displayStatus": "Succeeded"}
        disks = [
            {
                "id": d["diskRestorePoint"]["id"],
                "replicationStatus": {"status": status, "completionPercent": 100},
            }
            for d in _disks(resource)
            if "diskRestorePoint" in d
        ]
        view = {"diskRestorePoints": disks, "statuses": [status] if disks else []}
        return {**body, "properties": {**resource.properties, "instanceView": view}}

    async def delete(self, call: Call) -> Reply:
        self.require_parent(call)
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        self.refuse_concurrent(resource)
        for disk in self.azure.store.below(resource.id, DISK_RESTORE_POINT):
            if disk.hidden.get("access"):
                raise not_allowed(
                    "There is an active shared access signature outstanding for disk restore point "
                    f"{disk.name}. Call EndGetAccess before deleting the restore point."
                )
        operation = self.begin(call, resource, "delete", azure_seconds=_DELETE_SECONDS)
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.remove(resource)

    async def remove(self, resource: Resource) -> None:
        for disk in list(self.azure.store.below(resource.id, DISK_RESTORE_POINT)):
            await self._content.delete(disk)
        await super().remove(resource)


def _disks(point: Resource) -> list[Json]:
    profile = point.properties["sourceMetadata"]["storageProfile"]
    return [*([profile["osDisk"]] if "osDisk" in profile else []), *profile["dataDisks"]]
