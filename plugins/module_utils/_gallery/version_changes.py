# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What of a version that is there already can be brought to what is asked for, and what cannot.

Azure lets regions, replicas, the end of life, the protection and "latest" of a version be changed, and
neither its disks nor its replication mode. Source: Gallery Image Versions - Create Or Update of Azure's REST
reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime, timezone
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import changes as differences
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.times import moment
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.publishing import (
    Publishing,
    Region,
    said,
)

# What a client may say of a version's safety; policy violations are reported by Azure alone.
_SAFETY = ("allowDeletionOfReplicatedLocations", "blockDeletionBeforeEndOfLife")


def is_replicated(version: Mapping[str, Any] | None) -> bool:
    """Whether machines can be made of it in some region, whatever became of others. Read with its status."""
    status = ((version or {}).get("properties") or {}).get("replicationStatus") or {}
    return any(str(each.get("state")).casefold() == "completed" for each in status.get("summary") or [])


def luns_of(version: Mapping[str, Any]) -> list[int]:
    """The LUNs of the version's data disks."""
    storage = version["properties"].get("storageProfile") or {}
    return [int(disk["lun"]) for disk in storage.get("dataDiskImages") or []]


def regions_of(version: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The version's regions, in wire shape, by their names as in requests."""
    publishing = version["properties"].get("publishingProfile") or {}
    return {normalize_location(each["name"]): each for each in publishing.get("targetRegions") or []}


def locked_regions(version: Mapping[str, Any], wanted: Publishing) -> list[str]:
    """The regions that the version has, that are not wanted, and that its safety profile keeps it in."""
    safety = version["properties"].get("safetyProfile") or {}
    allowed = wanted.allow_deletion_of_replicated_locations
    if allowed is None:
        allowed = bool(safety.get("allowDeletionOfReplicatedLocations"))
    if allowed or not wanted.regions:
        return []
    return sorted(set(regions_of(version)) - {region.name for region in wanted.regions})


def changed_version(
    version: Mapping[str, Any], wanted: Publishing, tags: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """The body of the PUT that brings the version to what is wanted, and the options that it changes.

    What is not said stays as it is. `tags`: those it is to have in the end.
    """
    properties = version["properties"]
    present = properties.get("publishingProfile") or {}
    publishing = {name: value for name, value in present.items() if name != "publishedDate"}
    end = moment(str(publishing.get("endOfLifeDate") or ""))
    if end is not None and end <= datetime.now(timezone.utc):
        # Azure refuses a date that has passed, even the one that it has shown itself.
        del publishing["endOfLifeDate"]
    changed = []
    for option, (member, asked) in wanted.common().items():
        if not _same(member, present.get(member), asked):
            publishing[member] = asked
            changed.append(option)
    before = regions_of(version)
    after = _regions(before, wanted, luns_of(version))
    if set(after) != set(before) or any(_differ(before[name], after[name]) for name in after):
        changed.append("regions")
    publishing["targetRegions"] = list(after.values())
    profiles = _profiles(properties)
    for option, (member, asked_bool) in wanted.safety().items():
        if bool((properties.get("safetyProfile") or {}).get(member)) != asked_bool:
            profiles.setdefault("safetyProfile", {})[member] = asked_bool
            changed.append(option)
    if dict(tags) != (version.get("tags") or {}):
        changed.append("tags")
    body = {
        "location": version["location"],
        "tags": dict(tags),
        "properties": {
            "publishingProfile": publishing,
            "storageProfile": _storage(properties.get("storageProfile") or {}),
            **profiles,
        },
    }
    return body, changed


def _regions(
    before: Mapping[str, Mapping[str, Any]], wanted: Publishing, luns: list[int]
) -> dict[str, dict[str, Any]]:
    asked = wanted.regions or tuple(map(Region, before))
    common = said(
        {"regionalReplicaCount": wanted.replicas, "storageAccountType": wanted.storage_account_type}
    )
    return {region.name: {**before.get(region.name, {}), **common, **region.body(luns)} for region in asked}


def _differ(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a region has to change. Its name is spelled in several ways, and a flag not said is false."""
    compared = {name: value for name, value in after.items() if name != "name"}
    return bool(differences({"excludeFromLatest": False, **before}, compared))


def _same(member: str, present: Any, asked: Any) -> bool:
    if member == "endOfLifeDate":
        return moment(str(present or "")) == moment(str(asked))
    if member == "excludeFromLatest":
        return bool(present) == bool(asked)
    return bool(present == asked)


def _profiles(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The profiles that stay as they are, without what only Azure says."""
    kept = {name: properties[name] for name in ("safetyProfile", "securityProfile") if name in properties}
    if "safetyProfile" in kept:
        safety = kept["safetyProfile"]
        kept["safetyProfile"] = {name: safety[name] for name in _SAFETY if name in safety}
    return kept


def _storage(present: Mapping[str, Any]) -> dict[str, Any]:
    """The same disks again, without the sizes, which only Azure says."""
    storage = deepcopy(dict(present))
    for disk in (storage.get("osDiskImage") or {}, *(storage.get("dataDiskImages") or [])):
        disk.pop("sizeInGB", None)
    return storage
