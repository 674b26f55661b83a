# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Runs roles for Windows against the double: the real ansible-playbook and psrp connection, no Windows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.integration.plays import CHECKOUT, Player, PlayResult
from tests.windows.double.scripted_windows import Script, ScriptedWindows, digest
from tests.windows.double.server import WindowsDouble

HOST = "win"


class WindowsPlayer:
    """Applies a role to the machine, with its variables."""

    def __init__(self, player: Player, machine: ScriptedWindows, double: WindowsDouble) -> None:
        self.machine = machine
        self._player = player
        self._double = double
        self._runs = 0

    def role(
        self,
        name: str,
        *,
        check: bool = False,
        tags: Sequence[str] = (),
        connection: Mapping[str, Any] | None = None,
        **variables: Any,
    ) -> PlayResult:
        """Run the role. What the double could not answer fails the test, whatever the role made of it."""
        self._runs += 1
        folder = self._player.work_dir / f"windows-{self._runs}"
        folder.mkdir()
        hosts = {HOST: {**self._double.variables, **(connection or {})}}
        inventory = folder / "inventory.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
        play = {
            "name": "A role for Windows",
            "hosts": HOST,
            "gather_facts": False,
            "roles": [{"role": f"goldenimage.azure.{name}", "vars": variables}],
        }
        playbook = folder / "playbook.yml"
        playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
        done = self._player(
            playbook,
            check=check,
            env={"ANSIBLE_INVENTORY": str(inventory), "ANSIBLE_RUN_TAGS": ",".join(tags) or None},
        )
        assert not self._double.errors, self._double.errors
        return done


@contextmanager
def windows_player(folder: Path, scripts: Mapping[str, Script]) -> Iterator[WindowsPlayer]:
    """A double that knows these scripts, by digest."""
    machine = ScriptedWindows(scripts)
    with WindowsDouble(machine) as double:
        yield WindowsPlayer(Player(folder, {}), machine, double)


def script_of(role: str, *names: str) -> str:
    """The digest of the scripts of a role that are sent as one, in that order."""
    files = CHECKOUT / "roles" / role / "files"
    return digest("".join((files / name).read_text(encoding="ascii").rstrip() + "\n" for name in names))
