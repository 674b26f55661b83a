# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Image versions as sources of virtual machines and disks: own, shared and community galleries."""

from __future__ import annotations

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.errors import ArmError, invalid_value
from tests.local_azure.providers.compute.image_sources import DiskContent, ImageSource
from tests.local_azure.providers.galleries.gallery_ids import (
    COMMUNITY,
    SHARED,
    community_gallery,
    shared_gallery,
    split_public_id,
)
from tests.local_azure.providers.galleries.gallery_images import controllers_of, security_type_of
from tests.local_azure.providers.galleries.gallery_kinds import DEFINITION, VERSION
from tests.local_azure.providers.galleries.gallery_publishing import region_name
from tests.local_azure.providers.galleries.gallery_replication import replicated
from tests.local_azure.providers.galleries.gallery_version_rules import version_key
from tests.local_azure.store import Json, Resource

_PUBLIC_KEYS = {"sharedGalleryImageId": SHARED, "communityGalleryImageId": COMMUNITY}


def is_gallery_reference(reference: Json) -> bool:
    """Whether an `imageReference` names a gallery's image, in one of the three ways there are."""
    if any(reference.get(key) is not None for key in _PUBLIC_KEYS):
        return True
    return "/providers/microsoft.compute/galleries/" in str(reference.get("id") or "").lower()


def gallery_image_source(
    azure: LocalAzure, reference: Json, location: str, *, subscription: str = ""
) -> ImageSource:
    """The image version behind an `imageReference` for a machine in `location`.

    A definition's id stands for its latest version there. `subscription` is the machine's own, needed for
    `sharedGalleryImageId`, which only those can use whom the gallery is shared with. ArmError 404
    GalleryImageNotFound where the image is missing or has no copy in the region.
    """
    definition, wanted, shown_id = _definition(azure, reference, location, subscription)
    if wanted is None or wanted.lower() == "latest":
        version = _latest(azure, definition, location, shown_id)
    else:
        found = azure.store.get(f"{definition.id}/versions/{wanted}")
        if found is None or not _is_ready(found) or not replicated(found, location):
            raise _not_available(shown_id, location)
        version = found
    shown_id = shown_id if wanted else f"{shown_id}/versions/{version.name}"
    return _source(definition, version, shown_id, location)


def _definition(
    azure: LocalAzure, reference: Json, location: str, subscription: str
) -> tuple[Resource, str | None, str]:
    """The definition, the version asked for, and the id in the words of the request."""
    for key, segment in _PUBLIC_KEYS.items():
        value = reference.get(key)
        if value is None:
            continue
        parts = split_public_id(value) if isinstance(value, str) else None
        if parts is None or parts[0] != segment:
            raise invalid_value(f"imageReference.{key}")
        gallery = (
            shared_gallery(azure, parts[1], subscription)
            if segment == SHARED
            else community_gallery(azure, parts[1])
        )
        definition = azure.store.get(f"{gallery.id}/images/{parts[2]}") if gallery else None
        if definition is None:
            raise _not_available(value, location)
        return definition, parts[3], value
    image_id = str(reference.get("id") or "")
    found = azure.store.get(image_id)
    if found is not None and found.type == DEFINITION:
        return found, None, found.id
    above, _unused, name = image_id.partition("/versions/")
    definition = azure.store.get(above)
    if definition is None or definition.type != DEFINITION or not name:
        raise _not_available(image_id, location)
    return definition, name, f"{definition.id}/versions/{name}"


def _latest(azure: LocalAzure, definition: Resource, location: str, shown_id: str) -> Resource:
    """The highest version that counts as latest and has a copy in the region."""
    counting = [
        v
        for v in azure.store.below(definition.id, VERSION)
        if _is_ready(v) and not v.properties["publishingProfile"]["excludeFromLatest"]
    ]
    if not counting:
        raise _not_found(f'There is no latest image version exists for "{shown_id}"')
    here = [v for v in counting if replicated(v, location) and not _left_out_here(v, location)]
    if not here:
        raise _not_available(shown_id, location)
    return max(here, key=lambda v: version_key(v.name) or (0, 0, 0))


def _left_out_here(version: Resource, location: str) -> bool:
    for region in version.properties["publishingProfile"]["targetRegions"]:
        if region_name(region["name"]) == location:
            return bool(region.get("excludeFromLatest"))
    return False


def _is_ready(version: Resource) -> bool:
    """An update leaves the copies that are there usable, even one that fails in another region."""
    return version.state in ("Succeeded", "Updating", "Failed") and "blobs" in version.hidden


def _encryption_set(version: Resource, location: str, key: str) -> str | None:
    """The disk encryption set of one disk's copy in the region; `key` is "os" or the LUN."""
    for region in version.properties["publishingProfile"]["targetRegions"]:
        if region_name(region["name"]) != location:
            continue
        encryption = region.get("encryption") or {}
        disks = {str(disk.get("lun")): disk for disk in encryption.get("dataDiskImages") or []}
        disks["os"] = encryption.get("osDiskImage") or {}
        found = disks.get(key, {}).get("diskEncryptionSetId")
        return str(found) if found else None
    return None


def _source(definition: Resource, version: Resource, shown_id: str, location: str) -> ImageSource:
    hidden, properties = version.hidden, definition.properties
    release = hidden.get("os_release")

    def content(key: str) -> DiskContent:
        return DiskContent(
            size_bytes=int(hidden["sizes"][key]),
            blob=BlobAddress(*hidden["blobs"][key]),
            caching=str(hidden["caching"][key]),
            encryption_set=_encryption_set(version, location, key),
        )

    luns = sorted(int(key) for key in hidden["sizes"] if key != "os")
    plan = properties.get("purchasePlan")
    return ImageSource(
        id=shown_id,
        os_type=str(properties["osType"]),
        os_state="Generalized" if properties["osState"] == "Generalized" else "Specialized",
        generation="V2" if properties["hyperVGeneration"] == "V2" else "V1",
        architecture="Arm64" if properties["architecture"] == "Arm64" else "x64",
        os_disk=content("os"),
        data_disks=tuple((lun, content(str(lun))) for lun in luns),
        security_type=security_type_of(definition),
        controllers=controllers_of(definition),
        plan=dict(plan) if plan else None,
        exact_version=version.name,
        os_release=(release[0], release[1]) if release else None,
    )


def _not_available(image_id: str, location: str) -> ArmError:
    return _not_found(
        f"The gallery image {image_id} is not available in {location} region. Please contact image owner to "
        "replicate to this region, or change your requested region."
    )


def _not_found(message: str) -> ArmError:
    return ArmError(404, "GalleryImageNotFound", message, target="imageReference")
