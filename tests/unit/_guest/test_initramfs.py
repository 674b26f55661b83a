# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The names in an initramfs are read, whatever it is packed with; damage is said, not passed over."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk import zstd as zstd_module
from ansible_collections.goldenimage.azure.plugins.module_utils._guest import unpack
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.initramfs import (
    InitramfsError,
    initramfs_names,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot

from tests.unit._guest.azure_ready import cpio

NAMES = ["init", "usr/lib/modules/6.1/kernel/drivers/hv/hv_vmbus.ko.xz", "odd", "ümläut"]


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-19", "-c"], input=data, capture_output=True, check=True).stdout


def lz4_of_literals(data: bytes) -> bytes:
    """The frame that the kernel's tools write, from blocks that hold nothing but literals and one copy."""
    blocks = b""
    for start in range(0, len(data), 1 << 20):
        piece = data[start : start + (1 << 20)]
        lengths = b"\xff" * ((len(piece) - 15) // 255) + bytes([(len(piece) - 15) % 255])
        block = b"\xf0" + lengths + piece
        blocks += struct.pack("<I", len(block)) + block
    return b"\x02\x21\x4c\x18" + blocks


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: data,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "zstd": zstd,
    "lz4": lz4_of_literals,
}


def names_in(tmp_path: Path, data: bytes) -> list[str]:
    (tmp_path / "initrd").write_bytes(data)
    return initramfs_names(LiveRoot(str(tmp_path)), "/initrd")


@pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS.keys())
@pytest.mark.parametrize("size", [0, 1, 3_000_001])
def test_names_are_read_however_it_is_packed(
    packer: Callable[[bytes], bytes], size: int, tmp_path: Path
) -> None:
    archive = cpio(NAMES, random.Random(size).randbytes(size))
    assert names_in(tmp_path, packer(archive)) == NAMES


def test_archives_in_front_of_the_packed_one_count(tmp_path: Path) -> None:
    first, second = cpio(["early"]), cpio(["also"])
    data = (
        first + bytes(-len(first) % 512 + 512) + second + bytes(256) + zstd(cpio(["last"]) + cpio(["more"]))
    )
    assert names_in(tmp_path, data) == ["early", "also", "last", "more"]


@pytest.mark.parametrize("packer", [PACKERS["gzip"], zstd, lz4_of_literals], ids=["gzip", "zstd", "lz4"])
def test_damage_is_said(packer: Callable[[bytes], bytes], tmp_path: Path) -> None:
    packed = packer(cpio(NAMES, random.Random(1).randbytes(100_000)))
    for data in (packed[: len(packed) // 2], packed[:12] + b"\xff" * 3000, b"nothing known"):
        with pytest.raises(InitramfsError):
            names_in(tmp_path, data)


def test_host_without_the_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = zstd(cpio(NAMES))
    for module in (unpack, zstd_module):
        monkeypatch.setattr(module, "find_library", lambda *_names: None)
    with pytest.raises(InitramfsError, match="packed with zstd, and this host has no libzstd"):
        names_in(tmp_path, packed)
    assert names_in(tmp_path, lz4_of_literals(cpio(NAMES, bytes(20)))) == NAMES


def test_lz4_copies_may_overlap_what_they_make() -> None:
    # Three literals, then a copy of 9 bytes from 3 bytes back, then two literals.
    assert unpack.unpack_lz4_block(b"\x35abc\x03\x00\x20de") == b"abcabcabcabcde"
    for damaged in (b"\x35abc\x04\x00\x20de", b"\x35abc\x00\x00", b"\xf0", b""):
        with pytest.raises(unpack.UnpackError):
            unpack.unpack_lz4_block(damaged)
