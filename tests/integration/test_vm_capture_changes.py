# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Images and versions that are there already: brought to what is asked for, or refused where Azure cannot."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import OperationFailed
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.integration.captures import (
    captured,
    definition,
    ids,
    image,
    machine,
    power_and_flag,
    refused,
    version,
)
from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.plays import Player

EAST, WEST = {"name": "eastus"}, {"name": "West US", "replicas": 2}


def full(name: str, **more: Any) -> dict[str, Any]:
    return version(name, **{"replication_mode": "Full", **more})


def test_a_version_gets_other_regions_and_another_end_and_the_machine_is_left_alone(
    azure: LocalAzure, session: AzureSession, play: Player, group: str
) -> None:
    machine(azure, group, "grown", luns=(3,))
    defined = definition(azure, group, "grown")
    captured(session, group, "grown", full("grown"), tags={"release": "1"})
    made = f"{defined}/versions/1.0.0"
    target = full("grown", regions=[EAST, WEST], exclude_from_latest=True, end_of_life="2090-01-31")
    options = {
        "resource_group": group,
        "source_vm": "grown",
        "targets": [target],
        "tags": {"release": "2"},
    }
    mark = azure.mark()
    foreseen = play.module("vm_capture", options, check=True, diff=True).succeeded().last
    assert azure.writes(mark) == []
    changes = "exclude_from_latest, end_of_life, regions, tags"
    assert foreseen["actions"] == [f"Changed gallery version {made}: {changes}"]
    done = play.module("vm_capture", options, diff=True).succeeded().last
    assert done.changed
    assert done["actions"] == foreseen["actions"]
    assert azure.writes(mark) == [f"PUT {made}"]
    for result in (foreseen, done):
        (after,) = result["diff"]["after"]["targets"].values()
        assert [(each["name"], each["replicas"]) for each in after["regions"]][1] == ("westus", 2)
        assert after["tags"]["release"] == "2"
        (before,) = result["diff"]["before"]["targets"].values()
        assert [each["name"] for each in before["regions"]] == ["eastus"]
    published = done["targets"][0]
    assert published["changed"] is True
    assert [(each["region"], each["state"]) for each in published["replication"]] == [
        ("eastus", "Completed"),
        ("westus", "Completed"),
    ]
    assert (published["exclude_from_latest"], published["data_disks"][0]["lun"]) == (True, 3)
    mark = azure.mark()
    assert not play.module("vm_capture", options).succeeded().last.changed
    # What the task leaves open stays.
    assert not captured(session, group, "grown", full("grown", regions=[EAST, {"name": "westus"}])).changed
    assert not captured(session, group, "grown", full("grown")).changed
    assert azure.writes(mark) == []


def test_what_is_there_is_changed_when_its_machine_is_gone_too(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = machine(azure, group, "away", luns=())
    definition(azure, group, "away")
    captured(session, group, "away", image("away"), version("away"))
    azure.do("DELETE", vm)
    targets = (image("away"), version("away", exclude_from_latest=True))
    done = captured(session, group, "away", *targets, tags={"stage": "old"})
    assert [target["changed"] for target in done.targets] == [True, True]
    assert [target["tags"]["stage"] for target in done.targets] == ["old", "old"]
    assert done.targets[1]["exclude_from_latest"] is True
    assert not captured(session, group, "away", *targets, tags={"stage": "old"}).changed


def test_what_azure_does_not_change_is_refused(azure: LocalAzure, session: AzureSession, group: str) -> None:
    machine(azure, group, "fixed", luns=())
    definition(azure, group, "fixed")
    captured(session, group, "fixed", image("fixed"), full("fixed", regions=[EAST, WEST]))
    found = refused(
        azure,
        session,
        group,
        "fixed",
        image("fixed", zone_resilient=True, storage_account_type="Premium_LRS"),
        version("fixed", replication_mode="Shallow"),
    )
    assert ids(found) == ["cannot-change", "cannot-change", "cannot-change"]
    for regions, expected in (
        ([EAST], ["regions-protected"]),
        ([WEST], ["region-mismatch", "regions-protected"]),
        ([EAST, WEST, {"name": "mars"}], ["region-unknown"]),
    ):
        target = full("fixed", regions=regions)
        assert ids(refused(azure, session, group, "fixed", target)) == expected


def test_a_region_that_fails_later_costs_neither_the_version_nor_the_machine(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = machine(azure, group, "late", luns=())
    defined = definition(azure, group, "late")
    captured(session, group, "late", full("late"))
    before = power_and_flag(azure, vm)
    mark = azure.mark()
    target = full("late", regions=[EAST, WEST])
    put = {"method": "PUT", "path": "**/images/late/versions/*"}
    broken = rule("far", put, "fail_replication", region="westus", detail="No room in westus.")
    with faults(azure, broken), pytest.raises(OperationFailed, match="westus"):
        captured(session, group, "late", target)
    made = f"{defined}/versions/1.0.0"
    assert azure.get(made)["properties"]["provisioningState"] == "Failed"
    done = captured(session, group, "late", target)
    assert done.actions == [f"Changed gallery version {made}: replication"]
    assert {each["state"] for each in done.targets[0]["replication"]} == {"Completed"}
    assert azure.writes(mark) == [f"PUT {made}", f"PUT {made}"]
    assert power_and_flag(azure, vm) == before
