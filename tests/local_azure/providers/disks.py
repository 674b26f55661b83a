# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Managed disks and what snapshots share with them: creation from every source, access, growth, deletion."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import ClassVar

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blobs import BlobAddress
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, not_allowed, property_change
from tests.local_azure.kinds import ResourceKind, Verb, check_tags, json_object
from tests.local_azure.operations import Operation
from tests.local_azure.providers import disk_shapes
from tests.local_azure.providers.disk_content import DiskContent
from tests.local_azure.providers.disk_sources import DISK, DiskSources
from tests.local_azure.store import Json, Resource
from tests.local_azure.vhd import FOOTER_SIZE, whole_gib

_MAX_ACCESS_SECONDS = 5184000
_KEPT = (
    "osType",
    "hyperVGeneration",
    "diskSizeGB",
    "networkAccessPolicy",
    "publicNetworkAccess",
    "supportsHibernation",
    "supportedCapabilities",
    "securityProfile",
    "purchasePlan",
    "dataAccessAuthMode",
    "incremental",
)
# Measured: 0.1 to 1.8 s, whatever is done to a disk or snapshot.
_SECONDS = 0.5
RESIZED_DOWN = "Disks or snapshot cannot be resized down."


class DiskKind(ResourceKind):
    """Disks and snapshots. `hidden.blob` is the page blob, `hidden.access` the SAS that is out."""

    create_options: ClassVar[tuple[str, ...]] = ()
    skus: ClassVar[tuple[str, ...]] = ()
    parameter: ClassVar[str] = "disk"

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self.content = DiskContent(azure)
        self.sources = DiskSources(azure, self.content, options=self.create_options, parameter=self.parameter)
        for name, work in (
            ("create", self._finish_create),
            ("update", self._finish_update),
            ("delete", self._finish_delete),
            ("grant", self._finish_grant),
            ("revoke", self._finish_revoke),
        ):
            self.define(name, work)

    def verbs(self) -> Mapping[str, Verb]:
        return {"begingetaccess": self._grant, "endgetaccess": self._revoke}

    def extra_properties(self, resource: Resource, size_gb: int) -> Json:
        """What this type adds when it is ready."""
        raise NotImplementedError

    # Creation.

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = self.check_write(call, existing)
        if existing is not None:
            return self._update(call, existing, body, properties_of(body))
        properties = properties_of(body)
        self._check_sku(body)
        creation, hidden = await self.sources.creation(call.name, body["location"], properties)
        resource = self.new_resource(
            call,
            {
                "location": body["location"],
                "tags": body.get("tags") or {},
                "sku": {"name": (body.get("sku") or {}).get("name", "Standard_LRS")},
                **{k: body[k] for k in ("zones",) if body.get(k)},
                "properties": {
                    **{k: properties[k] for k in _KEPT if properties.get(k) is not None},
                    "creationData": creation,
                    "provisioningState": "Updating",
                },
            },
            {"unique_id": str(uuid.uuid4()), "created": wire_time(now()), **hidden},
        )
        self.azure.store.put(resource)
        return self._accepted(call, resource, "create", with_body=True)

    def _accepted(
        self, call: Call, resource: Resource, work: str, arguments: Json | None = None, *, with_body: bool
    ) -> Reply:
        operation = self._start(call, resource, work, arguments, shows_output=work != "delete")
        headers = self.azure.operations.headers(operation, aao=True, location=True)
        return Reply(202, self.render(resource, call) if with_body else None, headers)

    def _start(
        self, call: Call, resource: Resource, work: str, arguments: Json | None, *, shows_output: bool
    ) -> Operation:
        return self.begin(
            call,
            resource,
            work,
            arguments,
            collection="DiskOperations",
            azure_seconds=_SECONDS,
            retry_after=2 if work in ("create", "update") else None,
            shows_output=shows_output,
        )

    def _check_sku(self, body: Json) -> None:
        sku = body.get("sku")
        if sku is not None and (not isinstance(sku, dict) or sku.get("name") not in self.skus):
            given = sku.get("name") if isinstance(sku, dict) else sku
            raise invalid_value("sku", f"SKU {given} is not supported for resource type {self.parameter}s.")

    async def _finish_create(self, resource: Resource, _arguments: Json) -> Json:
        try:
            return await self._create(resource)
        except ArmError:
            self.fail(resource)
            raise

    async def _create(self, resource: Resource) -> Json:
        hidden = resource.hidden
        upload = hidden.get("upload")
        address = BlobAddress(*hidden["blob"]) if hidden.get("blob") else None
        if address is None:
            address = self.content.new_address(upload=upload is not None)
            hidden["blob"] = list(address)
            self.keep(resource)
        if upload is not None:
            await self.content.for_upload(address, upload)
            return self.ready(resource, None)
        source = hidden.get("source")
        size = hidden["size"]
        if source is None:
            await self.content.empty(address, size)
            return self.ready(resource, size)
        if size is not None and size < hidden["source_size"]:
            raise ArmError(400, "InvalidParameter", RESIZED_DOWN)
        await self.content.copy(BlobAddress(*source), address)
        await self.content.grow(address, hidden["source_size"], size or hidden["source_size"])
        return self.ready(resource, size or hidden["source_size"])

    def ready(self, resource: Resource, size: int | None) -> Json:
        """Fills in what Azure shows of a finished disk. `size` None: an upload is still to come."""
        hidden, old = resource.hidden, resource.properties
        hidden["size"] = size
        size_gb = old.get("diskSizeGB")
        if size is not None:
            size_gb = old["diskSizeGB"] = whole_gib(size)
        upload_gb = whole_gib(hidden["upload"] - FOOTER_SIZE) if hidden.get("upload") else 0
        resource.body["sku"] = disk_shapes.sku_with_tier(resource.body["sku"])
        first = ("osType", "hyperVGeneration", "creationData", "diskSizeGB")
        properties: Json = {k: old[k] for k in first if k in old}
        properties |= {k: v for k, v in old.items() if k in _KEPT and k not in properties}
        properties |= self.extra_properties(resource, size_gb or upload_gb)
        properties |= disk_shapes.defaults(hidden["created"], hidden["unique_id"], old)
        if size is not None:
            properties["diskSizeBytes"] = size
        properties["diskState"] = self.state_of(resource)
        properties["provisioningState"] = "Succeeded"
        resource.body["properties"] = properties
        self.keep(resource)
        return resource.body

    def state_of(self, resource: Resource) -> str:
        """Derived from what is known, so that it can never disagree with it."""
        hidden = resource.hidden
        if hidden.get("upload") and hidden.get("size") is None:
            return "ActiveUpload" if hidden.get("access") else "ReadyToUpload"
        if hidden.get("access"):
            return "ActiveSAS"
        owner = self.azure.store.get(resource.body.get("managedBy", ""))
        if owner is None:
            return "Unattached"
        return "Reserved" if owner.hidden.get("power") == "deallocated" else "Attached"

    def render(self, resource: Resource, call: Call) -> Json:
        del call
        if resource.state == "Succeeded":
            resource.properties["diskState"] = self.state_of(resource)
        return resource.body

    # Update.

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self._update(call, resource, body, properties_of(body))

    def _update(self, call: Call, resource: Resource, body: Json, properties: Json) -> Reply:
        self.refuse_concurrent(resource)
        self._check_sku(body)
        creation = properties.get("creationData") or {}
        for key in ("createOption", "sourceResourceId", "sourceUri", "uploadSizeBytes"):
            old = resource.properties["creationData"].get(key)
            if creation.get(key) is not None and creation[key] != old:
                raise property_change(f"creationData.{key}")
        wanted = properties.get("diskSizeGB")
        if wanted is not None:
            self.sources.check_size(wanted)
            self._check_growth(resource, wanted)
        change = {k: properties[k] for k in _KEPT if properties.get(k) is not None and k != "diskSizeGB"}
        preview = dict(resource.body)
        for key in ("tags", "sku"):
            if body.get(key) is not None:
                preview[key] = resource.body[key] = body[key]
        resource.properties.update(change)
        resource.properties["provisioningState"] = "Updating"
        hidden_fields = ("diskIOPSReadWrite", "diskMBpsReadWrite", "timeCreated", "diskState", "uniqueId")
        preview["properties"] = {k: v for k, v in resource.properties.items() if k not in hidden_fields}
        if wanted is not None:
            preview["properties"]["diskSizeGB"] = wanted
        self.azure.store.put(resource)
        operation = self._start(call, resource, "update", {"size_gb": wanted}, shows_output=True)
        return Reply(202, preview, self.azure.operations.headers(operation, aao=True, location=True))

    def _check_growth(self, resource: Resource, wanted: int) -> None:
        size = resource.hidden.get("size")
        if size is None or disk_shapes.size_bytes(wanted) <= size:
            return
        owner = self.azure.store.get(resource.body.get("managedBy", ""))
        if owner is not None and owner.hidden.get("power") != "deallocated":
            raise not_allowed(
                f"Cannot resize disk {resource.name} while it is attached to running VM {owner.id}. "
                "Resizing a "
                "disk of an Azure Virtual Machine requires the virtual machine to be deallocated. Please "
                "stop "
                "your VM and retry the operation."
            )
        if resource.hidden.get("access"):
            raise active_access(resource)

    async def _finish_update(self, resource: Resource, arguments: Json) -> Json:
        wanted, size = arguments.get("size_gb"), resource.hidden.get("size")
        if wanted is not None and size is not None and wanted != whole_gib(size):
            new = disk_shapes.size_bytes(wanted)
            if new < size:
                self.ready(resource, size)
                raise ArmError(400, "InvalidParameter", RESIZED_DOWN)
            await self.content.grow(BlobAddress(*resource.hidden["blob"]), size, new)
            size = new
        return self.ready(resource, size)

    # Access.

    async def _grant(self, call: Call) -> Reply:
        resource = self.require(call)
        self.refuse_concurrent(resource)
        body = json_object(call)
        access, seconds = body.get("access"), body.get("durationInSeconds")
        if access not in ("Read", "Write"):
            raise missing_parameter("access") if access is None else invalid_value("access")
        if seconds is None:
            raise missing_parameter("durationInSeconds")
        if not isinstance(seconds, int) or not 0 < seconds <= _MAX_ACCESS_SECONDS:
            raise invalid_value(
                "durationInSeconds",
                f"The value '{seconds}' of parameter 'durationInSeconds' is out of range. It must be "
                "between 1 "
                f"and {_MAX_ACCESS_SECONDS}.",
            )
        owner = self.azure.store.get(resource.body.get("managedBy", ""))
        if owner is not None and owner.hidden.get("power") != "deallocated":
            raise ArmError(
                409,
                "Conflict",
                f"Access not permitted because {self.parameter} {resource.name} is currently attached to "
                f"running VM {owner.id}.",
            )
        pending = resource.properties.get("diskState") in ("ReadyToUpload", "ActiveUpload")
        if access == "Write" and not pending:
            raise not_allowed(
                f"Write access to {self.parameter} {resource.name} is not permitted: only one created for "
                "upload can be written to."
            )
        if access == "Read" and pending:
            raise not_allowed(
                f"Read access to {self.parameter} {resource.name} is not permitted before its upload."
            )
        return self._accepted(
            call, resource, "grant", {"access": access, "seconds": seconds}, with_body=False
        )

    async def _finish_grant(self, resource: Resource, arguments: Json) -> Json:
        address = BlobAddress(*resource.hidden["blob"])
        url = await self.content.grant(address, arguments["access"], arguments["seconds"])
        resource.hidden["access"] = {"access": arguments["access"]}
        resource.properties["diskState"] = self.state_of(resource)
        self.keep(resource)
        return {"accessSAS": url}

    async def _revoke(self, call: Call) -> Reply:
        resource = self.require(call)
        self.refuse_concurrent(resource)
        size = None
        if resource.properties.get("diskState") == "ActiveUpload":
            # Refused here and now: the disk stays in upload, and the client can mend it.
            size = await self.content.uploaded_size(BlobAddress(*resource.hidden["blob"]))
        return self._accepted(call, resource, "revoke", {"uploaded": size}, with_body=False)

    async def _finish_revoke(self, resource: Resource, arguments: Json) -> None:
        await self.content.revoke(BlobAddress(*resource.hidden["blob"]))
        resource.hidden.pop("access", None)
        if arguments.get("uploaded") is not None:
            self.ready(resource, arguments["uploaded"])
            return
        resource.properties["diskState"] = self.state_of(resource)
        self.keep(resource)

    # Deletion.

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        owner = resource.body.get("managedBy")
        self.refuse_concurrent(resource)
        if owner:
            raise not_allowed(f"Disk {resource.name} is attached to VM {owner}.")
        if resource.hidden.get("access"):
            raise active_access(resource)
        return self._accepted(call, resource, "delete", with_body=False)

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.remove(resource)

    async def remove(self, resource: Resource) -> None:
        await self.content.delete(resource)
        await super().remove(resource)


