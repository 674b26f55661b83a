# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Looks images in galleries up: in those we may read by id, in shared and in community galleries.

Source: Gallery Images, Gallery Image Versions, Shared Gallery Images and Community Gallery Images, of Azure's
REST reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.times import moment
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import GALLERY_API
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    SourceDisk,
    SourceFacts,
    controllers_of,
    feature_values,
    plan_of,
    security_type_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_marketplace import version_key
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    KIND_WORDS,
    PUBLIC_SEGMENTS,
    GalleryImage,
    PublicGalleryImage,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# An update, or one that fails in another region, leaves the copies usable that are there.
_USABLE = ("succeeded", "updating")


def describe_gallery(session: AzureSession, source: GalleryImage, location: str | None) -> SourceFacts:
    """The version, or the latest one of the definition. Raises NotFound where there is none.

    :param location: latest is the latest there; None: the latest of all
    """
    definition, version = _definition_and_version(
        session, source, source.definition_id, location, query={"$expand": "ReplicationStatus"}
    )
    pinned = GalleryImage(
        source.subscription, source.resource_group, source.gallery, source.definition, str(version["name"])
    )
    profile = (version.get("properties") or {}).get("publishingProfile") or {}
    return _facts(
        source,
        pinned,
        definition,
        version,
        subscription=source.subscription,
        location=normalize_location(version["location"]),
        regions=_regions(version),
        tags=dict(version.get("tags") or {}),
        exclude_from_latest=profile.get("excludeFromLatest"),
    )


