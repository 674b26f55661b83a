# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The tasks of docs/from-azcollection.md, with azure.azcollection and with ours, make the same resources."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fidelity.azcollection import Azcollection
from tests.integration.cloud import CHECKOUT, LocalAzure
from tests.integration.plays import Player

pytestmark = [pytest.mark.foreign_client, pytest.mark.timeout(1800)]

PAGE = CHECKOUT / "docs" / "from-azcollection.md"
GROUP = "images"
COMPUTE = f"/subscriptions/{{}}/resourceGroups/{GROUP}/providers/Microsoft.Compute"
MADE = (
    "images/web-1.0",
    "galleries/golden",
    "galleries/golden/images/web",
    "galleries/golden/images/web/versions/1.0.0",
    "galleries/golden/images/web/versions/1.0.1",
)
# What Azure alone says, anew for each resource.
_OWN = ("publishedDate", "uniqueName", "etag")

Tasks = list[dict[str, Any]]


def sections() -> list[tuple[str, Tasks, Tasks]]:
    """Each heading of the page with the others' tasks and ours."""
    found = []
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        blocks = re.findall(r"^```yaml\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
        assert len(blocks) == 2, part
        theirs, ours = (yaml.safe_load(block) for block in blocks)
        found.append((part.partition("\n")[0], theirs, ours))
    return found


def seed(azure: LocalAzure, subscription: str) -> None:
    """The group, disks and snapshot that the tasks begin with."""
    azure.put(f"/subscriptions/{subscription}/resourceGroups/{GROUP}", {"location": "eastus"})
    compute = COMPUTE.format(subscription)
    system = {"osType": "Linux", "hyperVGeneration": "V2", "diskSizeGB": 4}
    for name, properties in (("web-os", system), ("web-data", {"diskSizeGB": 1})):
        creation = {"creationData": {"createOption": "Empty"}, **properties}
        body = {"location": "eastus", "sku": {"name": "Standard_LRS"}, "properties": creation}
        azure.put(f"{compute}/disks/{name}", body)
    creation = {"creationData": {"createOption": "Copy", "sourceResourceId": f"{compute}/disks/web-os"}}
    azure.put(f"{compute}/snapshots/web-os-snapshot", {"location": "eastus", "properties": creation})


def comparable(value: Any, subscription: str) -> Any:
    """A resource without what tells two subscriptions apart, and without our tags."""
    if isinstance(value, dict):
        return {
            key: comparable(each, subscription)
            for key, each in value.items()
            if key not in _OWN and not key.startswith("goldenimage_")
        }
    if isinstance(value, list):
        return [comparable(each, subscription) for each in value]
    return value.replace(subscription, "SUBSCRIPTION") if isinstance(value, str) else value


def resources(azure: LocalAzure, subscription: str) -> dict[str, Any]:
    """What the tasks have made, by its place; None where there is nothing."""
    found = {}
    for name in MADE:
        body = comparable(azure.get(f"{COMPUTE.format(subscription)}/{name}"), subscription)
        if body is not None and not body.get("tags"):
            body.pop("tags", None)
        found[name] = body
    return found


def test_the_same_tasks_make_the_same_resources(azure: LocalAzure, tmp_path: Path) -> None:
    subscriptions = azure.subscription_id, azure.env["LOCAL_AZURE_SECOND_SUBSCRIPTION_ID"]
    for subscription in subscriptions:
        seed(azure, subscription)
    *making, (_heading, their_end, our_end) = sections()
    others = Azcollection(azure.env, tmp_path)
    play = Player(tmp_path, {**azure.env, "AZURE_SUBSCRIPTION_ID": subscriptions[1]})

    def run_theirs(name: str, tasks: Tasks) -> None:
        file = tmp_path / f"{name}.yml"
        head = {"hosts": "localhost", "connection": "local", "gather_facts": False}
        file.write_text(yaml.safe_dump([{"name": name, **head, "tasks": tasks}]), encoding="utf-8")
        assert "failed=0" in others.play(file)

    run_theirs("make", [task for _heading, theirs, _ours in making for task in theirs])
    our_tasks = [task for _heading, _theirs, ours in making for task in ours]
    done = play(our_tasks).succeeded()
    assert all(result.changed for result in done.results)
    theirs, ours = (resources(azure, subscription) for subscription in subscriptions)
    assert None not in theirs.values()
    for name in MADE:
        assert ours[name] == theirs[name], name
    run_theirs("delete", their_end)
    play(our_end).succeeded()
    gone = {**dict.fromkeys(MADE), "images/web-1.0": theirs["images/web-1.0"]}
    assert [resources(azure, subscription) for subscription in subscriptions] == [gone, gone]
