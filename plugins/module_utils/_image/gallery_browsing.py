# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Looks through galleries of others: those shared with a subscription or tenant, and community galleries.

Source: Shared Galleries, Shared Gallery Images, Community Galleries and their versions, of Azure's REST
reference. Azure shows them by region, and has no list of community galleries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import GALLERY_API
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    controllers_of,
    feature_values,
    plan_of,
    security_type_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_galleries import (
    counts_as_latest,
    has_ended,
    public_path,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_marketplace import version_key
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    COMMUNITY,
    KIND_WORDS,
    PUBLIC_SEGMENTS,
    PublicGalleryImage,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


@dataclass(frozen=True)
class GalleryQuery:
    """What is looked for. `kind` is that of the galleries; `gallery` None: all that are shared; `definition`
    None: all; `versions`: whether to list them, or to read the definitions only."""

    kind: str
    location: str
    gallery: str | None = None
    definition: str | None = None
    shared_to: str = "subscription"
    versions: bool = False
    search: tuple[str, ...] = ()

    def found(self, *names: str) -> bool:
        text = "/".join(names).casefold()
        return all(word in text for word in self.search)


def browse_galleries(session: AzureSession, query: GalleryQuery) -> list[dict[str, Any]]:
    """The galleries, each with its images. Raises NotFound for one that is named and not seen."""
    found: Sequence[Mapping[str, Any]]
    if query.gallery is not None:
        found = [_gallery(session, query, query.gallery)]
    else:
        path = public_path(session, PUBLIC_SEGMENTS[query.kind], query.location)
        shared = {"sharedTo": "tenant"} if query.shared_to == "tenant" else {}
        found = session.arm.list(path, GALLERY_API, **shared)
    listed = sorted(found, key=lambda each: str(each["name"]).casefold())
    images = in_parallel(lambda each: _images(session, query, str(each["name"])), listed)
    return [
        {**_gallery_facts(gallery, query), "images": inside}
        for gallery, inside in zip(listed, images, strict=True)
        if inside or query.gallery or not query.search
    ]


def _gallery(session: AzureSession, query: GalleryQuery, name: str) -> Mapping[str, Any]:
    path = public_path(session, PUBLIC_SEGMENTS[query.kind], query.location, name)
    missing = NotFound(
        f"gallery: no {KIND_WORDS[query.kind].removesuffix(' image')} {name} is seen in {query.location}.",
        remedy="Check its name, which is its public or unique one, and the region.",
    )
    try:
        found = session.arm.get(path, GALLERY_API)
    except NotFound as error:
        raise missing from error
    if found is None:
        raise missing
    return found


def _images(session: AzureSession, query: GalleryQuery, gallery: str) -> list[dict[str, Any]]:
    segment = PUBLIC_SEGMENTS[query.kind]
    path = public_path(session, segment, query.location, gallery, "images")
    if query.definition is None:
        definitions = session.arm.list(path, GALLERY_API)
    else:
        one = session.arm.get(f"{path}/{query.definition}", GALLERY_API)
        if one is None:
            raise NotFound(
                f"definition: gallery {gallery} shows no definition {query.definition} in {query.location}.",
                remedy="Leave definition out to list what it shows.",
            )
        definitions = [one]
    fitting = [each for each in definitions if query.found(gallery, str(each["name"]))]
    fitting.sort(key=lambda each: str(each["name"]).casefold())
    if not query.versions:
        return [_definition_facts(each, query, gallery) for each in fitting]

    def versions(definition: Mapping[str, Any]) -> list[dict[str, Any]]:
        return session.arm.list(f"{path}/{definition['name']}/versions", GALLERY_API)

    return [
        {**_definition_facts(each, query, gallery), **_versions(listed, query, gallery, str(each["name"]))}
        for each, listed in zip(fitting, in_parallel(versions, fitting), strict=True)
    ]


def _gallery_facts(gallery: Mapping[str, Any], query: GalleryQuery) -> dict[str, Any]:
    properties = gallery.get("properties") or {}
    facts = {
        "name": gallery["name"],
        "location": normalize_location(str(gallery.get("location") or query.location)),
        "unique_id": (gallery.get("identifier") or {}).get("uniqueId"),
    }
    if query.kind != COMMUNITY:
        return facts
    metadata = properties.get("communityMetadata") or gallery.get("communityMetadata") or {}
    return {
        **facts,
        "publisher_uri": metadata.get("publisherUri"),
        "publisher_contact": metadata.get("publisherContact"),
        "eula": metadata.get("eula"),
        "public_names": list(metadata.get("publicNames") or []),
        "disclaimer": properties.get("disclaimer") or gallery.get("disclaimer"),
    }


def _definition_facts(definition: Mapping[str, Any], query: GalleryQuery, gallery: str) -> dict[str, Any]:
    properties = definition.get("properties") or {}
    features = feature_values(properties.get("features"))
    end = properties.get("endOfLifeDate")
    return {
        "name": definition["name"],
        "reference": str(PublicGalleryImage(query.kind, gallery, str(definition["name"]))),
        "os_type": properties.get("osType"),
        "os_state": properties.get("osState"),
        "generation": properties.get("hyperVGeneration") or "V1",
        "architecture": properties.get("architecture") or "x64",
        "security_type": security_type_of(features),
        "disk_controllers": list(controllers_of(features)),
        "features": features,
        "plan": plan_of(properties.get("purchasePlan")),
        "end_of_life": end,
        "ended": has_ended(end) if end else False,
    }


def _versions(
    listed: list[dict[str, Any]], query: GalleryQuery, gallery: str, definition: str
) -> dict[str, Any]:
    """The versions, the highest first, and which of them is the latest."""
    ordered = sorted(listed, key=lambda each: version_key(str(each["name"])), reverse=True)
    latest = next((each for each in ordered if counts_as_latest(each)), None)
    return {
        "latest": str(latest["name"]) if latest else None,
        "versions": [_version_facts(each, query, gallery, definition) for each in ordered],
    }


def _version_facts(
    version: Mapping[str, Any], query: GalleryQuery, gallery: str, definition: str
) -> dict[str, Any]:
    properties = version.get("properties") or {}
    storage = properties.get("storageProfile") or {}
    end = properties.get("endOfLifeDate")
    return {
        "version": version["name"],
        "reference": str(PublicGalleryImage(query.kind, gallery, definition, str(version["name"]))),
        "published": properties.get("publishedDate"),
        "exclude_from_latest": bool(properties.get("excludeFromLatest")),
        "end_of_life": end,
        "ended": has_ended(end) if end else False,
        "os_disk_size_gb": (storage.get("osDiskImage") or {}).get("diskSizeGB"),
        "data_disks": [
            {"lun": disk["lun"], "size_gb": disk.get("diskSizeGB")}
            for disk in storage.get("dataDiskImages") or []
        ],
    }
