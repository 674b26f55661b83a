# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure would not let this identity do, or not in this region: rights, locks, zones and quotas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.locks import (
    forbidding,
    locks_in_subscription,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.quotas import (
    shortfalls,
    snapshots_wanted,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.rights import missing_actions
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import TargetRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target import Needs
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_LOCATIONS_API = "2022-12-01"


def right_findings(session: AzureSession, needs: Sequence[Needs]) -> list[Finding]:
    """The rights that are missing, each named with its scope; one look for each scope."""
    by_scope: dict[str, list[str]] = {}
    for need in needs:
        actions = by_scope.setdefault(need.scope, [])
        actions += [action for action in need.actions if action not in actions]

    def of_scope(item: tuple[str, list[str]]) -> list[Finding]:
        scope, actions = item
        return [
            Finding(
                "missing-right",
                f"the signed-in identity may not {action}.",
                scope,
                "Give it a role with that permission there.",
            )
            for action in missing_actions(session, scope, actions)
        ]

    return [finding for each in in_parallel(of_scope, by_scope.items()) for finding in each]


def lock_findings(session: AzureSession, needs: Sequence[Needs]) -> list[Finding]:
    """The locks in the way, each once."""
    locks = locks_in_subscription(session)
    found: dict[str, Finding] = {}
    for need in needs:
        for deleting in (False, True)[: 1 + need.deletes]:
            lock = forbidding(locks, need.changes, deleting=deleting)
            if lock is not None:
                found[lock.scope + lock.name] = Finding(
                    "locked",
                    f"lock {lock.name} ({lock.level}) is on it.",
                    lock.scope,
                    "Remove the lock for as long as the capture takes.",
                )
    return list(found.values())


def place_findings(session: AzureSession, targets: Sequence[TargetRequest], location: str) -> list[Finding]:
    """Regions that do not exist, and zones asked for where there are none. No request without need."""
    zonal = {target.option: _zonal(target, location) for target in targets}
    regions = [
        (target, region)
        for target in targets
        for region in target.publishing.regions
        if region.name != location
    ]
    if not any(zonal.values()) and not regions:
        return []
    places = _places(session)
    if not places:
        return []
    found = [
        Finding(
            "region-unknown",
            f"there is no region {region.name} for this subscription.",
            f"{target.option}.regions",
            "Correct its name.",
        )
        for target, region in regions
        if region.name not in places
    ]
    for option, names in zonal.items():
        found += [
            Finding(
                "no-zones",
                f"zone redundancy is asked for, but {name} has no availability zones.",
                option,
                "Leave zone_resilient out and use a storage type that ends in _LRS there.",
            )
            for name in names
            if name in places and not places[name]
        ]
    return found


def _zonal(target: TargetRequest, location: str) -> list[str]:
    """The regions in which the target wants zones."""
    published = target.publishing
    kind = target.storage_account_type or published.storage_account_type
    common = str(kind or "").endswith("_ZRS")
    if not published.regions:
        return [location] if target.zone_resilient or common else []
    return [
        region.name
        for region in published.regions
        if (str(region.storage_account_type).endswith("_ZRS") if region.storage_account_type else common)
    ]


def _places(session: AzureSession) -> Mapping[str, bool]:
    """The subscription's regions, and whether they have availability zones; empty if they cannot be read."""
    try:
        listed = session.arm.list(f"/subscriptions/{session.subscription_id}/locations", _LOCATIONS_API)
    except AzureError as error:
        if error.status in (403, 404):
            return {}
        raise
    return {normalize_location(each["name"]): bool(each.get("availabilityZoneMappings")) for each in listed}


def quota_findings(session: AzureSession, location: str, snapshots: int) -> list[Finding]:
    """Whether so many more snapshots may be made in the region; nothing is asked for none."""
    if not snapshots:
        return []
    return [
        Finding(
            "quota",
            f"{each} as temporary snapshots.",
            location,
            "Delete snapshots, or ask for a higher quota.",
        )
        for each in shortfalls(session, location, snapshots_wanted(snapshots))
    ]
