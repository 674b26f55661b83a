# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Capturing machines to managed images and gallery versions, with ansible-playbook and without."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.integration.captures import (
    captured,
    definition,
    image,
    machine,
    power_and_flag,
    version,
)
from tests.integration.cloud import LocalAzure
from tests.integration.machines import COMPUTE
from tests.integration.plays import Player

VMS = f"{COMPUTE}/virtualMachines"
IMAGES = f"{COMPUTE}/images"


def wanted(group: str, name: str, *targets: Any, **more: Any) -> dict[str, Any]:
    return {"resource_group": group, "source_vm": name, "targets": list(targets), **more}


def test_a_running_machine_is_stopped_marked_and_captured_to_two_targets_once(
    azure: LocalAzure, play: Player, group: str
) -> None:
    vm = machine(azure, group, "both", power="running", marked=False)
    defined = definition(azure, group, "both")
    targets = [image("both", zone_resilient=True), version("both")]
    options = wanted(
        group, "both", *targets, stop=True, assume_generalized=True, tags={"release": "1"}, awx_job_id="77"
    )
    mark = azure.mark()
    foreseen = play.module("vm_capture", options, check=True, diff=True).succeeded().last
    assert azure.writes(mark) == []
    assert foreseen.changed
    assert foreseen["actions"] == [
        "Deallocated virtual machine both",
        "Marked virtual machine both generalized, Azure does not start it any more",
        f"Captured both to managed image {azure.id(group, IMAGES, 'both')}",
        f"Captured both to gallery version {defined}/versions/1.0.0",
    ]
    assert foreseen["diff"]["before"]["vm"]["power_state"] == "running"
    assert foreseen["diff"]["after"]["vm"] == {"generalized": True, "id": vm, "power_state": "deallocated"}

    done = play.module("vm_capture", options, diff=True).succeeded().last
    assert done.changed
    assert done["actions"] == foreseen["actions"]
    assert done["evidence"] == "assumed"
    assert power_and_flag(azure, vm) == ("deallocated", True)
    made, published = done["targets"]
    assert made["source_virtual_machine"] == vm
    assert made["zone_resilient"] is True
    assert made["os_disk"]["os_state"] == "Generalized"
    assert [(disk["lun"], disk["caching"], disk["disk_size_gb"]) for disk in made["data_disks"]] == [
        (0, "None", 1),
        (5, "ReadOnly", 6),
    ]
    assert [disk["lun"] for disk in published["data_disks"]] == [0, 5]
    assert published["replication"] == [
        {"region": "eastus", "state": "Completed", "progress": 100, "details": None}
    ]
    vm_id = azure.get(vm)["properties"]["vmId"]
    for target in (made, published):
        assert target["provisioning_state"] == "Succeeded"
        tags = target["tags"]
        assert tags["release"] == "1"
        assert tags["goldenimage_source"] == vm
        assert tags["goldenimage_source_vm_id"] == vm_id
        assert tags["goldenimage_build"] == done["build_id"]
        assert tags["goldenimage_awx_job"] == "77"
        assert tags["goldenimage_os_state"] == "generalized"

    mark = azure.mark()
    again = play.module("vm_capture", options, diff=True).succeeded().last
    assert not again.changed
    assert again["actions"] == []
    assert again["diff"]["before"] == again["diff"]["after"]
    assert azure.writes(mark) == []
    assert len(azure.exchanges(mark)) <= 14


def test_a_machine_that_is_off_and_marked_by_the_role_is_not_deallocated(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = machine(azure, group, "marked")
    mark = azure.mark()
    done = captured(session, group, "marked", image("marked"))
    assert done.evidence == "tag"
    assert [write.partition("/providers/")[2] for write in azure.writes(mark)] == [
        f"{VMS}/marked/powerOff",
        f"{VMS}/marked/generalize",
        f"{IMAGES}/marked",
    ]
    assert power_and_flag(azure, vm) == ("stopped", True)


@pytest.mark.parametrize("options", [{"kind": "os_image"}, {"data_disks": [5]}], ids=["os", "subset"])
def test_a_part_of_the_disks_is_captured_without_marking_the_machine(
    azure: LocalAzure, session: AzureSession, group: str, options: dict[str, Any]
) -> None:
    name = f"part-{len(str(options))}"
    vm = machine(azure, group, name)
    definition(azure, group, name)
    done = captured(session, group, name, image(name), version(name), **options)
    luns = options.get("data_disks", [])
    assert [[disk["lun"] for disk in target["data_disks"]] for target in done.targets] == [luns, luns]
    assert power_and_flag(azure, vm) == ("stopped", False)
    assert done.targets[0]["source_virtual_machine"] is None
    assert not captured(session, group, name, image(name), version(name), **options).changed


def test_the_disks_of_an_image_keep_or_change_their_kind_of_storage(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    machine(azure, group, "kinds")
    done = captured(session, group, "kinds", image("kinds", storage_account_type="StandardSSD_LRS"))
    disks = [done.targets[0]["os_disk"], *done.targets[0]["data_disks"]]
    assert {disk["storage_account_type"] for disk in disks} == {"StandardSSD_LRS"}
    assert [disk["caching"] for disk in disks] == ["ReadWrite", "None", "ReadOnly"]


def test_a_specialized_version_leaves_the_machine_running(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = machine(azure, group, "special", power="running", marked=False)
    definition(azure, group, "special", osState="Specialized")
    mark = azure.mark()
    done = captured(session, group, "special", version("special"), os_state="specialized", allow_running=True)
    assert len(azure.writes(mark)) == 1
    assert power_and_flag(azure, vm) == ("running", False)
    assert done.targets[0]["tags"]["goldenimage_os_state"] == "specialized"


def test_a_version_has_the_regions_and_the_profile_that_were_asked_for(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    machine(azure, group, "regions")
    definition(azure, group, "regions")
    regions = [
        {"name": "East US", "replicas": 2},
        {"name": "westus", "storage_account_type": "Premium_LRS"},
    ]
    more: dict[str, Any] = {"regions": regions, "exclude_from_latest": True, "end_of_life": "2090-01-31"}
    done = captured(session, group, "regions", version("regions", replication_mode="Full", **more))
    made = done.targets[0]
    shown = [(each["name"], each["replicas"], each["storage_account_type"]) for each in made["regions"]]
    assert shown == [("eastus", 2, "Standard_LRS"), ("westus", 1, "Premium_LRS")]
    assert [(each["region"], each["state"]) for each in made["replication"]] == [
        ("eastus", "Completed"),
        ("westus", "Completed"),
    ]
    assert made["exclude_from_latest"] is True
    assert made["end_of_life"].startswith("2090-01-31T00:00:00")


def test_what_was_captured_stays_captured_when_the_machine_is_gone(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = machine(azure, group, "gone", luns=())
    captured(session, group, "gone", image("gone"))
    azure.do("DELETE", vm)
    again = captured(session, group, "gone", image("gone"))
    assert not again.changed
    assert again.vm is None
