# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Sysprep supervised by role windows_generalize: the real Ansible, and a machine that answers as scripted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.plays import CHECKOUT, PlayResult
from tests.integration.windows import HOST, WindowsPlayer, script_of, windows_player
from tests.unit._windows.healthy import COLLECTED, server
from tests.unit._windows.supervised import Answers, generalized, untouched, with_log, with_state
from tests.windows.double.scripted_windows import Script
from tests.windows.double.server import ConnectionLostError
from tests.windows.failures import FAILURES
from tests.windows.sysprep_logs import render, success

_ROLE = "windows_generalize"
_FILES = CHECKOUT / "roles" / _ROLE / "files"
_VARS = yaml.safe_load((CHECKOUT / "roles" / _ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
_BY_CAUSE = {failure.cause: failure for failure in reversed(FAILURES)}
_LOG = "System32/Sysprep/Panther/setupact.log"
_BEGIN, _END = ("sysprep/parameters", "preflight/begin"), ("preflight/end",)
_COLLECT = ("preflight/setup", "sysprep/panther", "sysprep/power_off")
_STEPS = {
    "agent": (*_BEGIN, "sysprep/agent", *_END),
    "logs": (*_BEGIN, "sysprep/panther", *_END),
    "clear": ("sysprep/clear",),
    "run": (*_BEGIN, "sysprep/wait", "sysprep/run", *_COLLECT, *_END),
    "watch": (*_BEGIN, "sysprep/wait", "sysprep/watch", *_COLLECT, *_END),
}


class _Machine:
    """What the supervising scripts answer, for a test to change. `steps` notes which of them came."""

    def __init__(self) -> None:
        self.agent: dict[str, Any] = {"found": ["RdAgent"], "waiting": []}
        self.before = with_log({}, tuple(success()))
        self.after: Answers = with_log(generalized(), tuple(success()))
        self.watched: Answers = self.after
        self.lost: threading.Event | None = None
        self.comes_back = False
        self.steps: list[str] = []
        self.given: dict[str, Mapping[str, Any]] = {}

    def scripts(self) -> dict[str, Script]:
        known = {
            script_of(_ROLE, *(f"{part}.ps1" for part in parts)): self._of(step)
            for step, parts in _STEPS.items()
        }
        for names in _VARS["_windows_generalize_collectors"]:
            files = [f"preflight/{name}.ps1" for name in ("begin", *names, "end")]
            known[script_of(_ROLE, *files)] = _healthy(names)
        return known

    def _of(self, step: str) -> Script:
        def run(parameters: Mapping[str, Any], check_mode: bool) -> tuple[bool, list[str]]:
            assert not check_mode
            self.steps.append(step)
            self.given[step] = parameters
            if step == "run" and self.lost is not None:
                if self.comes_back:
                    threading.Timer(0.5, self.lost.clear).start()
                raise ConnectionLostError
            answers = {
                "agent": {"agent": {"ok": True, "value": self.agent}},
                "logs": self.before,
                "clear": {},
                "run": self.after,
                "watch": self.watched,
            }
            return step == "clear", [json.dumps(answers[step])]

        return run


def _healthy(names: list[str]) -> Script:
    answers = server()
    wanted = {}
    for name in names:
        fixture = yaml.safe_load((COLLECTED / f"{name}.yml").read_text(encoding="utf-8"))
        wanted.update({collector: answers[collector] for collector in fixture["answers"]})
    return lambda _parameters, _check_mode: (False, [json.dumps(wanted)])


@pytest.fixture
def machine() -> _Machine:
    return _Machine()


@pytest.fixture
def windows(tmp_path: Path, machine: _Machine) -> Iterator[WindowsPlayer]:
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
    windows: WindowsPlayer, machine: _Machine, given: dict[str, Any], tmp_path: Path
) -> None:
    done = windows.role(_ROLE, **given).succeeded()
    assert machine.steps == ["agent", "logs", "clear", "run"]
    assert machine.given["run"]["Options"] == ["/generalize", "/oobe", "/quiet", "/quit"]
    assert machine.given["run"]["DeadlineSeconds"] == 3600
    assert "WindowsAzureGuestAgent" in machine.given["agent"]["Services"]
    assert "All four marks of success are there." in done.output
    for when in ("before", "after"):
        kept = tmp_path / "logs" / HOST / when / _LOG
        assert kept.read_text(encoding="utf-8").splitlines() == render(success()).splitlines()
        assert kept.stat().st_mode & 0o777 == 0o600


def test_a_refusal_fails_with_cause_and_remedy_and_the_machine_as_it_was(
    windows: WindowsPlayer, machine: _Machine, given: dict[str, Any]
) -> None:
    machine.after = with_log(untouched(), _BY_CAUSE["bitlocker-on"].messages)
    done = windows.role(_ROLE, **given)
    done.failed_with(
        "is not generalized (refused)",
        "The system volume is encrypted",
        "manage-bde -off C:",
        "The machine is as it was",
        "The logs are in",
    )
    assert machine.steps == ["agent", "logs", "clear", "run"]


def test_damage_fails_and_calls_for_the_backup(
    windows: WindowsPlayer, machine: _Machine, given: dict[str, Any]
) -> None:
    failure = _BY_CAUSE["defender-for-endpoint"]
    machine.after = with_log(with_state(failure.state), failure.messages)
    done = windows.role(_ROLE, **given)
    done.failed_with("is not generalized (damaged)", "Go back to the backup, offboard the machine")


def test_a_hang_is_running_and_overdue_with_the_deadline_and_options_that_were_given(
    windows: WindowsPlayer, machine: _Machine, given: dict[str, Any]
) -> None:
    given.update(windows_generalize_mode_vm=True, windows_generalize_deadline=7200)
    given.update(windows_generalize_agent_deadline=60)
    machine.after = with_state("IMAGE_STATE_UNDEPLOYABLE")
    machine.after["sysprep"]["value"].update(running=["SetupHost"], deadline_passed=True)
    windows.role(_ROLE, **given).failed_with("(running)", "The deadline has passed.")
    assert machine.given["run"]["Options"][-1] == "/mode:vm"
    assert machine.given["run"]["DeadlineSeconds"] == 7200
    assert machine.given["agent"]["DeadlineSeconds"] == 60


def test_a_connection_that_is_closed_for_good_is_silence(
    windows: WindowsPlayer, machine: _Machine, given: dict[str, Any]
) -> None:
    machine.lost = windows.lost
    done = windows.role(_ROLE, **given)
    done.failed_with("is not generalized (silent)", "Do not capture the machine.")
    assert machine.steps == ["agent", "logs", "clear", "run"]


@pytest.mark.parametrize("verdict", ["success", "damaged"])
def test_a_lost_session_is_followed_up_from_another_one_without_a_second_start(
    windows: WindowsPlayer, machine: _Machine, given: dict[str, Any], verdict: str
) -> None:
    machine.lost, machine.comes_back = windows.lost, True
    if verdict == "damaged":
        machine.watched = with_state("IMAGE_STATE_UNDEPLOYABLE")
    done = windows.role(_ROLE, **given)
    assert _verdict(done) == verdict
    assert (done.rc == 0) == (verdict == "success")
    assert machine.steps == ["agent", "logs", "clear", "run", "watch"]


def test_sysprep_is_not_started_while_the_agent_does_not_run(
    windows: WindowsPlayer, machine: _Machine, given: dict[str, Any]
) -> None:
    machine.agent["waiting"] = ["RdAgent"]
    windows.role(_ROLE, **given).failed_with("RdAgent of the Azure VM agent did not run within 600 seconds")
    assert machine.steps == ["agent"]


def test_check_mode_starts_nothing_and_says_what_would_be_done(
    windows: WindowsPlayer, machine: _Machine, given: dict[str, Any], tmp_path: Path
) -> None:
    done = windows.role(_ROLE, check=True, **given).succeeded()
    assert machine.steps == []
    assert "run Sysprep with /generalize /oobe /quiet /quit" in done.output
    assert not (tmp_path / "logs").exists()
