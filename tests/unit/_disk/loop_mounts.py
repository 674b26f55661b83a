# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""File systems of image files under the kernel's care."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_SECONDS = 600


@contextmanager
def mounted(image: Path, kind: str, options: str = "rw") -> Iterator[Path]:
    """Where the file system is mounted meanwhile; the test is skipped where it cannot be."""
    point = image.with_suffix(".mount")
    point.mkdir()
    command = ["mount", "-t", kind, "-o", f"loop,{options}", str(image), str(point)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        point.rmdir()
        pytest.skip(f"{kind} cannot be mounted here: {done.stderr.strip()}")
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)
        _wait_until_released(image)
        point.rmdir()


def _wait_until_released(image: Path) -> None:
    """Whoever makes a mount namespace meanwhile, as other tests do for trees, has a copy of every mount until
    it ends; only then the file system is written out."""
    deadline = time.monotonic() + _SECONDS
    while subprocess.run(["losetup", "--associated", str(image)], capture_output=True, check=True).stdout:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{image} is still in use by a loop device after {_SECONDS} s")
        time.sleep(0.1)
