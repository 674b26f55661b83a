# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What role windows_generalize does in Azure: the backup before, the proof or the way back after Sysprep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.integration.backups import VM, BackedUp
from tests.integration.cloud import LocalAzure
from tests.integration.machines import golden_image
from tests.integration.plays import Player
from tests.integration.windows import WindowsPlayer
from tests.integration.windows_sysprep import ROLE, SupervisedMachine
from tests.unit._windows.supervised import with_log, with_state
from tests.windows.double.scripted_windows import ScriptedWindows
from tests.windows.double.server import WindowsDouble
from tests.windows.failures import FAILURES

_DAMAGE = next(failure for failure in FAILURES if failure.cause == "defender-for-endpoint")


@pytest.fixture(scope="module", autouse=True)
def image(azure: LocalAzure, group: str) -> str:
    return golden_image(azure, group)


@pytest.fixture
def vm(azure: LocalAzure, session: AzureSession, group: str) -> BackedUp:
    return BackedUp(azure, session, group)


@pytest.fixture
def another_machine() -> SupervisedMachine:
    """One that has the computer's name, and is none of Azure's."""
    return SupervisedMachine()


@pytest.fixture
def machine(another_machine: SupervisedMachine, vm: BackedUp) -> SupervisedMachine:
    """The guest of `vm`."""
    vm_id = vm.body()["properties"]["vmId"]
    another_machine.facts["firmware"]["value"]["uuid"] = vm_id.upper()
    return another_machine


@pytest.fixture
def windows(azure: LocalAzure, another_machine: SupervisedMachine, tmp_path: Path) -> Iterator[WindowsPlayer]:
    scripted = ScriptedWindows(another_machine.scripts())
    with WindowsDouble(scripted) as double:
        yield WindowsPlayer(Player(tmp_path, azure.env), scripted, double)


def _variables(vm: BackedUp, tmp_path: Path) -> dict[str, Any]:
    return {
        "windows_generalize_confirm": "build",
        "windows_generalize_vm_id": vm.id,
        "windows_generalize_logs": str(tmp_path / "logs"),
    }


def test_a_generalized_machine_has_a_backup_and_its_proof(
    azure: LocalAzure, windows: WindowsPlayer, machine: SupervisedMachine, vm: BackedUp, tmp_path: Path
) -> None:
    # The guest switches itself off.
    machine.when_run = lambda: azure.do("POST", f"{vm.id}/powerOff")
    windows.role(ROLE, **_variables(vm, tmp_path)).succeeded()
    assert [backup.was_running for backup in vm.backups()] == [True]
    assert machine.steps == ["look", "agent", "logs", "clear", "run"]
    resource = azure.get(vm.id)
    time, vm_id = resource["tags"]["goldenimage_generalized"].split()
    assert (time[-1], vm_id) == ("Z", resource["properties"]["vmId"])


def test_a_damaged_machine_is_brought_back_and_gets_no_proof(
    azure: LocalAzure, windows: WindowsPlayer, machine: SupervisedMachine, vm: BackedUp, tmp_path: Path
) -> None:
    machine.after = with_log(with_state(_DAMAGE.state), _DAMAGE.messages)
    before = {disk["id"] for disk in vm.disks().values()}
    done = windows.role(ROLE, windows_generalize_restore=True, **_variables(vm, tmp_path))
    done.failed_with("(damaged)", "Defender for Endpoint", "The machine was brought back to its backup.")
    assert not before & {disk["id"] for disk in vm.disks().values()}
    assert "goldenimage_generalized" not in azure.get(vm.id).get("tags", {})


def test_a_way_back_that_fails_does_not_hide_what_made_sysprep_fail(
    windows: WindowsPlayer, machine: SupervisedMachine, vm: BackedUp, tmp_path: Path
) -> None:
    machine.after = with_log(with_state(_DAMAGE.state), _DAMAGE.messages)
    machine.when_run = lambda: vm("absent", backup=vm.backups()[0].name)
    done = windows.role(ROLE, windows_generalize_restore=True, **_variables(vm, tmp_path))
    done.failed_with("(damaged)", "Defender for Endpoint", "could not be brought back to its backup: ")


@pytest.mark.thorough
def test_a_machine_that_is_off_without_a_word_is_neither_asked_again_nor_proved(
    azure: LocalAzure, windows: WindowsPlayer, machine: SupervisedMachine, vm: BackedUp, tmp_path: Path
) -> None:
    machine.when_run = lambda: azure.do("POST", f"{vm.id}/powerOff")
    machine.ends_at = "run"
    done = windows.role(ROLE, **_variables(vm, tmp_path))
    done.failed_with("(silent)", "Azure says that the machine is stopped, which proves nothing.")
    assert machine.steps[-1] == "run"
    assert "goldenimage_generalized" not in azure.get(vm.id).get("tags", {})


@pytest.mark.parametrize(
    ("firmware", "told", "options"),
    [
        (None, "a1b2c3d4-0102-0304-8506-0708090a0b0c", {}),
        pytest.param(
            None,
            "a1b2c3d4-0102-0304-8506-0708090a0b0c",
            {"windows_generalize_backup": False},
            marks=pytest.mark.thorough,
        ),
        pytest.param({"ok": False, "error": "Invalid class"}, "tells none.", {}, marks=pytest.mark.thorough),
    ],
    ids=["with a backup", "without a backup", "unreadable"],
)
def test_right_computer_with_the_id_of_another_machine_in_azure_is_refused(  # noqa: PLR0917 - fixtures
    azure: LocalAzure,
    windows: WindowsPlayer,
    another_machine: SupervisedMachine,
    vm: BackedUp,
    tmp_path: Path,
    firmware: dict[str, Any] | None,
    told: str,
    options: dict[str, Any],
) -> None:
    if firmware is not None:
        another_machine.facts["firmware"] = firmware
    mark = azure.mark()
    done = windows.role(ROLE, **{**_variables(vm, tmp_path), **options})
    vm_id = vm.body()["properties"]["vmId"]
    done.failed_with(f"has the id {vm_id} in Azure", "BUILD", told, "nothing was changed")
    assert another_machine.steps == []
    assert azure.writes(mark) == []


def test_id_of_a_machine_that_azure_does_not_have_is_refused_before_the_computer_is_asked(
    azure: LocalAzure, windows: WindowsPlayer, group: str, tmp_path: Path
) -> None:
    gone = azure.id(group, VM, "gone")
    windows.role(
        ROLE,
        windows_generalize_confirm="build",
        windows_generalize_vm_id=gone,
        windows_generalize_logs=str(tmp_path / "logs"),
    ).failed_with(f"{gone} does not exist", "Nothing was changed.")
    assert windows.machine.calls == []
