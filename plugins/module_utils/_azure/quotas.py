# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""What a subscription may still have in a region.

Source: Usage - List of Azure's REST reference for Microsoft.Compute, and the names that it answers with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import COMPUTE_API
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_SNAPSHOTS = {"Standard_LRS": "StandardSnapshotCount", "Premium_LRS": "PremiumSnapshotCount"}


class Shortfall(NamedTuple):
    """More is ``wanted`` of it than ``limit`` leaves with what is ``used``."""

    name: str
    limit: int
    used: int
    wanted: int

    def __str__(self) -> str:
        return f"{self.name} is limited to {self.limit}, {self.used} are there and {self.wanted} more needed"


def disks_wanted(storage_account_types: Iterable[str | None]) -> Counter[str]:
    """How many disks of each quota these are, by the quota's name."""
    counted: Counter[str] = Counter()
    for sku in storage_account_types:
        kind, _unused, redundancy = (sku or "Standard_LRS").partition("_")
        counted[f"{kind}{'ZRS' if redundancy == 'ZRS' else ''}DiskCount"] += 1
    return counted


def snapshots_wanted(number: int, storage_account_type: str = "Standard_LRS") -> Counter[str]:
    """That many snapshots, by their quota's name."""
    return Counter({_SNAPSHOTS.get(storage_account_type, "ZRSSnapshotCount"): number})


def cores_of(session: AzureSession, location: str, size: str) -> int:
    """How many processors a size of virtual machines has; 0 where that cannot be read."""
    path = (
        f"/subscriptions/{session.subscription_id}/providers/Microsoft.Compute/locations/{location}/vmSizes"
    )
    try:
        sizes = session.arm.list(path, COMPUTE_API)
    except AzureError as error:
        if error.status in (403, 404):
            return 0
        raise
    named = (each for each in sizes if str(each.get("name")).casefold() == size.casefold())
    return next((int(each["numberOfCores"]) for each in named), 0)


def shortfalls(session: AzureSession, location: str, wanted: Mapping[str, int]) -> list[Shortfall]:
    """Quotas of the region that are too small for what is wanted; empty where they cannot be read."""
    if not wanted:
        return []
    path = f"/subscriptions/{session.subscription_id}/providers/Microsoft.Compute/locations/{location}/usages"
    try:
        usages = session.arm.list(path, COMPUTE_API)
    except AzureError as error:
        if error.status in (403, 404):
            return []
        raise
    found = {str((usage.get("name") or {}).get("value")).casefold(): usage for usage in usages}
    short = []
    for name, number in wanted.items():
        usage = found.get(name.casefold())
        if usage is None:
            continue
        each = Shortfall(name, int(usage["limit"]), int(usage["currentValue"]), number)
        if each.used + each.wanted > each.limit:
            short.append(each)
    return short
