# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Our uploader and the others: how each is installed, and the command that uploads a disk with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.fidelity import azcollection
from tests.fidelity.client_environment import BUILD, ClientEnvironment

HERE = Path(__file__).parent
AZCOPY = "@azure-tools/azcopy-linux@10.32.2"
IMG_UTILS = "azure-img-utils==2.7.0"


class Uploader(NamedTuple):
    """A program that uploads. `command` is without disk and URL.

    `takes`: endings of the files that it takes for what they are; `slow`: it may take minutes;
    `for_limits`: it shows what a client can do, for which the null sink is enough.
    """

    name: str
    version: str
    command: list[str]
    environ: dict[str, str]
    takes: frozenset[str] = frozenset({".vhd"})
    after: tuple[str, ...] = ()
    slow: bool = False
    for_limits: bool = False

    def fits(self, target: str, disk: Path) -> bool:
        """Whether there is something to learn from it with this target and disk."""
        return disk.suffix in self.takes and (target == "null" or not self.for_limits)

    def upload(self, disk: Path, url: str) -> list[str]:
        return [*self.command, str(disk), url, *self.after]


def _environ(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "AZCOPY_"))}
    return {**kept, **more}


def _own(name: str, module: str, *options: str, for_limits: bool = False) -> Uploader:
    root = HERE.parents[1]
    path = os.pathsep.join(map(str, (root, BUILD / "collections")))
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *options]
    takes = frozenset({".vhd", ".qcow2"})
    return Uploader(name, "", command, _environ(PYTHONPATH=path), takes=takes, for_limits=for_limits)


def _azcopy_program(folder: Path) -> Path:
    package = folder / "node_modules/@azure-tools/azcopy-linux"
    if not package.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", AZCOPY]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=900)
    program = package / "dist/bin/azcopy_linux_amd64"
    # The package has it without the permission to run.
    program.chmod(0o755)
    return program


def _azcopy(build: Path, *more: str) -> Uploader:
    program = _azcopy_program(build / "azcopy")
    folder = str(build / "azcopy/jobs")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    after = ("--from-to=LocalBlob", "--blob-type=PageBlob", "--check-version=false", *more)
    environ = _environ(AZCOPY_LOG_LOCATION=folder, AZCOPY_JOB_PLAN_LOCATION=folder)
    name = " ".join(("azcopy", *more))
    return Uploader(name, version.split()[-1], [str(program), "copy"], environ, after=after)


def _converted(build: Path) -> Uploader:
    """What there is to do for an image without ours: qemu-img makes a VHD of it, azcopy sends that."""
    azcopy = _azcopy(build)
    command = [sys.executable, str(HERE / "peer_convert.py"), *azcopy.command, *azcopy.after]
    return azcopy._replace(
        slow=True,
        for_limits=True,
        name="qemu-img, then azcopy",
        command=command,
        takes=frozenset({".qcow2"}),
        after=(),
        version="",
    )


def _python_peer(name: str, python: Path, package: str, script: str, environ: dict[str, str]) -> Uploader:
    asked = f"import importlib.metadata as m; print(m.version({package!r}))"
    version = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout
    return Uploader(
        name, f"{package} {version.strip()}", [str(python), str(HERE / script)], environ, slow=True
    )


def _sdk(_build: Path) -> Uploader:
    package = "azure-storage-blob"
    return _python_peer("upload_blob", Path(sys.executable), package, "peer_sdk.py", _environ())


def _img_utils(build: Path) -> Uploader:
    environment = ClientEnvironment(
        "img-utils", IMG_UTILS, lambda made: made.pip("install", IMG_UTILS), build
    )
    environment.ensure()
    python = environment.program("python")
    return _python_peer("azure-img-utils", python, "azure-img-utils", "peer_img_utils.py", _environ())


def _rm_storageblob(build: Path) -> Uploader:
    folder = azcollection.environment().folder
    environ = _environ(PYTHONPATH=str(folder / "collections"), AZURE_CONFIG_DIR=str(build / "azure"))
    return _python_peer(
        "azure_rm_storageblob", folder / "bin/python", "azure-storage-blob", "peer_azcollection.py", environ
    )


KNOWN: dict[str, Callable[[Path], Uploader]] = {
    "ours": lambda _build: _own("ours", "ours"),
    "azcopy": _azcopy,
    "azcopy-md5": lambda build: _azcopy(build, "--put-md5")._replace(for_limits=True),
    "qemu-img": _converted,
    "sdk": _sdk,
    "img-utils": _img_utils,
    "azcollection": _rm_storageblob,
    "ours-no-md5": lambda _build: _own("ours without MD5", "ours", "--without-md5", for_limits=True),
    "bare": lambda _build: _own("bare socket writer", "bare", for_limits=True),
}


def install(names: list[str], build: Path) -> tuple[dict[str, Uploader], dict[str, str]]:
    """The uploaders that are there now, and why the others are not."""
    present: dict[str, Uploader] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            present[name] = KNOWN[name](build)
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            missing[name] = str(error).splitlines()[0][:200]
    return present, missing
