# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Galleries, definitions and versions for tests to begin with."""

from __future__ import annotations

import itertools
import json
import sqlite3
from typing import Any

import requests

from tests.unit.local_azure.arm_server import Arm, Json, compute

_numbers = itertools.count(1)


def gallery_path(group: str) -> str:
    """A path that no gallery has yet."""
    return compute(group, "galleries", f"gallery_{next(_numbers)}")


def make_gallery(arm: Arm, group: str, location: str = "westus", **properties: Any) -> str:
    path = gallery_path(group)
    arm.make(path, {"location": location, "properties": properties})
    return path


def definition_body(location: str = "westus", **properties: Any) -> Json:
    number = next(_numbers)
    return {
        "location": location,
        "properties": {
            "osType": "Linux",
            "osState": "Generalized",
            "hyperVGeneration": "V2",
            "identifier": {"publisher": "p", "offer": "o", "sku": f"s{number}"},
            **properties,
        },
    }


def make_definition(arm: Arm, gallery: str, location: str = "westus", **properties: Any) -> str:
    path = f"{gallery}/images/definition{next(_numbers)}"
    arm.make(path, definition_body(location, **properties))
    return path


def version_body(source: Json, *regions: Any, location: str = "westus", **properties: Any) -> Json:
    """`source` is the storageProfile, or the id of an image; regions are names or whole entries."""
    profile = properties.pop("publishingProfile", {})
    if regions:
        targets = [{"name": r} if isinstance(r, str) else r for r in regions]
        profile = {**profile, "targetRegions": targets}
    storage = source if "id" not in source else {"source": {"id": source["id"]}}
    return {
        "location": location,
        "properties": {"publishingProfile": profile, "storageProfile": storage, **properties},
    }


def make_version(
    arm: Arm, definition: str, name: str, source: Json, *regions: Any, **properties: Any
) -> Json:
    """Makes the version and gives it as it is then; by shallow replication, which is over soonest."""
    properties["publishingProfile"] = {
        "replicationMode": "Shallow",
        **properties.get("publishingProfile", {}),
    }
    return arm.make(f"{definition}/versions/{name}", version_body(source, *regions, **properties))


def changes(**properties: Any) -> Json:
    """The body of a PATCH; it always has a storageProfile."""
    return {"properties": {**properties, "storageProfile": {}}}


def machine_from(arm: Arm, group: str, name: str, reference: Json, subnet: str) -> requests.Response:
    """The answer to a PUT of a machine made of an imageReference."""
    body = arm.machine_body({"id": ""}, subnet)
    body["properties"]["storageProfile"]["imageReference"] = reference
    return arm.send("PUT", compute(group, "virtualMachines", name), body)


def hidden_of(arm: Arm, resource_id: str) -> Json:
    """What the local Azure keeps of a resource and shows nobody, read past the server."""
    connection = sqlite3.connect(f"file:{arm.settings.state_dir}/state.sqlite?mode=ro", uri=True)
    try:
        row = connection.execute(
            "SELECT hidden FROM resources WHERE key = ?", (resource_id.lower(),)
        ).fetchone()
    finally:
        connection.close()
    hidden: Json = json.loads(row[0])
    return hidden
