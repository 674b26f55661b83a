# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Managed disks and what snapshots share with them: creation from every source, access, growth, deletion."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import ClassVar

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blob_vhd import FOOTER_SIZE
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.blob_storage.vhd import whole_gib
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import ArmError, not_allowed
from tests.local_azure.kinds import ResourceKind, Verb, check_tags, json_object
from tests.local_azure.operations import Operation
from tests.local_azure.providers.compute.usage import check_disk_quota
from tests.local_azure.providers.disks import disk_changes, disk_rules, disk_shapes
from tests.local_azure.providers.disks.disk_access import active_access, check_grant
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.providers.disks.disk_sources import DISK, RESIZED_DOWN, DiskSources, content_size
from tests.local_azure.providers.disks.disk_versions import asked_creation, first_answer, shown
from tests.local_azure.store import Json, Resource

# In the order Azure shows them; a request's other properties are read only, or not for this kind.
_KEPT = (
    "osType",
    "hyperVGeneration",
    "diskSizeGB",
    "encryption",
    "incremental",
    "networkAccessPolicy",
    "diskAccessId",
    "publicNetworkAccess",
    "supportsHibernation",
    "supportedCapabilities",
    "securityProfile",
    "purchasePlan",
    "encryptionSettingsCollection",
    "dataAccessAuthMode",
    "maxShares",
    "burstingEnabled",
    "optimizedForFrequentAttach",
    "tier",
)
# Measured: 0.1 to 1.8 s, whatever is done to a disk or snapshot.
_SECONDS = 0.5


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
        properties = properties_of(body)
        disk_rules.check_sku(self.parameter, body, self.skus)
        disk_rules.check_values(self.parameter, properties)
        if existing is not None:
            return self._update(call, existing, body, properties)
        resource = self.new_resource(
            call,
            {
                "location": body["location"],
                **({"tags": body["tags"]} if body.get("tags") is not None else {}),
                "sku": {"name": (body.get("sku") or {}).get("name", "Standard_LRS")},
                **({"zones": body["zones"]} if body.get("zones") else {}),
            },
            {"unique_id": str(uuid.uuid4()), "created": wire_time(now())},
        )
        creation, hidden = await self.sources.creation(resource, properties, call.api_version)
        resource.hidden |= hidden
        given = {k: properties[k] for k in _KEPT if properties.get(k) is not None}
        resource.body["properties"] = {
            **hidden.get("inherited", {}),
            **given,
            "creationData": creation,
            "provisioningState": "Updating",
        }
        self.check_new(resource, body)
        self.azure.store.put(resource)
        self.start_copy(call, resource)
        asked = asked_creation(creation, properties["creationData"], call.api_version)
        repeated = {**given, "creationData": asked, **hidden.get("first", {})}
        return self._accepted(
            call,
            resource,
            "create",
            body=first_answer(resource, _asked_sku(body), repeated, call.api_version),
        )

    def check_new(self, resource: Resource, body: Json) -> None:
        """The rules that look at more than one property of a disk to be made."""
        properties, sku = resource.properties, resource.body["sku"]["name"]
        disk_rules.check_zones(resource.id, resource.location, sku, body)
        disk_rules.check_encryption(self.azure, properties)
        disk_rules.check_network(self.azure, properties)
        disk_rules.check_security(properties)
        if self.type == DISK and resource.hidden.get("upload") is None:
            size = content_gib(resource)
            disk_rules.check_performance(sku, size, properties)
        self.keep_performance(resource, properties_of(body))
        check_disk_quota(self.azure, resource)

    def start_copy(self, call: Call, resource: Resource) -> None:
        """For what goes on behind a finished creation."""

    def keep_performance(self, resource: Resource, given: Json) -> None:
        """Remembers the performance asked for where the SKU lets one choose it."""
        chosen = {k: given[k] for k in disk_shapes.CHOSEN if given.get(k) is not None}
        if chosen and resource.body["sku"]["name"].partition("_")[0] in ("UltraSSD", "PremiumV2"):
            resource.hidden["performance"] = {**resource.hidden.get("performance", {}), **chosen}

    def _accepted(
        self,
        call: Call,
        resource: Resource,
        work: str,
        arguments: Json | None = None,
        *,
        body: Json | None = None,
    ) -> Reply:
        operation = self._start(call, resource, work, arguments, shows_output=work != "delete")
        return Reply(202, body, self.azure.operations.headers(operation, aao=True, location=True))

    def _start(
        self, call: Call, resource: Resource, work: str, arguments: Json | None, *, shows_output: bool
    ) -> Operation:
        return self.begin(
            call,
            resource,
            work,
            {"api_version": call.api_version, **(arguments or {})},
            collection="DiskOperations",
            azure_seconds=_SECONDS,
            retry_after=2 if work in ("create", "update") else None,
            shows_output=shows_output,
        )

    async def _finish_create(self, resource: Resource, arguments: Json) -> Json:
        try:
            return shown(await self._create(resource), arguments["api_version"])
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
        return self.ready(resource, await self.fill(resource, address))

    async def fill(self, resource: Resource, address: BlobAddress) -> int | None:
        """Puts the content of a new disk into its blob: bytes of the disk, None before an upload."""
        hidden = resource.hidden
        if hidden.get("upload") is not None:
            await self.content.for_upload(address, hidden["upload"])
            return None
        source, source_size = hidden.get("source"), hidden.get("source_size") or 0
        size = content_size(hidden["size"], source_size)
        if source is None:
            await self.content.empty(address, size)
        else:
            await self.content.copy(BlobAddress(*source), address)
            await self.content.grow(address, source_size, size)
        return size

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
        properties |= {k: v for k, v in old.items() if k in _KEPT and k not in properties and k != "tier"}
        properties |= self.extra_properties(resource, size_gb or upload_gb)
        properties |= disk_shapes.defaults(hidden["created"], hidden["unique_id"], old)
        if size is not None:
            properties["diskSizeBytes"] = size
        properties["diskState"] = self.state_of(resource)
        if "LastOwnershipUpdateTime" in old:
            properties["LastOwnershipUpdateTime"] = old["LastOwnershipUpdateTime"]
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
        if resource.state == "Succeeded":
            resource.properties["diskState"] = self.state_of(resource)
        return shown(resource.body, call.api_version)

    # Update.

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        disk_rules.check_sku(self.parameter, body, self.skus)
        disk_rules.check_values(self.parameter, properties_of(body))
        return self._update(call, resource, body, properties_of(body))

    def _update(self, call: Call, resource: Resource, body: Json, properties: Json) -> Reply:
        self.refuse_concurrent(resource)
        disk_changes.check_unchanged(resource, body, properties)
        wanted = properties.get("diskSizeGB")
        if wanted is not None:
            self.sources.check_size(wanted)
            disk_changes.check_growth(self.azure, resource, wanted)
        given = {k: properties[k] for k in _KEPT if properties.get(k) is not None}
        sku = (body.get("sku") or resource.body["sku"])["name"]
        disk_changes.check_sku_change(self.azure, resource, sku, self.parameter)
        disk_rules.check_encryption(self.azure, given)
        disk_changes.check_network_change(self.azure, resource, given)
        if self.type == DISK and resource.hidden.get("size") is not None:
            size = wanted or whole_gib(resource.hidden["size"])
            disk_rules.check_performance(
                sku, size, {**given, "tier": disk_changes.tier_change(resource, given)}
            )
        if body.get("tags") is not None:
            resource.body["tags"] = body["tags"]
        if body.get("sku") is not None:
            resource.body["sku"] = {"name": sku}
        self.keep_performance(resource, properties)
        resource.properties.update({k: v for k, v in given.items() if k != "diskSizeGB"})
        resource.properties["provisioningState"] = "Updating"
        self.azure.store.put(resource)
        whole = resource.properties | {"diskSizeGB": wanted or resource.properties.get("diskSizeGB")}
        first = ("osType", "hyperVGeneration", "creationData", "diskSizeGB")
        repeated = {k: whole[k] for k in first if whole.get(k) is not None} | given
        asked = _asked_sku(body) or {"sku": resource.body["sku"]}
        answer = first_answer(resource, asked, repeated, call.api_version)
        return self._accepted(call, resource, "update", {"size_gb": wanted}, body=answer)

    async def _finish_update(self, resource: Resource, arguments: Json) -> Json:
        wanted, size = arguments.get("size_gb"), resource.hidden.get("size")
        if wanted is not None and size is not None and wanted != whole_gib(size):
            new = disk_shapes.size_bytes(wanted)
            if new < size:
                self.ready(resource, size)
                raise ArmError(400, "InvalidParameter", RESIZED_DOWN)
            await self.content.grow(BlobAddress(*resource.hidden["blob"]), size, new)
            size = new
        return shown(self.ready(resource, size), arguments["api_version"])

    # Access.

    async def _grant(self, call: Call) -> Reply:
        resource = self.require(call)
        self.refuse_concurrent(resource)
        arguments = check_grant(self.azure, call, resource, self.parameter)
        return self._accepted(call, resource, "grant", arguments)

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
        return self._accepted(call, resource, "revoke", {"uploaded": size})

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
        return self._accepted(call, resource, "delete")

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self.remove(resource)

    async def remove(self, resource: Resource) -> None:
        await self.content.delete(resource)
        await super().remove(resource)


