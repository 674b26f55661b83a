# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure adds to the body of a disk or snapshot: performance tiers and defaults."""

from __future__ import annotations

from tests.local_azure.store import Json
from tests.local_azure.vhd import GIB

MAX_SIZE_GB = 32767
SKUS = (
    "Standard_LRS",
    "Premium_LRS",
    "StandardSSD_LRS",
    "UltraSSD_LRS",
    "Premium_ZRS",
    "StandardSSD_ZRS",
    "PremiumV2_LRS",
)
SNAPSHOT_SKUS = ("Standard_LRS", "Premium_LRS", "Standard_ZRS")
# Premium SSD: largest size in GiB, tier, IOPS, MB/s.
_PREMIUM = (
    (4, "P1", 120, 25),
    (8, "P2", 120, 25),
    (16, "P3", 120, 25),
    (32, "P4", 120, 25),
    (64, "P6", 240, 50),
    (128, "P10", 500, 100),
    (256, "P15", 1100, 125),
    (512, "P20", 2300, 150),
    (1024, "P30", 5000, 200),
    (2048, "P40", 7500, 250),
    (4096, "P50", 7500, 250),
    (8192, "P60", 16000, 500),
    (16384, "P70", 18000, 750),
    (32767, "P80", 20000, 900),
)


def sku_with_tier(sku: Json) -> Json:
    name = str(sku["name"])
    tier = "Standard" if name.startswith("StandardSSD") else name.partition("_")[0].removesuffix("V2")
    return {"name": name, "tier": tier.removesuffix("SSD")}


def performance(sku: str, size_gb: int) -> Json:
    """IOPS, throughput and, for premium disks, the tier."""
    if sku.startswith("Premium_"):
        for largest, tier, iops, throughput in _PREMIUM:
            if size_gb <= largest:
                return {"diskIOPSReadWrite": iops, "diskMBpsReadWrite": throughput, "tier": tier}
    return {"diskIOPSReadWrite": 500, "diskMBpsReadWrite": 60}


def defaults(created: str, unique_id: str, properties: Json) -> Json:
    return {
        "encryption": {"type": "EncryptionAtRestWithPlatformKey"},
        "networkAccessPolicy": properties.get("networkAccessPolicy", "AllowAll"),
        "publicNetworkAccess": properties.get("publicNetworkAccess", "Enabled"),
        "timeCreated": created,
        "uniqueId": unique_id,
    }


def size_bytes(size_gb: int) -> int:
    return size_gb * GIB
