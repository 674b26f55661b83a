# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""azure.azcollection, unmodified, with the Python packages that it asks for itself.

It is taken out of the `ansible` package, which has it and can be had where its own server cannot.
"""

from __future__ import annotations

import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.fidelity.client_environment import BUILD, ClientEnvironment, inherited

# What the tests were written with. The release of `ansible` says which one of the collection: 3.21.0, which
# finds a cloud by its address where older ones cannot. Its modules run with an older ansible-core, too.
ANSIBLE = "ansible==14.5.0"
ANSIBLE_CORE = "ansible-core>=2.19,<2.20"
_COLLECTION = "ansible_collections/azure/azcollection/"


def _install(environment: ClientEnvironment) -> None:
    with tempfile.TemporaryDirectory(dir=environment.folder) as folder:
        fetch = ("--no-deps", "--ignore-requires-python", "--dest", folder, ANSIBLE)
        environment.pip("download", *fetch)
        (wheel,) = Path(folder).glob("ansible-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.startswith(_COLLECTION)]
            archive.extractall(environment.folder / "collections", members)
    requirements = environment.folder / "collections" / _COLLECTION / "requirements.txt"
    environment.pip("install", "--no-compile", ANSIBLE_CORE, "--requirement", str(requirements))


def environment(build: Path = BUILD) -> ClientEnvironment:
    """The virtual environment and the collection; made on the first use: 900 MB, one to two minutes."""
    made = ClientEnvironment("azcollection", f"{ANSIBLE} {ANSIBLE_CORE}", _install, build)
    made.ensure()
    return made


class Azcollection:
    """Runs playbooks that use azure.azcollection."""

    def __init__(self, environ: Mapping[str, str], config_dir: Path, build: Path = BUILD) -> None:
        self._environment = environment(build)
        self._environ = {
            **inherited(),
            **environ,
            # It looks for the cloud among those that azure-cli's library knows, which learns of new ones here
            # and notes them in its folder.
            "ARM_CLOUD_METADATA_URL": f"{environ['AZURE_CLOUD_ENVIRONMENT']}/metadata/endpoints"
            "?api-version=2019-05-01",
            "AZURE_CONFIG_DIR": str(config_dir),
            "ANSIBLE_COLLECTIONS_PATH": str(self._environment.folder / "collections"),
            "ANSIBLE_HOME": str(self._environment.folder / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "true",
            # The interpreter of the environment has the SDKs; discovery would find the system's.
            "ANSIBLE_PYTHON_INTERPRETER": str(self._environment.program("python")),
        }

    def play(self, playbook: Path, **variables: str) -> str:
        """Run a playbook that must succeed; returns what it printed."""
        done = subprocess.run(
            [
                self._environment.program("ansible-playbook"),
                str(playbook),
                *(word for name, value in variables.items() for word in ("--extra-vars", f"{name}={value}")),
            ],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-6000:]}{done.stderr[-2000:]}"
        return done.stdout
