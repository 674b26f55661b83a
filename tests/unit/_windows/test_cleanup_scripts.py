# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The PowerShell that looks for traces and removes them: what looks changes nothing, and what removes
decides nothing.

What holds for every script of the roles is in test_powershell.py. Fixtures are tied to scripts by digest.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.trace import KINDS

from tests.unit._windows.powershell import Script
from tests.unit._windows.traced import CLEANED, cleaned

_FILES = Path(__file__).parents[3] / "roles" / "windows_generalize" / "files"
_SCRIPTS = {path.stem: Script(path) for path in sorted((_FILES / "cleanup").glob("*.ps1"))}
_BEGIN = Script(_FILES / "preflight" / "begin.ps1")
_LOOKING = {"ForEach-Object", "Get-Item", "Join-Path", "Set-StrictMode", "Where-Object", "else"}
# What each calls beside that.
_COMMANDS = {
    "look_files": set(),
    "look_machine": {"Get-WinEvent"},
    "look_people": {"Get-CimInstance", "Get-LocalUser"},
    "look_registry": set(),
    "parameters": set(),
    "remove": set(),
    "remove_machine": {
        "Get-CimInstance",
        "Get-LocalUser",
        "Remove-CimInstance",
        "Remove-Item",
        "Remove-LocalUser",
        "Remove-WSManInstance",
    },
    "remove_places": {"Remove-Item", "Remove-ItemProperty"},
}
_METHODS = {
    "look_files": {
        "ContainsKey",
        "Escape",
        "ExpandEnvironmentVariables",
        "GetValue",
        "StartsWith",
        "Substring",
    },
    "look_machine": set(),
    "look_people": {"GetCurrent"},
    "look_registry": {"ContainsKey", "LastIndexOf", "Remove", "Substring"},
    "parameters": set(),
    "remove": set(),
    "remove_machine": {"ClearLog", "Split"},
    "remove_places": {"ContainsKey", "Delete", "LastIndexOf", "Substring"},
}

_each = pytest.mark.parametrize("name", sorted(_SCRIPTS))


def test_every_script_has_its_list() -> None:
    assert set(_SCRIPTS) == set(_COMMANDS) == set(_METHODS) == {path.stem for path in CLEANED.glob("*.yml")}


@_each
def test_a_script_calls_only_what_it_is_for(name: str) -> None:
    script = _SCRIPTS[name]
    own = script.functions() | _BEGIN.functions()
    if name == "remove":
        own |= _SCRIPTS["remove_places"].functions() | _SCRIPTS["remove_machine"].functions()
    assert script.commands() - own <= _LOOKING | _COMMANDS[name]
    assert script.methods() <= _METHODS[name]


def test_what_is_removed_in_a_hash_table_is_no_file() -> None:
    """The one method `Remove` takes a value out of an answer before it is told."""
    text = _SCRIPTS["look_registry"].content.decode("ascii")
    assert text.count(".Remove(") == text.count("$reading.Remove('value')") == 1


def test_the_remover_knows_every_kind_and_no_other() -> None:
    text = _SCRIPTS["remove"].content.decode("ascii")
    known = {line.strip().split("'")[1] for line in text.splitlines() if line.strip().startswith("'")}
    assert known == set(KINDS)
    assert "default { throw " in text


def test_folders_are_removed_without_following_links() -> None:
    text = _SCRIPTS["remove_places"].content.decode("ascii")
    assert "[IO.Directory]::Delete($Path, $true)" in text
    function = text[text.index("function Remove-File") : text.index("function Remove-Key")]
    assert "-Recurse" not in function
    assert "[IO.FileAttributes]::ReparsePoint) -eq 0" in _SCRIPTS["look_files"].content.decode("ascii")


@_each
def test_a_script_and_its_fixture_change_together(name: str) -> None:
    fixture = cleaned(name)
    digest = hashlib.sha256(_SCRIPTS[name].content).hexdigest()
    assert fixture["sha256"] == digest, "look at the fixture's answers, too"
    assert fixture["origin"] in ("written by hand", "captured")


@_each
def test_a_fixture_has_the_answers_of_its_script_and_their_keys(name: str) -> None:
    script, answers = _SCRIPTS[name], cleaned(name)["answers"]
    text = script.content.decode("ascii")
    assert set(answers) == {answer for answer in answers if f"Add-Answer -Name '{answer}'" in text}
    assert len(answers) == text.count("Add-Answer -Name ")
    assert {key for answer in answers.values() for key in answer} <= script.keys()
