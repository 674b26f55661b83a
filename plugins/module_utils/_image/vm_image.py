# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Finds the image a virtual machine is to be made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import same_resource
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    GENERALIZED,
    SourceDisk,
    SourceFacts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import SourceLookup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    KIND_WORDS,
    MANAGED_IMAGE,
    SourceName,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_parsing import SourceParser

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_FORBIDDEN = 403
_ID_MEMBERS = ("id", "sharedGalleryImageId", "communityGalleryImageId")


class VmImage(NamedTuple):
    """`reference` is the imageReference of the request; the rest is known of what could be read.

    `location` is the only region of a managed image; `generalized` None: not known. `data_disks` are those
    of the image, in wire shape. Sizes are GiB.
    """

    reference: dict[str, Any]
    managed: bool = False
    location: str | None = None
    os_type: str | None = None
    generalized: bool | None = None
    generation: str | None = None
    os_disk_size_gb: int | None = None
    data_disks: tuple[dict[str, Any], ...] = ()
    facts: SourceFacts | None = None


def image_source(image: str | Mapping[str, Any], subscription: str, resource_group: str) -> SourceName:
    """The image that option `image` names, in any spelling of a source. Raises InvalidInput."""
    source = SourceParser(subscription, resource_group, "image").parse(image)
    if source.reference is None:
        raise InvalidInput(
            f"image: of {KIND_WORDS[source.kind]} {source} no virtual machine is made directly.",
            remedy="Name an image: of the Marketplace, of a gallery, or a managed image.",
        )
    return source


def image_reference(image: str | Mapping[str, Any], subscription: str, resource_group: str) -> dict[str, Any]:
    """The imageReference for option `image`. Raises InvalidInput."""
    return image_source(image, subscription, resource_group).reference or {}


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


def find_image(session: AzureSession, source: SourceName, location: str | None) -> VmImage:
    """Look the image up, as it is seen in the region. Raises NotFound when it is not there.

    An image that this identity may not read is left to Azure to judge.
    """
    reference = source.reference or {}
    try:
        facts = SourceLookup(session, location=location).describe(source, "image")
    except AzureError as error:
        if error.status == _FORBIDDEN:
            return VmImage(reference)
        raise
    managed = source.kind == MANAGED_IMAGE
    return VmImage(
        reference={"id": facts.id} if managed else reference,
        managed=managed,
        location=facts.location if managed else None,
        os_type=facts.os_type,
        generalized=None if facts.os_state is None else facts.os_state == GENERALIZED,
        generation=facts.generation,
        os_disk_size_gb=facts.os_disk.size_gb if facts.os_disk else None,
        data_disks=tuple(map(_wire_disk, facts.data_disks)),
        facts=facts,
    )


def _wire_disk(disk: SourceDisk) -> dict[str, Any]:
    wire = {"lun": disk.lun, "caching": disk.caching, "storageAccountType": disk.storage_account_type}
    return {name: value for name, value in wire.items() if value is not None}
