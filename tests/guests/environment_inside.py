# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Runs programs where a guest's programs would: in its network namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.guests.lab.processes import load_identity


def run_inside(directory: Path, program: str) -> list[str]:
    """Run Python in the namespace of the guest with that directory; the lines it prints."""
    identity = load_identity(directory / "environment.pid")
    assert identity is not None
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    command = ["nsenter", f"--target={identity.pid}", *user, "--net", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()
