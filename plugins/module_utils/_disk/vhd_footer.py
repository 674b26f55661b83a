# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The 512-byte footer of a VHD file (Microsoft, "Virtual Hard Disk Image Format Specification", 1.0, 2006).

All numbers are big-endian. A fixed VHD is the raw disk followed by this footer.
"""

import struct
from typing import NamedTuple, Tuple

FOOTER_SIZE = 512
COOKIE = b"conectix"
FIXED, DYNAMIC, DIFFERENCING = 2, 3, 4

_LAYOUT = struct.Struct(">8sIIQI4sI4sQQHBBII16sB427x")
_CHECKSUM_OFFSET = 64
_FEATURES = 0x00000002  # the reserved bit that the specification wants set
_VERSION = 0x00010000
_NO_NEXT_STRUCTURE = 0xFFFFFFFFFFFFFFFF
# QEMU takes the size and not the geometry only from creators it knows; this is Hyper-V's name.
_CREATOR = b"win "
_CREATOR_VERSION = 0x00010000
_HOST_WINDOWS = b"Wi2k"
_MAX_GEOMETRY = (65535, 16, 255)


class FooterError(ValueError):
    """A footer that breaks the format; the text says how."""


class Footer(NamedTuple):
    """The fields of a footer that matter to a reader. Sizes in bytes."""

    disk_type: int
    original_size: int
    current_size: int
    geometry: Tuple[int, int, int]
    timestamp: int
    data_offset: int
    creator: bytes
    unique_id: bytes


def checksum(structure: bytes, field: int = _CHECKSUM_OFFSET) -> int:
    """One's complement of the sum of all bytes, the four of the checksum at `field` counted as zeros."""
    total = sum(structure[:field]) + sum(structure[field + 4 :])
    return ~total & 0xFFFFFFFF


def geometry_of(virtual_size: int) -> Tuple[int, int, int]:
    """Cylinders, heads and sectors per track for a disk, by the algorithm in the specification's appendix.

    They are only informative: Azure and Hyper-V take the size from `current_size`.
    """
    sectors = virtual_size // 512
    if sectors > 65535 * 16 * 255:
        return _MAX_GEOMETRY
    if sectors >= 65535 * 16 * 63:
        per_track, heads = 255, 16
    else:
        per_track = 17
        heads = max((sectors // per_track + 1023) // 1024, 4)
        if sectors // per_track >= heads * 1024 or heads > 16:
            per_track, heads = 31, 16
        if sectors // per_track >= heads * 1024:
            per_track, heads = 63, 16
    return sectors // per_track // heads, heads, per_track


def build_fixed_footer(virtual_size: int, unique_id: bytes, timestamp: int = 0) -> bytes:
    """The footer of a fixed VHD.

    :param virtual_size: the disk's size in bytes, without the footer
    :param unique_id: 16 bytes; the same bytes give the same footer, so that an upload can be repeated
    :param timestamp: seconds since 2000-01-01 00:00 UTC
    """
    if len(unique_id) != 16:
        raise FooterError("the unique id of a VHD has 16 bytes, not {0}".format(len(unique_id)))

    def packed(check: int) -> bytes:
        return _LAYOUT.pack(
            COOKIE,
            _FEATURES,
            _VERSION,
            _NO_NEXT_STRUCTURE,
            timestamp,
            _CREATOR,
            _CREATOR_VERSION,
            _HOST_WINDOWS,
            virtual_size,
            virtual_size,
            *geometry_of(virtual_size),
            FIXED,
            check,
            unique_id,
            0,
        )

    return packed(checksum(packed(0)))


def has_cookie(data: bytes) -> bool:
    """Whether these bytes begin like a VHD footer."""
    return data[: len(COOKIE)] == COOKIE


def parse_footer(data: bytes) -> Footer:
    """Read a footer; a wrong length, cookie or checksum raises :class:`FooterError`."""
    if len(data) != FOOTER_SIZE:
        raise FooterError("a VHD footer has {0} bytes, not {1}".format(FOOTER_SIZE, len(data)))
    if not has_cookie(data):
        raise FooterError("the VHD footer does not begin with the cookie 'conectix'")
    fields = _LAYOUT.unpack(data)
    stored, computed = fields[14], checksum(data)
    if stored != computed:
        raise FooterError(
            "the VHD footer's checksum is {0:08x}, but its bytes give {1:08x}".format(stored, computed)
        )
    return Footer(
        disk_type=fields[13],
        original_size=fields[8],
        current_size=fields[9],
        geometry=(fields[10], fields[11], fields[12]),
        timestamp=fields[4],
        data_offset=fields[3],
        creator=fields[5],
        unique_id=fields[15],
    )
