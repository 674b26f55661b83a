# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""vm_twin, run by ansible-playbook against the local Azure (no guests)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.machines import golden_image
from tests.integration.plays import Player
from tests.integration.twins import Source, make_source, of_twin, temporary_resources

COMPUTE = "Microsoft.Compute"
NETWORK = "Microsoft.Network"
TAGS = {"goldenimage_temporary", "goldenimage_build", "goldenimage_expires", "goldenimage_source"}


@pytest.fixture(scope="module")
def source(azure: LocalAzure, group: str) -> Source:
    """A running machine with data disks at LUNs 0 and 5."""
    golden_image(azure, group)
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
