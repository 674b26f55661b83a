# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""VMDKs as VMware writes them and qemu-img does not: streams with their tables last, ESXi's sparse extents.

VMware, "Virtual Disk Format 5.0". Numbers are little-endian, offsets count sectors.
"""

from __future__ import annotations

import struct
from pathlib import Path

SECTOR = 512
_AT_END = 0xFFFFFFFFFFFFFFFF
_CAPACITY, _DIRECTORY = 12, 56  # bytes in the header of a hosted sparse extent
_GRAIN, _ENTRIES = 20, 44
_END, _TABLE, _DIRECTORY_MARK, _FOOTER = range(4)
_ESX_ENTRIES = 4096


def _marker(kind: int, sectors: int) -> bytes:
    return struct.pack("<QII", sectors, 0, kind).ljust(SECTOR, b"\0")


def with_tables_last(stream: Path, target: Path) -> Path:
    """A stream-optimized VMDK of qemu-img's, with its tables moved to its end and a footer behind them."""
    data = bytearray(stream.read_bytes())
    (capacity,) = struct.unpack_from("<Q", data, _CAPACITY)
    (grain,) = struct.unpack_from("<Q", data, _GRAIN)
    (entries,) = struct.unpack_from("<I", data, _ENTRIES)
    (directory,) = struct.unpack_from("<Q", data, _DIRECTORY)
    count = -(-capacity // (grain * entries))
    places = struct.unpack_from(f"<{count}I", data, directory * SECTOR)
    size = entries * 4
    end = bytearray()
    moved = []
    for place in places:
        start = place * SECTOR
        table = bytes(data[start : start + size])
        data[start : start + size] = b"\xee" * size
        end += _marker(_TABLE, size // SECTOR)
        moved.append((len(data) + len(end)) // SECTOR if any(table) else 0)
        end += table
    packed = struct.pack(f"<{count}I", *moved)
    packed = packed.ljust(-(-len(packed) // SECTOR) * SECTOR, b"\0")
    end += _marker(_DIRECTORY_MARK, len(packed) // SECTOR)
    footer = bytearray(data[:SECTOR])
    struct.pack_into("<Q", footer, _DIRECTORY, (len(data) + len(end)) // SECTOR)
    end += packed + _marker(_FOOTER, 1) + footer + _marker(_END, 0)
    struct.pack_into("<Q", data, _DIRECTORY, _AT_END)
    target.write_bytes(data + end)
    return target


def esx_sparse(raw: Path, descriptor: Path) -> Path:
    """The disk as a descriptor and a sparse extent of ESXi's ("COWD") beside it; grains have one sector."""
    content = raw.read_bytes()
    sectors = len(content) // SECTOR
    count = -(-sectors // _ESX_ENTRIES)
    directory_at = 4
    first_table = directory_at + -(-count * 4 // SECTOR)
    table_sectors = _ESX_ENTRIES * 4 // SECTOR
    free = first_table
    directory, body = [], bytearray()
    for number in range(count):
        start = number * _ESX_ENTRIES
        part = content[start * SECTOR : (start + _ESX_ENTRIES) * SECTOR]
        if not any(part):
            directory.append(0)
            continue
        directory.append(free)
        place = free + table_sectors
        grains, table = bytearray(), []
        for at in range(0, len(part), SECTOR):
            grain = part[at : at + SECTOR]
            table.append(place + len(grains) // SECTOR if any(grain) else 0)
            grains += grain if any(grain) else b""
        body += struct.pack(f"<{len(table)}I", *table).ljust(table_sectors * SECTOR, b"\0") + grains
        free = place + len(grains) // SECTOR
    header = struct.pack("<4sIIIIIII", b"COWD", 1, 3, sectors, 1, directory_at, count, free)
    packed = struct.pack(f"<{count}I", *directory).ljust((first_table - directory_at) * SECTOR, b"\0")
    extent = descriptor.with_name(f"{descriptor.stem}-delta.vmdk")
    extent.write_bytes(header.ljust(directory_at * SECTOR, b"\0") + packed + body)
    text = '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="vmfsSparse"\n'
    descriptor.write_text(f'{text}RW {sectors} VMFSSPARSE "{extent.name}"\n', encoding="ascii")
    return descriptor
