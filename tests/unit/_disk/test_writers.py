# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Written disk files, judged by qemu-img."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import build_fixed_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers import (
    DiskWriter,
    FixedVhdWriter,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers_qcow2 import Qcow2Writer

from tests.unit._disk.samples import KIB, MIB, qemu_img

Ranges = list[tuple[int, int]]


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        yield fd
    finally:
        os.close(fd)


def writer_of(kind: str, fd: int, path: Path, size: int, ranges: Ranges) -> DiskWriter:
    if kind == "vpc":
        return FixedVhdWriter(fd, str(path), size, build_fixed_footer(size, bytes(16)))
    return Qcow2Writer(fd, str(path), size, ranges) if kind == "qcow2" else DiskWriter(fd, str(path), size)


SCATTERED: Ranges = [
    (0, 512), (3 * MIB + 512, 3 * MIB + 64 * KIB), (5 * MIB - 512, 6 * MIB), (600 * MIB, 600 * MIB + 4096),
    (1025 * MIB - 4096, 1025 * MIB),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["raw", "vpc", "qcow2"])
@pytest.mark.parametrize("ranges", [SCATTERED, []])
def test_what_was_written_in_any_order_is_what_qemu_reads(tmp_path: Path, kind: str, ranges: Ranges) -> None:
    size = 1025 * MIB
    path, judged = tmp_path / "disk", tmp_path / "raw"
    rng = random.Random(4)
    content = {start: rng.randbytes(end - start) for start, end in ranges}
    if 5 * MIB - 512 in content:
        content[5 * MIB - 512] = bytes(MIB // 2) + content[5 * MIB - 512][MIB // 2 :]
    with opened(path) as fd:
        writer = writer_of(kind, fd, path, size, ranges)
        writer.prepare()
        for start in sorted(content, reverse=True):
            writer.write(start, content[start])
        for start, data in content.items():
            assert writer.read(start, len(data)) == data
    qemu_img("convert", "-f", kind, "-O", "raw", path, judged)
    with judged.open("rb") as file:
        assert judged.stat().st_size == size
        for start, data in content.items():
            file.seek(start)
            assert file.read(len(data)) == data
    assert judged.stat().st_blocks * 512 <= 3 * MIB, "something stands where nothing was written"
    assert path.stat().st_blocks * 512 <= 3 * MIB, "the file is not sparse"
    if kind == "qcow2":
        assert "No errors" in qemu_img("check", path)


def test_the_refcounts_of_a_large_qcow2_are_right(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with opened(path) as fd:
        Qcow2Writer(fd, str(path), 5 << 30, [(0, 5 << 30)]).prepare()
    assert "No errors" in qemu_img("check", path)


def test_neighbouring_ranges_share_a_cluster(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with opened(path) as fd:
        writer = Qcow2Writer(fd, str(path), MIB, [(0, 512), (1024, 1536), (64 * KIB, 64 * KIB + 512)])
        writer.prepare()
        writer.write(1024, b"a" * 512)
        with pytest.raises(DiskError, match="no place for byte 524288"):
            writer.write(512 * KIB, b"b" * 512)
    assert "No errors" in qemu_img("check", path)


def test_a_full_file_system_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(tmp_path / "disk") as fd:
        writer = DiskWriter(fd, "the/disk", MIB)
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(DiskError, match="the/disk: cannot be written: No space left"):
            writer.write(0, b"x" * 512)
