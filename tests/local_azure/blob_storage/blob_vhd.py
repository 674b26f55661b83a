# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Footers of fixed VHDs, written and read independently of what the collection itself uploads.

Layout, checksum and geometry: Microsoft's "Virtual Hard Disk Image Format Specification", sections "Hard Disk
Footer Format" and "Appendix: CHS Calculation". All numbers are big-endian.
"""

from __future__ import annotations

import struct
import time
import uuid
from typing import NamedTuple

FOOTER_SIZE = 512
SECTOR = 512
COOKIE = b"conectix"
FIXED = 2
_EPOCH_2000 = 946684800
_FIELDS = struct.Struct(">8sIIQI4sI4sQQHBBII16sB")


class Footer(NamedTuple):
    """The fields that matter; sizes in bytes."""

    disk_type: int
    virtual_size: int


def parse_footer(sector: bytes) -> Footer | None:
    """The footer in a disk's last 512 bytes; None when its cookie is not there."""
    if not sector.startswith(COOKIE):
        return None
    virtual_size, disk_type = struct.unpack_from(">Q4xI", sector, 48)
    return Footer(disk_type, virtual_size)


def fixed_footer(virtual_size: int) -> bytes:
    """The footer of a new fixed VHD of ``virtual_size`` bytes."""
    cylinders, heads, sectors = _geometry(virtual_size // SECTOR)
    fields = _FIELDS.pack(
        COOKIE,
        2,  # features: the bit that is always set
        0x00010000,  # format version 1.0
        0xFFFFFFFFFFFFFFFF,  # no dynamic header follows
        int(time.time()) - _EPOCH_2000,
        b"gold",
        0x00010000,
        b"Wi2k",
        virtual_size,
        virtual_size,
        cylinders,
        heads,
        sectors,
        FIXED,
        0,
        uuid.uuid4().bytes,
        0,
    ).ljust(FOOTER_SIZE, b"\0")
    checksum = ~sum(fields) & 0xFFFFFFFF
    return fields[:64] + struct.pack(">I", checksum) + fields[68:]


def _geometry(total: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track that a disk of ``total`` sectors claims to have."""
    total = min(total, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        return total // 255 // 16, 16, 255
    sectors = 17
    by_head = total // sectors
    heads = max(4, -(-by_head // 1024))
    for sectors in (17, 31, 63):
        by_head = total // sectors
        if sectors != 17:
            heads = 16
        if by_head < heads * 1024 and heads <= 16:
            break
    return by_head // heads, heads, sectors
