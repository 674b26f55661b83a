# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Why a version cannot be made of its sources, or cannot become what it is asked to be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import BUILD_TAG
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.times import moment
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.publishing import SHALLOW, Publishing
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_changes import (
    locked_regions,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_material import (
    Material,
    made_of,
    named_sources,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_request import (
    VersionRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import check, refusals
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility_rule import (
    SOURCE,
    TARGET,
    Verdict,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_tags import SOURCES_TAG
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import definition_target

# Of each disk by itself; the others are about the system, or all disks together.
_EACH_DISK = ("source-not-ready", "source-region")


def home_of(request: VersionRequest, definition: Mapping[str, Any], material: Material) -> str:
    """The region of a new version: asked for, its source's, or one where its source is."""
    if request.location:
        return request.location
    if material.facts.location:
        return material.facts.location
    own = normalize_location(definition["location"])
    there = material.facts.regions or ()
    wanted = [own, *(region.name for region in request.publishing.regions)]
    return next((region for region in wanted if region in there), own)


def verdicts_on(
    request: VersionRequest, definition: Mapping[str, Any], material: Material, home: str
) -> list[tuple[str, Verdict]]:
    """What the compatibility rules say, errors and warnings, each with the option it is about."""
    regions = [region.name for region in request.publishing.regions]
    target = definition_target(
        definition,
        location=home,
        regions=regions or None,
        replication_mode=request.publishing.replication_mode,
    )
    options = {SOURCE: next(iter(material.sources)), TARGET: "definition"}
    found = [(options.get(each.about, each.about), each) for each in check(material.facts, target)]
    for option, facts in list(material.sources.items())[1:]:
        found += [(option, each) for each in check(facts, target, _EACH_DISK)]
    return found


def refusal_findings(verdicts: list[tuple[str, Verdict]]) -> list[Finding]:
    """Those that speak against it."""
    against = refusals(verdict for _option, verdict in verdicts)
    return [verdict.as_finding(option) for option, verdict in verdicts if verdict in against]


def content_differences(
    version: Mapping[str, Any], request: VersionRequest, material: Material | None
) -> list[str]:
    """In which respects an existing version was made of something else than is wanted, as phrases; nothing
    where the request names no source."""
    if not request.has_source:
        return []
    has = made_of((version.get("properties") or {}).get("storageProfile") or {})
    wanted = named_sources(request, material)
    if set(has) != set(wanted):
        return [f"it was made of {_listed(has)}, not of {_listed(wanted)}"]
    found = [
        f"it was made of {has[place]}, not of {source}"
        for place, source in wanted.items()
        if source is not None and has[place] not in (None, source)
    ]
    tags = version.get("tags") or {}
    recorded = None if tags.get(BUILD_TAG) else tags.get(SOURCES_TAG)
    if not found and material and material.identity and recorded not in (None, material.identity):
        found.append("its source has been replaced by another one of the same name since")
    return found


def _listed(sources: Mapping[str, str | None]) -> str:
    return ", ".join(
        source or "the latest version" if place == "whole" else f"{_place(place)} {source or ''}".rstrip()
        for place, source in sources.items()
    )


def _place(place: str) -> str:
    return "operating system disk" if place == "os" else f"data disk at LUN {place}"


def unchangeable(version: Mapping[str, Any], request: VersionRequest) -> list[Finding]:
    """Where an existing version does not comply with the options, and never will."""
    name, wanted = version["name"], request.publishing
    has: dict[str, tuple[str, str | None]] = {
        "location": (normalize_location(version["location"]), request.location),
        "replication_mode": (mode_of(version), wanted.replication_mode),
    }
    found = [
        Finding(
            "cannot-change",
            f"version {name} is there already; its {option} is {present}, not {asked}, which Azure does not"
            " change.",
            option,
            "Leave it as it is, or give another version.",
        )
        for option, (present, asked) in has.items()
        if asked not in (None, present)
    ]
    found += _regions(version, wanted)
    return found


def mode_of(version: Mapping[str, Any]) -> str:
    """How the version is replicated: Full, if nothing is said."""
    publishing = (version.get("properties") or {}).get("publishingProfile") or {}
    return str(publishing.get("replicationMode") or "Full")


def _regions(version: Mapping[str, Any], wanted: Publishing) -> list[Finding]:
    found = []
    home, name = normalize_location(version["location"]), version["name"]
    if wanted.regions and home not in [region.name for region in wanted.regions]:
        found.append(
            Finding(
                "region-mismatch",
                f"version {name} is in {home}, which is not among its regions.",
                "regions",
                f"Add {home} to the regions: a version stays in its own.",
            )
        )
    locked = locked_regions(version, wanted)
    if locked:
        found.append(
            Finding(
                "regions-protected",
                f"version {name} is in {', '.join(locked)} too, and its safety profile does not let it be"
                " removed there.",
                "regions",
                "Add that to the regions, or set allow_deletion_of_replicated_locations to true.",
            )
        )
    return found


def protected_until(version: Mapping[str, Any]) -> str | None:
    """The end of life until which the version cannot be deleted; None where nothing protects it."""
    properties = version.get("properties") or {}
    if not (properties.get("safetyProfile") or {}).get("blockDeletionBeforeEndOfLife"):
        return None
    end = str((properties.get("publishingProfile") or {}).get("endOfLifeDate") or "")
    ends = moment(end)
    return end if ends is not None and ends > datetime.now(timezone.utc) else None


def shallow_findings(wanted: Publishing) -> list[Finding]:
    """What a shallow version cannot have. Source: "Azure Compute Gallery", shallow replication."""
    if wanted.replication_mode != SHALLOW:
        return []
    counts = {"replicas": wanted.replicas}
    counts.update({f"regions {region.name}": region.replicas for region in wanted.regions})
    return [
        Finding(
            "shallow-replicas",
            f"a shallow version has one replica, not {count}.",
            option,
            "Leave it out, or set replication_mode to Full.",
        )
        for option, count in counts.items()
        if count not in (None, 1)
    ]
