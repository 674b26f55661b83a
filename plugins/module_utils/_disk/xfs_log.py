# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Whether the log of an XFS file system ends with the record that unmounting writes.

Every sector of the log begins with the number of the round it was written in, or with the magic number of a
record whose second word is that number. Where the number falls is the log's end. Facts as for `xfs_layout`.
"""

import struct
from typing import Callable

_SECTOR = 512
_MAGIC = 0xFEEDBABE
_VERSION_2 = 2
_HEADER_COVERS = 32768
_UNMOUNT = 0x20
# No record is longer than 256 KiB, and its headers are few.
_LONGEST = 600

ReadLog = Callable[[int, int], bytes]


def ends_cleanly(read: ReadLog, size: int) -> bool:
    """Whether nothing in the log waits to be written.

    :param read: reads (offset, length) of the log
    :param size: the log's size in bytes
    """
    sectors = size // _SECTOR
    head = _head(read, sectors)
    for distance in range(1, min(_LONGEST, sectors) + 1):
        place = (head - distance) % sectors
        sector = read(place * _SECTOR, _SECTOR)
        if struct.unpack_from(">I", sector)[0] == _MAGIC:
            return _is_unmount_record(read, sectors, place, distance, sector)
    # A log that was never written to holds zeros.
    return not any(read((head - 1) % sectors * _SECTOR, _SECTOR))


def _head(read: ReadLog, sectors: int) -> int:
    """The sector behind the newest one: the first with another number than sector 0 has; 0 if all agree."""
    first = _round(read, 0)
    if _round(read, sectors - 1) == first:
        return 0
    low, high = 0, sectors - 1
    while high - low > 1:
        middle = (low + high) // 2
        if _round(read, middle) == first:
            low = middle
        else:
            high = middle
    return high


def _round(read: ReadLog, sector: int) -> int:
    word, following = struct.unpack(">II", read(sector * _SECTOR, 8))
    return int(following if word == _MAGIC else word)


def _is_unmount_record(read: ReadLog, sectors: int, place: int, distance: int, header: bytes) -> bool:
    version, length = struct.unpack_from(">II", header, 8)
    (operations,) = struct.unpack_from(">I", header, 40)
    (buffer,) = struct.unpack_from(">I", header, 320)
    headers = -(-buffer // _HEADER_COVERS) if version & _VERSION_2 and buffer > _HEADER_COVERS else 1
    whole = headers + -(-length // _SECTOR) == distance
    first = read((place + headers) % sectors * _SECTOR, 12)
    return whole and operations == 1 and bool(first[9] & _UNMOUNT)
