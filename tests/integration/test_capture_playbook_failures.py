# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""capture_vm.yml and its role when something fails: what is brought back, what stays, what is told."""

from __future__ import annotations

import json

import pytest

from tests.integration.captures import definition, image, version
from tests.integration.cloud import LocalAzure
from tests.integration.faults import Rule, faults, rule
from tests.integration.plays import Player, PlayResult
from tests.integration.pretended_guests import HERE, PLAYBOOK, Guests, survey, twin_groups
from tests.integration.twins import make_source

COMPUTE = "Microsoft.Compute"


def test_a_machine_whose_capture_fails_is_restored_and_all_targets_are_made_by_the_next_run(
    azure: LocalAzure, play: Player, group: str, guests: Guests
) -> None:
    machine = make_source(azure, group, "third")
    definition(azure, group, "third")
    inventory = guests.role.parent / "third.yml"
    hosts = {"third-host": {**HERE, "ansible_host": "127.0.0.1"}}
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    args = survey(group, guests, capture_vm_name="third", capture_vm_strategy="in_place")
    args |= {"capture_vm_host": "third-host", "capture_vm_build_id": "third"}
    args |= {"capture_vm_targets": [image("third"), version("third")]}
    args |= {"capture_vm_backup": "yes", "capture_vm_rescue": "yes"}
    disks = machine.disk_ids()
    env = {"ANSIBLE_INVENTORY": str(inventory)}
    with faults(azure, no_version("third")):
        play(PLAYBOOK, env=env, **args).failed_with("Nope", "restored from backup 20")
    assert guests.ran_on() == ["third-host 127.0.0.1"]
    now = azure.get(machine.id, query="&$expand=instanceView")
    statuses = {status["code"] for status in now["properties"]["instanceView"]["statuses"]}
    assert "PowerState/running" in statuses
    assert "OSState/generalized" not in statuses
    assert not set(machine.disk_ids(now)) & set(disks)
    made_of_both(play(PLAYBOOK, env=env, **args).succeeded(), azure)
    assert guests.ran_on() == ["third-host 127.0.0.1"]
    # What has been written since is not in that backup: another one is made.
    assert len(backups_of(azure, group, "third")) == 2


def no_version(definition_name: str) -> Rule:
    put = {"method": "PUT", "path": f"**/images/{definition_name}/versions/*"}
    return rule("broken", put, "error", status=409, code="Nope")


def made_of_both(run: PlayResult, azure: LocalAzure) -> None:
    """An image and a version are made of the same machine, and neither is called incomplete."""
    tags = [azure.get(target["id"])["tags"] for target in run.custom_stats["capture_vm_targets"]]
    assert len(tags) == 2
    assert len({each["goldenimage_sources"] for each in tags}) == 1
    assert not [each for each in tags if "goldenimage_incomplete" in each]


def backups_of(azure: LocalAzure, group: str, name: str) -> list[str]:
    """Names of the machine's restore points."""
    listed = azure.get(f"{azure.id(group)}/providers/{COMPUTE}/restorePointCollections")["value"]
    mine = [each["id"] for each in listed if each["name"].startswith(f"{name}-")]
    points = [azure.get(each, query="&$expand=restorePoints")["properties"] for each in mine]
    return [point["name"] for each in points for point in each.get("restorePoints", [])]


def test_a_machine_whose_guest_was_never_reached_is_neither_restored_nor_keeps_a_backup(
    azure: LocalAzure, play: Player, group: str, guests: Guests
) -> None:
    machine = make_source(azure, group, "fourth")
    inventory = guests.role.parent / "fourth.yml"
    nowhere = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    inventory.write_text(json.dumps({"all": {"hosts": {"fourth-host": nowhere}}}), encoding="utf-8")
    args = survey(group, guests, capture_vm_name="fourth", capture_vm_strategy="in_place")
    args |= {"capture_vm_host": "fourth-host", "capture_vm_image": "fourth"}
    args |= {"capture_vm_backup": "yes", "capture_vm_rescue": "yes", "vm_capture_connection_timeout": 2}
    before = machine.state()
    failed = play(PLAYBOOK, env={"ANSIBLE_INVENTORY": str(inventory)}, **args)
    failed.failed_with("not generalized")
    assert "was restored" not in failed.output
    assert machine.state() == before
    assert backups_of(azure, group, "fourth") == []


