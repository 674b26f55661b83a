# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Runs the real ansible-playbook and reads back what every task returned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
COLLECTIONS = CHECKOUT / ".build" / "collections"

Task = dict[str, Any]


@dataclass(frozen=True)
class TaskResult:
    """What one task returned on one host; `run["key"]` reads the result.

    `status`: ok, failed, ignored, skipped, unreachable, item_ok or item_failed.
    """

    task: str
    action: str
    host: str
    status: str
    result: dict[str, Any]

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed", False))

    @property
    def failed(self) -> bool:
        return self.status in ("failed", "ignored")

    @property
    def msg(self) -> str:
        return str(self.result.get("msg", ""))

    def __getitem__(self, key: str) -> Any:
        return self.result[key]


class PlayResult(NamedTuple):
    """One finished run. `stats` is per host; `custom_stats` is what set_stats left behind."""

    rc: int
    stdout: str
    stderr: str
    results: list[TaskResult]
    stats: dict[str, dict[str, int]]
    custom_stats: dict[str, Any]

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def tasks(self) -> dict[str, TaskResult]:
        """The last result by task name (a name used once is a key for it)."""
        return {result.task: result for result in self.results if not result.status.startswith("item_")}

    @property
    def last(self) -> TaskResult:
        return [result for result in self.results if not result.status.startswith("item_")][-1]

    @property
    def warnings(self) -> list[str]:
        """Every warning and deprecation shown or returned."""
        shown = [line for line in self.output.splitlines() if line.startswith(("[WARNING]", "[DEPRECATION"))]
        for result in self.results:
            shown += [str(text) for text in result.result.get("warnings", [])]
            shown += [str(text) for text in result.result.get("deprecations", [])]
        return shown

    def succeeded(self) -> PlayResult:
        assert self.rc == 0, self.output
        assert not self.warnings, self.warnings
        return self

    def failed_with(self, *fragments: str) -> TaskResult:
        """The failing task. Its message must hold every one of `fragments`, and a traceback is no message."""
        assert self.rc != 0, f"the run should have failed:\n{self.output}"
        failures = [result for result in self.results if result.status == "failed"]
        assert failures, self.output
        for fragment in fragments:
            assert fragment in failures[-1].msg, f"{fragment!r} is not in {failures[-1].msg!r}"
        assert "Traceback" not in self.output, self.output
        return failures[-1]


class Player:
    """Runs playbooks with an environment that holds nothing of the user's own Azure or Ansible set-up."""

    def __init__(self, work_dir: Path, azure_env: Mapping[str, str]) -> None:
        self.work_dir = work_dir
        self.azure_env = dict(azure_env)
        self._runs = 0

    def environment(self, extra: Mapping[str, str | None]) -> dict[str, str]:
        """The process environment of a run. A name given as None in `extra` is taken out."""
        home = self.work_dir / "home"
        home.mkdir(exist_ok=True)
        (home / "ansible.cfg").touch()
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AZURE_", "ANSIBLE_", "ARM_"))
        }
        environ.update(
            HOME=str(home),
            PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            LC_ALL="C.UTF-8",
            PYTHONDONTWRITEBYTECODE="1",
            ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
            ANSIBLE_HOME=str(home / "ansible"),
            ANSIBLE_REMOTE_TEMP=str(home / "remote"),
            ANSIBLE_CONFIG=str(home / "ansible.cfg"),
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_RETRY_FILES_ENABLED="0",
            ANSIBLE_LOCALHOST_WARNING="0",
            ANSIBLE_INVENTORY_UNPARSED_WARNING="0",
            ANSIBLE_CALLBACK_PLUGINS=str(HERE / "callbacks"),
            ANSIBLE_CALLBACKS_ENABLED="record_results",
        )
        environ.update(self.azure_env)
        for name, value in extra.items():
            if value is None:
                environ.pop(name, None)
            else:
                environ[name] = value
        return environ

    def __call__(
        self,
        playbook: Path | str | Sequence[Task],
        *,
        check: bool = False,
        diff: bool = False,
        verbosity: int = 0,
        env: Mapping[str, str | None] | None = None,
        timeout: float = 240,
        **extra_vars: Any,
    ) -> PlayResult:
        """Run a playbook (a bare name: one of tests/integration/playbooks) or tasks on localhost."""
        self._runs += 1
        run_dir = self.work_dir / f"run-{self._runs:03d}"
        run_dir.mkdir()
        record = run_dir / "results.jsonl"
        command = ["ansible-playbook", str(self._playbook_file(playbook, run_dir))]
        if extra_vars:
            variables = run_dir / "vars.json"
            variables.write_text(json.dumps(extra_vars, default=str), encoding="utf-8")
            command += ["--extra-vars", f"@{variables}"]
        command += ["--check"] * check + ["--diff"] * diff
        command += [f"-{'v' * verbosity}"] * bool(verbosity)
        done = subprocess.run(
            command,
            cwd=run_dir,
            env=self.environment({"RECORD_RESULTS": str(record), **(env or {})}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return _read(done, record)

    def module(self, name: str, args: Mapping[str, Any], **options: Any) -> PlayResult:
        """Run one module of the collection as the only task of a play; `.last` is its result."""
        return self([{"name": name, f"goldenimage.azure.{name}": dict(args)}], **options)

    def each(self, name: str, every_args: Sequence[Mapping[str, Any]], **options: Any) -> list[TaskResult]:
        """Run one module with each of the given arguments in one play that goes on after failures.

        `check_mode` among the arguments is the task's keyword.
        """
        tasks: list[Task] = []
        for number, given in enumerate(every_args):
            args = dict(given)
            keywords = {"check_mode": args.pop("check_mode")} if "check_mode" in args else {}
            task = {"name": f"{name} {number}", f"goldenimage.azure.{name}": args, "ignore_errors": True}
            tasks.append({**task, **keywords})
        done = self(tasks, **options)
        assert "Traceback" not in done.output, done.output
        assert not done.warnings, done.warnings
        assert len(done.results) == len(tasks), done.output
        return done.results

    def _playbook_file(self, playbook: Path | str | Sequence[Task], run_dir: Path) -> Path:
        if isinstance(playbook, Path):
            return playbook
        if isinstance(playbook, str):
            return HERE / "playbooks" / playbook
        play = {
            "name": "Tasks of a test",
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": list(playbook),
        }
        file = run_dir / "play.yml"
        file.write_text(json.dumps([play], indent=1), encoding="utf-8")  # JSON is YAML
        return file


def _read(done: subprocess.CompletedProcess[str], record: Path) -> PlayResult:
    results: list[TaskResult] = []
    stats: dict[str, dict[str, int]] = {}
    custom: dict[str, Any] = {}
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    for line in lines:
        entry = json.loads(line)
        if entry["kind"] == "stats":
            stats, custom = entry["hosts"], entry["custom"].get("_run", {})
        else:
            results.append(
                TaskResult(entry["task"], entry["action"], entry["host"], entry["status"], entry["result"])
            )
    return PlayResult(done.returncode, done.stdout, done.stderr, results, stats, custom)
