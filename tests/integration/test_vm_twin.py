# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""vm_twin, run by ansible-playbook against the local Azure (no guests)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.plays import Player
from tests.integration.twins import Source, make_source, of_twin, temporary_resources

COMPUTE = "Microsoft.Compute"
NETWORK = "Microsoft.Network"
TAGS = {"goldenimage_temporary", "goldenimage_build", "goldenimage_expires", "goldenimage_source"}


@pytest.fixture(scope="module")
def source(azure: LocalAzure, group: str) -> Source:
    """A running machine with data disks at LUNs 0 and 5."""
    return make_source(azure, group, "origin")


def test_a_twin_is_predicted_made_once_and_removed_with_everything_and_its_source_never_written_to(
    azure: LocalAzure, play: Player, group: str, source: Source
) -> None:
    build = f"b-{uuid.uuid4().hex[:8]}"
    args: dict[str, Any] = {
        "resource_group": group,
        "source_vm": "origin",
        "build_id": build,
        "tags": {"team": "shop"},
    }
    before = source.state()
    mark = azure.mark()
    predicted, made, again = play.each("vm_twin", [{**args, "check_mode": True}, args, args], diff=True)
    assert [result.changed for result in (predicted, made, again)] == [True, True, False]
    assert again["diff"]["before"] == again["diff"]["after"]
    home = azure.id(f"goldenimage-twin-{build}")
    for result in (predicted, made, again):
        twin = result["twin"]
        assert twin["id"].startswith(f"{home}/")
        assert twin["name"] == "origin-twin"
        assert (twin["admin_username"], twin["computer_name"]) == ("ops", "origin")
        assert (twin["build_id"], twin["source_id"]) == (build, source.id)
        assert [disk["lun"] for disk in twin["data_disks"]] == [0, 5]
    assert made["twin"]["copied_by"] == "restore_point"
    assert made["twin"]["power_state"] == "running"
    assert len(made["twin"]["private_ip_addresses"]) == 1
    assert made["twin"]["public_ip_addresses"] == []

    twin = azure.get(made["twin"]["id"])
    given, copied = source.body["properties"], twin["properties"]
    assert copied["hardwareProfile"] == given["hardwareProfile"]
    assert copied["diagnosticsProfile"]["bootDiagnostics"]["enabled"] is True
    assert of_twin(given) == of_twin(copied)
    for original, copy in zip(source.disks(), source.disks(twin), strict=True):
        assert copy["creationData"]["createOption"] == "Restore"
        assert copy["diskSizeGB"] == original["diskSizeGB"]
        assert copy.get("hyperVGeneration") == original.get("hyperVGeneration")

    found = temporary_resources(azure, f"goldenimage-twin-{build}")
    assert {kind for kind, _tags in found} == {
        f"{COMPUTE}/virtualMachines",
        f"{COMPUTE}/disks",
        f"{COMPUTE}/restorePointCollections",
        f"{NETWORK}/networkInterfaces",
        f"{NETWORK}/networkSecurityGroups",
        f"{NETWORK}/virtualNetworks",
    }
    for kind, tags in [*found, ("the group", azure.get(home)["tags"])]:
        assert set(tags) >= TAGS, kind
        assert (tags["goldenimage_build"], tags["team"]) == (build, "shop"), kind

    absent: dict[str, Any] = {"build_id": build, "state": "absent"}
    steps = [{**absent, "check_mode": True}, absent, absent]
    predicted, gone, again = play.each("vm_twin", steps, diff=True)
    assert [result.changed for result in (predicted, gone, again)] == [True, True, False]
    assert f"Deleted {home}" in predicted["actions"]
    assert gone["twin"] is None
    assert azure.request("GET", home).status == 404
    assert {write.split()[1].split("/")[4] for write in azure.writes(mark)} == {f"goldenimage-twin-{build}"}
    assert source.state() == before


def rules_of(azure: LocalAzure, group: str) -> dict[str, dict[str, Any]]:
    found = azure.get(azure.id(group, f"{NETWORK}/networkSecurityGroups", "origin-twin-nsg"))
    return {rule["name"]: rule["properties"] for rule in found["properties"]["securityRules"]}


