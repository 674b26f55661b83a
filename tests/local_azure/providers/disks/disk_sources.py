# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Where the content of a new disk or snapshot comes from: nothing, an upload, a copy, a blob, an image."""

from __future__ import annotations

from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blob_vhd import FOOTER_SIZE
from tests.local_azure.blob_storage.vhd import MIB, whole_gib
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, not_allowed
from tests.local_azure.providers.disks import disk_shapes
from tests.local_azure.providers.disks.disk_content import DiskContent
from tests.local_azure.providers.disks.disk_images import image_disk
from tests.local_azure.store import Json, Resource

DISK = "Microsoft.Compute/disks"
SNAPSHOT = "Microsoft.Compute/snapshots"
DISK_RESTORE_POINT = "Microsoft.Compute/restorePointCollections/restorePoints/diskRestorePoints"
STORAGE_ACCOUNT = "Microsoft.Storage/storageAccounts"
RESIZED_DOWN = "Disks or snapshot cannot be resized down."
#: What a copy takes over from its source unless it says otherwise.
INHERITED = ("osType", "hyperVGeneration", "purchasePlan", "supportedCapabilities", "securityProfile")
# Before, the URL was enough for accounts of the own subscription.
_ACCOUNT_SINCE = "2019-07-01"
_MIN_UPLOAD = 20 * MIB + FOOTER_SIZE
_MAX_UPLOAD = 32 * 1024 * 1024 * MIB + FOOTER_SIZE


class DiskSources:
    """`parameter` is how the provider calls the resource in its complaints: disk or snapshot."""

    def __init__(
        self, azure: LocalAzure, content: DiskContent, *, options: tuple[str, ...], parameter: str
    ) -> None:
        self._azure = azure
        self._content = content
        self._options = options
        self._parameter = parameter

    async def creation(self, disk: Resource, properties: Json, api_version: str) -> tuple[Json, Json]:
        """The creationData as kept, and what is hidden: where the content will come from, and how much.

        `size`: bytes asked for; `upload`: bytes of the blob to come; `source`: a blob, with `source_size`,
        None for zeros; `inherited`: properties; `first`: what already the first answer shows besides.
        """
        creation = properties.get("creationData")
        if not isinstance(creation, dict):
            raise missing_parameter("creationData")
        option = creation.get("createOption")
        if option is None:
            raise missing_parameter("creationData.createOption")
        if option not in self._options:
            raise invalid_value("creationData.createOption")
        kept = {k: v for k, v in creation.items() if v is not None and k != "sourceUniqueId"}
        wanted = properties.get("diskSizeGB")
        if wanted is not None:
            self.check_size(wanted)
        hidden: Json = {"size": disk_shapes.size_bytes(wanted) if wanted else None}
        if option == "Empty":
            if wanted is None:
                raise missing_parameter(f"{self._parameter}.diskSizeGB")
        elif option == "Upload":
            hidden["upload"] = _upload_size(creation)
        elif option in ("Copy", "CopyStart", "Restore"):
            source = self._copy_source(creation, disk.location)
            kept.pop("sourceUri", None)
            kept |= {"sourceResourceId": named_source(creation), "sourceUniqueId": source.hidden["unique_id"]}
            hidden |= {"source": source.hidden["blob"], "source_size": source.hidden["size"]}
            hidden["inherited"] = {k: source.properties[k] for k in INHERITED if k in source.properties}
            hidden["source_id"] = source.id
            hidden["source_family"] = source.hidden.get("family")
        elif option == "Import":
            hidden |= await self._import_source(disk, creation, api_version)
        else:
            hidden |= image_disk(self._azure, disk, creation)
        return kept, hidden

    def check_size(self, wanted: Any) -> None:
        if (
            not isinstance(wanted, int)
            or isinstance(wanted, bool)
            or not 1 <= wanted <= disk_shapes.MAX_SIZE_GB
        ):
            raise invalid_value(
                f"{self._parameter}.diskSizeGB",
                f"The value '{wanted}' of parameter '{self._parameter}.diskSizeGB' is out of range. Value "
                f"'{wanted}' must be between '1' and '{disk_shapes.MAX_SIZE_GB}' inclusive.",
            )

    def _copy_source(self, creation: Json, location: str) -> Resource:
        source_id = named_source(creation)
        if source_id is None:
            raise missing_parameter("creationData.sourceResourceId")
        source = self._azure.store.get(source_id)
        name = source_id.rpartition("/")[2]
        starts = creation.get("createOption") == "CopyStart"
        if (
            source is None
            or source.type not in (DISK, SNAPSHOT, DISK_RESTORE_POINT)
            or (source.location != location and not starts)
        ):
            raise ArmError(404, "NotFound", f"Resource {name} is not found.")
        if starts and not (source.type == SNAPSHOT and source.properties.get("incremental")):
            raise invalid_value(
                "creationData.sourceResourceId", "CopyStart copies incremental snapshots, and nothing else."
            )
        if source.properties.get("diskState") in ("ReadyToUpload", "ActiveUpload"):
            raise not_allowed(f"Cannot copy disk {name}: its upload is not finished.")
        if source.hidden.get("copied") is False:
            raise not_allowed(f"Cannot copy snapshot {name}: its own copy is not complete.")
        if not source.hidden.get("blob") or source.hidden.get("size") is None:
            raise not_allowed(f"Cannot copy {name} until it has been successfully created.")
        return source

    async def _import_source(self, disk: Resource, creation: Json, api_version: str) -> Json:
        url, account_id = creation.get("sourceUri"), creation.get("storageAccountId")
        if not isinstance(url, str):
            raise missing_parameter("creationData.sourceUri")
        if not isinstance(account_id, str) and (account_id or api_version >= _ACCOUNT_SINCE):
            raise missing_parameter("creationData.storageAccountId")
        name = self._content.account_of(url)
        account = self._azure.store.named(STORAGE_ACCOUNT, name)
        if account is not None and account_id is None and account.subscription != disk.subscription:
            account = None
        if (account is None and account_id is None) or (account and account.location != disk.location):
            raise ArmError(
                400,
                "BadRequest",
                f"The source blob {url} does not belong to the same region as the {self._parameter}.",
            )
        address, size = await self._content.imported(url, disk.name, "creationData.sourceUri")
        if account_id is not None:
            named = self._azure.store.get(account_id)
            if account is None or named is None or named.id != account.id:
                raise invalid_value("creationData.storageAccountId")
        return {"source": list(address), "source_size": size, "first": {"diskSizeBytes": size}}


