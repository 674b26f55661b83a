# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""How trees of Debian and Ubuntu are built by mmdebstrap, and what differs between their suites."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.guests.lab.cache import cached
from tests.guests.lab.programs import run_program

_HOOKS = "/usr/share/mmdebstrap/hooks"
_UBUNTU_KEYRING = Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")
# Debian has Ubuntu's keyring from this suite on.
_KEYRING_SUITE = "trixie"


class Suite(NamedTuple):
    """What a suite calls things.

    :param title: the distribution's name, as boot menus have it
    :param basis: packages that any tree needs and that are not in the smallest one
    :param components: as sources.list has them, comma-separated
    :param hooks: options for hooks that mmdebstrap comes with
    """

    title: str
    agent: str
    kernel: str
    basis: tuple[str, ...] = ()
    components: str = "main"
    hooks: tuple[str, ...] = (f"--hook-dir={_HOOKS}/maybe-merged-usr",)
    is_ubuntu: bool = False


_DEBIAN = Suite("Debian GNU/Linux", "waagent", "linux-image-cloud-amd64")
# lz4 is in universe. base-files has /bin and the like as links, but may be unpacked too late.
_UBUNTU = Suite(
    "Ubuntu",
    "walinuxagent",
    "linux-azure",
    basis=("apt",),
    components="main,universe",
    hooks=(f"--setup-hook={_HOOKS}/merged-usr/setup00.sh",),
    is_ubuntu=True,
)
_SUITES = {"noble": _UBUNTU, "resolute": _UBUNTU}


def suite_facts(suite: str) -> Suite:
    """The facts of a suite by its code name; one that is not known is built as Debian's are."""
    return _SUITES.get(suite, _DEBIAN)


def mmdebstrap_command(
    cache_dir: Path, suite: str, packages: Sequence[str], excluded: Sequence[str]
) -> list[str]:
    """mmdebstrap with what every tree wants; format, hooks, suite, target and mirror are still to come.

    Environment: GUEST_KEYRING (a keyring file) replaces the suite's own.

    :param excluded: patterns of paths that packages leave out
    """
    facts = suite_facts(suite)
    keyring = os.environ.get("GUEST_KEYRING") or (
        str(_ubuntu_keyring(cache_dir)) if facts.is_ubuntu else None
    )
    command = ["mmdebstrap", "--mode=auto", "--variant=minbase", f"--components={facts.components}"]
    command += ["--include=" + ",".join([*facts.basis, *packages]), "--dpkgopt=force-unsafe-io"]
    command += ['--aptopt=Acquire::Languages "none"', '--aptopt=Apt::Install-Recommends "false"']
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in excluded]
    return [*command, *facts.hooks, *([f"--keyring={keyring}"] if keyring else [])]


def mirror() -> list[str]:
    """The environment's GUEST_MIRROR (an address or one line of sources.list), which replaces the suite's."""
    given = os.environ.get("GUEST_MIRROR")
    return [given] if given else []


def _ubuntu_keyring(cache_dir: Path) -> Path:
    """The keys Ubuntu's archive is signed with: this machine's, or those Debian vouches for."""
    if _UBUNTU_KEYRING.exists():
        return _UBUNTU_KEYRING
    return cached(cache_dir, "ubuntu-keyring", _fetch_keyring) / _UBUNTU_KEYRING.name


def _fetch_keyring(work: Path) -> None:
    tree = work / "tree.tar"
    command = ["mmdebstrap", "--mode=auto", "--variant=extract", "--include=ubuntu-archive-keyring"]
    run_program([*command, _KEYRING_SUITE, str(tree)])
    with tarfile.open(tree) as archive:
        content = archive.extractfile(f".{_UBUNTU_KEYRING}")
        if content is None:
            raise FileNotFoundError(f"{_UBUNTU_KEYRING} is no file in the package of {_KEYRING_SUITE}")
        (work / _UBUNTU_KEYRING.name).write_bytes(content.read())
    tree.unlink()
