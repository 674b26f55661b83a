# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Deleted image versions of galleries with soft delete: kept for a week, listed, restored or purged."""

from __future__ import annotations

import time
import uuid

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import invalid_value
from tests.local_azure.kinds import check_entity_name
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.providers.galleries.gallery_kinds import GALLERY, SOFT_DELETED, VERSION, GalleryKind
from tests.local_azure.store import Json, Resource

RETENTION_SECONDS = 7 * 24 * 3600.0
_ARTIFACT_TYPE = "Images"
_DELETE_SECONDS = 45.0


class SoftDeletedVersions(GalleryKind):
    """`hidden.version` is the version as it was, `hidden.blobs` its disks."""

    type = SOFT_DELETED

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self._content = DiskContent(azure)
        self.define("delete", self.finish_delete)

    # For the kind of the versions.

    def wanted_for(self, version: Resource) -> bool:
        """Whether the version's gallery keeps what is deleted from it."""
        gallery = self.azure.store.get(version.id.rpartition("/images/")[0])
        policy = (gallery.properties.get("softDeletePolicy") or {}) if gallery else {}
        return bool(policy.get("isSoftDeleteEnabled"))

    def keep_deleted(self, version: Resource) -> None:
        gallery, _unused, rest = version.id.rpartition("/images/")
        definition = rest.partition("/")[0]
        kept_id = _kept_id(gallery, definition, version.name)
        body = {
            "name": version.name,
            "id": kept_id,
            "type": SOFT_DELETED,
            "location": version.location,
            "properties": {
                "resourceArmId": version.id,
                "softDeletedTime": wire_time(now()),
                "softDeletedArtifactType": _ARTIFACT_TYPE,
            },
        }
        hidden = {
            "incarnation": str(uuid.uuid4()),
            "deleted": time.time(),
            "version": version.body,
            "version_hidden": version.hidden,
            "blobs": version.hidden.get("blobs") or {},
        }
        self.azure.store.put(
            Resource(kept_id, SOFT_DELETED, version.resource_group, version.name, body, hidden)
        )

    def found(self, call: Call) -> Resource | None:
        """The soft-deleted version that a call for the version itself names."""
        group = self.azure.group(call.subscription, call.resource_group)
        if group is None:
            return None
        gallery, definition, name = call.names
        kept = self.azure.store.get(_kept_id(f"{group.id}/providers/{GALLERY}/{gallery}", definition, name))
        return None if kept is None or self._expired(kept) else kept

    def restored(self, kept: Resource) -> Resource:
        """The version as it was, in the store again."""
        body: Json = kept.hidden["version"]
        version = Resource(
            body["id"], VERSION, kept.resource_group, kept.name, body, kept.hidden["version_hidden"]
        )
        version.hidden["incarnation"] = str(uuid.uuid4())
        self.azure.store.delete(kept.id)
        self.azure.store.put(version)
        return version

    def _expired(self, kept: Resource) -> bool:
        age = time.time() - float(kept.hidden["deleted"])
        return age > self.azure.settings.pace.seconds(RETENTION_SECONDS)

    # As a resource type.

    async def list(self, call: Call) -> Reply:
        self.require_parent(call)
        if call.names[1].lower() != _ARTIFACT_TYPE.lower():
            raise invalid_value("artifactType")
        check_entity_name(call.names[2], "artifactName")
        # The last type of a collection has no name, so this is the id of the artifact.
        above = self.id_of(call)
        value = []
        for kept in self.azure.store.below(above, SOFT_DELETED):
            if self._expired(kept):
                await self.remove(kept)
            else:
                value.append(self.render(kept, call))
        return Reply(200, {"value": value})

    async def delete(self, call: Call) -> Reply:
        """Ends the retention now."""
        self.require_parent(call)
        kept = self.find(call)
        if kept is None:
            return Reply(204)
        self.refuse_concurrent(kept)
        return self.accepted(
            self.begin_caps(call, kept, "delete", azure_seconds=_DELETE_SECONDS, retry_after=60)
        )

    async def remove(self, resource: Resource) -> None:
        await self._content.delete(resource)
        await super().remove(resource)


def _kept_id(gallery_id: str, definition: str, version: str) -> str:
    return f"{gallery_id}/softDeletedArtifactTypes/{_ARTIFACT_TYPE}/artifacts/{definition}/versions/{version}"
