# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Role windows_generalize under the real Ansible, with a machine that answers as the collectors do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.plays import CHECKOUT, PlayResult
from tests.integration.windows import HOST, WindowsPlayer, script_of, windows_player
from tests.unit._windows.healthy import COLLECTED, Answers, server
from tests.windows.double.scripted_windows import Script

_ROLE = "windows_generalize"
_VARS = CHECKOUT / "roles" / _ROLE / "vars" / "main.yml"
_ROUNDS = yaml.safe_load(_VARS.read_text(encoding="utf-8"))["_windows_generalize_collectors"]


class _Collectors:
    """What the two scripts print. `answers` and `printed` are for the test to change."""

    def __init__(self) -> None:
        self.answers: Answers = server()
        self.printed: list[str] | None = None

    def scripts(self) -> dict[str, Script]:
        return {
            script_of(_ROLE, *(f"preflight/{name}.ps1" for name in ("begin", *names, "end"))): self._of(names)
            for names in _ROUNDS
        }

    def _of(self, names: list[str]) -> Script:
        wanted = [
            collector
            for name in names
            for collector in yaml.safe_load((COLLECTED / f"{name}.yml").read_text(encoding="utf-8"))[
                "answers"
            ]
        ]

        def run(parameters: Mapping[str, Any], check_mode: bool) -> tuple[bool, list[str]]:
            assert not parameters
            assert not check_mode, "to look is no change: it is done in check mode, too"
            answers = {collector: self.answers[collector] for collector in wanted}
            return True, [json.dumps(answers)] if self.printed is None else self.printed

        return run


@pytest.fixture
def collectors() -> _Collectors:
    return _Collectors()


@pytest.fixture
def windows(tmp_path: Path, collectors: _Collectors) -> Iterator[WindowsPlayer]:
    with windows_player(tmp_path, collectors.scripts()) as player:
        yield player


_GO_ON: dict[str, Any] = {
    "windows_generalize_confirm": "build",
    "windows_generalize_backup": False,
    "windows_generalize_sysprep": False,
}


def _preflight(done: PlayResult) -> dict[str, Any]:
    facts: dict[str, Any] = done.tasks[f"goldenimage.azure.{_ROLE} : Judge it"]["ansible_facts"]
    found: dict[str, Any] = facts["windows_generalize_preflight"]
    return found


def _only_looked(windows: WindowsPlayer) -> bool:
    return [call.name for call in windows.machine.calls] == ["win_powershell"] * len(_ROUNDS)


def test_a_healthy_machine_passes_in_two_round_trips_and_nothing_is_changed(windows: WindowsPlayer) -> None:
    done = windows.role(_ROLE, **_GO_ON).succeeded()
    assert _preflight(done) == {
        "computer": "BUILD",
        "vm_ids": ["a1b2c3d4-0102-0304-8506-0708090a0b0c", "d4c3b2a1-0201-0403-8506-0708090a0b0c"],
        "stops": False,
        "findings": [],
        "waived": [],
        "summary": [],
    }
    assert _only_looked(windows)
    assert done.stats[HOST]["changed"] == 0


def test_what_speaks_against_sysprep_is_told_all_at_once(
    windows: WindowsPlayer, collectors: _Collectors
) -> None:
    collectors.answers["licensing"]["value"]["rearms_left"] = 0
    collectors.answers["appx"]["value"]["provisioned"] = []
    done = windows.role(_ROLE, **_GO_ON)
    done.failed_with(
        "nothing was changed",
        "RemainingWindowsReArmCount is 0.",
        "Microsoft.DesktopAppInstaller_1.0.0.0_x64__8wekyb3d8bbwe is installed for builder",
        "rearm-count, appx:Microsoft.DesktopAppInstaller",
    )
    assert _only_looked(windows)


def test_findings_are_waived_by_name(windows: WindowsPlayer, collectors: _Collectors) -> None:
    collectors.answers["system"]["value"].update(part_of_domain=True, domain="example.com")
    windows.role(_ROLE, **_GO_ON).failed_with("example.com")
    done = windows.role(_ROLE, windows_generalize_waive=["domain-joined"], **_GO_ON).succeeded()
    assert [finding["name"] for finding in _preflight(done)["waived"]] == ["domain-joined"]
    windows.role(_ROLE, windows_generalize_waive=["domain"], **_GO_ON).failed_with(
        "There is no finding 'domain'"
    )


def test_the_preflight_alone_is_data_and_does_not_fail(
    windows: WindowsPlayer, collectors: _Collectors
) -> None:
    collectors.answers["encryption"]["value"]["volumes"][0]["conversion_status"] = 1
    done = windows.role(_ROLE, windows_generalize_preflight_only=True).succeeded()
    assert [finding["name"] for finding in _preflight(done)["findings"]] == ["bitlocker:C"]
    assert _only_looked(windows)


def test_check_mode_looks_as_well_and_changes_nothing(
    windows: WindowsPlayer, collectors: _Collectors
) -> None:
    windows.role(_ROLE, check=True, **_GO_ON).succeeded()
    assert _only_looked(windows)
    collectors.answers["licensing"]["value"]["rearms_left"] = 0
    windows.role(_ROLE, check=True, **_GO_ON).failed_with("RemainingWindowsReArmCount is 0.")


@pytest.mark.parametrize("printed", [[], ["null", '{"setup": {"ok": false, "error": "denied"}}', "{"]])
def test_what_makes_no_sense_is_unknown_and_stops(
    windows: WindowsPlayer, collectors: _Collectors, printed: list[str]
) -> None:
    collectors.printed = printed
    done = windows.role(_ROLE, **_GO_ON)
    done.failed_with("image-state:unknown")
    assert {finding["severity"] for finding in _preflight(done)["findings"]} == {"unknown"}


def test_a_lost_connection_does_not_pass(windows: WindowsPlayer) -> None:
    windows.machine.ends_at = 2
    windows.role(_ROLE, **_GO_ON).failed_with("server-role:unknown", "appx:unknown")


def test_another_machine_than_the_one_that_is_meant_is_refused(windows: WindowsPlayer) -> None:
    windows.role(_ROLE, **{**_GO_ON, "windows_generalize_confirm": "other"}).failed_with(
        "windows_generalize_confirm is other, and the machine is BUILD. Nothing was changed."
    )


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "windows_generalize_confirm is not set"),
        ({"windows_generalize_confirm": "build"}, "leave it out and set windows_generalize_backup to false"),
        (
            {"windows_generalize_confirm": "build", "windows_generalize_vm_id": "build"},
            "windows_generalize_vm_id is 'build', which is no virtual machine's id",
        ),
        (
            {**_GO_ON, "windows_generalize_vm_id": "build"},
            "windows_generalize_vm_id is 'build', which is no virtual machine's id",
        ),
        ({"windows_generalize_waive": {"a": 1}}, "windows_generalize_waive"),
        ({"windows_generalize_backup": "perhaps"}, "windows_generalize_backup"),
    ],
)
def test_what_is_wrong_with_the_variables_is_told_before_the_machine_is_asked(
    windows: WindowsPlayer, variables: dict[str, Any], message: str
) -> None:
    done = windows.role(_ROLE, **variables)
    assert done.rc != 0
    assert message in done.output
    assert windows.machine.calls == []


def test_a_machine_that_is_no_windows_is_refused(windows: WindowsPlayer) -> None:
    connection = {"ansible_connection": "local", "ansible_shell_type": "sh"}
    windows.role(_ROLE, connection=connection, **_GO_ON).failed_with("so it is no Windows machine")
    assert windows.machine.calls == []
