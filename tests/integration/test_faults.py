# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""managed_image and vm against an Azure in which things go wrong."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.machines import golden_image, wanted
from tests.integration.plays import Player

IMAGES = "Microsoft.Compute/images"
VMS = "Microsoft.Compute/virtualMachines"


@pytest.fixture(scope="module")
def source(azure: LocalAzure, group: str) -> str:
    """Id of an image whose operating system disk is the source of others."""
    return golden_image(azure, group)


def image(group: str, name: str, **more: Any) -> dict[str, Any]:
    return {"resource_group": group, "name": name, "os_disk": {"source": "golden-os"}, **more}


@pytest.mark.usefixtures("source")
def test_images_are_made_whatever_passes_by(azure: LocalAzure, play: Player, group: str) -> None:
    names = ["throttled", "busy", "dropped", "unheard", "hidden", "halved", "stalled"]
    put = {name: {"method": "PUT", "path": f"**/{group}/**/images/{name}", "nth": 1} for name in names}
    polls = {"method": "GET", "path": "**/Microsoft.Compute/locations/*/operations/*"}
    get = {"method": "GET", "path": f"**/{group}/**/images/halved"}
    rules = [
        rule("throttled", put["throttled"], "throttle", retry_after=2),
        rule("busy", put["busy"], "error", status=503),
        rule("dropped", put["dropped"], "drop", when="before"),
        rule("unheard", put["unheard"], "drop", when="after"),
        rule("hidden", put["hidden"], "hide", seconds=1),
        rule("halved", {**get, "nth": 2}, "truncate"),
        rule("stalled", put["stalled"], "stall", seconds=1.5),
        rule("poll-503", {**polls, "every": 3}, "error", status=503),
        rule("poll-500", {**polls, "every": 4}, "error", status=500),
        rule("poll-dropped", {**polls, "every": 5}, "drop"),
        rule("poll-halved", {**polls, "nth": 2}, "truncate"),
        rule("expired", {**polls, "nth": 7}, "expire_token"),
    ]
    mark = azure.mark()
    with faults(azure, *rules) as hits:
        results = play.each("managed_image", [image(group, name) for name in names])
    for name, result in zip(names, results, strict=True):
        assert not result.failed, f"{name}: {result.msg}"
        assert result.changed
        assert result["image"]["provisioning_state"] == "Succeeded"
    assert 0 not in hits.by_rule.values(), hits.by_rule
    made = azure.get(f"{azure.id(group)}/providers/{IMAGES}")["value"]
    assert {found["name"] for found in made} == {"golden", *names}
    throttled = [write for write in azure.writes(mark) if write.endswith("/throttled")]
    assert len(throttled) == 2


@pytest.mark.usefixtures("source")
def test_retry_after_is_waited_for(azure: LocalAzure, play: Player, group: str) -> None:
    throttled = {"method": "DELETE", "path": f"**/{group}/**/images/patient", "nth": 1}
    play.module("managed_image", image(group, "patient")).succeeded()
    absent = {"resource_group": group, "name": "patient", "state": "absent"}
    with faults(azure, rule("wait", throttled, "throttle", retry_after=4)) as hits:
        started = time.monotonic()
        assert play.module("managed_image", absent).succeeded().last.changed
    assert hits["wait"] == 1
    assert time.monotonic() - started > 4


@pytest.mark.usefixtures("source")
def test_failed_operations_are_reported_in_azures_words(azure: LocalAzure, play: Player, group: str) -> None:
    of_images = f"**/{group}/**/images"
    rules = [
        rule(
            "broken",
            {"method": "PUT", "path": f"{of_images}/broken"},
            "fail_operation",
            code="InternalDiskManagementError",
            message="Disk storage is out of order.",
        ),
        rule("endless", {"method": "PUT", "path": f"{of_images}/endless"}, "slow_operation", seconds="never"),
        rule("always", {"method": "PUT", "path": f"{of_images}/always"}, "error", status=403, code="No"),
    ]
    args = [
        image(group, "broken"),
        image(group, "endless", wait_timeout=3),
        image(group, "always"),
    ]
    with faults(azure, *rules):
        broken, endless, always = play.each("managed_image", args)
    assert "InternalDiskManagementError: Disk storage is out of order." in broken.msg
    assert "did not finish within 3 s and goes on in Azure" in endless.msg
    assert "HTTP 403" in always.msg or "No" in always.msg
    assert azure.get(azure.id(group, IMAGES, "broken")) is None, "what failed is taken away again"


@pytest.mark.usefixtures("source")
def test_a_machine_is_made_changed_and_deleted_whatever_passes_by(
    azure: LocalAzure, play: Player, group: str
) -> None:
    machine = {"path": f"**/{group}/**/virtualMachines/steady"}
    power = {"method": "POST", "path": f"**/{group}/**/virtualMachines/steady/*"}
    polls = {"method": "GET", "path": "**/Microsoft.Compute/locations/*/operations/*"}
    network = {"method": "PUT", "path": f"**/{group}/**/virtualNetworks/*"}
    rules = [
        rule("network", {**network, "nth": 1}, "drop", when="after"),
        rule("unheard", {**machine, "method": "PUT", "nth": 1}, "drop", when="after"),
        rule("read-503", {**machine, "method": "GET", "every": 3}, "error", status=503),
        rule("action-503", {**power, "nth": 1}, "error", status=503),
        rule("action-throttled", {**power, "nth": 3}, "throttle", retry_after=1),
        rule("deleted-unheard", {**machine, "method": "DELETE", "nth": 1}, "drop", when="after"),
        rule("expired", {**polls, "nth": 3}, "expire_token"),
        rule("poll-503", {**polls, "every": 4}, "error", status=503),
    ]
    existing = {"resource_group": group, "name": "steady"}
    steps = [
        wanted(group, "steady"),
        {**existing, "power_state": "deallocated"},
        {**existing, "power_state": "running"},
        {**existing, "power_state": "deallocated", "generalized": True},
        {**existing, "state": "absent"},
    ]
    with faults(azure, *rules) as hits:
        results = play.each("vm", steps)
    for step, result in zip(steps, results, strict=True):
        assert not result.failed, f"{step}: {result.msg}"
        assert result.changed
    assert 0 not in hits.by_rule.values(), hits.by_rule
    left = {found["name"] for found in azure.get(f"{azure.id(group)}/resources")["value"]}
    assert not [
        name for name in left if name.startswith("steady") and "vnet" not in name and "nsg" not in name
    ]


@pytest.mark.usefixtures("source")
def test_a_machine_that_azure_cannot_place_is_reported_in_azures_words(
    azure: LocalAzure, play: Player, group: str
) -> None:
    path = f"**/{group}/**/virtualMachines/crowded"
    full = rule(
        "full",
        {"method": "PUT", "path": path},
        "fail_operation",
        code="AllocationFailed",
        message="We do not have sufficient capacity for the requested VM size in this region.",
    )
    with faults(azure, full):
        result = play.module("vm", wanted(group, "crowded")).failed_with("AllocationFailed")
    assert "sufficient capacity" in result.msg
