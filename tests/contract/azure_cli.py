# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""azure-cli from PyPI, unmodified, with a virtual environment and a configuration of its own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

# What the tests were written with; a client that moved on its own would make them fail for no fault here.
VERSION = "2.91.0"
BUILD = Path(__file__).resolve().parents[2] / ".build"


def azure_cli_venv(build: Path = BUILD) -> Path:
    """The program `az` of a virtual environment below `build`, installed on the first call.

    700 MB and one to two minutes. Raises RuntimeError with pip's last words when that fails.
    """
    folder = build / "azure-cli"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "installed"
    program = folder / "bin" / "az"
    with (folder / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.exists() and stamp.read_text(encoding="utf-8") == VERSION and program.exists()):
            stamp.unlink(missing_ok=True)
            venv.create(folder, clear=False, with_pip=True)
            _install(folder / "bin" / "python", f"azure-cli=={VERSION}")
            stamp.write_text(VERSION, encoding="utf-8")
    return program


def _install(python: Path, requirement: str) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"pip could not install {requirement}: {done.stderr.strip()[-2000:]}")


class Answer(NamedTuple):
    status: int
    output: str
    errors: str

    def json(self) -> Any:
        return json.loads(self.output) if self.output.strip() else None


class AzureCli:
    """Runs `az` against a cloud whose endpoints and CA bundle come from `environ`."""

    def __init__(self, program: Path, config_dir: Path, environ: Mapping[str, str]) -> None:
        self._program = program
        self._environ = {
            **{name: text for name, text in os.environ.items() if not name.startswith(("AZURE_", "ARM_"))},
            **environ,
            "AZURE_CONFIG_DIR": str(config_dir),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CORE_NO_COLOR": "yes",
            "AZURE_CORE_ONLY_SHOW_ERRORS": "yes",
            "AZURE_LOGGING_ENABLE_LOG_FILE": "no",
        }

    def run(self, *arguments: str) -> Answer:
        """Run one command whatever comes of it; the password is for `login` alone to see."""
        done = subprocess.run(
            [self._program, *arguments, "--output", "json"],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def __call__(self, *arguments: str) -> Any:
        """Run one command that must succeed; returns its JSON."""
        answer = self.run(*arguments)
        assert answer.status == 0, f"az {' '.join(arguments[:2])} failed: {answer.errors[-2000:]}"
        return answer.json()


if __name__ == "__main__":
    sys.stdout.write(f"{azure_cli_venv()}\n")
