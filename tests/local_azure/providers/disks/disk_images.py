# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Disks made of an image without a machine: creationData with imageReference or galleryImageReference."""

from __future__ import annotations

import re

from tests.local_azure.azure import LocalAzure
from tests.local_azure.errors import invalid_value, missing_parameter
from tests.local_azure.providers.compute.image_sources import IMAGE, ImageSource, managed_image_source
from tests.local_azure.providers.galleries.gallery_sources import gallery_image_source, is_gallery_reference
from tests.local_azure.providers.marketplace.marketplace_catalogue import platform_image_source
from tests.local_azure.store import Json, Resource

_PLATFORM = re.compile(
    r"/subscriptions/[^/]+/providers/microsoft\.compute/locations/[^/]+/publishers/([^/]+)/artifacttypes/vmimage"
    r"/offers/([^/]+)/skus/([^/]+)/versions/([^/]+)",
    re.IGNORECASE,
)
_GALLERY_IDS = ("id", "sharedGalleryImageId", "communityGalleryImageId")


def image_disk(azure: LocalAzure, disk: Resource, creation: Json) -> Json:
    """What is hidden of a disk made of one disk of an image: `source`, `source_size` and `inherited`.

    Without `lun` it is the disk of the operating system. ArmError for an image that cannot be used.
    """
    for key in ("imageReference", "galleryImageReference"):
        reference = creation.get(key)
        if reference is None:
            continue
        path = f"creationData.{key}"
        if not isinstance(reference, dict):
            raise invalid_value(path)
        image = _image(azure, disk, reference, path)
        lun = reference.get("lun")
        if lun is None:
            content = image.os_disk
        elif isinstance(lun, int) and lun in dict(image.data_disks):
            content = image.data_disk(lun)
        else:
            raise invalid_value(f"{path}.lun")
        inherited: Json = {}
        if lun is None:
            inherited = {
                "osType": image.os_type,
                "hyperVGeneration": image.generation,
                "supportedCapabilities": {"architecture": image.architecture},
            }
            if image.plan:
                inherited["purchasePlan"] = image.plan
        return {
            "source": list(content.blob) if content.blob else None,
            "source_size": content.size_bytes,
            "inherited": inherited,
        }
    raise missing_parameter("creationData.imageReference")


def _image(azure: LocalAzure, disk: Resource, reference: Json, path: str) -> ImageSource:
    given = [key for key in _GALLERY_IDS if reference.get(key) is not None]
    if len(given) != 1 or not isinstance(reference[given[0]], str):
        raise missing_parameter(f"{path}.id") if not given else invalid_value(path)
    image_id = str(reference[given[0]])
    platform = _PLATFORM.fullmatch(image_id)
    if platform:
        parts = dict(zip(("publisher", "offer", "sku", "version"), platform.groups(), strict=True))
        return platform_image_source(azure, parts, disk.location, subscription=disk.subscription)
    if f"/providers/{IMAGE}/".lower() in image_id.lower():
        return managed_image_source(azure, image_id, disk.location)
    if is_gallery_reference(reference):
        return gallery_image_source(azure, reference, disk.location, subscription=disk.subscription)
    raise invalid_value(f"{path}.{given[0]}")
