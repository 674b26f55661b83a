# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What of a version that is there already can be brought to what is asked for, and what cannot.

Azure lets regions, replicas, the end of life and "latest" of a version be changed, and neither its disks nor
its replication mode. Source: Gallery Image Versions - Create Or Update of Azure's REST reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    same_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.evidence import moment
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import Region, TargetRequest

_COMMON = {
    "replicas": "replicaCount",
    "storage_account_type": "storageAccountType",
    "exclude_from_latest": "excludeFromLatest",
    "end_of_life": "endOfLifeDate",
}
# What a client may say of a version's safety; policy violations are reported by Azure alone.
_SAFETY = ("allowDeletionOfReplicatedLocations", "blockDeletionBeforeEndOfLife")


def said(wire: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is left to Azure."""
    return {name: value for name, value in wire.items() if value is not None}


def is_replicated(version: Mapping[str, Any] | None) -> bool:
    """Whether machines can be made of it in some region, whatever became of others. Read with its status."""
    status = ((version or {}).get("properties") or {}).get("replicationStatus") or {}
    return any(str(each.get("state")).casefold() == "completed" for each in status.get("summary") or [])


def region_body(region: Region, luns: list[int]) -> dict[str, Any]:
    """A region as a version's targetRegions have it; `luns` of the data disks, to be encrypted as well."""
    wire: dict[str, Any] = {
        "name": region.name,
        "regionalReplicaCount": region.replicas,
        "storageAccountType": region.storage_account_type,
        "excludeFromLatest": region.exclude_from_latest,
    }
    if region.disk_encryption_set:
        encrypted = {"diskEncryptionSetId": region.disk_encryption_set}
        wire["encryption"] = {"osDiskImage": encrypted}
        if luns:
            wire["encryption"]["dataDiskImages"] = [{"lun": lun, **encrypted} for lun in luns]
    return said(wire)


def changed_version(
    version: Mapping[str, Any], wanted: TargetRequest, tags: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """The body of the PUT that brings the version to what is wanted, and the options that it changes.

    What the request leaves open stays as it is. `tags`: the user's, which are added.
    """
    properties = version["properties"]
    present = properties.get("publishingProfile") or {}
    publishing = {name: value for name, value in present.items() if name != "publishedDate"}
    changes = []
    for option, member in _COMMON.items():
        asked = getattr(wanted, option)
        if asked is not None and not _same(member, present.get(member), asked):
            publishing[member] = asked
            changes.append(option)
    before = {normalize_location(each["name"]): each for each in present.get("targetRegions") or []}
    after = _regions(before, wanted, _luns(version))
    if set(after) != set(before) or any(not _same_region(before[name], after[name]) for name in after):
        changes.append("regions")
    publishing["targetRegions"] = list(after.values())
    merged = merged_tags(version.get("tags"), tags, True)
    if merged != (version.get("tags") or {}):
        changes.append("tags")
    body = {
        "location": version["location"],
        "tags": merged,
        "properties": {
            "publishingProfile": publishing,
            "storageProfile": _storage(properties.get("storageProfile") or {}),
            **_profiles(properties),
        },
    }
    return body, changes


def _regions(
    before: Mapping[str, Mapping[str, Any]], wanted: TargetRequest, luns: list[int]
) -> dict[str, dict[str, Any]]:
    asked = wanted.regions or tuple(map(Region, before))
    common = said(
        {"regionalReplicaCount": wanted.replicas, "storageAccountType": wanted.storage_account_type}
    )
    return {
        region.name: {**(before.get(region.name) or {}), **common, **region_body(region, luns)}
        for region in asked
    }


def _same_region(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    same = all(
        _same(name, before.get(name), after.get(name))
        for name in ("regionalReplicaCount", "storageAccountType", "excludeFromLatest")
    )
    ours, theirs = (((each.get("encryption") or {}).get("osDiskImage") or {}) for each in (after, before))
    wanted, present = ours.get("diskEncryptionSetId"), theirs.get("diskEncryptionSetId")
    return same and same_resource(wanted, present)


def _same(member: str, present: Any, asked: Any) -> bool:
    if member == "endOfLifeDate":
        return _moment(present) == _moment(asked)
    if member == "excludeFromLatest":
        return bool(present) == bool(asked)
    return bool(present == asked)


def _moment(text: Any) -> datetime | None:
    return moment(str(text or ""))


def _luns(version: Mapping[str, Any]) -> list[int]:
    storage = version["properties"].get("storageProfile") or {}
    return [int(disk["lun"]) for disk in storage.get("dataDiskImages") or []]


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
