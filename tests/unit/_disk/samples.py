# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Disk files made for tests, most of them by qemu-img and sfdisk."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

MIB = 1 << 20
KIB = 1 << 10


def qemu_img(*arguments: str | Path) -> str:
    """Run qemu-img and return what it prints."""
    done = subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True, text=True)
    return done.stdout


def write_sparse(path: Path, size: int, pieces: Sequence[tuple[int, bytes]]) -> Path:
    """A sparse file of `size` bytes with these (offset, data) pieces in it."""
    with path.open("wb") as file:
        file.truncate(size)
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
    return path


def partition(path: Path, script: str) -> Path:
    """Give a raw disk a partition table with sfdisk."""
    subprocess.run(
        ["/sbin/sfdisk", "--quiet", str(path)], input=script, check=True, capture_output=True, text=True
    )
    return path


def gpt_disk(path: Path, size: int = 64 * MIB, script: str = "size=8MiB, type=linux\n") -> Path:
    """A sparse raw disk with a GPT and a few bytes of content."""
    write_sparse(path, size, [(10 * MIB, b"payload" * 1000)])
    return partition(path, "label: gpt\nfirst-lba: 2048\n" + script)


def add_boot_code(path: Path) -> Path:
    """Put something that looks like program code into the boot sector."""
    with path.open("r+b") as file:
        file.write(b"\xeb\x63\x90" + b"\x90" * 400)
    return path