@pytest.mark.usefixtures("source")
def test_a_twin_is_closed_to_both_sides_unless_asked_and_can_be_in_an_existing_subnet(
    azure: LocalAzure, play: Player, group: str
) -> None:
    base = {"resource_group": group, "source_vm": "origin"}
    subnet = azure.id(group, f"{NETWORK}/virtualNetworks", "origin-net") + "/subnets/default"
    opened = {"public_ip": True, "open_ports": [22], "open_ports_from": ["127.0.0.0/8"]}
    closed, reached, inside = play.each(
        "vm_twin",
        [
            {**base, "build_id": "closed"},
            {**base, "build_id": "reached", **opened, "internet_access": True},
            {
                **base,
                "build_id": "inside",
                "subnet": subnet,
                "name": "origin-twin",
                "size": "Standard_DS2_v2",
            },
        ],
    )
    rules = rules_of(azure, "goldenimage-twin-closed")
    assert set(rules) == {"nothing-out"}
    out = rules["nothing-out"]
    assert (out["direction"], out["access"]) == ("Outbound", "Deny")
    assert out["destinationAddressPrefix"] == "Internet"
    assert closed["twin"]["public_ip_addresses"] == []

    assert len(reached["twin"]["public_ip_addresses"]) == 1
    rules = rules_of(azure, "goldenimage-twin-reached")
    assert set(rules) == {"allow-22"}
    assert rules["allow-22"]["sourceAddressPrefix"] == "127.0.0.0/8"
    kinds = dict(temporary_resources(azure, "goldenimage-twin-reached"))
    assert set(kinds[f"{NETWORK}/publicIPAddresses"]) >= TAGS

    assert inside["twin"]["size"] == "Standard_DS2_v2"
    assert inside["twin"]["private_ip_addresses"][0].startswith("10.6.0.")
    kinds = dict(temporary_resources(azure, "goldenimage-twin-inside"))
    assert f"{NETWORK}/virtualNetworks" not in kinds
    gone = play.each(
        "vm_twin", [{"build_id": build, "state": "absent"} for build in ("closed", "reached", "inside")]
    )
    assert [result.changed for result in gone] == [True] * 3
    assert azure.get(subnet) is not None


@pytest.mark.usefixtures("source")
def test_snapshots_are_incremental_where_azure_makes_those_and_whole_elsewhere(
    azure: LocalAzure, play: Player, group: str
) -> None:
    args = {"resource_group": group, "source_vm": "origin", "build_id": "whole", "method": "snapshots"}
    match = {"method": "PUT", "path": "**/snapshots/origin-twin-data-5", "nth": 1}
    full = rule("full", match, "error", status=409, code="OperationNotAllowed", message="No more of those.")
    with faults(azure, full):
        made = play.module("vm_twin", args).last
    assert made["twin"]["copied_by"] == "snapshots"
    assert "one by one while it runs" in made["warnings"][0]
    names = {"os": True, "data-0": True, "data-5": False}
    for ending, incremental in names.items():
        path = azure.id("goldenimage-twin-whole", f"{COMPUTE}/snapshots", f"origin-twin-{ending}")
        assert azure.get(path)["properties"]["incremental"] is incremental, ending
    play.module("vm_twin", {"build_id": "whole", "state": "absent"}).succeeded()


@pytest.mark.usefixtures("source")
def test_what_takes_longer_than_was_to_be_waited_is_kept_for_the_next_run(
    azure: LocalAzure, play: Player, group: str
) -> None:
    args = {"resource_group": group, "source_vm": "origin", "build_id": "slow"}
    match = {"method": "PUT", "path": "**/goldenimage-twin-slow/**/virtualMachines/*"}
    with faults(azure, rule("slow", match, "slow_operation", seconds=12)):
        play.module("vm_twin", {**args, "wait_timeout": 2}).failed_with("run the task again to go on")
        done = play.module("vm_twin", args).succeeded().last
    assert done["twin"]["power_state"] == "running"
    play.module("vm_twin", {"build_id": "slow", "state": "absent"}).succeeded()
