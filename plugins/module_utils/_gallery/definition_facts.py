# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Facts about an image definition, in the words of the module's options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    parse_resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.features import features_of, words

PLAN_PARTS = ("publisher", "product", "name")
TEXTS = {
    "description": "description",
    "eula": "eula",
    "privacy_statement_uri": "privacyStatementUri",
    "release_note_uri": "releaseNoteUri",
    "end_of_life": "endOfLifeDate",
}
RECOMMENDED = {"vcpus": "vCPUs", "memory": "memory"}
BOUNDS = ("min", "max")


def definition_facts(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The returned form of an image definition in wire shape."""
    parsed = parse_resource_id(definition["id"])
    properties = definition.get("properties") or {}
    identifier = properties.get("identifier") or {}
    plan = properties.get("purchasePlan")
    recommended = properties.get("recommended") or {}
    return {
        "id": str(parsed),
        "name": definition["name"],
        "resource_group": parsed.resource_group,
        "gallery": parsed.names[0],
        "location": normalize_location(definition["location"]),
        "tags": dict(definition.get("tags") or {}),
        "os_type": properties.get("osType"),
        "os_state": properties.get("osState"),
        "hyper_v_generation": properties.get("hyperVGeneration"),
        "architecture": properties.get("architecture"),
        "publisher": identifier.get("publisher"),
        "offer": identifier.get("offer"),
        "sku": identifier.get("sku"),
        **words(features_of(definition)),
        "plan": {part: plan.get(part) for part in PLAN_PARTS} if plan else None,
        **{option: properties.get(member) for option, member in TEXTS.items()},
        "recommended": {
            option: {bound: (recommended.get(member) or {}).get(bound) for bound in BOUNDS}
            for option, member in RECOMMENDED.items()
        },
        "disallowed_disk_types": list((properties.get("disallowed") or {}).get("diskTypes") or []),
        "provisioning_state": properties.get("provisioningState"),
    }


def comparable(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a diff shows: the facts without what changes by itself."""
    return {name: value for name, value in (facts or {}).items() if name != "provisioning_state"}
