# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Where the content of a new disk or snapshot comes from: nothing, an upload, a copy, a blob."""

from __future__ import annotations

from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, not_allowed
from tests.local_azure.providers import disk_shapes
from tests.local_azure.providers.disk_content import DiskContent
from tests.local_azure.store import Json, Resource
from tests.local_azure.vhd import FOOTER_SIZE, MIB

DISK = "Microsoft.Compute/disks"
SNAPSHOT = "Microsoft.Compute/snapshots"
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

    async def creation(self, name: str, location: str, properties: Json) -> tuple[Json, Json]:
        """The creationData as kept, and where the content will come from."""
        creation = properties.get("creationData")
        if not isinstance(creation, dict):
            raise missing_parameter("creationData")
        option = creation.get("createOption")
        if option is None:
            raise missing_parameter("creationData.createOption")
        if option not in self._options:
            raise invalid_value("creationData.createOption")
        kept = {k: v for k, v in creation.items() if v is not None}
        wanted = properties.get("diskSizeGB")
        if wanted is not None:
            self.check_size(wanted)
        hidden: Json = {"size": disk_shapes.size_bytes(wanted) if wanted else None}
        if option == "Empty":
            if wanted is None:
                raise missing_parameter(f"{self._parameter}.diskSizeGB")
        elif option == "Upload":
            hidden["upload"] = self._upload_size(creation)
        elif option in ("Copy", "CopyStart"):
            source = self._copy_source(creation, location)
            kept["sourceUniqueId"] = source.hidden["unique_id"]
            hidden |= {"source": source.hidden["blob"], "source_size": source.hidden["size"]}
            for key in ("osType", "hyperVGeneration"):
                if key in source.properties:
                    properties.setdefault(key, source.properties[key])
        elif option == "Import":
            hidden |= await self._import_source(name, creation)
        else:
            raise ArmError(
                404,
                "PlatformImageNotFound",
                "The local Azure has no platform or gallery images to make a disk of.",
                target="imageReference",
            )
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

    def _upload_size(self, creation: Json) -> int:
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
                f"The upload size in bytes {size} - 512 bytes for the VHD footer ({size - FOOTER_SIZE} in "
                "this "
                "case) must be a multiple of MiB.",
            )
        return size

    def _copy_source(self, creation: Json, location: str) -> Resource:
        source_id = creation.get("sourceResourceId") or creation.get("sourceUri")
        if not isinstance(source_id, str):
            raise missing_parameter("creationData.sourceResourceId")
        source = self._azure.store.get(source_id)
        name = source_id.rpartition("/")[2]
        crosses = creation.get("createOption") == "CopyStart"
        if (
            source is None
            or source.type not in (DISK, SNAPSHOT)
            or not source.hidden.get("blob")
            or (source.location != location and not crosses)
        ):
            raise ArmError(404, "NotFound", f"Resource {name} is not found.")
        if source.properties.get("diskState") in ("ReadyToUpload", "ActiveUpload"):
            raise not_allowed(f"Cannot copy disk {name}: its upload is not finished.")
        return source

    async def _import_source(self, name: str, creation: Json) -> Json:
        for key in ("sourceUri", "storageAccountId"):
            if not isinstance(creation.get(key), str):
                raise missing_parameter(f"creationData.{key}")
        address, size = await self._content.imported(creation["sourceUri"], name, "creationData.sourceUri")
        return {"source": list(address), "source_size": size}
