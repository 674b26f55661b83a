# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The connection ends at each step of role windows_generalize, in each way: the role ends by its deadline,
never takes the end for a verdict, and never starts Sysprep a second time. And it knows which one it has."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.plays import CHECKOUT, Player
from tests.integration.windows import WindowsPlayer, windows_player
from tests.integration.windows_sysprep import ROLE, SupervisedMachine
from tests.unit._windows.traced import clean
from tests.windows.double.server import Ending

_HISTORY = "~\\AppData\\Roaming\\Microsoft\\Windows\\PowerShell\\PSReadLine\\*"
_SCRIPTS = ("look", "agent", "logs", "clear", "remove", "run", "watch")
# What is said where the connection ends at a step.
_SAID = {
    "facts-1": ("image-state:unknown", "nothing was changed"),
    "facts-2": ("server-role:unknown", "nothing was changed"),
    "look": ("these traces could not be looked for, and nothing was changed",),
    "agent": ("Nothing came back.", "Nothing was changed."),
    "logs": ("Nothing came back.", "Nothing was changed."),
    "clear": ("or nothing was heard of it", "Sysprep was not started.", "The logs are in"),
    "remove": ("Whether it was removed is not known", "Sysprep was not started."),
    "run": ("is not generalized (silent)", "Do not capture the machine.", "was started ended with"),
    "watch": ("is not generalized (silent)", "Do not capture the machine."),
}
# Silence takes longest to be seen, and its end at Sysprep's own step matters most; the others are thorough.
_QUICK = {
    (Ending.SILENT, "agent"),
    (Ending.SILENT, "run"),
    (Ending.REFUSED, "run"),
}
_CASES = [
    pytest.param(ending, step, marks=[] if (ending, step) in _QUICK else [pytest.mark.thorough])
    for ending in Ending
    for step in _SAID
]
# Seconds: of the role, of the connection, and of Ansible itself, however busy the machine is.
_DEADLINE, _ANSWER, _READ, _ANSIBLE = 2, 4, 3, 60


@pytest.fixture
def machine() -> SupervisedMachine:
    answers = SupervisedMachine()
    answers.traces = clean({_HISTORY: ["C:\\h"]})
    return answers


@pytest.fixture
def windows(tmp_path: Path, machine: SupervisedMachine) -> Iterator[WindowsPlayer]:
    with windows_player(tmp_path, machine.scripts()) as player:
        yield player


def _given(tmp_path: Path) -> dict[str, Any]:
    return {
        "windows_generalize_confirm": "build",
        "windows_generalize_backup": False,
        "windows_generalize_logs": str(tmp_path / "logs"),
        "windows_generalize_deadline": _DEADLINE,
        "windows_generalize_agent_deadline": _DEADLINE,
        "windows_generalize_answer_deadline": _ANSWER,
        "_windows_generalize_watch_least": 1,
    }


@pytest.mark.parametrize(("ending", "step"), _CASES, ids=lambda value: getattr(value, "value", value))
def test_the_role_ends_by_its_deadline_and_says_what_is_known(
    windows: WindowsPlayer, machine: SupervisedMachine, tmp_path: Path, ending: Ending, step: str
) -> None:
    machine.ends_at, machine.ending = step, ending
    if step == "watch":
        # Its session is the second one: nothing that tells came home from the first.
        machine.after = {}
    began = time.monotonic()
    done = windows.role(
        ROLE,
        connection={"ansible_psrp_operation_timeout": 1, "ansible_psrp_read_timeout": _READ},
        **_given(tmp_path),
    )
    took = time.monotonic() - began
    done.failed_with(*_SAID[step])
    # Two tasks are waited for at most, each with the end of its session.
    assert took < 2 * (_DEADLINE + _ANSWER + 2 * _READ) + _ANSIBLE
    expected = [] if step.startswith("facts") else list(_SCRIPTS[: _SCRIPTS.index(step) + 1])
    assert machine.steps == expected
    assert machine.steps.count("run") <= 1


def test_a_machine_that_falls_silent_and_comes_back_is_judged_by_its_marks(
    windows: WindowsPlayer, machine: SupervisedMachine, tmp_path: Path
) -> None:
    machine.ends_at, machine.ending, machine.comes_back = "run", Ending.SILENT, True
    done = windows.role(
        ROLE,
        connection={"ansible_psrp_operation_timeout": 1, "ansible_psrp_read_timeout": _READ},
        **_given(tmp_path),
    )
    done.succeeded()
    assert machine.steps == list(_SCRIPTS)


def test_the_transport_is_told_as_ansible_s_connection_plugins_take_it(tmp_path: Path) -> None:
    psrp, winrm = {"ansible_connection": "psrp"}, {"ansible_connection": "winrm"}
    hosts: dict[str, dict[str, Any]] = {
        "https-by-default": psrp,
        "http-by-port": {**psrp, "ansible_port": 5985},
        "http-by-own-port": {**psrp, "ansible_psrp_port": 5985},
        "http-by-own-port-first": {**psrp, "ansible_psrp_port": 5985, "ansible_port": 5986},
        "https-by-other-s-port": {**psrp, "ansible_winrm_port": 5985},
        "https-by-protocol": {**psrp, "ansible_psrp_protocol": "https", "ansible_port": 5985},
        "http-of-winrm": {**winrm, "ansible_winrm_port": 5985},
        "http-by-scheme": {**winrm, "ansible_winrm_scheme": "http"},
        "https-of-winrm": winrm,
        "ssh": {"ansible_connection": "ssh", "ansible_port": 5985},
    }
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    told = {"ansible.builtin.debug": {"msg": "{{ _windows_generalize_transport }}"}}
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(CHECKOUT / "roles" / ROLE / "vars" / "main.yml")],
        "tasks": [told],
    }
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
    done = Player(tmp_path, {})(playbook, env={"ANSIBLE_INVENTORY": str(inventory)}).succeeded()
    assert {result.host: result.msg for result in done.results} == {
        name: name.partition("-")[0] for name in hosts
    }
