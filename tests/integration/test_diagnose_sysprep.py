# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The playbook that diagnoses a folder of Sysprep's logs, under the real ansible-playbook."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.plays import CHECKOUT, Player
from tests.windows.failures import FAILURES
from tests.windows.sysprep_logs import errors_of, render, success

PLAYBOOK = CHECKOUT / "playbooks" / "diagnose_sysprep.yml"
DSC = next(failure for failure in FAILURES if failure.cause == "dsc-state")


@pytest.fixture
def player(tmp_path: Path) -> Player:
    """Needs no Azure."""
    return Player(tmp_path, {})


def test_each_folder_of_logs_gets_its_diagnosis(player: Player, tmp_path: Path) -> None:
    logs = tmp_path / "web (1)"
    for name, text in (
        ("one/setupact.log", render(DSC.messages)),
        ("one/SetupErr.log", render(errors_of(DSC.messages))),
        ("two/Panther/setupact.log", render(success())),
        ("two/setupapi.dev.log", "another kind of log"),
    ):
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).write_bytes(text.encode("utf-16"))

    run = player(PLAYBOOK, diagnose_sysprep_folder=str(logs), diagnose_sysprep_image_state="").succeeded()

    found = run.custom_stats["diagnose_sysprep_diagnoses"]
    causes = {Path(folder).relative_to(logs).as_posix(): one["cause"] for folder, one in found.items()}
    assert causes == {"one": "dsc-state", "two/Panther": "none"}
    assert found[str(logs / "one")]["machine_changed"] == "partly"
    assert "Desired State Configuration was used on this machine" in run.stdout
    assert not [result for result in run.results if result.changed]


def test_a_folder_without_logs_is_refused(player: Player, tmp_path: Path) -> None:
    run = player(PLAYBOOK, diagnose_sysprep_folder=str(tmp_path))
    run.failed_with("neither a setupact.log nor a setuperr.log", str(tmp_path))


def test_what_is_needed_is_asked_for(player: Player) -> None:
    player(PLAYBOOK, diagnose_sysprep_folder="").failed_with("Set diagnose_sysprep_folder.")