def named_source(creation: Json) -> str | None:
    """The id of what is to be copied. Older clients call it a URI; its first slash may be absent."""
    source_id = creation.get("sourceResourceId") or creation.get("sourceUri")
    if not isinstance(source_id, str):
        return None
    return f"/{source_id}" if source_id.lower().startswith("subscriptions/") else source_id


def _upload_size(creation: Json) -> int:
    size = creation.get("uploadSizeBytes")
    if size is None:
        raise missing_parameter("creationData.uploadSizeBytes")
    if not isinstance(size, int) or isinstance(size, bool):
        raise invalid_value("creationData.uploadSizeBytes")
    if not _MIN_UPLOAD <= size <= _MAX_UPLOAD:
        raise ArmError(
            400,
            "BadRequest",
            f"The upload size in bytes {size} must be between {_MIN_UPLOAD} and {_MAX_UPLOAD}.",
        )
    if (size - FOOTER_SIZE) % MIB:
        raise ArmError(
            400,
            "BadRequest",
            f"The upload size in bytes {size} - 512 bytes for the VHD footer ({size - FOOTER_SIZE} in this "
            "case) must be a multiple of MiB.",
        )
    return size


def content_size(wanted: int | None, source_size: int) -> int:
    """Bytes of a disk made of a source, of which `wanted` bytes were asked for; 400 if that is less.

    A source may be a little over the whole GiB it is shown with: what is shown is always enough.
    """
    if wanted is None:
        return source_size
    if wanted < disk_shapes.size_bytes(whole_gib(source_size)):
        raise ArmError(400, "InvalidParameter", RESIZED_DOWN)
    return max(wanted, source_size)
