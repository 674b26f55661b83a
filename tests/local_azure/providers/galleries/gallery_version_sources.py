# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What an image version is made of: one machine, image or version as a whole, or a source for each disk.

A plan is what is kept of it until the copy is made: `{"os": source, "<lun>": source}`. A source is
`{"id", "key", "caching"}` for a disk (`key`) of another resource, `{"uri", "caching"}` for a blob.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.providers.disks.disk_sources import DISK, SNAPSHOT
from tests.local_azure.providers.galleries import gallery_fields as fields
from tests.local_azure.providers.galleries.gallery_ids import community_version_id
from tests.local_azure.providers.galleries.gallery_kinds import VERSION
from tests.local_azure.providers.galleries.gallery_version_rules import (
    check_machine,
    check_security_of_source,
    mismatch,
)
from tests.local_azure.store import Json, Resource

IMAGE = "Microsoft.Compute/images"
MACHINE = "Microsoft.Compute/virtualMachines"
_CACHING = ("None", "ReadOnly", "ReadWrite")
_PATH = "galleryArtifactVersion.properties.storageProfile"
_ONE_SOURCE = (
    "The gallery artifact version source can only be specified either directly under storageProfile or "
    "within individual OS or data disks. One and only one source type (user image, snapshot, disk, virtual "
    "machine) can be provided."
)
_DISK_ID = re.compile(r"^/(subscriptions/[^/]+|providers)/", re.IGNORECASE)


class SourcePlan(NamedTuple):
    """`shown` is the storageProfile to show at first; `refusal` is how the operation ends, if it fails."""

    shown: Json
    sources: Json
    refusal: ArmError | None = None
    #: What the source knows of the system in it, as (name, version); None if it does not.
    os_release: list[str] | None = None


