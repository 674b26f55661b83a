# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Traces removed by role windows_generalize: told in check mode, and gone before Sysprep is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.cleanup import places

from tests.integration.windows import WindowsPlayer, windows_player
from tests.integration.windows_sysprep import ROLE, SupervisedMachine
from tests.unit._windows.traced import clean, cleaned, removed

_HISTORY = "~\\AppData\\Roaming\\Microsoft\\Windows\\PowerShell\\PSReadLine\\*"
_FOUND = "C:\\Users\\builder\\AppData\\Roaming\\ConsoleHost_history.txt"


@pytest.fixture
def machine() -> SupervisedMachine:
    answers = SupervisedMachine()
    looked = cleaned("look_machine")["answers"]
    answers.traces = clean({_HISTORY: [_FOUND]}, winrm=looked["winrm"], event_logs=looked["event_logs"])
    return answers


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


def test_traces_are_removed_after_the_logs_are_kept_and_before_sysprep_is_started(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    done = windows.role(ROLE, windows_generalize_accounts=["packer"], **given).succeeded()
    assert machine.steps == ["look", "agent", "logs", "clear", "remove", "run"]
    assert machine.given["look"] == {
        "Files": places("files"),
        "UserKeys": places("user_keys"),
        "Values": places("values"),
    }
    told = machine.given["remove"]
    assert list(zip(told["Kinds"], told["Targets"], strict=True)) == [
        ("profile", "S-1-5-21-1-2-3-1002"),
        ("account", "S-1-5-21-1-2-3-1002"),
        ("file", _FOUND),
        ("listener", "*+HTTPS"),
        ("certificate", "6A1B0042"),
        ("certificate", "77AA"),
        ("event-log", "Application"),
        ("event-log", "System"),
    ]
    assert "own-account (stays): account builder" in done.output


def test_check_mode_lists_them_and_removes_nothing(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    done = windows.role(ROLE, check=True, **given).succeeded()
    assert machine.steps == ["look"]
    assert f"powershell-history (to be removed): {_FOUND.replace(chr(92), chr(92) * 2)}" in done.output
    assert "remove powershell-history, winrm-certificates, event-logs, run Sysprep" in done.output


@pytest.mark.thorough
def test_what_is_excluded_stays_and_the_part_can_be_left_out(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    kept = ["powershell-history", "winrm-certificates"]
    windows.role(ROLE, windows_generalize_traces_exclude=kept, **given).succeeded()
    assert set(machine.given["remove"]["Kinds"]) == {"event-log"}
    machine.steps.clear()
    windows.role(ROLE, windows_generalize_cleanup=False, **given).succeeded()
    assert machine.steps == ["agent", "logs", "clear", "run"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"windows_generalize_accounts": ["builder"]}, "builder is the account of this session"),
        pytest.param(
            {"windows_generalize_traces_exclude": ["history"]},
            "There is no trace 'history'",
            marks=pytest.mark.thorough,
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_changed(
    windows: WindowsPlayer,
    machine: SupervisedMachine,
    given: dict[str, Any],
    variables: dict[str, Any],
    message: str,
) -> None:
    windows.role(ROLE, **variables, **given).failed_with(message)
    assert machine.steps == ["look"]


def test_accounts_that_would_stay_are_refused(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    given.update(windows_generalize_cleanup=False, windows_generalize_accounts=["packer"])
    windows.role(ROLE, **given).failed_with("so that they would stay. Nothing was changed.")
    assert machine.steps == []


def test_what_could_not_be_looked_for_stops_before_anything_is_changed(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    machine.traces["winrm"] = {"ok": False, "error": "access denied"}
    windows.role(ROLE, **given).failed_with(
        "Collector winrm failed: access denied.", "nothing was changed", "winrm-certificates."
    )
    assert machine.steps == ["look"]


def test_sysprep_is_not_started_where_a_trace_that_matters_could_not_be_removed(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    machine.removed = removed(6, {0: "It is in use."})
    windows.role(ROLE, **given).failed_with(
        f"powershell-history: {_FOUND}. It is in use.", "Sysprep was not started"
    )
    assert machine.steps == ["look", "agent", "logs", "clear", "remove"]


@pytest.mark.thorough
def test_a_log_that_could_not_be_cleared_is_told_and_sysprep_started(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    machine.removed = removed(6, {5: "It is in use."})
    done = windows.role(ROLE, **given).succeeded()
    assert "event-logs: System. It is in use." in done.output
    assert machine.steps[-1] == "run"


@pytest.mark.thorough
def test_over_https_the_listener_of_the_session_stays(
    windows: WindowsPlayer, machine: SupervisedMachine, given: dict[str, Any]
) -> None:
    # The double itself speaks plain HTTP; the role goes by what is said of the connection.
    windows.role(ROLE, _windows_generalize_scheme="https", **given).succeeded()
    assert set(machine.given["remove"]["Kinds"]) == {"file", "event-log"}
