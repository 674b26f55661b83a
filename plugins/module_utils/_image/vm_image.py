# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Finds the image a virtual machine is to be made from, in every spelling Azure has for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    is_resource_id,
    normalize_location,
    parse_resource_id,
    resource_id,
    same_resource,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_COMPUTE_API = "2024-07-01"
_MARKETPLACE = ("publisher", "offer", "sku", "version")
_ID_MEMBERS = {
    "id": "id",
    "shared_gallery_image_id": "sharedGalleryImageId",
    "community_gallery_image_id": "communityGalleryImageId",
}
_KNOWN_TYPES = (
    "microsoft.compute/images",
    "microsoft.compute/galleries/images",
    "microsoft.compute/galleries/images/versions",
)


class VmImage(NamedTuple):
    """`reference` is the imageReference of the request; the rest is known of managed images only.

    `generalized` None: not known. `data_disks` are those of the image, in wire shape. Sizes are GiB.
    """

    reference: dict[str, Any]
    managed: bool = False
    location: str | None = None
    os_type: str | None = None
    generalized: bool | None = None
    generation: str | None = None
    os_disk_size_gb: int | None = None
    data_disks: tuple[dict[str, Any], ...] = ()


def image_reference(image: str | Mapping[str, Any], subscription: str, resource_group: str) -> dict[str, Any]:
    """The imageReference for option `image`: an id, a name, publisher:offer:sku:version, or a dictionary."""
    if isinstance(image, str):
        return _reference_of_text(image, subscription, resource_group)
    given = {name: value for name, value in image.items() if value not in (None, "")}
    for option, member in _ID_MEMBERS.items():
        if set(given) == {option}:
            return _reference_of_id(str(given[option])) if option == "id" else {member: str(given[option])}
    if given and set(given) <= {"name", "resource_group"} and "name" in given:
        group = str(given.get("resource_group", resource_group))
        return {"id": resource_id(subscription, group, "Microsoft.Compute", "images", str(given["name"]))}
    if set(given) <= set(_MARKETPLACE) and set(_MARKETPLACE[:3]) <= set(given):
        return {"version": "latest", **{name: str(value) for name, value in given.items()}}
    raise InvalidInput(
        f"image: a dictionary with {', '.join(sorted(image)) or 'nothing in it'} names no image.",
        remedy="Give publisher, offer, sku and version; or name and resource_group; or one of id,"
        " shared_gallery_image_id and community_gallery_image_id.",
    )


def _reference_of_text(text: str, subscription: str, resource_group: str) -> dict[str, Any]:
    start = text.lower()
    if start.startswith("/sharedgalleries/"):
        return {"sharedGalleryImageId": text}
    if start.startswith("/communitygalleries/"):
        return {"communityGalleryImageId": text}
    if text.count(":") == len(_MARKETPLACE) - 1:
        return dict(zip(_MARKETPLACE, text.split(":"), strict=True))
    if text.startswith("/"):
        return _reference_of_id(text)
    return {"id": resource_id(subscription, resource_group, "Microsoft.Compute", "images", text)}


def _reference_of_id(text: str) -> dict[str, Any]:
    if not is_resource_id(text) or parse_resource_id(text).resource_type.lower() not in _KNOWN_TYPES:
        raise InvalidInput(
            f"image: {text} is not the id of an image.",
            remedy="Give the id of a managed image, of an image definition or of an image version.",
        )
    return {"id": str(parse_resource_id(text))}


def same_image(current: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Whether a machine's imageReference is the wanted one; "latest" is any version."""
    if not current:
        return False
    for member, value in wanted.items():
        if member in _ID_MEMBERS.values():
            if not same_resource(current.get(member), value):
                return False
        elif not (member == "version" and value == "latest") and current.get(member) != value:
            return False
    return True


def find_image(session: AzureSession, reference: dict[str, Any]) -> VmImage:
    """Look a managed image up and check that it can be used; other images are left to Azure to judge."""
    if "id" not in reference:
        return VmImage(reference)
    parsed = parse_resource_id(reference["id"])
    if parsed.resource_type.lower() != "microsoft.compute/images":
        return VmImage(reference)
    missing = InvalidInput(
        f"image: there is no managed image {parsed.name} in resource group {parsed.resource_group}"
        f" of subscription {parsed.subscription}.",
        remedy="Check its name, and give its id when it is in another resource group.",
    )
    try:
        # By id, since an image may come from another subscription.
        image = session.arm.get(str(parsed), _COMPUTE_API)
    except NotFound as error:
        raise missing from error
    if image is None:
        raise missing
    properties = image["properties"]
    state = properties.get("provisioningState", "Succeeded")
    if state != "Succeeded":
        raise InvalidInput(
            f"image: {parsed.name} cannot be used, its provisioning state is {state}.",
            remedy="Wait until it is complete, or make it anew." if state != "Failed" else "Make it anew.",
        )
    storage = properties.get("storageProfile") or {}
    os_disk = storage.get("osDisk") or {}
    return VmImage(
        reference={"id": image["id"]},
        managed=True,
        location=normalize_location(image["location"]),
        os_type=os_disk.get("osType"),
        generalized=os_disk.get("osState", "Generalized") == "Generalized",
        generation=properties.get("hyperVGeneration"),
        os_disk_size_gb=os_disk.get("diskSizeGB"),
        data_disks=tuple(storage.get("dataDisks") or ()),
    )
