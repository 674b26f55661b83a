# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""qemu-img makes a fixed VHD, another program sends it: peer_convert.py PROGRAM COPY OPTION... DISK URL."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    program, verb, *options, disk, url = sys.argv[1:]
    with tempfile.TemporaryDirectory(dir=Path(disk).parent) as folder:
        vhd = str(Path(folder) / "disk.vhd")
        formats = ["-O", "vpc", "-o", "subformat=fixed,force_size=on"]
        subprocess.run(["qemu-img", "convert", *formats, disk, vhd], check=True, stdin=subprocess.DEVNULL)
        subprocess.run([program, verb, vhd, url, *options], check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
