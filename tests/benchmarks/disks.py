# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The disks that are uploaded: made from fixed seeds, the same bytes on every machine.

Their layout is like that of real ext4 disks that were measured: of the units of 4 MiB that are not all zero,
64 % of the aged one (a) and 89 % of the freshly installed one (b) are worth sending (64 % and 87 % there).
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import build_fixed_footer

MIB = 1 << 20
GIB = 1 << 30
_BLOCK = 4096
_UNIT = 4 * MIB  # what other uploaders skip by
# Changes when the disks do, so that old ones are made anew.
_VERSION = "2"
_IDENTITY = bytes(range(16))


class Disk(NamedTuple):
    """A disk below the build folder. `short`: its name in the tables; `what`: a sentence on it."""

    short: str
    path: Path
    what: str


def _content(rng: random.Random, length: int) -> bytes:
    """Bytes without zero blocks that zlib halves, as it about does with a system's files."""
    half = _BLOCK // 2
    raw = rng.randbytes(length // 2)
    return b"".join(raw[i : i + half] * 2 for i in range(0, len(raw), half))


def _dense() -> Iterator[tuple[int, int]]:
    """(offset, length): small and large files all over 200 of 512 units of 4 MiB, as on an aged disk."""
    rng = random.Random(20)
    for unit in sorted(rng.sample(range(1, 512), 200)):
        position = unit * _UNIT
        end = position + _UNIT
        while position < end:
            length = min(_BLOCK * int(2 ** rng.uniform(0, 8.5)), end - position)
            yield position, length
            position += length + _BLOCK * int(2 ** rng.uniform(0, 7.8))


def _sparse() -> Iterator[tuple[int, int]]:
    """(offset, length): 1.5 GiB in about 60 stretches of 30 GiB, with small gaps, like packages."""
    rng = random.Random(30)
    wanted = 1536 * MIB
    for unit in sorted(rng.sample(range(1, 30 * GIB // (64 * MIB)), 70)):
        if wanted <= 0:
            return
        position = unit * 64 * MIB + _BLOCK * rng.randrange(512)
        end = position + _BLOCK * rng.randrange(16 * MIB // _BLOCK, 34 * MIB // _BLOCK)
        while position < end and wanted > 0:
            length = min(_BLOCK * int(2 ** rng.uniform(4, 12)), end - position, wanted)
            yield position, length
            wanted -= length
            position += length + _BLOCK * int(2 ** rng.uniform(0, 5))


def _write(path: Path, size: int, extents: Iterator[tuple[int, int]], *, allocated: bool) -> None:
    """A fixed VHD. `allocated`: its zeros are written, so that the file has no holes."""
    rng = random.Random(size)
    with path.open("wb") as file:
        if allocated:
            for _unit in range(size // _UNIT):
                file.write(bytes(_UNIT))
        file.truncate(size)
        for offset, length in extents:
            file.seek(offset)
            file.write(_content(rng, length))
        file.seek(size)
        file.write(build_fixed_footer(size, _IDENTITY))


def _convert(source: Path, target: Path, *options: str) -> None:
    command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options]
    subprocess.run([*command, str(source), str(target)], check=True, stdin=subprocess.DEVNULL)


def make_disks(folder: Path, wanted: frozenset[str]) -> list[Disk]:
    """The disks of these short names (a, b, c, cz) that are not there yet are made, 2 to 30 s each."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {
        "a": Disk("a", folder / f"dense-{_VERSION}.vhd", "2 GiB, no holes, small files scattered all over"),
        "b": Disk("b", folder / f"sparse-{_VERSION}.vhd", "30 GiB with holes, 1.5 GiB of data"),
        "c": Disk("c", folder / f"sparse-{_VERSION}.qcow2", "(b) as qcow2"),
        "cz": Disk("cz", folder / f"sparse-{_VERSION}-compressed.qcow2", "(b) as compressed qcow2"),
    }
    order = [name for name in known if name in wanted or (name == "b" and wanted & {"c", "cz"})]
    for name in order:
        path = known[name].path
        if path.exists():
            continue
        half = path.with_suffix(".part")
        if name == "a":
            _write(half, 2 * GIB, _dense(), allocated=True)
        elif name == "b":
            _write(half, 30 * GIB, _sparse(), allocated=False)
        else:
            _convert(known["b"].path, half, *(["-c"] if name == "cz" else []))
        half.rename(path)
    return [known[name] for name in order if name in wanted]