@pytest.mark.thorough
def test_what_was_made_of_a_twin_that_is_gone_is_made_anew_with_the_rest(
    azure: LocalAzure, play: Player, group: str, guests: Guests
) -> None:
    source = make_source(azure, group, "halved")
    definition(azure, group, "halved")
    args = survey(group, guests, capture_vm_name="halved", capture_vm_build_id="halved")
    args |= {"capture_vm_targets": [image("halved"), version("halved")]}
    before = source.state()
    with faults(azure, no_version("halved")):
        play(PLAYBOOK, **args).failed_with("Nope", "Made before that, and kept: managed image")
    assert len(guests.ran_on()) == 1
    assert twin_groups(azure) == []
    made_of_both(play(PLAYBOOK, **args).succeeded(), azure)
    assert len(guests.ran_on()) == 1
    assert twin_groups(azure) == []
    # Other tags are no reason for another twin.
    mark = azure.mark()
    again = play(PLAYBOOK, **{**args, "capture_vm_tags": "release=2.0"}).succeeded()
    assert len(azure.writes(mark)) == 2
    assert again.tasks["goldenimage.azure.vm_capture : Capture the machine"].changed
    assert guests.ran_on() == []
    assert source.state() == before


@pytest.mark.thorough
def test_the_role_alone_keeps_a_twin_while_azure_still_makes_the_image_of_it(
    azure: LocalAzure, play: Player, group: str
) -> None:
    source = make_source(azure, group, "origin")
    before = source.state()
    made = definition(azure, group, "slow", osState="Specialized") + "/versions/1.0.0"
    variables = {
        "vm_capture_strategy": "twin",
        "vm_capture_os_state": "specialized",
        "vm_capture_resource_group": group,
        "vm_capture_source_vm": "origin",
        "vm_capture_build_id": "slow",
        "vm_capture_targets": [version("slow")],
    }
    role = {"name": "goldenimage.azure.vm_capture"}
    prepared = {"ansible.builtin.include_role": {**role, "tasks_from": "prepare"}, "vars": variables}
    hasty = {**variables, "vm_capture_wait_timeout": 5}
    finished = {"ansible.builtin.include_role": {**role, "tasks_from": "finish"}, "vars": hasty}
    match = {"method": "PUT", "path": "**/images/slow/versions/*"}
    with faults(azure, rule("slow", match, "slow_operation", seconds=12)):
        play([{"name": "Prepare", **prepared}, {"name": "Finish", **finished}]).failed_with(
            "Run it again to go on", "is kept in resource group goldenimage-twin-slow"
        )
    assert twin_groups(azure) == ["goldenimage-twin-slow"]
    mark = azure.mark()
    play([{"name": "Capture", "ansible.builtin.include_role": role, "vars": variables}]).succeeded()
    found = azure.get(made)
    assert found["properties"]["provisioningState"] == "Succeeded"
    assert found["tags"]["goldenimage_source"] == source.id
    assert source.state() == before
    assert not [write for write in azure.writes(mark) if write.startswith("PUT ")]
    assert twin_groups(azure) == []


@pytest.mark.thorough
def test_a_lock_is_in_the_way_of_a_twin_s_image_only_where_the_image_is_made(
    azure: LocalAzure, play: Player, guests: Guests
) -> None:
    group, other = azure.group("rg-locked-source"), azure.group("rg-of-images")
    make_source(azure, group, "origin")
    lock = f"{azure.id(group)}/providers/Microsoft.Authorization/locks/keep"
    assert azure.request("PUT", lock, {"properties": {"level": "ReadOnly"}}).status < 300
    mark = azure.mark()
    try:
        here = play(PLAYBOOK, check=True, **survey(group, guests, capture_vm_image="of-locked"))
        there = {"type": "managed_image", "name": "of-locked", "resource_group": other}
        elsewhere = play(PLAYBOOK, check=True, **survey(group, guests, capture_vm_targets=[there]))
    finally:
        azure.request("DELETE", lock)
    here.failed_with("lock keep (ReadOnly)", "Nothing was changed")
    elsewhere.succeeded()
    assert [write for write in azure.writes(mark) if "/locks/" not in write] == []