def _asked_sku(body: Json) -> Json:
    """A SKU that is asked for is repeated without its tier."""
    return {"sku": {"name": body["sku"]["name"]}} if body.get("sku") is not None else {}


def content_gib(resource: Resource) -> int:
    """The size a disk will have, in whole GiB."""
    size, source = resource.hidden.get("size"), resource.hidden.get("source_size")
    return whole_gib(size or source or 1)


class Disks(DiskKind):
    type = DISK
    name_rule = r"^[^_\W][\w\-._]{0,79}(?<![-.])$"
    create_options = ("Empty", "Upload", "Copy", "Restore", "FromImage", "Import")
    skus = disk_shapes.SKUS

    def extra_properties(self, resource: Resource, size_gb: int) -> Json:
        sku, asked = resource.body["sku"]["name"], resource.properties.get("tier")
        found = disk_shapes.performance(sku, size_gb)
        own = found.get("tier")
        tiers = disk_shapes.premium_tiers()
        if own is None:
            chosen: Json = resource.hidden.get("performance", {})
            return {**found, **chosen}
        if asked in tiers and tiers.index(asked) > tiers.index(own):
            found = disk_shapes.tier_performance(asked) | {"tier": asked}
        if resource.properties.get("maxShares"):
            found["maxShares"] = resource.properties["maxShares"]
        return found

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