def _definition_and_version(
    session: AzureSession,
    source: GalleryImage | PublicGalleryImage,
    path: str,
    location: str | None,
    *,
    seen_from: str = "",
    query: Mapping[str, str] | None = None,
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The definition at `path`, and the version of it that is named or the latest one; raises NotFound.

    :param location: latest is the latest there; None: the latest of all
    :param seen_from: the region that is asked about others' galleries
    :param query: how a version is asked for that is named
    """

    def read(what: str) -> Any:
        if what == "definition":
            return session.arm.get(path, GALLERY_API)
        if source.version is None:
            return session.arm.list(f"{path}/versions", GALLERY_API)
        return session.arm.get(f"{path}/versions/{source.version}", GALLERY_API, **(query or {}))

    missing = NotFound(
        f"there is no definition {source.definition} in gallery {source.gallery}.",
        remedy="Check the names, the resource group and the region; a file's path begins with / or ./",
    )
    try:
        definition, found = in_parallel(read, ("definition", "versions"))
    except NotFound as error:
        raise missing from error
    if definition is None:
        raise missing
    if source.version is None:
        return definition, _latest(source, found, location)
    if found is None:
        raise _no_version(source, f"version {source.version}{f' in {seen_from}' if seen_from else ''}")
    return definition, found


def _no_version(source: GalleryImage | PublicGalleryImage, what: str) -> NotFound:
    return NotFound(
        f"{KIND_WORDS[source.kind]} {source.definition} of gallery {source.gallery} has no {what}.",
        remedy="Check the version, and that it is replicated to the region.",
    )


def _latest(
    source: GalleryImage | PublicGalleryImage, versions: Iterable[Mapping[str, Any]], location: str | None
) -> Mapping[str, Any]:
    """As Azure takes it: the highest version that counts, in the region if one is named."""
    counting = [each for each in versions if counts_as_latest(each, location)]
    if not counting:
        raise _no_version(source, f"latest version{f' in {location}' if location else ''}")
    return max(counting, key=lambda each: version_key(str(each["name"])))


def counts_as_latest(version: Mapping[str, Any], location: str | None = None) -> bool:
    """Whether Azure may take the version for "latest", in the region if one is named."""
    properties = version.get("properties") or {}
    profile = properties.get("publishingProfile") or properties
    state = str(properties.get("provisioningState") or "Succeeded").casefold()
    if profile.get("excludeFromLatest") or state not in _USABLE:
        return False
    targets = profile.get("targetRegions")
    if location is None or targets is None:
        return True
    here = [each for each in targets if normalize_location(each["name"]) == location]
    return bool(here) and not here[0].get("excludeFromLatest")


def _regions(version: Mapping[str, Any]) -> tuple[str, ...]:
    """Where it can be used: where its replication is complete, or is to be, where that was not read."""
    properties = version.get("properties") or {}
    summary = (properties.get("replicationStatus") or {}).get("summary")
    if summary is not None:
        return tuple(
            normalize_location(each["region"]) for each in summary if each.get("state") == "Completed"
        )
    targets = (properties.get("publishingProfile") or {}).get("targetRegions") or []
    return tuple(normalize_location(each["name"]) for each in targets)


def describe_public(session: AzureSession, source: PublicGalleryImage, location: str) -> SourceFacts:
    """The version of a shared or community gallery, as it is seen in the region."""
    segment = PUBLIC_SEGMENTS[source.kind]
    path = public_path(session, segment, location, source.gallery, "images", source.definition)
    definition, version = _definition_and_version(session, source, path, None, seen_from=location)
    pinned = PublicGalleryImage(source.kind, source.gallery, source.definition, str(version["name"]))
    # Who looks from one region is not told of others.
    return _facts(source, pinned, definition, version, location=location)


def public_path(session: AzureSession, segment: str, location: str, *parts: str) -> str:
    """A path below the galleries that others share; `segment` is SharedGalleries or CommunityGalleries."""
    kind = f"{segment[0].lower()}{segment[1:]}"
    base = f"/subscriptions/{session.subscription_id}/providers/Microsoft.Compute/locations/{location}/{kind}"
    return "/".join((base, *parts))


def _facts(
    source: GalleryImage | PublicGalleryImage,
    pinned: GalleryImage | PublicGalleryImage,
    definition: Mapping[str, Any],
    version: Mapping[str, Any],
    **more: Any,
) -> SourceFacts:
    of_all = definition.get("properties") or {}
    properties = version.get("properties") or {}
    profile = properties.get("publishingProfile") or properties
    storage = properties.get("storageProfile") or {}
    features = feature_values(of_all.get("features"))
    ends = [each for each in (profile.get("endOfLifeDate"), of_all.get("endOfLifeDate")) if each]
    return SourceFacts(
        kind=source.kind,
        name=f"{source.gallery}/{source.definition}/{pinned.version}",
        reference=str(source),
        pinned=str(pinned),
        id=version.get("id"),
        identity=f"{pinned} {profile.get('publishedDate') or ''}".rstrip(),
        version=pinned.version,
        os_type=of_all.get("osType"),
        os_state=of_all.get("osState"),
        generation=of_all.get("hyperVGeneration") or "V1",
        architecture=of_all.get("architecture") or "x64",
        security_type=security_type_of(features),
        disk_controllers=controllers_of(features),
        features=features,
        plan=plan_of(of_all.get("purchasePlan")),
        os_disk=_disk(storage.get("osDiskImage") or {}),
        data_disks=tuple(_disk(disk) for disk in storage.get("dataDiskImages") or []),
        provisioning_state=properties.get("provisioningState"),
        end_of_life=min(ends) if ends else None,
        ended=has_ended(min(ends)) if ends else False,
        **more,
    )


def has_ended(end_of_life: str) -> bool:
    """Whether a date of Azure's has passed."""
    end = moment(end_of_life)
    return end is not None and end <= datetime.now(timezone.utc)


def _disk(disk: Mapping[str, Any]) -> SourceDisk:
    # Others' galleries call the size otherwise than one's own.
    size = disk.get("sizeInGB", disk.get("diskSizeGB"))
    return SourceDisk(
        lun=int(disk["lun"]) if "lun" in disk else None, size_gb=size, caching=disk.get("hostCaching")
    )