class VersionSources:
    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure
        self._content = DiskContent(azure)

    async def plan(self, profile: Json, definition: Resource, location: str, name: str) -> SourcePlan:
        """Checks the storageProfile of a new version and says where each disk will come from."""
        whole = fields.section(profile, "source", f"{_PATH}.source")
        os_disk = fields.section(profile, "osDiskImage", f"{_PATH}.osDiskImage")
        data_disks = fields.entries(profile, "dataDiskImages", f"{_PATH}.dataDiskImages")
        own = [d for d in (os_disk, *data_disks) if d.get("source")]
        if bool(whole) == bool(own):
            raise ArmError(400, "InvalidParameter", _ONE_SOURCE, target=f"{_PATH}.source")
        if whole:
            return self._whole(whole, os_disk, data_disks, definition, location)
        if not os_disk.get("source"):
            raise missing_parameter(f"{_PATH}.osDiskImage.source")
        return await self._by_disk(os_disk, data_disks, definition, location, name)

    # One source for everything.

    def _whole(
        self, given: Json, os_disk: Json, data_disks: list[Json], definition: Resource, location: str
    ) -> SourcePlan:
        keys = [k for k in ("id", "virtualMachineId", "communityGalleryImageId") if given.get(k) is not None]
        if len(keys) != 1:
            raise ArmError(400, "InvalidParameter", _ONE_SOURCE, target=f"{_PATH}.source")
        key = keys[0]
        source_id = fields.required_text(given, key, f"{_PATH}.source.{key}")
        if key == "communityGalleryImageId":
            found = self._azure.store.get(community_version_id(self._azure, source_id) or "")
        else:
            _check_id(source_id, "source.id")
            found = self._azure.store.get(source_id)
        wanted = {"id": (IMAGE, MACHINE, VERSION), "virtualMachineId": (MACHINE,)}.get(key, (VERSION,))
        if found is None or not self._is_near(found, location):
            raise _not_found(source_id)
        if found.type not in wanted:
            raise invalid_value(
                f"{_PATH}.source.{key}",
                f"The source id: {source_id} must either be a managed image, virtual machine or another "
                "gallery image version",
            )
        shown = {"source": {key: source_id if key == "communityGalleryImageId" else found.id}}
        check_security_of_source(definition, found)
        if found.type == MACHINE:
            check_machine(self._azure, definition, found)
        elif found.state != "Succeeded" and not (found.type == VERSION and found.state == "Updating"):
            raise ArmError(
                409,
                "OperationNotAllowed",
                f"The resource Gallery Image Version cannot be created from Image {found.name} until Image "
                "has been successfully created.",
            )
        sources = self._disks_of(found)
        for disk in (os_disk, *data_disks):
            caching = fields.choice(disk, "hostCaching", f"{_PATH}.hostCaching", _CACHING)
            entry = sources.get("os" if disk is os_disk else str(disk.get("lun")))
            if caching is not None and entry is not None:
                entry["caching"] = caching
        refusal = mismatch(self._azure, definition, found)
        return SourcePlan(shown, sources, refusal, found.hidden.get("os_release"))

    def _is_near(self, found: Resource, location: str) -> bool:
        """A source is in the version's region; another version has to be replicated there."""
        if found.type == VERSION:
            return location in (found.hidden.get("replication") or {})
        return found.location == location

    def _disks_of(self, found: Resource) -> Json:
        if found.type == VERSION:
            keys = found.hidden["blobs"]
            caching = found.hidden["caching"]
            return {k: {"id": found.id, "key": k, "caching": caching[k]} for k in keys}
        profile = found.properties["storageProfile"]
        disks = {"os": profile["osDisk"], **{str(d["lun"]): d for d in profile.get("dataDisks") or []}}
        return {
            key: {"id": found.id, "key": key, "caching": disk.get("caching") or "None"}
            for key, disk in disks.items()
        }

    # A source for each disk.

    async def _by_disk(
        self, os_disk: Json, data_disks: list[Json], definition: Resource, location: str, name: str
    ) -> SourcePlan:
        shown_os, source = await self._disk(os_disk, "osDiskImage", "ReadWrite", location, name)
        origin = self._azure.store.get(str(source.get("id")))
        if origin is not None:
            check_security_of_source(definition, origin)
        shown: Json = {"osDiskImage": shown_os}
        sources: Json = {"os": source}
        shown_data = []
        for disk in data_disks:
            lun = fields.number(disk, "lun", f"{_PATH}.dataDiskImages.lun", 0, 63)
            if lun is None:
                raise missing_parameter(f"{_PATH}.dataDiskImages.lun")
            if str(lun) in sources:
                raise invalid_value(
                    f"{_PATH}.dataDiskImages",
                    "Duplicated lun numbers have been detected in the input data disks. Lun number must be "
                    "unique for each data disk.",
                )
            entry, source = await self._disk(disk, "dataDiskImages", "ReadOnly", location, name)
            sources[str(lun)] = source
            shown_data.append({"lun": lun, **entry})
        if shown_data:
            shown["dataDiskImages"] = shown_data
        _check_distinct(sources)
        return SourcePlan(shown, sources)

    async def _disk(self, disk: Json, part: str, caching: str, location: str, name: str) -> tuple[Json, Json]:
        path = f"{_PATH}.{part}"
        caching = fields.choice(disk, "hostCaching", f"{path}.hostCaching", _CACHING) or caching
        given = fields.section(disk, "source", f"{path}.source")
        uri = fields.text(given, "uri", f"{path}.source.uri")
        if uri is not None:
            shown, source = await self._blob(given, uri, path, location, name)
        else:
            source_id = fields.required_text(given, "id", f"{path}.source.id")
            _check_id(source_id, f"{part}.source.id")
            found = self._azure.store.get(source_id)
            if found is None or found.location != location:
                raise _not_found(source_id)
            if found.type not in (DISK, SNAPSHOT):
                raise invalid_value(
                    f"{path}.source.id", f"The source id: {source_id} must be a managed disk or snapshot."
                )
            shown, source = {"id": found.id}, {"id": found.id, "key": ""}
        return {"hostCaching": caching, "source": shown}, {**source, "caching": caching}

    async def _blob(self, given: Json, uri: str, path: str, location: str, name: str) -> tuple[Json, Json]:
        key = "storageAccountId" if given.get("storageAccountId") is not None else "id"
        account_id = fields.required_text(given, key, f"{path}.source.storageAccountId")
        account = self._azure.store.get(account_id)
        if (
            account is None
            or account.type != "Microsoft.Storage/storageAccounts"
            or account.location != location
        ):
            raise _not_found(account_id)
        await self._content.imported(uri, name, f"{path}.source.uri")
        return {key: account.id, "uri": uri}, {"uri": uri}

    # The content.

    async def origin(self, source: Json, name: str) -> tuple[BlobAddress, int]:
        """The blob a planned disk is copied from and its size in bytes; ArmError if it is gone meanwhile."""
        if "uri" in source:
            return await self._content.imported(source["uri"], name, f"{_PATH}.source.uri")
        found = self._azure.store.get(source["id"])
        if found is not None and found.type == MACHINE:
            found = self._machine_disk(found, source["key"])
        if found is None:
            raise ArmError(
                404, "NotFound", f"Source was not found: {source['id']}. Please make sure the source exists."
            )
        if "blobs" in found.hidden:
            return BlobAddress(*found.hidden["blobs"][source["key"]]), int(
                found.hidden["sizes"][source["key"]]
            )
        if found.hidden.get("size") is None or not found.hidden.get("blob"):
            # What Azure says of an upload that nobody ended.
            raise ArmError(500, "InternalExecutionError", "An internal execution error occurred.")
        return BlobAddress(*found.hidden["blob"]), int(found.hidden["size"])

    def _machine_disk(self, machine: Resource, key: str) -> Resource | None:
        profile = machine.properties["storageProfile"]
        disks = {"os": profile["osDisk"], **{str(d["lun"]): d for d in profile.get("dataDisks") or []}}
        managed = (disks.get(key) or {}).get("managedDisk") or {}
        return self._azure.store.get(managed.get("id") or "")


def _check_id(source_id: str, path: str) -> None:
    if not _DISK_ID.match(source_id):
        raise ArmError(
            400,
            "LinkedInvalidPropertyId",
            f"Property id '{source_id}' at path 'properties.storageProfile.{path}' is invalid. Expect fully "
            "qualified resource Id that start with '/subscriptions/{subscriptionId}' or "
            "'/providers/{resourceProviderNamespace}/'.",
            gateway=True,
        )


def _check_distinct(sources: Json) -> None:
    named = [str(s.get("uri") or s.get("id")).lower() for s in sources.values()]
    if len(set(named)) == len(named):
        return
    if any("uri" in s for s in sources.values()):
        raise invalid_value(
            f"{_PATH}.dataDiskImages",
            f"OSDiskImage and DataDiskImage cannot point to same blob {sources['os'].get('uri')}",
        )
    raise invalid_value(
        f"{_PATH}.dataDiskImages",
        "Duplicated source ids are found in the input disks. Source id should be unique for each disk.",
    )


def _not_found(source_id: str) -> ArmError:
    return ArmError(
        404,
        "NotFound",
        f"Source {source_id} is not found. Please check source exists, and is in the same region as gallery "
        "image version being created.",
    )
