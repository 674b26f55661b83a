# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What is left on a disk: by our audit, and by a look of e2fsprogs' debugfs that knows nothing of it."""

from __future__ import annotations

import mmap
import os
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.audit import TRACE, audit, count_bad
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.disk_root import open_disk_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import audited

from tests.benchmarks.guests.used_machine import ACCOUNT, HOSTNAME, SECRET, Markers
from tests.guests.lab.programs import run_program

_LARGEST = 64 << 20


class Left(NamedTuple):
    """`traces` and `ids`: findings of our audit of severity warning or error, and the kinds of them; `files`:
    files, names and links with a marker in them, as debugfs shows them; `copies`: how often the secret stands
    on the disk, free space included."""

    traces: int
    ids: list[str]
    files: list[str]
    copies: int


def look(disk: Path, markers: Markers, user: str) -> Left:
    """Look at a switched-off guest's disk in both ways."""
    with tempfile.TemporaryDirectory(prefix="look-", dir=disk.parent) as folder:
        raw = Path(folder) / "disk.raw"
        run_program(["qemu-img", "convert", "-O", "raw", str(disk), str(raw)])
        with open_disk(str(raw)) as reader:
            guest = Guest(open_disk_root(reader), [ACCOUNT, user], [HOSTNAME])
            findings = audit(guest, audited([], []))
        tree = Path(folder) / "tree"
        tree.mkdir()
        run_program(["debugfs", "-R", f"rdump / {tree}", f"{raw}?offset={root_offset(raw)}"])
        files = sorted(_marked(tree, markers))
        copies = _count(raw, SECRET.encode())
    ids = sorted({item.id for item in findings if item.severity != "info"})
    return Left(count_bad(findings, TRACE), ids, files, copies)


def root_offset(disk: Path) -> int:
    """Where the largest partition begins, in bytes, as sfdisk sees it."""
    sizes = {
        int(found.group(2)): int(found.group(1)) * 512
        for line in run_program(["sfdisk", "--dump", str(disk)]).splitlines()
        if (found := re.search(r"start=\s*(\d+), size=\s*(\d+)", line))
    }
    return sizes[max(sizes)]


def _marked(tree: Path, markers: Markers) -> set[str]:
    texts = list(markers.texts.values())
    found = set()
    for folder, directories, files in os.walk(tree):
        for name in [*directories, *files]:
            path = Path(folder) / name
            data = name.encode(errors="surrogateescape")
            if path.is_symlink():
                data += str(path.readlink()).encode(errors="surrogateescape")
            elif path.is_file() and path.stat().st_size <= _LARGEST:
                data += b"\0" + path.read_bytes()
            if any(text in data for text in texts):
                found.add("/" + str(path.relative_to(tree)))
    return found


def _count(path: Path, text: bytes) -> int:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        count, place = 0, data.find(text)
        while place >= 0:
            count += 1
            place = data.find(text, place + 1)
    return count
