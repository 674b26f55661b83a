# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a virtual machine or a disk can be made from: one shape for managed, gallery and platform images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.errors import ArmError, not_allowed
from tests.local_azure.store import Json, Resource

IMAGE = "Microsoft.Compute/images"


@dataclass(frozen=True)
class DiskContent:
    """One disk of an image. Without `blob` it is an empty disk of `size_bytes` (the footer not counted).

    `shown_size_gb` is what the image says of itself where that is more than the content has;
    `storage_type` and `caching` are what the image asks for, None where it asks for nothing.
    """

    size_bytes: int
    blob: BlobAddress | None = None
    caching: str | None = None
    storage_type: str | None = None
    shown_size_gb: int | None = None
    #: The disk encryption set that the image's copy in the region is encrypted with.
    encryption_set: str | None = None


@dataclass(frozen=True)
class ImageSource:
    """An image as the machine's provider needs it.

    `id` is what `creationData.imageReference.id` of the disks says; `security_type` the definition's feature
    `SecurityType`; `exact_version` the version behind `latest` or a definition's id, None for managed images;
    `os_release` name and version as the guest's agent reports them ("ubuntu", "18.04"), None if unknown.
    """

    id: str
    os_type: str
    os_state: Literal["Generalized", "Specialized"]
    generation: Literal["V1", "V2"]
    architecture: Literal["x64", "Arm64"]
    os_disk: DiskContent
    data_disks: tuple[tuple[int, DiskContent], ...] = ()
    security_type: str | None = None
    plan: Json | None = None
    exact_version: str | None = None
    os_release: tuple[str, str] | None = None
    #: The disk controllers that the image's system starts from; one without the feature is for SCSI.
    controllers: tuple[str, ...] = ("SCSI",)

    @property
    def is_managed_image(self) -> bool:
        return "/providers/microsoft.compute/images/" in self.id.lower()

    def data_disk(self, lun: int) -> DiskContent:
        return dict(self.data_disks)[lun]


def managed_image_source(azure: LocalAzure, image_id: str, location: str) -> ImageSource:
    """The managed image with that id; ArmError if it is missing, elsewhere, unfinished or being deleted."""
    image = azure.store.get(image_id)
    if image is None or image.type != IMAGE or image.location != location:
        raise ArmError(
            404,
            "NotFound",
            f"The Image '{image_id}' cannot be found in '{location}' region.",
            target="imageReference",
        )
    if image.state in ("Creating", "Failed"):
        raise not_allowed(
            f"The resource Virtual Machine cannot be created from Image {image.name} until Image has been "
            "successfully created."
        )
    if image.state == "Deleting":
        raise not_allowed(
            f"Operation 'Create VM' is not allowed on Image '{image.name}' since the Image is marked for "
            "deletion. You can only retry the Delete operation (or wait for an ongoing one to complete)."
        )
    return _source_of(image)


def _source_of(image: Resource) -> ImageSource:
    profile = image.properties["storageProfile"]
    release = image.hidden.get("os_release")

    def content(key: str, disk: Json) -> DiskContent:
        return DiskContent(
            size_bytes=image.hidden["sizes"][key],
            blob=BlobAddress(*image.hidden["blobs"][key]),
            caching=disk.get("caching"),
            storage_type=disk.get("storageAccountType"),
            shown_size_gb=disk.get("diskSizeGB"),
        )

    return ImageSource(
        id=image.id,
        os_type=profile["osDisk"]["osType"],
        os_state=profile["osDisk"]["osState"],
        generation="V2" if image.properties.get("hyperVGeneration") == "V2" else "V1",
        architecture="Arm64" if image.hidden.get("architecture") == "Arm64" else "x64",
        os_disk=content("os", profile["osDisk"]),
        data_disks=tuple((d["lun"], content(str(d["lun"]), d)) for d in profile["dataDisks"]),
        plan=image.hidden.get("image_plan"),
        os_release=(release[0], release[1]) if release else None,
    )


def named_controllers(features: Mapping[str, str]) -> tuple[str, ...]:
    """What the feature DiskControllerTypes says, such as "SCSI, NVMe"; SCSI where it is absent."""
    return tuple(part.strip() for part in features.get("DiskControllerTypes", "SCSI").split(","))
