# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""azure-cli from PyPI, unmodified, with a virtual environment and a configuration of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.fidelity.client_environment import BUILD, ClientEnvironment

# What the tests were written with; a client that moved on its own would make them fail for no fault here.
VERSION = "2.91.0"


def _install(environment: ClientEnvironment) -> None:
    # Compiling 700 MB of modules takes longer than all the tests; those that are used get compiled by use.
    environment.pip("install", "--no-compile", f"azure-cli=={VERSION}")


def azure_cli_program(build: Path = BUILD) -> Path:
    """The program `az`, installed on the first call: 700 MB, one to two minutes."""
    environment = ClientEnvironment("azure-cli", VERSION, _install, build)
    environment.ensure()
    return environment.program("az")


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
    sys.stdout.write(f"{azure_cli_program()}\n")
