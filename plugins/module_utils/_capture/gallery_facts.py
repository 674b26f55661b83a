# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Facts about a version in a gallery, in the words of the module's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    parse_resource_id,
)


def version_facts(version: Mapping[str, Any]) -> dict[str, Any]:
    """The returned form of a version in wire shape, read with its replication status."""
    parsed = parse_resource_id(version["id"])
    properties = version.get("properties") or {}
    publishing = properties.get("publishingProfile") or {}
    storage = properties.get("storageProfile") or {}
    os_disk = storage.get("osDiskImage") or {}
    return {
        "id": version["id"],
        "name": version["name"],
        "resource_group": parsed.resource_group,
        "gallery": parsed.names[0],
        "definition": parsed.names[1],
        "version": parsed.names[2],
        "location": normalize_location(version["location"]),
        "tags": dict(version.get("tags") or {}),
        "exclude_from_latest": publishing.get("excludeFromLatest"),
        "end_of_life": publishing.get("endOfLifeDate"),
        "replication_mode": publishing.get("replicationMode"),
        "regions": [_region(each) for each in publishing.get("targetRegions") or []],
        "replication": [
            {
                "region": normalize_location(each.get("region", "")),
                "state": each.get("state"),
                "progress": each.get("progress"),
                "details": each.get("details"),
            }
            for each in (properties.get("replicationStatus") or {}).get("summary") or []
        ],
        "os_disk": _disk(os_disk),
        "data_disks": [{"lun": disk["lun"], **_disk(disk)} for disk in storage.get("dataDiskImages") or []],
        "provisioning_state": properties.get("provisioningState"),
    }


def _region(region: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": normalize_location(region["name"]),
        "replicas": region.get("regionalReplicaCount"),
        "storage_account_type": region.get("storageAccountType"),
        "exclude_from_latest": region.get("excludeFromLatest"),
    }


def _disk(disk: Mapping[str, Any]) -> dict[str, Any]:
    return {"caching": disk.get("hostCaching"), "disk_size_gb": disk.get("sizeInGB")}


def progress_sentence(version: Mapping[str, Any] | None) -> str:
    """How far each region is: "eastus: Replicating 40 %, westus: Completed 100 %."; "" if unknown."""
    if version is None:
        return ""
    regions = version_facts(version)["replication"]
    said = [
        f"{each['region']}: {each['state']} {each['progress']} %"
        + (f" ({each['details']})" if each["details"] else "")
        for each in regions
    ]
    return f"Replication: {', '.join(said)}." if said else ""
