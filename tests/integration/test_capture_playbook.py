# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""capture_vm.yml and its role against the local Azure, without guests.

What would generalize a guest is a role of the test's own, which runs on the controller.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player
from tests.integration.pretended_guests import HERE, PLAYBOOK, Guests, survey, twin_groups
from tests.integration.twins import Source, make_source

COMPUTE = "Microsoft.Compute"
IMAGES = f"{COMPUTE}/images"


@pytest.fixture(scope="module")
def source(azure: LocalAzure, group: str) -> Source:
    return make_source(azure, group, "origin")


def test_a_twin_is_generalized_captured_and_removed_and_its_source_not_written_to(
    azure: LocalAzure, play: Player, group: str, source: Source, guests: Guests
) -> None:
    args = survey(group, guests, capture_vm_image="of-twin")
    before = source.state()
    mark = azure.mark()
    predicted = play(PLAYBOOK, check=True, **args).succeeded()
    assert azure.writes(mark) == []
    assert "Generalize the guest of origin-twin" in predicted.stdout
    made = play(PLAYBOOK, **args).succeeded()
    ran_on = guests.ran_on()
    assert len(ran_on) == 1
    assert ran_on[0].startswith("origin-twin-")
    image = azure.get(azure.id(group, IMAGES, "of-twin"))
    disks = image["properties"]["storageProfile"]["dataDisks"]
    assert [disk["lun"] for disk in disks] == [0, 5]
    assert image["tags"]["goldenimage_source"] == source.id
    assert image["tags"]["goldenimage_source_vm_id"] == before["machine"]["properties"]["vmId"]
    assert (image["tags"]["release"], image["tags"]["team"]) == ("1.0", "shop")
    assert "goldenimage_temporary" not in image["tags"]
    assert made.custom_stats["provision_vm_image"] == image["id"]
    assert [target["id"] for target in made.custom_stats["capture_vm_targets"]] == [image["id"]]
    assert twin_groups(azure) == []
    assert source.state() == before
    outside = [write for write in azure.writes(mark) if "/goldenimage-twin-" not in write]
    assert outside == [f"PUT {image['id']}"]

    mark = azure.mark()
    again = play(PLAYBOOK, **args).succeeded()
    assert azure.writes(mark) == []
    assert guests.ran_on() == []
    assert again.custom_stats["provision_vm_image"] == image["id"]
    assert again.stats["localhost"]["changed"] == 0


