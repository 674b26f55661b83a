# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""File systems of image files that a test has mounted by loop."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

_SECONDS = 600


def unmount(image: Path, point: Path) -> None:
    """Unmount, and wait until the kernel has let go of the image file.

    Whoever makes a mount namespace meanwhile, as other tests do for trees, has a copy of every mount until
    it ends; only then the file system is written out.
    """
    subprocess.run(["umount", str(point)], check=True)
    deadline = time.monotonic() + _SECONDS
    while subprocess.run(["losetup", "--associated", str(image)], capture_output=True, check=True).stdout:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{image} is still in use by a loop device after {_SECONDS} s")
        time.sleep(0.1)
