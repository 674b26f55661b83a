# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Sysprep supervised by role windows_generalize: the real Ansible, and a machine that answers as scripted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.integration.plays import PlayResult
from tests.integration.windows import HOST, WindowsPlayer, windows_player
from tests.integration.windows_sysprep import ROLE, SupervisedMachine
from tests.unit._windows.supervised import present, untouched, with_log, with_state
from tests.windows.failures import FAILURES
from tests.windows.sysprep_logs import render, success

_BY_CAUSE = {failure.cause: failure for failure in reversed(FAILURES)}
_LOG = "System32/Sysprep/Panther/setupact.log"


@pytest.fixture
def machine() -> SupervisedMachine:
    return SupervisedMachine()


@pytest.fixture
def windows(tmp_path: Path, machine: SupervisedMachine) -> Iterator[WindowsPlayer]:
    with windows_player(tmp_path, machine.scripts()) as player:
        yield player


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    return {
        "windows_generalize_confirm": "build",
        "windows_generalize_backup": False,
        "windows_generalize_logs": str(tmp_path / "logs"),
    }


def _verdict(done: PlayResult) -> str:
    """The last one that the role came to."""
    name = "windows_generalize_verdict"
    facts = [result.result.get("ansible_facts", {}) for result in done.results]
    return str([one[name]["verdict"] for one in facts if name in one][-1])


def test_sysprep_is_started_once_after_agent_and_logs_and_its_success_is_told(
    windows: WindowsPlayer,
    machine: SupervisedMachine,
    given: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    done = windows.role(ROLE, **given).succeeded()
    assert machine.steps == ["look", "agent", "logs", "clear", "run"]
    assert machine.given["run"]["Options"] == ["/generalize", "/oobe", "/quiet", "/quit"]
    assert int(machine.given["run"]["DeadlineSeconds"]) == 3600
    assert "WindowsAzureGuestAgent" in machine.given["agent"]["Services"]
    assert "All four marks of success are there." in done.output
    announced = done.tasks[f"goldenimage.azure.{ROLE} : Say before the silence how long it may last"]
    until, heard = [
        datetime.fromisoformat(text)
        for text in re.findall(r"at (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\s+UTC", announced.msg)
    ]
    left = until - datetime.now(timezone.utc).replace(tzinfo=None)
    assert timedelta(seconds=3480) < left < timedelta(hours=1)
    assert heard - until == timedelta(seconds=900)
    assert str(tmp_path / "logs" / HOST / "after") in announced.msg
    names = [result.task.split(" : ")[-1] for result in done.results]
    assert names.index("Say before the silence how long it may last") < names.index(
        "Run Sysprep and wait for its end"
    )
    for when in ("before", "after"):
        kept = tmp_path / "logs" / HOST / when / _LOG
        assert kept.read_text(encoding="utf-8").splitlines() == render(success()).splitlines()
        assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("bitlocker-on", ("The system volume is encrypted", "manage-bde -off C:")),
        pytest.param("appx-per-user", ("Contoso.Notes",), marks=pytest.mark.thorough),
        pytest.param("pending-restart", ("estart",), marks=pytest.mark.thorough),
    ],
)
def test_a_refusal_fails_with_cause_and_remedy_and_the_machine_as_it_was(
    windows: WindowsPlayer,
    machine: SupervisedMachine,
    given: dict[str, Any],
    cause: str,
    said: tuple[str, ...],
) -> None:
    machine.after = with_log(untouched(), _BY_CAUSE[cause].messages)
    done = windows.role(ROLE, **given)
    done.failed_with("is not generalized (refused)", "The machine is as it was", "The logs are in", *said)
    assert machine.steps == ["look", "agent", "logs", "clear", "run"]


def test_an_image_that_is_half_armed_is_no_success(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    # Its state and log are those of success, but nothing has the next start go to OOBE.
    machine.after["setup"]["value"].update(setup_type=present(0), setup_command_line=present(""))
    windows.role(ROLE, **given).failed_with(
        "is not generalized (half-way)", "are missing: setup-type, command-line", "Go back to the backup"
    )


@pytest.mark.thorough
def test_a_sysprep_that_ends_without_a_word_and_without_marks_is_no_success(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    machine.after = untouched()
    windows.role(ROLE, **given).failed_with("is not generalized (refused)", "it refused")


def test_damage_fails_and_calls_for_the_backup(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    failure = _BY_CAUSE["defender-for-endpoint"]
    machine.after = with_log(with_state(failure.state), failure.messages)
    done = windows.role(ROLE, **given)
    done.failed_with("is not generalized (damaged)", "Go back to the backup, offboard the machine")


def test_a_hang_is_running_and_overdue_with_the_deadline_and_options_that_were_given(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    given.update(windows_generalize_mode_vm=True, windows_generalize_deadline=7200)
    given.update(windows_generalize_agent_deadline=60)
    machine.after = with_state("IMAGE_STATE_UNDEPLOYABLE")
    machine.after["sysprep"]["value"].update(running=["SetupHost"], deadline_passed=True)
    windows.role(ROLE, **given).failed_with("(running)", "The deadline has passed.")
    assert machine.given["run"]["Options"][-1] == "/mode:vm"
    assert int(machine.given["run"]["DeadlineSeconds"]) == 7200
    assert int(machine.given["agent"]["DeadlineSeconds"]) == 60


@pytest.mark.thorough
def test_a_connection_that_is_closed_for_good_is_silence(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    machine.ends_at = "run"
    done = windows.role(ROLE, **given)
    done.failed_with("is not generalized (silent)", "Do not capture the machine.")
    assert machine.steps == ["look", "agent", "logs", "clear", "run"]


@pytest.mark.parametrize("verdict", ["success", pytest.param("damaged", marks=pytest.mark.thorough)])
def test_a_lost_session_is_followed_up_from_another_one_without_a_second_start(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any], verdict: str
) -> None:
    machine.ends_at, machine.comes_back = "run", True
    if verdict == "damaged":
        machine.watched = with_state("IMAGE_STATE_UNDEPLOYABLE")
    done = windows.role(ROLE, **given)
    assert _verdict(done) == verdict
    assert (done.rc == 0) == (verdict == "success")
    assert machine.steps == ["look", "agent", "logs", "clear", "run", "watch"]


def test_sysprep_is_not_started_while_the_agent_does_not_run(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    machine.agent["waiting"] = ["RdAgent"]
    windows.role(ROLE, **given).failed_with("RdAgent of the Azure VM agent did not run within 600 seconds")
    assert machine.steps == ["look", "agent"]


def test_logs_that_cannot_be_kept_are_not_cleared_away(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    machine.before = {"panther": {"ok": False, "error": "access denied."}}
    windows.role(ROLE, **given).failed_with("could not be read: access denied. Nothing was changed.")
    assert machine.steps == ["look", "agent", "logs"]


def test_check_mode_starts_nothing_and_says_what_would_be_done(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any], tmp_path: Path
) -> None:
    done = windows.role(ROLE, check=True, **given).succeeded()
    assert machine.steps == ["look"]
    assert "run Sysprep with /generalize /oobe /quiet /quit" in done.output
    assert not (tmp_path / "logs").exists()