def active_access(resource: Resource) -> ArmError:
    return not_allowed(
        f"There is an active shared access signature outstanding for disk {resource.name}. Call EndGetAccess "
        "before attaching or deleting the disk. Learn more here: aka.ms/revokeaccessapi."
    )


class Disks(DiskKind):
    type = DISK
    name_rule = r"^[^_\W][\w\-._]{0,79}(?<![-.])$"
    create_options = ("Empty", "Upload", "Copy", "FromImage", "Import")
    skus = disk_shapes.SKUS

    def extra_properties(self, resource: Resource, size_gb: int) -> Json:
        return disk_shapes.performance(resource.body["sku"]["name"], size_gb)

    def new_for_vm(self, owner: Resource, name: str, sku: str, properties: Json) -> Resource:
        """A disk that is born with its VM; `ready` completes it once its content is there."""
        resource_id = f"{owner.id.rpartition('/providers/')[0]}/providers/{DISK}/{name}"
        return Resource(
            id=resource_id,
            type=DISK,
            resource_group=owner.resource_group,
            name=name,
            body={
                "name": name,
                "id": resource_id,
                "type": DISK,
                "location": owner.location,
                "tags": owner.body.get("tags") or {},
                "sku": {"name": sku},
                "managedBy": owner.id,
                "properties": {**properties, "provisioningState": "Updating"},
            },
            hidden={"unique_id": str(uuid.uuid4()), "created": wire_time(now()), "size": None},
        )
