# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Runs the programs the lab is made of, so that a failure says which one and why."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

# mke2fs, sfdisk and mkfs.vfat live where only root's search path looks.
SEARCH_PATH = ":".join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


class ProgramError(Exception):
    """A program is missing or ended with another status than 0; the message ends with what it wrote."""


def run_program(
    command: Sequence[str],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float | None = None,
    pass_descriptors: Sequence[int] = (),
) -> str:
    """Run a program to its end and return its standard output. Raises ProgramError."""
    try:
        done = subprocess.run(
            command,
            input=stdin if stdin is not None else "",
            env={**os.environ, **(environment or {}), "PATH": SEARCH_PATH},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            pass_fds=pass_descriptors,
            check=False,
        )
    except FileNotFoundError:
        message = f"The program {command[0]} is missing; tools/system-packages.txt lists what guests need"
        raise ProgramError(message) from None
    except subprocess.TimeoutExpired:
        raise ProgramError(f"{command[0]} was not done after {timeout:.0f} s") from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-3000:]
        raise ProgramError(f"{command[0]} ended with status {done.returncode}: {words}")
    return done.stdout
