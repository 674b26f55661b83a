# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Facts about a gallery, in the words of the module's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    parse_resource_id,
)

PRIVATE, GROUPS, COMMUNITY = "Private", "Groups", "Community"
SUBSCRIPTIONS, TENANTS = "Subscriptions", "AADTenants"
COMMUNITY_MEMBERS = {
    "publisher_uri": "publisherUri",
    "publisher_contact": "publisherContact",
    "eula": "eula",
    "public_name_prefix": "publicNamePrefix",
}
_VOLATILE = ("provisioning_state", "sharing_state")


def gallery_facts(gallery: Mapping[str, Any]) -> dict[str, Any]:
    """The returned form of a gallery in wire shape; whom it is shared with is known if it was read so."""
    parsed = parse_resource_id(gallery["id"])
    properties = gallery.get("properties") or {}
    profile = properties.get("sharingProfile") or {}
    community = profile.get("communityGalleryInfo") or {}
    return {
        "id": str(parsed),
        "name": gallery["name"],
        "resource_group": parsed.resource_group,
        "location": normalize_location(gallery["location"]),
        "tags": dict(gallery.get("tags") or {}),
        "description": properties.get("description"),
        "unique_name": (properties.get("identifier") or {}).get("uniqueName"),
        "soft_delete": bool((properties.get("softDeletePolicy") or {}).get("isSoftDeleteEnabled")),
        "sharing": {
            "permissions": str(profile.get("permissions") or PRIVATE).lower(),
            "subscriptions": members_of(profile, SUBSCRIPTIONS),
            "tenants": members_of(profile, TENANTS),
            **{option: community.get(member) for option, member in COMMUNITY_MEMBERS.items()},
            "public": bool(community.get("communityGalleryEnabled")),
            "public_names": list(community.get("publicNames") or []),
        },
        "sharing_state": (properties.get("sharingStatus") or {}).get("aggregatedState"),
        "provisioning_state": properties.get("provisioningState"),
    }


def members_of(profile: Mapping[str, Any], kind: str) -> list[str]:
    """The subscriptions or tenants that a sharing profile names."""
    groups = profile.get("groups") or []
    return [member for group in groups if group.get("type") == kind for member in group.get("ids") or []]


def comparable(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a diff shows: the facts without what changes by itself."""
    return {name: value for name, value in (facts or {}).items() if name not in _VOLATILE}
