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

from tests.unit._disk.samples import KIB, MIB, gpt_disk, qemu_img

HEADERS = (64 * KIB, 128 * KIB)
REGION_TABLES = (192 * KIB, 256 * KIB)


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


# Differencing: no tool of the test machine makes them, so a child is made of a disk without blocks.


def block_table(disk: Path) -> int:
    with disk.open("rb") as file:
        file.seek(REGION_TABLES[0] + 16)
        for _unused in range(2):
            kind, offset, _length, _required = struct.unpack("<16sQII", file.read(32))
            if uuid.UUID(bytes_le=kind) == uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08"):
                return int(offset)
    raise AssertionError("no block table")


def metadata_region(disk: Path) -> int:
    with disk.open("rb") as file:
        file.seek(REGION_TABLES[0] + 16)
        for _unused in range(2):
            kind, offset, _length, _required = struct.unpack("<16sQII", file.read(32))
            if uuid.UUID(bytes_le=kind) == uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e"):
                return int(offset)
    raise AssertionError("no metadata")


def data_write_id(disk: Path) -> uuid.UUID:
    newest = (-1, uuid.UUID(int=0))
    with disk.open("rb") as file:
        for place in HEADERS:
            file.seek(place)
            _sig, _sum, sequence, _file_id, write_id = struct.unpack("<4sIQ16s16s", file.read(48))
            newest = max(newest, (sequence, uuid.UUID(bytes_le=write_id)), key=lambda pair: pair[0])
    return newest[1]


def locator(parent: Path, linkage: uuid.UUID) -> bytes:
    texts = [("parent_linkage", f"{{{linkage}}}"), ("relative_path", parent.name)]
    head = uuid.UUID("b04aefb7-d19e-4a81-b789-25b8e9445913").bytes_le + struct.pack("<HH", 0, len(texts))
    entries, strings = b"", b""
    base = len(head) + 12 * len(texts)
    for key, value in texts:
        packed_key, packed_value = key.encode("utf-16-le"), value.encode("utf-16-le")
        at = base + len(strings)
        entries += struct.pack("<IIHH", at, at + len(packed_key), len(packed_key), len(packed_value))
        strings += packed_key + packed_value
    return head + entries + strings


def differencing_vhdx(parent: Path, child: Path, linkage: uuid.UUID, changed: dict[int, bytes]) -> Path:
    """A child in which some sectors of block 0 (number: 512 bytes) differ from the parent."""
    qemu_img("create", "-f", "vhdx", "-o", "block_size=8M,block_state_zero=off", child, "64M")
    metadata = metadata_region(child)
    with child.open("r+b") as file:
        file.seek(metadata)
        table = bytearray(file.read(64 * KIB))
        (count,) = struct.unpack_from("<H", table, 10)
        data = locator(parent, linkage)
        kind = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c").bytes_le
        struct.pack_into("<16sIIII", table, 32 + count * 32, kind, 512 * KIB, len(data), 4, 0)
        struct.pack_into("<H", table, 10, count + 1)
        file.seek(metadata)
        file.write(table)
        file.seek(metadata + 512 * KIB)
        file.write(data)
        for number in range(count):
            item, offset = struct.unpack_from("<16sI", table, 32 + number * 32)
            if uuid.UUID(bytes_le=item) == uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b"):
                file.seek(metadata + offset + 4)
                file.write(struct.pack("<I", 2))
        end = file.seek(0, os.SEEK_END)
        payload = -(-end // MIB) * MIB
        bitmap = bytearray(MIB)
        file.truncate(payload + 8 * MIB)
        for sector, content in changed.items():
            bitmap[sector // 8] |= 1 << sector % 8
            file.seek(payload + sector * 512)
            file.write(content)
        file.seek(payload + 8 * MIB)
        file.write(bitmap)
        chunk_ratio = (1 << 23) * 512 // (8 * MIB)
        table_at = block_table(child)
        for index, place, state in ((0, payload, 7), (chunk_ratio, payload + 8 * MIB, 6)):
            file.seek(table_at + index * 8)
            file.write(struct.pack("<Q", place // MIB << 20 | state))
    return child


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
