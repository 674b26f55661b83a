# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What an image definition is asked to be; what can be checked without Azure is checked here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.definition_facts import (
    BOUNDS,
    PLAN_PARTS,
    RECOMMENDED,
    TEXTS,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.features import features_of_options
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import (
    check_definition_name,
    definition_id,
    future,
    gallery_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import check_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import SourceName
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_parsing import SourceParser

# Options that say the same as a member of the definition, which Azure never changes.
FIXED = {
    "os_type": "osType",
    "os_state": "osState",
    "hyper_v_generation": "hyperVGeneration",
    "architecture": "architecture",
}
IDENTIFIER = ("publisher", "offer", "sku")
_LONGEST = {"publisher": 128, "offer": 64, "sku": 64}
_IDENTIFIER = re.compile(r"[A-Za-z0-9._-]*[A-Za-z0-9_-]")


@dataclass(frozen=True)
class DefinitionRequest:
    """An image definition as it is wanted; what is missing is not said.

    `fixed`: by the options' names; `identifier`: publisher, offer, sku; `features` and `changeable` as
    Azure's requests have them.
    """

    id: str
    name: str
    gallery_id: str
    location: str | None = None
    source: SourceName | None = None
    fixed: Mapping[str, str] = field(default_factory=dict)
    identifier: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, str] = field(default_factory=dict)
    allow_update_image: bool = False
    plan: Mapping[str, str] | None = None
    changeable: Mapping[str, Any] = field(default_factory=dict)
    tags: dict[str, str] | None = None
    append_tags: bool = True

    @classmethod
    def from_options(cls, options: Mapping[str, Any], subscription: str) -> DefinitionRequest:
        """Read the module's options. Raises InvalidInput for what Azure would refuse in any case."""
        check_definition_name("name", options["name"])
        check_tags(options.get("tags"))
        gallery = gallery_id(subscription, options.get("resource_group"), options["gallery"])
        said = {name: value for name, value in options.items() if value not in (None, "")}
        identifier = {part: str(said[part]) for part in IDENTIFIER if part in said}
        for part, text in identifier.items():
            _check_identifier(part, text)
        parser = SourceParser(subscription, options.get("resource_group"))
        return cls(
            id=definition_id(gallery, options["name"]),
            name=options["name"],
            gallery_id=gallery,
            location=normalize_location(said["location"]) if "location" in said else None,
            source=parser.parse(said["source"]) if "source" in said else None,
            fixed={name: str(said[name]) for name in FIXED if name in said},
            identifier=identifier,
            features=features_of_options(said),
            allow_update_image=bool(options.get("allow_update_image")),
            plan=_plan(options.get("plan")),
            changeable=_changeable(said),
            tags=options.get("tags"),
            append_tags=options.get("append_tags", True),
        )


def _check_identifier(part: str, text: str) -> None:
    if not _IDENTIFIER.fullmatch(text) or len(text) > _LONGEST[part]:
        raise InvalidInput(
            f"{part}: {text!r} is none that Azure accepts.",
            remedy=f"Use 1 to {_LONGEST[part]} letters, digits, or any of . _ - and no . at the end.",
        )


def _plan(given: Mapping[str, Any] | None) -> dict[str, str] | None:
    """None when nothing is said of a plan."""
    return {part: str(given[part]) for part in PLAN_PARTS} if given else None


def _changeable(said: Mapping[str, Any]) -> dict[str, Any]:
    """What Azure lets be changed later, in its own shape."""
    wire: dict[str, Any] = {member: said[option] for option, member in TEXTS.items() if option in said}
    if "end_of_life" in said:
        wire["endOfLifeDate"] = future("end_of_life", str(said["end_of_life"]))
    recommended = {
        member: bounds
        for option, member in RECOMMENDED.items()
        if (bounds := _bounds(option, (said.get("recommended") or {}).get(option)))
    }
    if recommended:
        wire["recommended"] = recommended
    if "disallowed_disk_types" in said:
        wire["disallowed"] = {"diskTypes": list(said["disallowed_disk_types"])}
    return wire


def _bounds(option: str, given: Mapping[str, Any] | None) -> dict[str, int]:
    bounds = {bound: int(given[bound]) for bound in BOUNDS if given and given.get(bound) is not None}
    for bound, number in bounds.items():
        if number < 1:
            raise InvalidInput(f"recommended.{option}.{bound}: {number} is less than 1.")
    if len(bounds) > 1 and bounds["min"] > bounds["max"]:
        raise InvalidInput(f"recommended.{option}: min {bounds['min']} is more than max {bounds['max']}.")
    return bounds
