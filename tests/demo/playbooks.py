# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Runs shipped playbooks with their output in view, and reads back what their tasks returned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).resolve().parent.parent.parent
_SAY_EVERY = 15.0
CALLBACKS = CHECKOUT / "tests" / "integration" / "callbacks"


class PlaybookError(Exception):
    """A playbook ended with an error; its output has said why."""


class Finished(NamedTuple):
    """A playbook that succeeded: what each task returned, and what it left behind with set_stats."""

    results: list[dict[str, Any]]
    custom_stats: dict[str, Any]

    def of_module(self, name: str) -> list[dict[str, Any]]:
        """What `name` returned, in order, one entry for each item of a loop."""
        return [
            entry["result"]
            for entry in self.results
            if entry["action"].endswith(f".{name}") and "results" not in entry["result"]
        ]


class Playbooks:
    """Runs playbooks of the collection, each with an environment of its own making.

    `work_dir` takes variables and records; `azure` is the environment that names cloud and credentials; `say`
    gets a line of progress now and then.
    """

    def __init__(self, work_dir: Path, azure: Mapping[str, str], say: Callable[[str], None]) -> None:
        self.work_dir = work_dir
        self.azure = dict(azure)
        self.say = say

    def _environment(self, record: Path) -> dict[str, str]:
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "ARM_"))
        }
        environ.update(
            ANSIBLE_COLLECTIONS_PATH=str(CHECKOUT / ".build" / "collections"),
            ANSIBLE_HOME=str(self.work_dir / "ansible"),
            ANSIBLE_CALLBACK_PLUGINS=str(CALLBACKS),
            ANSIBLE_CALLBACKS_ENABLED="record_results,ansible.builtin.default",
            ANSIBLE_HOST_KEY_CHECKING="false",
            ANSIBLE_RETRY_FILES_ENABLED="false",
            ANSIBLE_LOCALHOST_WARNING="false",
            ANSIBLE_INVENTORY_UNPARSED_WARNING="false",
            ANSIBLE_NOCOWS="true",
            LC_ALL="C.UTF-8",
            PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            RECORD_RESULTS=str(record),
        )
        environ.update(self.azure)
        return environ

    def _run(self, command: list[str], environ: dict[str, str]) -> int:
        """The exit status. A task says nothing while it works, so the seconds are said in its stead."""
        began = time.monotonic()
        with subprocess.Popen(command, cwd=self.work_dir, env=environ, stdin=subprocess.DEVNULL) as process:
            while True:
                try:
                    return process.wait(_SAY_EVERY)
                except subprocess.TimeoutExpired:
                    self.say(f"still at it, {time.monotonic() - began:.0f} s since this playbook started")
                except BaseException:
                    process.terminate()
                    raise

    def run(self, name: str, variables: Mapping[str, Any], inventory: str | None = None) -> Finished:
        """Run playbook `name` of the collection. Raises PlaybookError when it does not succeed."""
        record = self.work_dir / f"{name}.results.jsonl"
        record.unlink(missing_ok=True)
        file = self.work_dir / f"{name}.vars.json"
        file.write_text(json.dumps(variables, indent=1), encoding="utf-8")
        command = ["ansible-playbook", f"goldenimage.azure.{name}", "--extra-vars", f"@{file}"]
        if inventory is not None:
            hosts = self.work_dir / f"{name}.inventory"
            hosts.write_text(inventory, encoding="utf-8")
            command += ["--inventory", str(hosts)]
        status = self._run(command, self._environment(record))
        if status != 0:
            raise PlaybookError(f"playbook {name} ended with exit code {status}")
        entries = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
        stats = [entry for entry in entries if entry["kind"] == "stats"][-1]["custom"]
        return Finished(
            [entry for entry in entries if entry["kind"] == "task"],
            {key: value for host in stats.values() for key, value in host.items()},
        )
