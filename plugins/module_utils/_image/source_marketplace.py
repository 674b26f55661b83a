# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Looks images of the Azure Marketplace up. Source: Virtual Machine Images, of Azure's REST reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import COMPUTE_API
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import version_number
from ansible_collections.goldenimage.azure.plugins.module_utils._image.marketplace_agreements import (
    is_accepted,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    GENERALIZED,
    SourceDisk,
    SourceFacts,
    controllers_of,
    feature_values,
    plan_of,
    security_type_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    LATEST,
    MarketplaceImage,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_DEPRECATED = "Deprecated"
_GIB = 1 << 30
_FOOTER = 512
# Bytes; platform images have up to this much more than the whole GiB that Azure shows their disks with.
_FORGIVEN = 2 << 20


def collection_path(session: AzureSession, location: str, *parts: str) -> str:
    """The path of a list: the region's publishers, or the offers, SKUs or versions of the given parts."""
    place = f"/subscriptions/{session.subscription_id}/providers/Microsoft.Compute/locations/{location}"
    path = f"{place}/publishers"
    names = ("", "artifacttypes/vmimage/offers", "skus", "versions")
    for number, part in enumerate(parts, 1):
        path += f"/{part}" + (f"/{names[number]}" if number < len(names) else "")
    return path


def describe_marketplace(
    session: AzureSession, source: MarketplaceImage, location: str, *, terms: bool = True
) -> SourceFacts:
    """The image as it is in the region, its latest version resolved. Raises NotFound where there is none.

    :param terms: whether to look for the acceptance of its plan's terms
    """
    parts = (source.publisher, source.offer, source.sku)
    if source.version == LATEST:
        version, image = _latest(session, parts, location)
    else:
        version, image = source.version, _read(session, parts, source.version, location)
    facts = image_facts(MarketplaceImage(*parts, version), image, reference=str(source))
    if not facts.plan or not terms:
        return facts
    return SourceFacts(**{**vars(facts), "terms_accepted": is_accepted(session, facts.plan)})


def _read(session: AzureSession, parts: tuple[str, str, str], version: str, location: str) -> dict[str, Any]:
    path = f"{collection_path(session, location, *parts)}/{version}"
    image = session.arm.get(path, COMPUTE_API)
    if image is None:
        raise NotFound(
            f"the Marketplace has no version {version} of {':'.join(parts)} in {location}.",
            remedy="Look for one with module marketplace_info, or ask for latest.",
        )
    return image


def _latest(session: AzureSession, parts: tuple[str, str, str], location: str) -> tuple[str, dict[str, Any]]:
    """The highest version that is not deprecated, or the highest if all are; by numbers, not by letters."""
    path = collection_path(session, location, *parts)
    names = [str(each["name"]) for each in session.arm.list(path, COMPUTE_API)]
    if not names:
        raise NotFound(
            f"the Marketplace has no version of {':'.join(parts)} in {location}.",
            remedy="Look for one with module marketplace_info.",
        )
    highest = max(names, key=version_key)
    image = _read(session, parts, highest, location)
    if _state(image) != _DEPRECATED:
        return highest, image
    # Rare enough for a list with everything in it.
    listed = session.arm.list(path, COMPUTE_API, **{"$expand": "properties"})
    active = [each for each in listed if _state(each) != _DEPRECATED]
    if not active:
        return highest, image
    best = max(active, key=lambda each: version_key(str(each["name"])))
    return str(best["name"]), best


def version_key(name: str) -> tuple[int, ...]:
    """To compare versions by: their numbers."""
    number = version_number(name)
    return number or tuple(int(part) if part.isdecimal() else 0 for part in name.split("."))


def _state(image: Mapping[str, Any]) -> str | None:
    properties = image.get("properties") or {}
    return (properties.get("imageDeprecationStatus") or {}).get("imageState")


def image_facts(
    source: MarketplaceImage, image: Mapping[str, Any], *, reference: str | None = None
) -> SourceFacts:
    """The facts of one version in wire shape."""
    properties = image.get("properties") or {}
    features = feature_values(properties.get("features"))
    os_disk = properties.get("osDiskImage") or {}
    return SourceFacts(
        kind=source.kind,
        name=str(source),
        reference=reference or str(source),
        pinned=str(source),
        id=image.get("id"),
        version=source.version,
        os_type=os_disk.get("operatingSystem"),
        os_state=GENERALIZED,
        generation=properties.get("hyperVGeneration"),
        architecture=properties.get("architecture"),
        security_type=security_type_of(features),
        disk_controllers=controllers_of(features),
        features=features,
        plan=plan_of(properties.get("plan")),
        os_disk=SourceDisk(size_gb=_size(os_disk)),
        data_disks=tuple(
            SourceDisk(lun=int(disk["lun"]), size_gb=_size(disk))
            for disk in properties.get("dataDiskImages") or []
        ),
        deprecation=_deprecation(properties.get("imageDeprecationStatus") or {}),
    )


def _size(disk: Mapping[str, Any]) -> int | None:
    """GiB, rounded up; Azure tells either of two, and bytes with the VHD's footer."""
    if disk.get("sizeInGb") is not None:
        return int(disk["sizeInGb"])
    size = disk.get("sizeInBytes")
    return None if size is None else max(1, -(-(int(size) - _FOOTER - _FORGIVEN) // _GIB))


def _deprecation(status: Mapping[str, Any]) -> dict[str, Any]:
    alternative = status.get("alternativeOption") or {}
    return {
        "state": status.get("imageState"),
        "scheduled_time": status.get("scheduledDeprecationTime"),
        "alternative": alternative.get("value"),
    }
