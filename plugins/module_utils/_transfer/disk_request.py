# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a managed disk shall be, in the shapes of requests, facts and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    is_resource_id,
    normalize_location,
    same_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.disk_state import UPLOAD
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_disk_name,
    check_resource_group_name,
    check_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import (
    CONTENT,
    RESERVED_TAGS,
    SIZE,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.sending import Planned

DEFAULT_SKU = "Standard_LRS"
_TAGS_OF_A_FINISHED_DISK = 2  # CONTENT and SIZE
DATA_ONLY_SKUS = ("PremiumV2_LRS", "UltraSSD_LRS")
# Their default is 4096, by which the partition table of a disk that comes from elsewhere is not found.
SECTOR_SIZES = {"PremiumV2_LRS": 512, "UltraSSD_LRS": 512}
SECURITY_OPTIONS = ("TrustedLaunchSupported", "TrustedLaunchAndConfidentialVMSupported")
# Azure: "Security Type '...' is not supported for CreateOption 'Upload'."
SECURITY_TYPES = (
    "TrustedLaunch",
    "ConfidentialVM_VMGuestStateOnlyEncryptedWithPlatformKey",
    "ConfidentialVM_DiskEncryptedWithPlatformKey",
    "ConfidentialVM_DiskEncryptedWithCustomerKey",
    "ConfidentialVM_NonPersistedTPM",
)
#: The first API version that knows what an uploaded disk supports.
SECURITY_API = "2025-01-02"


class DiskRequest(NamedTuple):
    """A managed disk as the user wants it; None where nothing was said. `generation` only for OS disks."""

    resource_group: str
    name: str
    location: str | None
    sku: str | None
    zone: str | None
    os_type: str | None
    generation: str | None
    architecture: str | None
    disk_encryption_set: str | None
    security_type: str | None
    tags: Mapping[str, Any] | None
    append_tags: bool

    def check(self) -> None:
        """Refuse what Azure would refuse; raises InvalidInput."""
        check_resource_group_name(self.resource_group)
        check_disk_name("disk_name", self.name)
        check_user_tags(self.tags)
        if self.os_type and self.sku in DATA_ONLY_SKUS:
            raise InvalidInput(
                f"sku: a disk of type {self.sku} cannot be booted from.",
                remedy="Use Premium_LRS, StandardSSD_LRS or Standard_LRS; for a data disk leave os_type out.",
            )
        check_zone_and_encryption(self.sku, self.zone, self.disk_encryption_set)
        self._check_security()

    def _check_security(self) -> None:
        wanted = self.security_type
        if wanted is None:
            return
        if wanted in SECURITY_TYPES:
            kind = "ConfidentialVM" if wanted.startswith("ConfidentialVM") else "TrustedLaunch"
            supported = SECURITY_OPTIONS[0] if kind == "TrustedLaunch" else SECURITY_OPTIONS[1]
            raise InvalidInput(
                f"security_type: Azure gives no uploaded disk the type {wanted}, because the state of a"
                " virtual machine's TPM belongs to it, which a disk file does not have.",
                remedy=f"Use {supported}, so that a machine of that type can be made of the disk, or make an"
                f" image version of it in a gallery whose definition has SecurityType={supported}.",
            )
        if not self.os_type:
            raise InvalidInput(
                "security_type is for disks to boot from, but without os_type this is a data disk.",
                remedy="Set os_type as well, or leave security_type out.",
            )
        if self.generation != "V2":
            raise InvalidInput(
                f"security_type: {wanted} needs a disk that boots by UEFI (V2), not one of generation"
                f" {self.generation}.",
                remedy="Leave security_type out, or make the disk boot by UEFI first.",
            )

    def body(
        self, location: str, upload_bytes: int, upload_tag: str, encryption: str | None = None
    ) -> dict[str, Any]:
        """The request that creates the disk for its upload; the tag marks it as half done.

        :param upload_bytes: the size of the VHD
        :param encryption: the encryption type of the disk encryption set's disks
        """
        creation: dict[str, Any] = {"createOption": "Upload", "uploadSizeBytes": upload_bytes}
        if self.sku in SECTOR_SIZES:
            creation["logicalSectorSize"] = SECTOR_SIZES[self.sku]
        properties: dict[str, Any] = {"creationData": creation}
        capabilities = {"architecture": self.architecture, "supportedSecurityOption": self.security_type}
        if self.os_type:
            properties["osType"] = self.os_type
            properties["hyperVGeneration"] = self.generation
        if any(capabilities.values()):
            properties["supportedCapabilities"] = {k: v for k, v in capabilities.items() if v}
        if self.disk_encryption_set:
            properties["encryption"] = self.encryption(encryption)
        body: dict[str, Any] = {
            "location": location,
            "sku": {"name": self.sku or DEFAULT_SKU},
            "tags": {**merged_tags({}, self.tags, True), UPLOAD: upload_tag},
            "properties": properties,
        }
        if self.zone:
            body["zones"] = [self.zone]
        return body

    def encryption(self, kind: str | None) -> dict[str, Any]:
        """The wire shape of the encryption with the disk encryption set."""
        return {"type": kind, "diskEncryptionSetId": self.disk_encryption_set}

    def changes(self, disk: Mapping[str, Any], encryption: str | None) -> dict[str, Any]:
        """What of a disk that exists is to be changed and can be: SKU and disk encryption set, as a PATCH.

        :param encryption: the encryption type of the disk encryption set's disks
        """
        facts = disk_facts(disk, self.resource_group)
        change: dict[str, Any] = {}
        if self.sku is not None and self.sku != facts["sku"]:
            change["sku"] = {"name": self.sku}
        if self._is_encrypted_otherwise(facts):
            change["properties"] = {"encryption": self.encryption(encryption)}
        return change

    def _is_encrypted_otherwise(self, facts: Mapping[str, Any]) -> bool:
        wanted = self.disk_encryption_set
        return wanted is not None and not same_resource(facts["disk_encryption_set"], wanted)

    def final_tags(self, current: Mapping[str, str] | None, plan: Planned) -> dict[str, str]:
        """The tags of the finished disk: the user's, and what tells a second run that nothing is to do."""
        others = {k: v for k, v in (current or {}).items() if k not in RESERVED_TAGS}
        return {
            **merged_tags(others, self.tags, self.append_tags),
            CONTENT: plan.content_sha256,
            SIZE: str(plan.virtual_size),
        }

    def differences(self, disk: Mapping[str, Any], location: str | None) -> list[str]:
        """What cannot be changed in a disk that exists, and is not as it is wanted."""
        facts = disk_facts(disk, self.resource_group)
        wanted = {
            "zone": self.zone,
            "os_type": self.os_type,
            "hyper_v_generation": self.generation,
            "architecture": self.architecture,
            "security_type": self.security_type,
        }
        found = [
            f"its {option} is {facts[option]}, not {value}"
            for option, value in wanted.items()
            if value is not None and facts[option] != value
        ]
        if location is not None and facts["location"] != normalize_location(location):
            found.append(f"it is in {facts['location']}, not in {normalize_location(location)}")
        if self.sku is not None and not can_become(str(facts["sku"]), self.sku):
            found.append(f"its sku is {facts['sku']}, which Azure does not change to {self.sku}")
        return found


def check_zone_and_encryption(sku: str | None, zone: str | None, disk_encryption_set: str | None) -> None:
    """Refuse settings of a disk that contradict each other; raises InvalidInput."""
    if zone and sku and sku.endswith("_ZRS"):
        raise InvalidInput(
            f"zone: a disk of type {sku} is kept in all zones of its region.",
            remedy="Leave zone out, or use a type that ends in _LRS.",
        )
    if disk_encryption_set and not is_resource_id(disk_encryption_set):
        raise InvalidInput(
            f"disk_encryption_set: '{disk_encryption_set}' is no resource id.",
            remedy="Give the id of the disk encryption set.",
        )


def can_become(sku: str, wanted: str) -> bool:
    """Whether Azure changes a disk of one SKU to the other: never its redundancy, nor to or from Ultra."""
    return sku == wanted or not (
        sku.endswith("_ZRS") != wanted.endswith("_ZRS") or "UltraSSD_LRS" in (sku, wanted)
    )


def check_user_tags(tags: Mapping[str, Any] | None) -> None:
    """Refuse tags that Azure refuses, or that this collection keeps for itself."""
    check_tags(tags, own=_TAGS_OF_A_FINISHED_DISK)
    for name in tags or {}:
        if name.lower() in RESERVED_TAGS:
            raise InvalidInput(
                f"tags: {name} is written by the upload itself.", remedy="Use another name for your tag."
            )


def disk_facts(disk: Mapping[str, Any], resource_group: str) -> dict[str, Any]:
    """The returned value `disk` of a disk resource."""
    properties = disk.get("properties", {})
    tags = dict(disk.get("tags") or {})
    zones = disk.get("zones") or [None]
    return {
        "id": disk.get("id"),
        "name": disk.get("name"),
        "resource_group": resource_group,
        "location": normalize_location(disk["location"]),
        "sku": (disk.get("sku") or {}).get("name"),
        "zone": zones[0],
        "os_type": properties.get("osType"),
        "hyper_v_generation": properties.get("hyperVGeneration"),
        "architecture": (properties.get("supportedCapabilities") or {}).get("architecture"),
        "disk_encryption_set": (properties.get("encryption") or {}).get("diskEncryptionSetId"),
        "security_type": (properties.get("supportedCapabilities") or {}).get("supportedSecurityOption")
        or (properties.get("securityProfile") or {}).get("securityType"),
        "disk_size_bytes": properties.get("diskSizeBytes"),
        "disk_size_gb": properties.get("diskSizeGB"),
        "disk_state": properties.get("diskState"),
        "managed_by": disk.get("managedBy"),
        "content_sha256": tags.get(CONTENT),
        "tags": tags,
    }


def predicted_facts(
    disk: Mapping[str, Any], request: DiskRequest, disk_id: str, plan: Planned
) -> dict[str, Any]:
    """The facts that a disk created by this request body will have."""
    finished = {
        **disk,
        "id": disk_id,
        "name": request.name,
        "tags": request.final_tags(disk["tags"], plan),
        "properties": {
            **disk["properties"],
            "diskSizeBytes": plan.virtual_size,
            "diskSizeGB": -(-plan.virtual_size // (1 << 30)),
            "diskState": "Unattached",
        },
    }
    return disk_facts(finished, request.resource_group)
