# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Snapshots: disks that are never attached, whole or incremental, and copied between regions."""

from __future__ import annotations

import time
import uuid

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.call import Call
from tests.local_azure.errors import ArmError, invalid_value, not_allowed
from tests.local_azure.providers.disks import disk_shapes
from tests.local_azure.providers.disks.disk_sources import SNAPSHOT, content_size
from tests.local_azure.providers.disks.disks import DiskKind
from tests.local_azure.store import Json, Resource

# A copy to another region takes minutes, whatever its size here.
_COPY_SECONDS = 180.0
_INCREMENTAL_LIMIT = 500


class Snapshots(DiskKind):
    """`hidden.family` names the chain an incremental snapshot belongs to: one for each disk and region.

    While a CopyStart goes on, `hidden.copying` has when it began and how many seconds it lasts.
    """

    type = SNAPSHOT
    create_options = ("Empty", "Copy", "CopyStart", "Import", "Upload")
    skus = disk_shapes.SNAPSHOT_SKUS
    parameter = "snapshot"

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self.define("copy", self._finish_copy)

    def check_new(self, resource: Resource, body: Json) -> None:
        creation, properties = resource.properties["creationData"], resource.properties
        starts = creation["createOption"] == "CopyStart"
        if starts and not properties.get("incremental"):
            raise invalid_value(
                "snapshot.incremental", "A snapshot with the create option CopyStart has to be incremental."
            )
        if properties.get("incremental") and "source_id" in resource.hidden:
            self._join_family(resource)
        super().check_new(resource, body)

    def _join_family(self, resource: Resource) -> None:
        """Snapshots of one disk are one chain; their copies in another region are another."""
        hidden = resource.hidden
        origin = hidden.get("source_family") or hidden["source_id"].lower()
        hidden["family"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{origin}/{resource.location}"))
        # Counting costs time, and is needed only where there are many.
        if self.azure.store.count_of_type(SNAPSHOT, resource.subscription) >= _INCREMENTAL_LIMIT:
            source = hidden["source_id"].lower()
            siblings = sum(
                other.hidden.get("source_id", "").lower() == source and bool(other.hidden.get("family"))
                for other in self.azure.store.of_type(SNAPSHOT, None, resource.subscription)
            )
            if siblings >= _INCREMENTAL_LIMIT:
                raise not_allowed(
                    f"Disk {source.rpartition('/')[2]} has {siblings} incremental snapshots. More than "
                    f"{_INCREMENTAL_LIMIT} are not allowed."
                )

    def extra_properties(self, resource: Resource, size_gb: int) -> Json:
        del size_gb
        extra: Json = {"incremental": bool(resource.properties.get("incremental", False))}
        if resource.hidden.get("family"):
            extra["incrementalSnapshotFamilyId"] = resource.hidden["family"]
        if "copyCompletionError" in resource.properties:
            extra["copyCompletionError"] = resource.properties["copyCompletionError"]
        return extra

    def render(self, resource: Resource, call: Call) -> Json:
        if resource.state == "Succeeded" and "copied" in resource.hidden:
            resource.properties["completionPercent"] = completion(resource)
        return super().render(resource, call)

    # Copies that go on after the creation has succeeded.

    def start_copy(self, call: Call, resource: Resource) -> None:
        if resource.properties["creationData"]["createOption"] != "CopyStart":
            return
        seconds = self.azure.settings.pace.seconds(_COPY_SECONDS)
        resource.hidden |= {"copying": {"began": time.time(), "seconds": seconds}, "copied": False}
        self.azure.store.put(resource)
        # Nobody is told of this operation, and it does not keep the snapshot from being deleted.
        self.azure.operations.start(
            f"{self.type}:copy",
            {"id": resource.id},
            call,
            collection=self.collection(resource.subscription, resource.location, "DiskOperations"),
            resource_id=f"{resource.id}/copy",
            azure_seconds=_COPY_SECONDS,
        )

    async def fill(self, resource: Resource, address: BlobAddress) -> int | None:
        if not resource.hidden.get("copying"):
            return await super().fill(resource, address)
        return content_size(resource.hidden["size"], resource.hidden["source_size"])

    async def _finish_copy(self, resource: Resource, _arguments: Json) -> None:
        await self.azure.operations.others_done(resource.id, f"{self.type}:copy")
        present = self.azure.store.get(resource.id)
        if present is None or not present.hidden.get("copying"):
            return
        error = await self._copy(present)
        present.hidden |= {"copying": None, "copied": error is None}
        if error is not None:
            present.properties["copyCompletionError"] = error
        self.keep(present)

    async def _copy(self, snapshot: Resource) -> Json | None:
        """Copies the content; what to tell of it if that fails."""
        hidden = snapshot.hidden
        source = self.azure.store.get(hidden["source_id"])
        wanted = snapshot.properties["creationData"]["sourceUniqueId"]
        if source is None or source.hidden.get("unique_id") != wanted:
            text = f"The source snapshot {hidden['source_id']} was deleted before its copy was complete."
            return {"errorCode": "CopySourceNotFound", "errorMessage": text}
        address = BlobAddress(*hidden["blob"])
        try:
            await self.content.copy(BlobAddress(*source.hidden["blob"]), address)
            await self.content.grow(address, int(hidden["source_size"]), int(hidden["size"]))
        except ArmError as error:
            return {"errorCode": error.code, "errorMessage": error.message}
        return None


def completion(resource: Resource) -> float:
    """Percent of a CopyStart that are done; 100 only when the content is there."""
    if resource.hidden["copied"]:
        return 100.0
    copying = resource.hidden.get("copying")
    if not copying:
        return float(resource.properties.get("completionPercent", 0.0))
    elapsed = max(0.0, time.time() - copying["began"])
    # Azure begins to count late: the first answers say 0.
    share = elapsed / copying["seconds"] if copying["seconds"] else 0.0
    return float(min(99, int(share * 10) * 10))
