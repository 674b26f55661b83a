# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""From an imageReference of a request to what is behind it."""

from __future__ import annotations

from tests.local_azure.azure import LocalAzure
from tests.local_azure.errors import invalid_value, missing_parameter
from tests.local_azure.providers.compute.image_sources import ImageSource, managed_image_source
from tests.local_azure.providers.galleries.gallery_sources import gallery_image_source
from tests.local_azure.providers.marketplace.marketplace_catalogue import platform_image_source
from tests.local_azure.store import Json

_GALLERY_FIELDS = ("sharedGalleryImageId", "communityGalleryImageId")


def resolve_image(azure: LocalAzure, reference: Json, location: str, *, subscription: str) -> ImageSource:
    """The image that `reference` names, usable in `location`.

    Its members: `id` of a managed image, a gallery's definition or version; sharedGalleryImageId;
    communityGalleryImageId; or publisher, offer, sku and version. ArmError for what is missing, elsewhere,
    unfinished or contradictory. `subscription` is that of the resource it is for.
    """
    image_id = reference.get("id")
    named = [k for k in ("id", *_GALLERY_FIELDS, "publisher") if reference.get(k)]
    if not named:
        raise missing_parameter("imageReference.publisher")
    if len(named) > 1:
        raise invalid_value(
            "imageReference",
            f"Only one kind of image may be referred to; the request has {' and '.join(named)}.",
        )
    if named == ["publisher"]:
        return platform_image_source(azure, reference, location, subscription=subscription)
    if named == ["id"] and "/providers/microsoft.compute/galleries/" not in str(image_id).lower():
        return managed_image_source(azure, str(image_id), location)
    return gallery_image_source(azure, reference, location, subscription=subscription)


def shown_reference(reference: Json, image: ImageSource) -> Json:
    """The reference as answered: ids as they are, and the version that `latest` meant."""
    kept = {k: v for k, v in reference.items() if v is not None}
    if image.is_managed_image:
        kept["id"] = image.id
    if image.exact_version is not None:
        kept["exactVersion"] = image.exact_version
    return kept
