# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Runs shipped playbooks with their output in view, and reads back what their tasks returned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).resolve().parent.parent.parent
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

    `work_dir` takes variables and records; `azure` is the environment that names cloud and credentials.
    """

    def __init__(self, work_dir: Path, azure: Mapping[str, str]) -> None:
        self.work_dir = work_dir
        self.azure = dict(azure)

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
        done = subprocess.run(
            command, cwd=self.work_dir, env=self._environment(record), stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode != 0:
            raise PlaybookError(f"playbook {name} ended with exit code {done.returncode}")
        entries = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
        stats = [entry for entry in entries if entry["kind"] == "stats"][-1]["custom"]
        return Finished(
            [entry for entry in entries if entry["kind"] == "task"],
            {key: value for host in stats.values() for key, value in host.items()},
        )
