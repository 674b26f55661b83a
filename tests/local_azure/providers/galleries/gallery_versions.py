# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Image versions: made of their sources, copied to their regions, updated, deleted and brought back."""

from __future__ import annotations

import time
from copy import deepcopy
from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.blob_storage.vhd import whole_gib
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.clock import now
from tests.local_azure.errors import ArmError, invalid_value, property_change
from tests.local_azure.kinds import check_tags, json_object
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.providers.galleries import gallery_fields as fields
from tests.local_azure.providers.galleries import gallery_publishing as publishing
from tests.local_azure.providers.galleries import gallery_replication as replication
from tests.local_azure.providers.galleries.gallery_kinds import LINGERING_SECONDS, VERSION, GalleryKind
from tests.local_azure.providers.galleries.gallery_soft_delete import SoftDeletedVersions
from tests.local_azure.providers.galleries.gallery_version_rules import check_version_name
from tests.local_azure.providers.galleries.gallery_version_sources import VersionSources
from tests.local_azure.store import Json, Resource

_DELETE_SECONDS, _RESTORE_SECONDS = 135.0, 45.0
_MACHINE_ID_SINCE = "2023-07-03"
_PATH = "galleryImageVersion.properties"


class GalleryVersions(GalleryKind):
    """`hidden` of a version: `sources` what it is made of; `blobs`, `sizes` and `caching` its own disks."""

    type = VERSION

    def __init__(self, azure: LocalAzure, soft_deleted: SoftDeletedVersions) -> None:
        super().__init__(azure)
        self._content = DiskContent(azure)
        self._profiles = publishing.PublishingProfiles(azure)
        self._sources = VersionSources(azure)
        self._soft_deleted = soft_deleted
        self.define("create", self._finish_create)
        self.define("refuse", self._finish_refused)
        self.define("update", self._finish_update)
        self.define("delete", self._finish_delete)

    def check_name(self, name: str) -> None:
        check_version_name(name)

    def render(self, resource: Resource, call: Call) -> Json:
        body = deepcopy(resource.body)
        properties: Json = body["properties"]
        publishing.show_as_of(properties, call.api_version)
        source = properties["storageProfile"].get("source") or {}
        if call.api_version < _MACHINE_ID_SINCE and "virtualMachineId" in source:
            properties["storageProfile"]["source"] = {"id": source["virtualMachineId"]}
        if "replicationstatus" in call.query.get("$expand", "").lower():
            properties["replicationStatus"] = replication.status(resource)
        return body

    async def get(self, call: Call) -> Reply:
        self.parent(call)
        return await super().get(call)

    # Making.

    async def put(self, call: Call) -> Reply:
        definition = self.parent(call)
        existing = self.find(call)
        deleted = self._soft_deleted.found(call) if existing is None else None
        if deleted is not None:
            return self._restore(call, deleted)
        body = self.check_write(call, existing)
        if existing is not None:
            return self._update(call, existing, body)
        given = properties_of(body)
        location = body["location"]
        profile = self._profiles.new(
            fields.section(given, "publishingProfile", f"{_PATH}.publishingProfile"),
            location,
            call.subscription,
        )
        plan = await self._sources.plan(_storage_profile(given), definition, location, call.name)
        properties: Json = {
            "publishingProfile": profile,
            "storageProfile": plan.shown,
            "safetyProfile": publishing.safety(
                {}, fields.section(given, "safetyProfile", f"{_PATH}.safetyProfile")
            ),
        }
        security = fields.section(given, "securityProfile", f"{_PATH}.securityProfile")
        if security:
            properties["securityProfile"] = security
        properties["provisioningState"] = "Creating"
        outer: Json = {"location": location}
        if body.get("tags") is not None:
            outer["tags"] = body["tags"]
        hidden = {"sources": plan.sources, "os_release": plan.os_release}
        resource = self.new_resource(call, {**outer, "properties": properties}, hidden)
        if plan.refusal is not None:
            return self._refused(call, resource, plan.refusal)
        shallow = profile.get("replicationMode") == "Shallow"
        seconds = replication.SHALLOW_SECONDS if shallow else replication.NEW_SECONDS
        replication.schedule(resource, publishing.regions_of(profile), self._paced(seconds))
        self.azure.store.put(resource)
        operation = self.begin_caps(call, resource, "create", azure_seconds=seconds)
        return self.written(call, resource, operation, new=True)

    def _paced(self, azure_seconds: float) -> float:
        return self.azure.settings.pace.seconds(azure_seconds)

    def _refused(self, call: Call, resource: Resource, refusal: ArmError) -> Reply:
        """A source of another kind than the definition: accepted, and its operation fails at once."""
        self.azure.store.put(resource)
        error = {"status": refusal.status, "code": refusal.code, "message": refusal.message}
        operation = self.begin_caps(call, resource, "refuse", {"error": error}, azure_seconds=0)
        return self.written(call, resource, operation, new=True)

    async def _finish_refused(self, resource: Resource, arguments: Json) -> None:
        self.fail(resource)
        error = arguments["error"]
        raise ArmError(error["status"], error["code"], error["message"])

    async def _finish_create(self, resource: Resource, _arguments: Json) -> None:
        if resource.state == "Deleting":
            return
        try:
            await self._copy(resource)
        except ArmError as fault:
            replication.complete(resource, dict.fromkeys(replication.unfinished(resource), fault.message))
            self.fail(resource)
            raise
        self._show_disks(resource)
        self._end_replication(resource, replication.failures(resource))

    async def _copy(self, resource: Resource) -> None:
        """The version's own copy of every disk, so that the sources may go. May be run again."""
        hidden = resource.hidden
        blobs: Json = hidden.setdefault("blobs", {})
        sizes: Json = hidden.setdefault("sizes", {})
        caching: Json = hidden.setdefault("caching", {})
        for key, source in hidden["sources"].items():
            origin, size = await self._sources.origin(source, resource.name)
            target = BlobAddress(*blobs[key]) if key in blobs else self._content.new_address()
            blobs[key], sizes[key], caching[key] = list(target), size, source["caching"]
            self.keep(resource)
            await self._content.copy(origin, target)
        if self.azure.store.get(resource.id) is None:
            await self._content.delete(resource)

    def _show_disks(self, resource: Resource) -> None:
        """Only now the storageProfile tells of the disks and their sizes."""
        profile = resource.properties["storageProfile"]
        hidden = resource.hidden
        own = {"os": profile.get("osDiskImage") or {"source": {}}}
        own |= {str(d["lun"]): d for d in profile.get("dataDiskImages") or []}
        data = []
        for key in sorted(hidden["sizes"], key=lambda k: -1 if k == "os" else int(k)):
            shown = {"sizeInGB": whole_gib(hidden["sizes"][key]), "hostCaching": hidden["caching"][key]}
            if "source" in own.get(key, {}):
                shown["source"] = own[key]["source"]
            if key == "os":
                profile["osDiskImage"] = shown
            else:
                data.append({"lun": int(key), **shown})
        if data:
            profile["dataDiskImages"] = data

    def _end_replication(self, resource: Resource, failing: dict[str, str]) -> None:
        replication.complete(resource, failing)
        if failing:
            self.fail(resource)
            raise replication.failure(failing)
        self.succeed(resource)

    # Changing.

    async def patch(self, call: Call) -> Reply:
        self.parent(call)
        resource = self.find(call)
        if resource is None:
            deleted = self._soft_deleted.found(call)
            if deleted is not None and properties_of(json_object(call)).get("restore"):
                return self._restore(call, deleted)
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self._update(call, resource, body)

    def _update(self, call: Call, resource: Resource, body: Json) -> Reply:
        self.refuse_marked(resource, "Update Gallery Image Version")
        self.refuse_concurrent(resource)
        given = properties_of(body)
        _check_same_sources(resource, _storage_profile(given))
        properties = resource.properties
        safe = publishing.safety(
            properties["safetyProfile"], fields.section(given, "safetyProfile", f"{_PATH}.safetyProfile")
        )
        before = publishing.regions_of(properties["publishingProfile"])
        properties["publishingProfile"] = self._profiles.merged(
            properties["publishingProfile"],
            fields.section(given, "publishingProfile", f"{_PATH}.publishingProfile"),
            resource.location,
            call.subscription,
            name=resource.name,
            may_remove=safe["allowDeletionOfReplicatedLocations"]
            or publishing.removal_is_free(call.api_version),
        )
        properties["safetyProfile"] = safe
        if body.get("tags") is not None:
            resource.body["tags"] = body["tags"]
        missing = replication.unfinished(resource)
        seconds = replication.UNCHANGED_SECONDS
        if missing or publishing.regions_of(properties["publishingProfile"]) != before:
            seconds = replication.FURTHER_SECONDS
        replication.schedule(resource, missing, self._paced(seconds))
        self.updating(resource)
        operation = self.begin_caps(call, resource, "update", azure_seconds=seconds)
        return self.written(call, resource, operation, new=False)

    async def _finish_update(self, resource: Resource, arguments: Json) -> None:
        if set(resource.hidden.get("blobs") or {}) < set(resource.hidden["sources"]):
            # The first attempt never got its content.
            await self._finish_create(resource, arguments)
        elif resource.state != "Deleting":
            self._end_replication(resource, replication.failures(resource))

    # Deleting and restoring.

    async def delete(self, call: Call) -> Reply:
        self.parent(call)
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        _check_end_of_life(resource)
        soft = self._soft_deleted.wanted_for(resource)
        if soft and resource.state == "Failed":
            raise ArmError(
                409,
                "OperationNotAllowed",
                f"Operation 'Delete Gallery Image Version' is not allowed on {resource.name} since its "
                "provisioning state is Failed and soft delete is enabled on the gallery.",
            )
        resource.properties["provisioningState"] = "Deleting"
        self.azure.store.put(resource)
        operation = self.begin_caps(
            call, resource, "delete", {"soft": soft}, azure_seconds=_DELETE_SECONDS, retry_after=60
        )
        return self.accepted(operation)

    async def _finish_delete(self, resource: Resource, arguments: Json) -> None:
        definition = self.azure.store.get(resource.id.rpartition("/versions/")[0])
        if definition is not None:
            until = time.time() + self._paced(LINGERING_SECONDS)
            definition.hidden["nested_gone"] = {"id": resource.id, "until": until}
            self.azure.store.put(definition)
        if arguments["soft"]:
            self._soft_deleted.keep_deleted(resource)
            self.azure.store.delete(resource.id)
        else:
            await self.remove(resource)

    async def remove(self, resource: Resource) -> None:
        await self._content.delete(resource)
        await super().remove(resource)

    def _restore(self, call: Call, deleted: Resource) -> Reply:
        """A PUT with no more than the location, or a PATCH that says `restore`, undoes a soft deletion."""
        resource = self._soft_deleted.restored(deleted)
        self.updating(resource)
        operation = self.begin_caps(call, resource, "update", azure_seconds=_RESTORE_SECONDS)
        return self.written(call, resource, operation, new=False)


