# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Looks up where something is to be created, before anything is: the resource group, the region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    NotFound,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    resource_group_id,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

GROUPS_API = "2024-11-01"
_LOCATIONS_API = "2022-12-01"


def group_location(session: AzureSession, name: str) -> str:
    """The region of the resource group. Raises NotFound, with what to do, when there is no such group."""
    group = session.arm.get(resource_group_id(session.subscription_id, name), GROUPS_API)
    if group is None:
        raise NotFound(
            f"There is no resource group {name} in subscription {session.subscription_id}.",
            code="ResourceGroupNotFound",
            remedy="Create the resource group first, or correct its name or subscription_id.",
        )
    return normalize_location(group["location"])


def regions_with_zones(session: AzureSession) -> Mapping[str, bool]:
    """The subscription's regions, and whether they have availability zones; empty if they cannot be read."""
    try:
        listed = session.arm.list(f"/subscriptions/{session.subscription_id}/locations", _LOCATIONS_API)
    except AzureError as error:
        if error.status in (403, 404):
            return {}
        raise
    return {normalize_location(each["name"]): bool(each.get("availabilityZoneMappings")) for each in listed}


def region_of(session: AzureSession, options: Mapping[str, Any]) -> str:
    """The region that option `location` names, or else that of option `resource_group`.

    Raises InvalidInput when neither is there.
    """
    if options.get("location"):
        return normalize_location(str(options["location"]))
    if not options.get("resource_group"):
        raise InvalidInput(
            "location: nothing says in which region to look.",
            remedy="Set location, or resource_group to take its region.",
        )
    return group_location(session, str(options["resource_group"]))


def known_location(session: AzureSession, wanted: str) -> str:
    """The region's name as in requests. Raises InvalidInput when the subscription has no such region."""
    path = f"/subscriptions/{session.subscription_id}/locations"
    known = {normalize_location(item["name"]) for item in session.arm.list(path, _LOCATIONS_API)}
    location = normalize_location(wanted)
    if known and location not in known:
        raise InvalidInput(
            f"location: the subscription has no region '{wanted}'.",
            remedy="List the regions with: az account list-locations --query [].name",
        )
    return location
