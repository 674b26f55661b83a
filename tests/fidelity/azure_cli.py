# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""azure-cli from PyPI, unmodified, with a virtual environment and a configuration of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.fidelity.client_environment import BUILD, ClientEnvironment, inherited
from tests.integration.cloud import LocalAzure

CLOUD = "LocalAzure"

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
            **inherited(),
            **environ,
            "AZURE_CONFIG_DIR": str(config_dir),
            # SSH keys that it generates are kept below the home folder.
            "HOME": str(config_dir),
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


def register(azure: LocalAzure, config_dir: Path) -> AzureCli:
    """A CLI that knows the local Azure as a cloud and has not signed in."""
    cli = AzureCli(azure_cli_program(), config_dir, azure.env)
    cli("cloud", "register", "--name", CLOUD, "--endpoint-resource-manager", azure.url)
    cli("cloud", "set", "--name", CLOUD)
    return cli


def sign_in(cli: AzureCli, azure: LocalAzure, secret: Path) -> list[dict[str, object]]:
    """Sign in as the service principal; returns the subscriptions that the CLI then knows.

    `secret` is a file: the CLI reads an argument from there, so that no process list shows it.
    """
    accounts = cli(
        "login",
        "--service-principal",
        "--username",
        azure.env["AZURE_CLIENT_ID"],
        "--password",
        f"@{secret}",
        "--tenant",
        azure.env["AZURE_TENANT"],
    )
    assert isinstance(accounts, list)
    return accounts
