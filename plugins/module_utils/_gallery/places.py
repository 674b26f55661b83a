# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Regions that do not exist, and zones asked for where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.publishing import Publishing
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import (
    regions_with_zones,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


class Placed(NamedTuple):
    """Something to be made. `option` is where it stands, with a dot at its end, or ""; `zonal`: in several
    zones of its own region, whatever the regions it is published to say."""

    option: str
    publishing: Publishing
    zonal: bool = False


def place_findings(session: AzureSession, wanted: Sequence[Placed], home: str) -> list[Finding]:
    """What Azure's list of regions tells against it. No request without need; `home` is known to exist."""
    zonal = {each.option: _zonal(each, home) for each in wanted}
    regions = [
        (each.option, region.name)
        for each in wanted
        for region in each.publishing.regions
        if region.name != home
    ]
    if not any(zonal.values()) and not regions:
        return []
    places = regions_with_zones(session)
    if not places:
        return []
    found = [
        Finding(
            "region-unknown",
            f"there is no region {name} for this subscription.",
            f"{option}regions",
            "Correct its name.",
        )
        for option, name in regions
        if name not in places
    ]
    for each in wanted:
        remedy = "Leave zone_resilient out" if each.zonal else "Use a storage type that ends in _LRS there"
        found += [
            Finding(
                "no-zones",
                f"zone redundancy is asked for, but {name} has no availability zones.",
                each.option.rstrip(".") or "storage_account_type",
                f"{remedy}, or a region that has zones.",
            )
            for name in zonal[each.option]
            if name in places and not places[name]
        ]
    return found


def _zonal(wanted: Placed, home: str) -> list[str]:
    """The regions in which it wants zones."""
    published = wanted.publishing
    common = str(published.storage_account_type or "").endswith("_ZRS")
    if not published.regions:
        return [home] if wanted.zonal or common else []
    return [
        region.name
        for region in published.regions
        if (str(region.storage_account_type).endswith("_ZRS") if region.storage_account_type else common)
    ]
