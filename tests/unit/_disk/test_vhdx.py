# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What VHDX has and other formats have not: two headers with checksums, a log, sector bitmaps."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import uuid
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.crc32c import (
    crc32c,
    crc32c_without,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError

from tests.unit._disk.differencing import (
    HEADERS,
    REGION_TABLES,
    block_table,
    data_write_id,
    differencing_vhdx,
)
from tests.unit._disk.samples import KIB, MIB, gpt_disk, qemu_img


def make_vhdx(tmp_path: Path, *options: str) -> Path:
    made = tmp_path / "disk.vhdx"
    qemu_img("convert", "-f", "raw", "-O", "vhdx", *options, gpt_disk(tmp_path / "raw"), made)
    return made


def patch(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def sealed(structure: bytearray) -> bytes:
    """With the checksum that its bytes give."""
    structure[4:8] = struct.pack("<I", crc32c_without(bytes(structure), 4))
    return bytes(structure)


def interrupted(path: Path) -> Path:
    """A disk whose writer died: a sector of its block table is in the log only, and zeroed in its place.

    The log holds an older entry, a newer one that spans two descriptors, and one that was never finished.
    """
    place, log_id = block_table(path), uuid.uuid4()
    with path.open("r+b") as file:
        file.seek(HEADERS[0] + 68)
        log_length, log_at = struct.unpack("<IQ", file.read(12))
        file.seek(place)
        sector = file.read(4 * KIB)
        file.seek(place)
        file.write(b"\xee" * 4 * KIB)
        file.seek(0, os.SEEK_END)
        size = file.tell()
        entries = [
            log_entry(log_id, 7, 0, size, [(place, bytes(4 * KIB))]),
            log_entry(log_id, 8, 0, size, [(place, sector), (place + 4 * KIB, None)]),
        ]
        torn = bytearray(log_entry(log_id, 9, 0, size, [(place, b"\xdd" * 4 * KIB)]))
        torn[5000] ^= 0xFF
        file.seek(log_at)
        file.write((b"".join(entries) + torn).ljust(log_length, b"\0"))
        for header in HEADERS:
            file.seek(header)
            content = bytearray(file.read(4 * KIB))
            content[48:64] = log_id.bytes_le
            file.seek(header)
            file.write(sealed(content))
    return path


def log_entry(
    log_id: uuid.UUID, sequence: int, tail: int, size: int, sectors: list[tuple[int, bytes | None]]
) -> bytes:
    """An entry that writes these (offset, 4 KiB) sectors; None: zeros."""
    descriptors, data = b"", b""
    for offset, content in sectors:
        if content is None:
            descriptors += struct.pack("<4sIQQQ", b"zero", 0, 4 * KIB, offset, sequence)
            continue
        descriptors += struct.pack("<4s4s8sQQ", b"desc", content[-4:], content[:8], offset, sequence)
        data += b"data" + struct.pack("<I", sequence >> 32) + content[8:-4]
        data += struct.pack("<I", sequence & 0xFFFFFFFF)
    length = 4 * KIB + len(data)
    head = struct.pack(
        "<4sIIIQII16sQQ", b"loge", 0, length, tail, sequence, len(sectors), 0, log_id.bytes_le, size, size
    )
    return sealed(bytearray((head + descriptors).ljust(4 * KIB, b"\0") + data))


def test_crc32c_gives_the_published_values() -> None:
    # RFC 3720, appendix B.4.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E


@pytest.mark.parametrize("damaged", HEADERS)
def test_one_damaged_header_does_no_harm(tmp_path: Path, damaged: int) -> None:
    disk = make_vhdx(tmp_path)
    patch(disk, damaged + 100, b"\xff")
    with open_disk(str(disk)) as reader:
        assert reader.read(0, reader.virtual_size) == (tmp_path / "raw").read_bytes()


@pytest.mark.parametrize(("places", "word"), [(HEADERS, "headers"), (REGION_TABLES, "region tables")])
def test_two_damaged_copies_are_refused(tmp_path: Path, places: tuple[int, int], word: str) -> None:
    disk = make_vhdx(tmp_path)
    for place in places:
        patch(disk, place + 100, b"\xff")
    with pytest.raises(DiskError, match=f"neither of its two {word}"):
        open_disk(str(disk))


def test_a_log_that_was_left_behind_is_applied_and_the_file_left_alone(tmp_path: Path) -> None:
    disk = interrupted(make_vhdx(tmp_path))
    before = disk.read_bytes()
    with pytest.raises(subprocess.CalledProcessError):
        qemu_img("convert", "-f", "vhdx", "-O", "raw", disk, tmp_path / "refused")
    repaired = tmp_path / "repaired.vhdx"
    shutil.copy(disk, repaired)
    qemu_img("check", "-r", "all", "-f", "vhdx", repaired)
    qemu_img("convert", "-f", "vhdx", "-O", "raw", repaired, tmp_path / "judge")
    expected = (tmp_path / "raw").read_bytes()
    assert (tmp_path / "judge").read_bytes() == expected
    with open_disk(str(disk)) as reader:
        assert reader.read(0, reader.virtual_size) == expected
    assert disk.read_bytes() == before


def test_a_log_without_a_whole_entry_is_refused(tmp_path: Path) -> None:
    disk = interrupted(make_vhdx(tmp_path))
    content = disk.read_bytes()
    for place in range(0, len(content), 4 * KIB):
        if content[place : place + 4] == b"loge":
            patch(disk, place + 8, b"\xff")
    with pytest.raises(DiskError, match="no complete entry"):
        open_disk(str(disk))


def test_a_file_shorter_than_its_log_says_is_refused(tmp_path: Path) -> None:
    disk = interrupted(make_vhdx(tmp_path))
    os.truncate(disk, disk.stat().st_size - MIB)
    with pytest.raises(DiskError, match="truncated"):
        open_disk(str(disk))


def test_a_required_region_that_is_unknown_is_refused(tmp_path: Path) -> None:
    disk = make_vhdx(tmp_path)
    strange = uuid.uuid4()
    for place in REGION_TABLES:
        with disk.open("rb") as file:
            file.seek(place)
            table = bytearray(file.read(64 * KIB))
        (count,) = struct.unpack_from("<I", table, 8)
        struct.pack_into("<16sQII", table, 16 + count * 32, strange.bytes_le, MIB, MIB, 1)
        struct.pack_into("<I", table, 8, count + 1)
        patch(disk, place, sealed(table))
    with pytest.raises(DiskError, match=str(strange)):
        open_disk(str(disk))


# Differencing.


def test_a_differencing_disk_is_its_parent_with_the_changed_sectors(tmp_path: Path) -> None:
    parent = make_vhdx(tmp_path)
    changed = {sector: os.urandom(512) for sector in (0, 3, 8, 4095, 16383)}
    child = differencing_vhdx(parent, tmp_path / "child.vhdx", data_write_id(parent), changed)
    expected = bytearray((tmp_path / "raw").read_bytes())
    for sector, content in changed.items():
        expected[sector * 512 : sector * 512 + 512] = content
    with open_disk(str(child)) as reader:
        assert reader.read(0, reader.virtual_size) == expected
        assert reader.read(3 * 512 - 10, 600) == expected[3 * 512 - 10 : 3 * 512 + 590]


def test_a_parent_that_was_written_to_since_is_refused(tmp_path: Path) -> None:
    parent = make_vhdx(tmp_path)
    child = differencing_vhdx(parent, tmp_path / "child.vhdx", uuid.uuid4(), {0: bytes(512)})
    with pytest.raises(DiskError, match="ids differ"):
        open_disk(str(child))
