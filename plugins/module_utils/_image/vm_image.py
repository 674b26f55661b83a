# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Finds the image a virtual machine is to be made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    parse_resource_id,
    same_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import KIND_WORDS
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_parsing import SourceParser

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_COMPUTE_API = "2024-07-01"
_ID_MEMBERS = ("id", "sharedGalleryImageId", "communityGalleryImageId")


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
    """The imageReference for option `image`, in any spelling of a source. Raises InvalidInput."""
    source = SourceParser(subscription, resource_group, "image").parse(image)
    if source.reference is None:
        raise InvalidInput(
            f"image: of {KIND_WORDS[source.kind]} {source} no virtual machine is made directly.",
            remedy="Name an image: of the Marketplace, of a gallery, or a managed image.",
        )
    return source.reference


def same_image(current: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Whether a machine's imageReference is the wanted one; "latest" is any version."""
    if not current:
        return False
    for member, value in wanted.items():
        if member in _ID_MEMBERS:
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
