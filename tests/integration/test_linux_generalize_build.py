# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""linux_generalize without a name: the tag of a build in Azure confirms a machine, and only the very machine.

What is refused here is the machine that runs the tests.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.integration.backups import BackedUp
from tests.integration.cloud import LocalAzure
from tests.integration.machines import golden_image
from tests.integration.plays import CHECKOUT, Player, PlayResult
from tests.integration.pretended_guests import PLAYBOOK, Guests, survey
from tests.integration.twins import make_source


@pytest.fixture(scope="module")
def machine(azure: LocalAzure, session: AzureSession, group: str) -> BackedUp:
    """A machine in Azure, which is not the one the tests run on."""
    golden_image(azure, group)
    return BackedUp(azure, session, group, data_disks=[])


def generalize(play: Player, tmp_path: Path, *, check: bool = True, **variables: Any) -> PlayResult:
    inventory = tmp_path / "inventory"
    inventory.write_text(
        f"target ansible_connection=local ansible_become=false ansible_python_interpreter={sys.executable}\n"
    )
    return play(
        CHECKOUT / "playbooks" / "generalize_linux.yml",
        check=check,
        env={"ANSIBLE_INVENTORY": str(inventory)},
        generalize_linux_hosts="target",
        **variables,
    )


def test_machine_of_no_build_is_not_confirmed_by_its_id_alone(
    play: Player, machine: BackedUp, tmp_path: Path
) -> None:
    machine.azure.do("PATCH", machine.id, {"tags": {"team": "shop"}})
    run = generalize(play, tmp_path, linux_generalize_vm_id=machine.id)
    run.failed_with(
        machine.name, "has no tag goldenimage_build", "linux_generalize_confirm", "Nothing was changed"
    )
    gone = machine.id + "-gone"
    generalize(play, tmp_path, linux_generalize_vm_id=gone).failed_with(gone, "does not exist")


@pytest.mark.parametrize(
    "variables",
    [
        {"linux_generalize_vm_id": "build-vm"},
        {"linux_generalize_confirm": "x", "linux_generalize_backup": True},
        {"linux_generalize_confirm": "x", "linux_generalize_rescue": True, "linux_generalize_vm_id": "/x/y"},
    ],
)
def test_id_that_is_none_is_refused_before_azure_is_asked(
    play: Player, tmp_path: Path, variables: dict[str, Any]
) -> None:
    generalize(play, tmp_path, **variables).failed_with("no virtual machine's id", "Nothing was changed")


@pytest.mark.parametrize("tag", ["GoldenImage_Build", "made-by.ci"])
def test_tag_of_a_build_confirms_only_the_machine_that_has_it(
    play: Player, machine: BackedUp, tmp_path: Path, tag: str
) -> None:
    machine.azure.do("PATCH", machine.id, {"tags": {tag: "nightly"}})
    wanted: dict[str, Any] = {} if "image" in tag.lower() else {"linux_generalize_build_tag": tag}
    run = generalize(play, tmp_path, linux_generalize_vm_id=machine.id, **wanted)
    vm_id = machine.body()["properties"]["vmId"]
    run.failed_with(f"confirmation is '{vm_id}', but this host is", "nothing was changed")


def test_name_that_was_given_goes_before_the_tag(play: Player, machine: BackedUp, tmp_path: Path) -> None:
    machine.azure.do("PATCH", machine.id, {"tags": {"goldenimage_build": "nightly"}})
    run = generalize(
        play, tmp_path, linux_generalize_vm_id=machine.id, linux_generalize_confirm="some-other-host"
    )
    run.failed_with("confirmation is 'some-other-host'")


@pytest.mark.parametrize("rescue", [False, True])
def test_right_host_with_the_id_of_another_machine_in_azure_is_refused(
    play: Player, machine: BackedUp, tmp_path: Path, rescue: bool
) -> None:
    mark = machine.azure.mark()
    # Only ever in check mode: it is this very host that is named.
    run = generalize(
        play,
        tmp_path,
        linux_generalize_vm_id=machine.id,
        linux_generalize_confirm=platform.node(),
        linux_generalize_rescue=rescue,
    )
    vm_id = machine.body()["properties"]["vmId"]
    run.failed_with(vm_id, platform.node(), "nothing was changed", "One of both is another machine")
    assert machine.azure.writes(mark) == []


def test_own_tasks_do_not_touch_a_machine_that_is_refused(play: Player, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    tasks = tmp_path / "before.yml"
    tasks.write_text(f"- ansible.builtin.file: {{path: {touched}, state: touch, mode: '600'}}\n")
    # Not in check mode: a name that no host has is refused before anything else is looked at.
    run = generalize(
        play,
        tmp_path,
        check=False,
        linux_generalize_confirm="a-name-no-host-has",
        linux_generalize_pre_tasks_file=str(tasks),
    )
    run.failed_with("confirmation is 'a-name-no-host-has'", "nothing was changed")
    assert not touched.exists()


def test_twin_is_confirmed_by_its_own_id_in_azure(
    azure: LocalAzure, play: Player, group: str, tmp_path: Path
) -> None:
    source = make_source(azure, group, "origin")
    guests = Guests(tmp_path)
    told = tmp_path / "told"
    tell = {"content": "{{ linux_generalize_confirm }}", "dest": str(told), "mode": "0600"}
    tasks = [{"name": "Tell which machine is meant", "ansible.builtin.copy": tell}]
    (guests.role / "tasks" / "main.yml").write_text(json.dumps(tasks))
    mark = azure.mark()
    play(PLAYBOOK, **survey(group, guests, capture_vm_image="of-twin")).succeeded()
    answers = [
        exchange["liveResponse"]["body"]
        for exchange in azure.exchanges(mark)
        if exchange["liveRequest"]["url"].partition("?")[0].endswith("/virtualMachines/origin-twin")
    ]
    ids = {answer["properties"]["vmId"] for answer in answers if "properties" in (answer or {})}
    assert ids == {told.read_text()}
    assert source.body["properties"]["vmId"] not in ids