def _storage_profile(given: Json) -> Json:
    """The storageProfile; clients of before 2019-07-01 name a managed image in the publishing profile."""
    profile = fields.section(given, "storageProfile", f"{_PATH}.storageProfile")
    if profile:
        return profile
    path = f"{_PATH}.publishingProfile.source"
    older = fields.section(
        fields.section(given, "publishingProfile", f"{_PATH}.publishingProfile"), "source", path
    )
    image = fields.section(older, "managedImage", f"{path}.managedImage")
    return {"source": {"id": image["id"]}} if image.get("id") else {}


def _check_same_sources(resource: Resource, given: Json) -> None:
    """A version keeps its sources and disks; an update may leave them out."""
    present: Json = resource.properties["storageProfile"]
    path = f"{_PATH}.storageProfile"
    source: Any = fields.section(given, "source", f"{path}.source")
    theirs = _ids(present.get("source") or {})
    for key in ("id", "virtualMachineId", "communityGalleryImageId"):
        value = source.get(key)
        if value is not None and str(value).lower() not in theirs:
            raise property_change(f"{path}.source.{key}")
    os_disk = fields.section(given, "osDiskImage", f"{path}.osDiskImage")
    _check_disk(os_disk, present.get("osDiskImage") or {}, f"{path}.osDiskImage")
    known = {str(d["lun"]): d for d in present.get("dataDiskImages") or []}
    planned = set(resource.hidden["sources"]) - {"os"}
    for disk in fields.entries(given, "dataDiskImages", f"{path}.dataDiskImages"):
        lun = str(disk.get("lun"))
        if lun not in planned:
            raise invalid_value(
                f"{path}.dataDiskImages",
                "Adding new Data Disks or changing the LUN of a Data Disk in an existing Image is not "
                "allowed.",
            )
        _check_disk(disk, known.get(lun) or {}, f"{path}.dataDiskImages")


def _check_disk(given: Json, present: Json, path: str) -> None:
    source = fields.section(given, "source", f"{path}.source")
    theirs = _ids(present.get("source") or {})
    for key in ("id", "uri", "storageAccountId"):
        value = source.get(key)
        if value is not None and str(value).lower() not in theirs:
            raise property_change(f"{path}.source.{key}")


def _ids(source: Json) -> set[str]:
    return {str(value).lower() for value in source.values()}


def _check_end_of_life(resource: Resource) -> None:
    if not resource.properties["safetyProfile"].get("blockDeletionBeforeEndOfLife"):
        return
    end = fields.moment_of(resource.properties["publishingProfile"].get("endOfLifeDate") or "")
    if end is not None and end > now():
        raise ArmError(
            409,
            "DeleteGalleryImageVersionBlockedBeforeEndOfLife",
            "Deletion of Gallery image version is not allowed because the image is enabled for "
            "blockDeletionBeforeEndOfLife and its endOfLifeDate has not reached yet.",
        )
