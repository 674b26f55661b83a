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

# The members of a source, the one that says most first.
_SOURCE_MEMBERS = ("virtualMachineId", "communityGalleryImageId", "uri", "id")


def version_facts(version: Mapping[str, Any]) -> dict[str, Any]:
    """The returned form of a version in wire shape, read with its replication status."""
    parsed = parse_resource_id(version["id"])
    properties = version.get("properties") or {}
    publishing = properties.get("publishingProfile") or {}
    storage = properties.get("storageProfile") or {}
    safety = properties.get("safetyProfile") or {}
    return {
        "id": version["id"],
        "name": version["name"],
        "resource_group": parsed.resource_group,
        "gallery": parsed.names[0],
        "definition": parsed.names[1],
        "version": parsed.names[2],
        "location": normalize_location(version["location"]),
        "tags": dict(version.get("tags") or {}),
        "published": publishing.get("publishedDate"),
        "exclude_from_latest": publishing.get("excludeFromLatest"),
        "end_of_life": publishing.get("endOfLifeDate"),
        "replication_mode": publishing.get("replicationMode"),
        "replicas": publishing.get("replicaCount"),
        "storage_account_type": publishing.get("storageAccountType"),
        "block_deletion_before_end_of_life": bool(safety.get("blockDeletionBeforeEndOfLife")),
        "allow_deletion_of_replicated_locations": bool(safety.get("allowDeletionOfReplicatedLocations")),
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
        "source": source_of(storage.get("source")),
        "os_disk": _disk(storage.get("osDiskImage") or {}),
        "data_disks": sorted(
            ({"lun": disk["lun"], **_disk(disk)} for disk in storage.get("dataDiskImages") or []),
            key=lambda disk: int(disk["lun"]),
        ),
        "provisioning_state": properties.get("provisioningState"),
    }


def comparable(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a diff shows: the facts without what changes by itself."""
    volatile = ("provisioning_state", "replication", "published")
    return {name: value for name, value in (facts or {}).items() if name not in volatile}


def source_of(source: Mapping[str, Any] | None) -> str | None:
    """The id or URL that a storage profile, or one of its disks, names as its source."""
    given = source or {}
    return next((str(given[member]) for member in _SOURCE_MEMBERS if given.get(member)), None)


def _region(region: Mapping[str, Any]) -> dict[str, Any]:
    encryption = region.get("encryption") or {}
    system = encryption.get("osDiskImage") or {}
    confidential = system.get("securityProfile") or {}
    return {
        "name": normalize_location(region["name"]),
        "replicas": region.get("regionalReplicaCount"),
        "storage_account_type": region.get("storageAccountType"),
        "exclude_from_latest": bool(region.get("excludeFromLatest")),
        "os_disk_encryption_set": system.get("diskEncryptionSetId"),
        "data_disk_encryption_sets": [
            {"lun": disk["lun"], "disk_encryption_set": disk.get("diskEncryptionSetId")}
            for disk in encryption.get("dataDiskImages") or []
        ],
        "confidential_encryption": confidential.get("confidentialVMEncryptionType"),
        "confidential_disk_encryption_set": confidential.get("secureVMDiskEncryptionSetId"),
    }


def _disk(disk: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "source": source_of(disk.get("source")),
        "caching": disk.get("hostCaching"),
        "disk_size_gb": disk.get("sizeInGB"),
    }


def progress_sentence(version: Mapping[str, Any] | None) -> str:
    """How far each region is: "eastus: Replicating 40 %, westus: Completed 100 %."; "" if unknown."""
    regions = version_facts(version)["replication"] if version is not None else []
    said = [
        f"{each['region']}: {each['state']} {each['progress']} %"
        + (f" ({each['details']})" if each["details"] else "")
        for each in regions
    ]
    return f"Replication: {', '.join(said)}." if said else ""
