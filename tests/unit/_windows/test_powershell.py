# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The PowerShell of the roles for Windows: well-formed, short, strict, and nothing in it that is not allowed.

The collectors of the preflight may only look. What they answer is in fixtures that are tied to their digests:
who changes a collector looks at its fixture, and notes the new digest there.
"""

from __future__ import annotations

import hashlib
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit._windows.healthy import COLLECTED
from tests.unit._windows.powershell import Script

_ROLES = Path(__file__).parents[3] / "roles"
_ALL = [Script(path) for path in sorted(_ROLES.glob("windows_*/files/**/*.ps1"))]
_COLLECTORS = [script for script in _ALL if script.path.parent.name == "preflight"]
_MOST_LINES = 60

# None of them changes anything; New-Object makes an object of .NET.
_CMDLETS = {
    "ConvertTo-Json",
    "ForEach-Object",
    "Get-AppxPackage",
    "Get-AppxProvisionedPackage",
    "Get-CimInstance",
    "Get-Command",
    "Get-Item",
    "Get-LocalUser",
    "Get-NpsRadiusClient",
    "Get-Process",
    "Get-WindowsFeature",
    "Invoke-CimMethod",
    "Join-Path",
    "New-Object",
    "Select-Object",
    "Set-StrictMode",
    "Sort-Object",
    "Where-Object",
}
_CIM_METHODS = {"'GetConversionStatus'", "'DetermineIfRebootPending'"}
_METHODS = {
    "GetCurrent",
    "GetSubKeyNames",
    "GetValue",
    "GetValueNames",
    "IsInRole",
    "IsPathRooted",
    "Matches",
    "Parse",
    "ReadAllLines",
    "ReadAllText",
    "Split",
    "Trim",
}
_TYPES = {
    "char",
    "int",
    "io.file",
    "io.fileattributes",
    "io.path",
    "microsoft.management.infrastructure.cimexception",
    "regex",
    "scriptblock",
    "security.principal.windowsbuiltinrole",
    "security.principal.windowsidentity",
    "string",
    "system.management.automation.drivenotfoundexception",
    "system.management.automation.itemnotfoundexception",
}
# Text that is put together from values, which could become code or a path that nobody meant.
_EXPANDABLE = ("expandable_string_literal", "expandable_here_string_literal", "sub_expression")

_each = pytest.mark.parametrize("script", _ALL, ids=lambda script: script.path.name)
_each_collector = pytest.mark.parametrize("script", _COLLECTORS, ids=lambda script: script.path.name)


def test_there_are_scripts() -> None:
    assert len(_COLLECTORS) > 10


def test_the_grammar_finds_what_is_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ps1"
    broken.write_text("function Get-It {\n    if ($true) { 'yes'\n}\n", encoding="ascii")
    assert Script(broken).errors()


@_each
def test_a_script_is_well_formed(script: Script) -> None:
    assert script.errors() == []


@_each
def test_a_script_is_short_and_strict_and_says_what_it_is_for(script: Script) -> None:
    assert len(script.lines) < _MOST_LINES
    code = [line for line in script.lines if line and not line.startswith("#")]
    code = list(dropwhile(lambda line: line.startswith(("[CmdletBinding", "param(")), code))
    assert code[:2] == ["Set-StrictMode -Version 2", "$ErrorActionPreference = 'Stop'"]
    assert script.lines[3].startswith("# ")


@_each
def test_a_script_puts_no_text_together(script: Script) -> None:
    assert script.texts(*_EXPANDABLE) == set()


@_each
def test_a_script_calls_by_value_only_what_it_was_handed_as_a_block(script: Script) -> None:
    assert script.called_expressions() <= {"$Collector"}


@pytest.mark.parametrize(
    ("name", "changing"),
    [
        ("firewall.ps1", {"Get-NetFirewallRule", "New-NetFirewallRule", "Set-NetFirewallRule"}),
        ("boot_configuration.ps1", {"bcdedit.exe"}),
    ],
)
def test_a_script_of_windows_prepare_changes_only_what_it_is_for(name: str, changing: set[str]) -> None:
    script = Script(_ROLES / "windows_prepare" / "files" / name)
    assert script.commands() - script.functions() <= {*changing, "Select-Object", "Set-StrictMode"}
    assert script.methods() <= {"ExpandEnvironmentVariables", "Trim"}
    # Without it, Ansible would not run the script in check mode.
    assert "[CmdletBinding(SupportsShouldProcess)]" in script.lines


@_each_collector
def test_a_collector_calls_only_what_changes_nothing(script: Script) -> None:
    common = Script(script.path.with_name("begin.ps1")).functions()
    assert script.commands() - common - script.called_expressions() <= _CMDLETS
    assert script.methods() <= _METHODS
    assert script.types() <= _TYPES
    assert script.arguments("-MethodName") <= _CIM_METHODS


@_each_collector
def test_a_collector_turns_nothing_that_is_missing_into_a_number_or_a_flag(script: Script) -> None:
    # [int] of nothing is 0, and [bool] of nothing is false: both could pass for fine.
    assert script.casts() <= {"[string]", "[char]"}


def _fixture(script: Script) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(
        (COLLECTED / f"{script.path.stem}.yml").read_text(encoding="utf-8")
    )
    return found


@_each_collector
def test_a_collector_and_its_fixture_change_together(script: Script) -> None:
    fixture = _fixture(script)
    assert fixture["sha256"] == hashlib.sha256(script.content).hexdigest(), (
        "look at the fixture's answers, too"
    )
    assert fixture["origin"] in ("written by hand", "captured")


@_each_collector
def test_a_fixture_has_the_answers_of_its_collector_and_their_keys(script: Script) -> None:
    answers = _fixture(script)["answers"]
    names = {name.strip("'") for name in script.arguments("-Name")}
    assert set(answers) <= names
    keys = {key for answer in answers.values() for key in answer if not _is_service(key)}
    assert keys <= script.keys()
    added = sum(line.startswith("Add-Answer -Name ") for line in script.lines)
    assert len(answers) == added


def _is_service(key: str) -> bool:
    return key[0].isupper()


def test_no_fixture_is_left_of_a_collector_that_is_gone() -> None:
    assert {path.stem for path in COLLECTED.glob("*.yml")} == {script.path.stem for script in _COLLECTORS}
