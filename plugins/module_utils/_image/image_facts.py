# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Facts about a managed image, in the words of the module's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import parse_resource_id


def image_facts(image: Mapping[str, Any]) -> dict[str, Any]:
    """The returned form of an image in wire shape; sizes are GiB."""
    properties = image.get("properties") or {}
    storage = properties.get("storageProfile") or {}
    os_disk = storage.get("osDisk")
    return {
        "id": image["id"],
        "name": image["name"],
        "resource_group": parse_resource_id(image["id"]).resource_group,
        "location": image["location"],
        "tags": dict(image.get("tags") or {}),
        "hyper_v_generation": properties.get("hyperVGeneration"),
        "source_virtual_machine": (properties.get("sourceVirtualMachine") or {}).get("id"),
        "os_disk": _os_disk_facts(os_disk) if os_disk else None,
        "data_disks": [
            {"lun": disk["lun"], **_disk_facts(disk)}
            for disk in sorted(storage.get("dataDisks") or [], key=lambda disk: int(disk["lun"]))
        ],
        "zone_resilient": storage.get("zoneResilient"),
        "provisioning_state": properties.get("provisioningState"),
    }


def _os_disk_facts(disk: Mapping[str, Any]) -> dict[str, Any]:
    return {"os_type": disk.get("osType"), "os_state": disk.get("osState"), **_disk_facts(disk)}


def _disk_facts(disk: Mapping[str, Any]) -> dict[str, Any]:
    managed = (disk.get("managedDisk") or {}).get("id")
    snapshot = (disk.get("snapshot") or {}).get("id")
    return {
        "source": managed or snapshot or disk.get("blobUri"),
        "caching": disk.get("caching"),
        "storage_account_type": disk.get("storageAccountType"),
        "disk_size_gb": disk.get("diskSizeGB"),
        "disk_encryption_set": (disk.get("diskEncryptionSet") or {}).get("id"),
    }


def comparable(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a diff shows: the facts without what changes by itself."""
    return {name: value for name, value in (facts or {}).items() if name != "provisioning_state"}
