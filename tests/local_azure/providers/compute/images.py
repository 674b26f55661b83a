# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Managed images: made, tagged, deleted. What they are made of is in image_origins."""

from __future__ import annotations

import copy

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.blob_storage.vhd import whole_gib
from tests.local_azure.body_types import checked
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import ArmError, invalid_value, not_allowed
from tests.local_azure.kinds import ResourceKind, check_tags, json_object
from tests.local_azure.providers.compute.image_origins import (
    GENERATIONS_SINCE,
    SHAPE,
    VIRTUAL_MACHINE,
    DiskOrigins,
    from_machine,
)
from tests.local_azure.providers.compute.image_sources import IMAGE
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.providers.disks.disk_versions import SIZES_OF_BLOBS_SINCE
from tests.local_azure.store import Json, Resource

__all__ = ["IMAGE", "VIRTUAL_MACHINE", "Images"]

_ORDER = ("lun", "osType", "osState")


class Images(ResourceKind):
    """`hidden.sources` are what the disks are copied from, `hidden.blobs` the image's own copies of them."""

    type = IMAGE

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self._content = DiskContent(azure)
        self._origins = DiskOrigins(azure, self._content)
        self.define("create", self._finish_create)
        self.define("update", self._finish_update)
        self.define("delete", self._finish_delete)

    def render(self, resource: Resource, call: Call) -> Json:
        if call.api_version >= GENERATIONS_SINCE:
            return resource.body
        body = copy.deepcopy(resource.body)
        body["properties"].pop("hyperVGeneration", None)
        if call.api_version < SIZES_OF_BLOBS_SINCE:
            profile = body["properties"].get("storageProfile", {})
            for disk in (profile.get("osDisk", {}), *profile.get("dataDisks", [])):
                if "blobUri" in disk:
                    disk.pop("diskSizeGB", None)
        return body

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = checked(self.check_write(call, existing), SHAPE)
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
            origins = from_machine(self.azure, machine_id, given, body["location"])
        else:
            origins = await self._origins.read(call, given, profile, body["location"])
        if profile.get("zoneResilient") is not None:
            origins.properties["storageProfile"]["zoneResilient"] = profile["zoneResilient"]
        tags = {"tags": body["tags"]} if body.get("tags") is not None else {}
        resource = self.new_resource(
            call,
            {"location": body["location"], **tags, "properties": origins.properties},
            {"sources": origins.sources, **origins.hidden},
        )
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "create")
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(201, self.render(resource, call), headers)

    async def _finish_create(self, resource: Resource, _arguments: Json) -> None:
        profile = resource.properties["storageProfile"]
        shown = {"os": profile["osDisk"], **{str(d["lun"]): d for d in profile["dataDisks"]}}
        blobs: Json = resource.hidden.setdefault("blobs", {})
        sizes: Json = resource.hidden.setdefault("sizes", {})
        try:
            for key, source in resource.hidden["sources"].items():
                origin, size = await self._origins.content(source, resource.name)
                target = BlobAddress(*blobs[key]) if key in blobs else self._content.new_address()
                blobs[key], sizes[key] = list(target), size
                self.keep(resource)
                await self._content.copy(origin, target)
        except ArmError:
            self.fail(resource)
            raise
        for key, disk in shown.items():
            size_gb = disk.get("diskSizeGB") or whole_gib(sizes[key])
            replaced = {k: disk[k] for k in _ORDER if k in disk} | {"diskSizeGB": size_gb}
            replaced |= {k: v for k, v in disk.items() if k not in replaced}
            disk.clear()
            disk.update(replaced)
        self.succeed(resource)

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self._update(call, resource, checked(body, SHAPE))

    def _update(self, call: Call, resource: Resource, body: Json) -> Reply:
        if resource.state == "Deleting":
            raise not_allowed(
                f"Operation 'Update Image' is not allowed on Image '{resource.name}' since the Image is "
                "marked for deletion. You can only retry the Delete operation (or wait for an ongoing one to "
                "complete)."
            )
        self.refuse_concurrent(resource)
        if body.get("tags") is not None:
            resource.body["tags"] = body["tags"]
        resource.properties["provisioningState"] = "Updating"
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "update")
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(200, self.render(resource, call), headers)

    async def _finish_update(self, resource: Resource, _arguments: Json) -> None:
        self.succeed(resource)

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        users = [machine.name for machine in self._machines_born_of(resource)]
        if users:
            raise not_allowed(
                f"Operation 'Delete Image' is not allowed on Image '{resource.name}' since the Virtual "
                f"Machines '{','.join(users)}' are being provisioned using the Image '{resource.name}'."
            )
        resource.properties["provisioningState"] = "Deleting"
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "delete")
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    def _machines_born_of(self, resource: Resource) -> list[Resource]:
        return [
            machine
            for machine in self.azure.store.of_type(VIRTUAL_MACHINE)
            if machine.state == "Creating"
            and (machine.hidden.get("image") or "").lower() == resource.id.lower()
            and self.azure.operations.busy(machine.id)
        ]

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.azure.operations.others_done(resource.id, f"{self.type}:delete")
        await self.remove(resource)

    async def remove(self, resource: Resource) -> None:
        await self._content.delete(resource)
        await super().remove(resource)
