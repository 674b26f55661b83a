# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure adds to the body of a disk or snapshot: performance tiers and defaults."""

from __future__ import annotations

from collections.abc import Iterator

from tests.local_azure.blob_storage.vhd import GIB
from tests.local_azure.store import Json

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
#: What Ultra Disks and Premium SSD v2 let one choose.
CHOSEN = ("diskIOPSReadWrite", "diskMBpsReadWrite", "diskIOPSReadOnly", "diskMBpsReadOnly")
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


# IOPS and MB/s of the kinds that have no tiers.
_FLAT = {"Standard": (500, 60), "StandardSSD": (500, 60), "UltraSSD": (2048, 8), "PremiumV2": (3000, 125)}


def tier_of(sku: str) -> str:
    """Standard, Premium, PremiumV2 or Ultra."""
    kind = sku.partition("_")[0]
    return {"StandardSSD": "Standard", "UltraSSD": "Ultra"}.get(kind, kind)


def sku_with_tier(sku: Json) -> Json:
    name = str(sku["name"])
    return {"name": name, "tier": tier_of(name)}


def performance(sku: str, size_gb: int) -> Json:
    """IOPS, throughput and, for premium disks, the tier."""
    kind = sku.partition("_")[0]
    if kind != "Premium":
        iops, throughput = _FLAT[kind]
        return {"diskIOPSReadWrite": iops, "diskMBpsReadWrite": throughput}
    tier = premium_tier(size_gb)
    iops, throughput = next((i, m) for _unused, t, i, m in _PREMIUM if t == tier)
    return {"diskIOPSReadWrite": iops, "diskMBpsReadWrite": throughput, "tier": tier}


def premium_tier(size_gb: int) -> str:
    """The tier a premium disk of that size begins with."""
    return next(tier for largest, tier, *_unused in _PREMIUM if size_gb <= largest)


def premium_tiers() -> list[str]:
    """The smallest first."""
    return [tier for _unused, tier, *_rest in _PREMIUM]


def tier_performance(tier: str) -> Json:
    """What a premium disk on that tier can do."""
    iops, throughput = next((i, m) for _unused, t, i, m in _PREMIUM if t == tier)
    return {"diskIOPSReadWrite": iops, "diskMBpsReadWrite": throughput}


def size_tiers(sku: str) -> Iterator[tuple[str | None, int, int, Json]]:
    """For the list of SKUs: name of a size, its smallest and largest GiB, and further capabilities."""
    kind = sku.partition("_")[0]
    if kind in ("UltraSSD", "PremiumV2"):
        yield None, 1, MAX_SIZE_GB if kind == "PremiumV2" else 65536, {"MaxValueOfMaxShares": 15}
        return
    letter = {"Premium": "P", "StandardSSD": "E", "Standard": "S"}[kind]
    smallest = 0
    for largest, tier, iops, throughput in _PREMIUM:
        if kind != "Standard" or largest >= 32:
            flat = _FLAT.get(kind, (iops, throughput))
            yield (
                letter + tier[1:],
                smallest,
                largest,
                {"MaxIOps": flat[0], "MaxBandwidthMBps": flat[1]},
            )
            smallest = largest


def defaults(created: str, unique_id: str, properties: Json) -> Json:
    return {
        "encryption": properties.get("encryption") or {"type": "EncryptionAtRestWithPlatformKey"},
        "networkAccessPolicy": properties.get("networkAccessPolicy", "AllowAll"),
        "publicNetworkAccess": properties.get("publicNetworkAccess", "Enabled"),
        "timeCreated": created,
        "uniqueId": unique_id,
    }


def size_bytes(size_gb: int) -> int:
    return size_gb * GIB
