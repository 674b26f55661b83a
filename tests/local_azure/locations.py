# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Azure's regions, and the geographies that stand for several of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("regions.yaml")
# CSafeLoader reads four times as fast, and every server start reads.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Location:
    """A region. `compute_name` is how Compute spells it in operation URLs; `zones` counts its zones."""

    name: str
    display_name: str
    compute_name: str
    group: str
    geography: str
    place: str
    latitude: str
    longitude: str
    pair: str | None
    zones: int
    recommended: bool

    def body(self, subscription_path: str) -> dict[str, Any]:
        """As a subscription lists it."""
        pair = [] if self.pair is None else [self.pair]
        zones = {
            "availabilityZoneMappings": [
                {"logicalZone": str(zone), "physicalZone": f"{self.name}-az{zone}"}
                for zone in range(1, self.zones + 1)
            ]
        }
        return {
            "id": f"{subscription_path}/locations/{self.name}",
            "name": self.name,
            "type": "Region",
            "displayName": self.display_name,
            "regionalDisplayName": f"({self.group}) {self.display_name}",
            "metadata": {
                "regionType": "Physical",
                "regionCategory": "Recommended" if self.recommended else "Other",
                "geography": self.geography,
                "geographyGroup": self.group,
                "longitude": self.longitude,
                "latitude": self.latitude,
                "physicalLocation": self.place,
                "pairedRegion": [{"name": n, "id": f"{subscription_path}/locations/{n}"} for n in pair],
            },
            **(zones if self.zones else {}),
        }


def _plain(display_name: str) -> str:
    return display_name.lower().replace(" ", "")


def _location(entry: Mapping[str, Any]) -> Location:
    name = _plain(entry["name"])
    return Location(
        name=name,
        display_name=entry["name"],
        compute_name=entry.get("compute", name),
        group=entry["group"],
        geography=entry["geography"],
        place=entry["place"],
        latitude=entry["latitude"],
        longitude=entry["longitude"],
        pair=entry.get("pair"),
        zones=entry.get("zones", 0),
        recommended=entry.get("recommended", False),
    )


with _FILE.open(encoding="utf-8") as _stream:
    _CONTENT = yaml.load(_stream, _LOADER)  # noqa: S506 - either loader is a safe one
LOCATIONS = tuple(_location(entry) for entry in _CONTENT["regions"])
_BY_NAME: Mapping[str, Location] = {location.name: location for location in LOCATIONS}


def find_location(text: str) -> Location | None:
    """Knows "East US 2", "eastus2" and "EastUS2" as one place."""
    return _BY_NAME.get(_plain(text))


def geographies(subscription_path: str) -> list[dict[str, Any]]:
    """The places in the list of locations where nothing can be created."""
    return [
        {
            "id": f"{subscription_path}/locations/{name}",
            "name": name,
            "type": "Region",
            "displayName": entry["name"],
            "regionalDisplayName": entry["name"],
            "metadata": {"regionType": "Logical", "regionCategory": "Other"},
        }
        for entry in _CONTENT["geographies"]
        for name in [entry.get("code", _plain(entry["name"]))]
    ]
