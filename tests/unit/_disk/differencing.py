# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Differencing VHDs and VHDXs: no tool of a Linux machine makes them, so they are made of whole ones here."""

from __future__ import annotations

import os
import struct
import uuid
from pathlib import Path

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import checksum

from tests.unit._disk.samples import KIB, MIB, qemu_img

HEADERS = (64 * KIB, 128 * KIB)
REGION_TABLES = (192 * KIB, 256 * KIB)


def differencing_vhd(parent: Path, child: Path, changed: dict[int, bytes]) -> Path:
    """A child of a dynamic VHD in which the given sectors (number: 512 bytes) differ."""
    footer = bytearray(parent.read_bytes()[:512])
    parent_id = bytes(footer[68:84])
    block_size = 2 * MIB
    (size,) = struct.unpack(">Q", footer[48:56])
    entries = -(-size // block_size)
    footer[60:64] = struct.pack(">I", 4)
    footer[68:84] = uuid.uuid4().bytes
    footer[64:68] = struct.pack(">I", checksum(bytes(footer)))
    table_size = -(-entries * 4 // 512) * 512
    name = parent.name.encode("utf-16-le")
    locator_at = 512 + 1024 + table_size
    header = bytearray(1024)
    struct.pack_into(
        ">8sQQIII", header, 0, b"cxsparse", 0xFFFFFFFFFFFFFFFF, 512 + 1024, 0x00010000, entries, block_size
    )
    header[40:56] = parent_id
    struct.pack_into(">4sIIIQ", header, 576, b"W2ru", 512, len(name), 0, locator_at)
    header[36:40] = struct.pack(">I", checksum(bytes(header), 36))
    table = [0xFFFFFFFF] * entries
    body = bytearray()
    for block in sorted({sector * 512 // block_size for sector in changed}):
        table[block] = (locator_at + 512 + len(body)) // 512
        bitmap, data = bytearray(512), bytearray(block_size)
        for sector, content in changed.items():
            inside = sector - block * block_size // 512
            if 0 <= inside < block_size // 512:
                bitmap[inside // 8] |= 0x80 >> inside % 8
                data[inside * 512 : inside * 512 + 512] = content
        body += bitmap + data
    packed = struct.pack(f">{entries}I", *table).ljust(table_size, b"\xff")
    child.write_bytes(bytes(footer) + header + packed + name.ljust(512, b"\0") + body + footer)
    return child


def _region(disk: Path, wanted: str) -> int:
    with disk.open("rb") as file:
        file.seek(REGION_TABLES[0] + 16)
        for _unused in range(2):
            kind, offset, _length, _required = struct.unpack("<16sQII", file.read(32))
            if uuid.UUID(bytes_le=kind) == uuid.UUID(wanted):
                return int(offset)
    raise AssertionError(f"no region {wanted}")


def block_table(disk: Path) -> int:
    """Where the block table of a VHDX begins in its file."""
    return _region(disk, "2dc27766-f623-4200-9d64-115e9bfd4a08")


def _metadata_region(disk: Path) -> int:
    return _region(disk, "8b7ca206-4790-4b9a-b8fe-575f050f886e")


def data_write_id(disk: Path) -> uuid.UUID:
    """What a child of this VHDX says its parent's id is."""
    newest = (-1, uuid.UUID(int=0))
    with disk.open("rb") as file:
        for place in HEADERS:
            file.seek(place)
            _sig, _sum, sequence, _file_id, write_id = struct.unpack("<4sIQ16s16s", file.read(48))
            newest = max(newest, (sequence, uuid.UUID(bytes_le=write_id)), key=lambda pair: pair[0])
    return newest[1]


def _locator(parent: Path, linkage: uuid.UUID) -> bytes:
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


def differencing_vhdx(
    parent: Path, child: Path, linkage: uuid.UUID, changed: dict[int, bytes], size: int = 64 * MIB
) -> Path:
    """A child of a VHDX of `size` bytes; some sectors (number: 512 bytes) of the first 8 MiB differ."""
    qemu_img("create", "-f", "vhdx", "-o", "block_size=8M,block_state_zero=off", child, str(size))
    metadata = _metadata_region(child)
    with child.open("r+b") as file:
        file.seek(metadata)
        table = bytearray(file.read(64 * KIB))
        (count,) = struct.unpack_from("<H", table, 10)
        data = _locator(parent, linkage)
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
