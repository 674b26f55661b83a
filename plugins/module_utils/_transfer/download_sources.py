# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Finds what the options of disk_download name; nothing is changed by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    ResourceId,
    parse_resource_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_disk_name,
    check_resource_group_name,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import group_location
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import (
    BlobRequest,
    find_target,
    sas_target,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_source import (
    DiskSource,
    Source,
    VersionSource,
    Way,
    find_blob,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

GALLERY_API = "2023-07-03"
COMPUTE = "Microsoft.Compute"
_COLLECTIONS = {"disk": "disks", "snapshot": "snapshots"}


class SourceFinder:
    """Resolves the options of one run; making one checks them, and raises InvalidInput."""

    def __init__(self, options: Mapping[str, Any], way: Way) -> None:
        self._options = options
        self._way = way
        self._group: str = options["resource_group"] or ""
        if options["resource_group"]:
            check_resource_group_name(self._group)
        for option in ("disk_name", "snapshot_name"):
            if options[option]:
                check_disk_name(option, options[option])
        if options["lun"] is not None and not (options["image_name"] or options["gallery_name"]):
            raise InvalidInput("lun: only an image has data disks to choose from.", remedy="Leave it out.")
        self._blob = self._blob_request()
        if self._blob is not None:
            self._blob.check()
            if self._blob.sas_url:
                sas_target(self._blob)

    def _blob_request(self) -> BlobRequest | None:
        options = self._options
        if not (options["sas_url"] or options["storage_account"]):
            return None
        return BlobRequest.of(options, options["resource_group"])

    def find(self, session: AzureSession | None) -> Source:
        """The source; raises NotFound when it is missing. A blob with a SAS needs no session."""
        if self._blob is not None:
            if session is None:
                return find_blob(sas_target(self._blob), self._way)
            target = find_target(session, self._blob, self._way.waiter, read_only=True)
            return find_blob(target, self._way)
        if session is None:
            raise ValueError("only a blob with a SAS is read without a session")
        group_location(session, self._group)
        for kind in _COLLECTIONS:
            name = self._options[f"{kind}_name"]
            if name:
                return self._disk(session, kind, self._group, name)
        if self._options["image_name"]:
            return self._disk_of_image(session)
        return self._version(session)

    def _disk(self, session: AzureSession, kind: str, group: str, name: str) -> Source:
        collection = getattr(session.compute, _COLLECTIONS[kind])
        found = collection.get(group, name)
        if found is None:
            raise NotFound(
                f"There is no {kind} {name} in resource group {group}.",
                code="ResourceNotFound",
                remedy="Correct its name or resource_group.",
            )
        return DiskSource(collection, kind, group, found, self._way)

    def _disk_of_image(self, session: AzureSession) -> Source:
        """The disk or snapshot that a managed image was made from: Azure gives no access to the image."""
        name = self._options["image_name"]
        image = session.compute.images.get(self._group, name)
        if image is None:
            raise NotFound(
                f"There is no image {name} in resource group {self._group}.",
                code="ResourceNotFound",
                remedy="Correct image_name or resource_group.",
            )
        disk = self._image_disk(image, name)
        for kind, member in (("disk", "managedDisk"), ("snapshot", "snapshot")):
            made_from = (disk.get(member) or {}).get("id")
            if made_from:
                parsed = self._own(parse_resource_id(made_from), session)
                return self._source_of_image(session, kind, parsed, name)
        raise InvalidInput(
            f"The image {name} was made from the blob {disk.get('blobUri')}.",
            remedy="Give that blob as storage_account, container and blob.",
        )

    def _source_of_image(self, session: AzureSession, kind: str, parsed: ResourceId, name: str) -> Source:
        try:
            return self._disk(session, kind, parsed.resource_group, parsed.name)
        except NotFound as error:
            raise NotFound(
                f"The {kind} that the image {name} was made from, {parsed}, is gone, and Azure gives no"
                " access to the image itself.",
                code=error.code,
                remedy="Make a gallery image version of the image and download that.",
            ) from None

    def _image_disk(self, image: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        profile = image["properties"].get("storageProfile") or {}
        lun = self._options["lun"]
        if lun is None:
            os_disk: Mapping[str, Any] = profile.get("osDisk") or {}
            return os_disk
        data_disks: dict[int, Mapping[str, Any]] = {
            disk["lun"]: disk for disk in profile.get("dataDisks") or []
        }
        if lun not in data_disks:
            luns = ", ".join(map(str, data_disks)) or "none"
            raise InvalidInput(f"lun: the image {name} has no data disk {lun}; it has {luns}.")
        return data_disks[lun]

    @staticmethod
    def _own(parsed: ResourceId, session: AzureSession) -> ResourceId:
        if parsed.subscription.lower() != session.subscription_id.lower():
            raise InvalidInput(
                f"The image was made from {parsed}, which is in another subscription.",
                remedy="Set subscription_id to it and download the disk itself.",
            )
        return parsed

    def _version(self, session: AzureSession) -> Source:
        options = self._options
        definition = resource_id(
            session.subscription_id,
            self._group,
            COMPUTE,
            "galleries",
            options["gallery_name"],
            "images",
            options["gallery_image"],
        )
        wanted = options["gallery_image_version"]
        if wanted == "latest":
            version = _latest(session.arm.list(f"{definition}/versions", GALLERY_API))
        else:
            version = session.arm.get(f"{definition}/versions/{wanted}", GALLERY_API)
        if version is None:
            raise NotFound(
                f"There is no version {wanted} of {definition}.",
                code="ResourceNotFound",
                remedy="Correct gallery_name, gallery_image or gallery_image_version.",
            )
        return VersionSource(
            session,
            version,
            self._way,
            lun=options["lun"],
            resource_group=options["temporary_resource_group"] or self._group,
            path=options["path"],
        )


def _latest(versions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The highest version that Azure takes for "latest"; None when there is none."""
    usable = [
        version
        for version in versions
        if not (version["properties"].get("publishingProfile") or {}).get("excludeFromLatest")
    ]
    return max(usable, key=lambda version: [int(part) for part in version["name"].split(".")], default=None)
