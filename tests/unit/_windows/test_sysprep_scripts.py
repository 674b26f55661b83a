# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The PowerShell that starts Sysprep and reads what came of it: it does that, and nothing else.

What holds for every script of the roles is in test_powershell.py. Fixtures are tied to scripts by digest.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from tests.unit._windows.powershell import Script
from tests.unit._windows.supervised import REPORTED, reported

_FILES = Path(__file__).parents[3] / "roles" / "windows_generalize" / "files"
_SCRIPTS = {path.stem: Script(path) for path in sorted((_FILES / "sysprep").glob("*.ps1"))}
_BEGIN = Script(_FILES / "preflight" / "begin.ps1")
_LOOKING = {"ForEach-Object", "Get-Item", "Join-Path", "Set-StrictMode", "Where-Object"}
# What each calls beside that.
_COMMANDS = {
    "agent": {"Get-Service", "Start-Sleep"},
    "clear": {"Remove-Item", "Test-Path"},
    "panther": {"New-Object"},
    "parameters": set(),
    "power_off": {"shutdown.exe"},
    "run": {"Start-Process"},
    "wait": {"Get-Process", "Start-Sleep"},
    "watch": set(),
}
_METHODS = {
    "agent": {"AddSeconds"},
    "clear": set(),
    "panther": {"Dispose", "Min", "Read", "Seek", "ToBase64String"},
    "parameters": set(),
    "power_off": set(),
    "run": set(),
    "wait": {"ContainsKey", "Floor", "GetCurrent"},
    "watch": set(),
}

_each = pytest.mark.parametrize("name", sorted(_SCRIPTS))


def test_every_script_has_its_list() -> None:
    assert set(_SCRIPTS) == set(_COMMANDS) == set(_METHODS) == {path.stem for path in REPORTED.glob("*.yml")}


@_each
def test_a_script_calls_only_what_it_is_for(name: str) -> None:
    script = _SCRIPTS[name]
    own = script.functions() | _BEGIN.functions() | _SCRIPTS["wait"].functions()
    assert script.commands() - own - script.called_expressions() <= _LOOKING | _COMMANDS[name]
    assert script.methods() <= _METHODS[name]


def test_sysprep_is_started_in_one_place_once() -> None:
    starting = [name for name, script in _SCRIPTS.items() if "Start-Process" in script.commands()]
    assert starting == ["run"]
    text = _SCRIPTS["run"].content.decode("ascii")
    assert text.count("Start-Process") == 1
    condition = "if (-not $report.as_system -and $report.running.Count -eq 0) {"
    assert text.index(condition) < text.index("Start-Process") < text.index("Wait-Sysprep")


def test_a_broken_connection_does_not_have_ansible_start_sysprep_again() -> None:
    tasks = yaml.safe_load((_FILES.parent / "tasks" / "sysprep.yml").read_text(encoding="utf-8"))
    (steps,) = [task["block"] for task in tasks if "block" in task]
    (run,) = [step for step in steps if "_windows_generalize_run_script" in str(step)]
    assert run["vars"] == {"ansible_ssh_retries": 0}


def test_an_old_tag_is_cleared_away_so_that_one_that_is_there_is_new() -> None:
    tag = "System32\\Sysprep\\Sysprep_succeeded.tag"
    assert f"'{tag}'" in _SCRIPTS["clear"].content.decode("ascii")
    assert (
        f"$Report.tag_is_new = Test-Present -Path (Join-Path -Path $env:SystemRoot -ChildPath '{tag}')"
        in (_SCRIPTS["wait"].content.decode("ascii"))
    )


def test_the_logs_that_sysprep_writes_are_cleared_away_so_that_no_earlier_run_passes_for_this_one() -> None:
    cleared = _SCRIPTS["clear"].content.decode("ascii")
    collected = _SCRIPTS["panther"].content.decode("ascii")
    for name in ("setupact.log", "setuperr.log"):
        assert f"'{name}'" in collected
        assert f"'System32\\Sysprep\\Panther\\{name}'" in cleared


def test_only_the_script_that_clears_removes_anything_and_not_in_check_mode() -> None:
    removing = [name for name, script in _SCRIPTS.items() if "Remove-Item" in script.commands()]
    assert removing == ["clear"]
    text = _SCRIPTS["clear"].content.decode("ascii")
    assert "[CmdletBinding(SupportsShouldProcess)]" in text
    assert text.index("if (-not $Ansible.CheckMode)") < text.index("Remove-Item")


def test_power_is_cut_only_with_the_four_marks_and_nothing_at_work() -> None:
    text = _SCRIPTS["power_off"].content.decode("ascii")
    for needed in (
        "$run.started",
        "$run.running.Count -eq 0",
        "$run.tag_is_new",
        "$setup.succeeded_tag",
        "-eq 'IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE'",
        "$setup.setup_type.value -eq 2",
        "-like '*oobe\\windeploy.exe'",
    ):
        assert text.index(needed) < text.index("if ($succeeded)") < text.index("shutdown.exe")


@_each
def test_a_script_and_its_fixture_change_together(name: str) -> None:
    fixture = reported(name)
    digest = hashlib.sha256(_SCRIPTS[name].content).hexdigest()
    assert fixture["sha256"] == digest, "look at the fixture's answers, too"
    assert fixture["origin"] in ("written by hand", "captured")


@_each
def test_a_fixture_has_the_answers_of_its_script_and_their_keys(name: str) -> None:
    script, answers = _SCRIPTS[name], reported(name)["answers"]
    text = script.content.decode("ascii")
    assert set(answers) == {answer for answer in answers if f"Add-Answer -Name '{answer}'" in text}
    assert len(answers) == text.count("Add-Answer -Name ")
    assert {key for answer in answers.values() for key in answer} <= script.keys() | _SCRIPTS["wait"].keys()