def kill_when(azure: LocalAzure, play: Player, args: dict[str, Any], write: str) -> None:
    """Run the playbook and kill it with all its processes when a write that ends so was answered."""
    directory = play.work_dir / f"killed-{uuid.uuid4().hex[:8]}"
    directory.mkdir()
    variables = directory / "vars.json"
    variables.write_text(json.dumps(args), encoding="utf-8")
    mark = azure.mark()
    with (directory / "output").open("w") as output:
        process = subprocess.Popen(
            ["ansible-playbook", str(PLAYBOOK), "--extra-vars", f"@{variables}"],
            cwd=directory,
            env=play.environment({}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        deadline = time.monotonic() + 180
        while not any(each.startswith("P") and each.endswith(write) for each in azure.writes(mark)):
            assert process.poll() is None, (directory / "output").read_text(encoding="utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # Modules are in process groups of their own, and would go on.
        for child in (*_children(process.pid), process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        process.wait(30)


def _children(pid: int) -> list[int]:
    """Ids of all processes that descend from one."""
    below: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, task.read_text(encoding="ascii").split()):
                below += [*_children(child), child]
    return below


@pytest.mark.thorough
def test_a_capture_that_is_killed_again_and_again_ends_with_one_image_and_nothing_left(
    azure: LocalAzure, play: Player, group: str, source: Source, guests: Guests
) -> None:
    args = survey(group, guests, capture_vm_image="survivor")
    image = azure.id(group, IMAGES, "survivor")
    before = source.state()
    kill_when(azure, play, args, "/disks/origin-twin-os")
    # The twin is whole, and its guest marked as generalized.
    kill_when(azure, play, args, "/virtualMachines/origin-twin/deallocate")
    assert len(guests.ran_on()) == 1
    kill_when(azure, play, args, "/images/survivor")
    made = play(PLAYBOOK, **args).succeeded()
    assert guests.ran_on() == [], "a generalized twin is gone on with"
    assert made.custom_stats["provision_vm_image"] == image
    assert azure.get(image)["properties"]["provisioningState"] == "Succeeded"
    assert twin_groups(azure) == []
    assert source.state() == before


@pytest.mark.thorough
def test_a_guest_that_cannot_be_generalized_leaves_no_image_and_no_twin_unless_it_is_to_be_kept(
    azure: LocalAzure, play: Player, group: str, source: Source, guests: Guests
) -> None:
    args = survey(group, guests, capture_vm_image="never", capture_vm_build_id="kept", pretend_failure=True)
    before = source.state()
    kept = play(PLAYBOOK, capture_vm_keep_twin_on_failure=True, **args)
    kept.failed_with("not generalized", "Pretend to generalize", "is kept")
    assert twin_groups(azure) == ["goldenimage-twin-kept"]
    assert len(guests.ran_on()) == 1

    # Nobody knows what was done in it: the next run makes another one. A role that would mark or restore the
    # source is not run in it.
    mark = azure.mark()
    args |= {"pretend_failure": False, "linux_generalize_vm_id": source.id}
    play(PLAYBOOK, **args).failed_with("not generalized", "linux_generalize_vm_id is")
    assert any(write.endswith("/virtualMachines/origin-twin") for write in azure.writes(mark))
    assert guests.ran_on() == []
    assert azure.get(azure.id(group, IMAGES, "never")) is None
    assert twin_groups(azure) == []
    assert source.state() == before


def test_targets_that_do_not_fit_are_refused_before_a_twin_is_made(
    azure: LocalAzure, play: Player, group: str, source: Source, guests: Guests
) -> None:
    args = survey(
        group,
        guests,
        capture_vm_gallery="nowhere",
        capture_vm_definition="none",
        capture_vm_version="1.0.0",
        capture_vm_regions="eastus",
    )
    mark = azure.mark()
    play(PLAYBOOK, **args).failed_with("nowhere")
    play(PLAYBOOK, **{**args, "capture_vm_gallery": ""}).failed_with("capture_vm_image")
    assert azure.writes(mark) == []
    assert guests.ran_on() == []
    assert source.id


def test_the_machine_itself_is_generalized_and_captured_and_not_before_everything_fits(
    azure: LocalAzure, play: Player, group: str, guests: Guests
) -> None:
    machine = make_source(azure, group, "second")
    inventory = guests.role.parent / "inventory.yml"
    hosts = {"second-host": {**HERE, "ansible_host": "127.0.0.1"}}
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    env = {"ANSIBLE_INVENTORY": str(inventory)}
    args = survey(group, guests, capture_vm_name=machine.id, capture_vm_strategy="")
    args |= {"capture_vm_host": "second-host", "capture_vm_image": "in-place"}
    mark = azure.mark()
    play(PLAYBOOK, env=env, **{**args, "capture_vm_data_disks": "0, 7"}).failed_with("LUN 7")
    play(PLAYBOOK, env=env, **{**args, "capture_vm_host": ""}).failed_with("vm_capture_host")
    play(PLAYBOOK, env=env, check=True, **args).succeeded()
    assert azure.writes(mark) == []
    assert guests.ran_on() == []
    play(PLAYBOOK, env=env, **args).succeeded()
    assert guests.ran_on() == ["second-host 127.0.0.1"]
    image = azure.get(azure.id(group, IMAGES, "in-place"))
    assert image["properties"]["sourceVirtualMachine"]["id"] == machine.id
    mark = azure.mark()
    play(PLAYBOOK, env=env, **args).succeeded()
    assert azure.writes(mark) == []
    assert guests.ran_on() == []


@pytest.mark.parametrize("lost", [pytest.param("before", marks=pytest.mark.thorough), "meanwhile"])
def test_a_twin_that_cannot_be_reached_is_removed_all_the_same(
    azure: LocalAzure, play: Player, source: Source, guests: Guests, lost: str
) -> None:
    group = source.id.split("/")[4]
    args = survey(group, guests, capture_vm_image="unreached")
    if lost == "before":
        nowhere = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
        args |= {"capture_vm_twin_variables": nowhere, "vm_capture_connection_timeout": 2}
    else:
        args["pretend_loss"] = True
    play(PLAYBOOK, **args).failed_with("not generalized")
    assert guests.ran_on() == []
    assert azure.get(azure.id(group, IMAGES, "unreached")) is None
    assert twin_groups(azure) == []
    assert azure.get(source.id) is not None
