# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the body of a disk or snapshot may say: kinds of values, combinations, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter
from tests.local_azure.providers.compute.compute_skus import zones_of
from tests.local_azure.providers.disks import disk_shapes
from tests.local_azure.store import Json

_VALUES: Mapping[str, Sequence[str]] = {
    "osType": ("Linux", "Windows"),
    "hyperVGeneration": ("V1", "V2"),
    "networkAccessPolicy": ("AllowAll", "AllowPrivate", "DenyAll"),
    "publicNetworkAccess": ("Enabled", "Disabled"),
    "dataAccessAuthMode": ("AzureActiveDirectory", "None"),
}
_KINDS: Mapping[str, type] = {
    "burstingEnabled": bool,
    "supportsHibernation": bool,
    "incremental": bool,
    "optimizedForFrequentAttach": bool,
    "maxShares": int,
    "diskIOPSReadWrite": int,
    "diskMBpsReadWrite": int,
    "diskIOPSReadOnly": int,
    "diskMBpsReadOnly": int,
    "tier": str,
    "diskAccessId": str,
    "encryption": dict,
    "encryptionSettingsCollection": dict,
    "purchasePlan": dict,
    "securityProfile": dict,
    "supportedCapabilities": dict,
}
_ENCRYPTION = (
    "EncryptionAtRestWithPlatformKey",
    "EncryptionAtRestWithCustomerKey",
    "EncryptionAtRestWithPlatformAndCustomerKeys",
)
_SECURITY = (
    "TrustedLaunch",
    "ConfidentialVM_VMGuestStateOnlyEncryptedWithPlatformKey",
    "ConfidentialVM_DiskEncryptedWithPlatformKey",
    "ConfidentialVM_DiskEncryptedWithCustomerKey",
    "ConfidentialVM_NonPersistedTPM",
)
_BURSTING_FROM_GB = 512
# Machines that may share a disk, by its kind and the GiB from which on.
_SHARES: Mapping[str, Sequence[tuple[int, int]]] = {
    "Premium": ((4097, 10), (513, 5), (129, 2)),
    "StandardSSD": ((4097, 10), (2049, 5), (1, 3)),
    "UltraSSD": ((1, 15),),
    "PremiumV2": ((1, 15),),
}


def check_values(parameter: str, properties: Json) -> None:
    """The kind of each value; `parameter` is how the provider calls the resource, disk or snapshot."""
    for key, allowed in _VALUES.items():
        if properties.get(key) is not None and properties[key] not in allowed:
            raise invalid_value(f"{parameter}.{key}" if key != "osType" else key)
    for key, kind in _KINDS.items():
        value = properties.get(key)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise invalid_value(f"{parameter}.{key}")


def check_sku(parameter: str, body: Json, skus: Sequence[str]) -> None:
    sku = body.get("sku")
    if sku is not None and (not isinstance(sku, dict) or sku.get("name") not in skus):
        given = sku.get("name") if isinstance(sku, dict) else sku
        raise invalid_value("sku", f"SKU {given} is not supported for resource type {parameter}s.")


def check_zones(resource_id: str, location: str, sku: str, body: Json) -> None:
    """Zones of a new disk: at most one, of the region's, and none for what is redundant between zones."""
    zones = body.get("zones")
    if zones is None:
        return
    if not isinstance(zones, list) or not all(isinstance(zone, str) for zone in zones):
        raise invalid_value("zones")
    known = zones_of(location)
    if not set(zones) <= set(known):
        kind = resource_id.partition("/providers/")[2]
        raise ArmError(
            400,
            "InvalidAvailabilityZone",
            f"The zone(s) '{','.join(zones)}' for resource '{kind}' is not supported. The supported zones "
            f"for location '{location}' are '{','.join(known)}'",
            gateway=True,
        )
    if len(zones) > 1 or (zones and sku.endswith("_ZRS")):
        raise invalid_value("zones")


def check_same_zones(name: str, kept: Any, body: Json) -> None:
    """Zones are for life."""
    if "zones" in body and (body["zones"] or []) != (kept or []):
        raise ArmError(
            400,
            "ResourceAvailabilityZonesCannotBeModified",
            f"Resource '{name}' has an existing availability zone constraint '{','.join(kept or [])}' and "
            f"the request has availability zone constraint '{','.join(map(str, body['zones'] or []))}', "
            "which do not match. Zones cannot be added/updated/removed once the resource is created.",
            gateway=True,
        )


def check_encryption(azure: LocalAzure, properties: Json) -> None:
    encryption = properties.get("encryption")
    if encryption is None:
        return
    kind, set_id = encryption.get("type"), encryption.get("diskEncryptionSetId")
    if kind is not None and kind not in _ENCRYPTION:
        raise invalid_value("encryption.type")
    if set_id is None:
        if kind in _ENCRYPTION[1:]:
            raise missing_parameter("encryption.diskEncryptionSetId")
        return
    if not isinstance(set_id, str) or azure.store.get(set_id) is None:
        raise ArmError(404, "NotFound", f"Resource {str(set_id).rpartition('/')[2]} is not found.")


def check_network(azure: LocalAzure, properties: Json) -> None:
    if properties.get("networkAccessPolicy") == "AllowPrivate" and not properties.get("diskAccessId"):
        raise missing_parameter("diskAccessId")
    if properties.get("diskAccessId") and properties.get("networkAccessPolicy") != "AllowPrivate":
        raise invalid_value("diskAccessId")
    access = properties.get("diskAccessId")
    if access and azure.store.get(access) is None:
        raise ArmError(404, "NotFound", f"Resource {access.rpartition('/')[2]} is not found.")


def check_security(properties: Json) -> None:
    profile = properties.get("securityProfile")
    if profile is None:
        return
    kind = profile.get("securityType")
    if kind is not None and kind not in _SECURITY:
        raise invalid_value("securityProfile.securityType")
    if kind is not None and properties.get("hyperVGeneration", "V2") != "V2":
        raise invalid_value(
            "securityProfile.securityType",
            f"Security type {kind} needs a disk of hypervisor generation V2.",
        )


def check_performance(sku: str, size_gb: int, properties: Json) -> None:
    """Shares, tier and bursting, which depend on the SKU and the size."""
    kind = sku.partition("_")[0]
    shares = properties.get("maxShares")
    if shares is not None:
        most = next((n for from_gb, n in _SHARES.get(kind, ()) if size_gb >= from_gb), 1)
        if not 1 <= shares <= most:
            raise invalid_value(
                "disk.maxShares",
                f"The value '{shares}' of parameter 'disk.maxShares' is out of range. The value must be "
                f"between '1' and '{most}', inclusive.",
            )
    tier = properties.get("tier")
    if tier is not None and kind == "Premium":
        tiers = disk_shapes.premium_tiers()
        if tier not in tiers or tiers.index(tier) < tiers.index(disk_shapes.premium_tier(size_gb)):
            raise invalid_value("disk.tier")
    if properties.get("burstingEnabled") and (kind != "Premium" or size_gb <= _BURSTING_FROM_GB):
        raise invalid_value(
            "disk.burstingEnabled", "On-demand bursting needs a Premium SSD of more than 512 GiB."
        )
