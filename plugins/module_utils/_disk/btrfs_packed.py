# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Packed extents of btrfs: zlib, LZO and zstd. Facts as for `btrfs_layout`."""

import struct
import zlib

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_layout import Refuse
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.lzo import LzoError, unpack_lzo
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.zstd import ZstdError, unpack_frame

NONE, ZLIB, LZO, ZSTD = 0, 1, 2, 3
# The kernel packs 128 KiB at most, and nothing that does not become smaller.
LONGEST = 1 << 17
# Pieces of LZO are a page each, of 64 KiB on some machines; their lengths never lie across two sectors.
_LARGEST_PAGE = 1 << 16
_SECTOR = 4096


def unpack(compression: int, packed: bytes, size: int, refuse: Refuse) -> bytes:
    """The `size` bytes of a packed extent; what it lacks at its end are zeros."""
    if not 0 < size <= LONGEST:
        refuse("has a damaged extent")
    try:
        if compression == ZLIB:
            data = zlib.decompressobj().decompress(packed, size)
        elif compression == LZO:
            data = _unpack_lzo(packed, size)
        elif compression == ZSTD:
            data = unpack_frame(packed, size)
        else:
            refuse("has a file in a compression that is not known here ({0})".format(compression))
    except (zlib.error, LzoError, ZstdError) as error:
        refuse("has a file whose data cannot be unpacked: {0}".format(error))
    return data + bytes(size - len(data))


def _unpack_lzo(packed: bytes, size: int) -> bytes:
    if len(packed) < 8:
        raise LzoError("the stream is cut off")
    (end,) = struct.unpack_from("<I", packed, 0)
    end = min(end, len(packed))
    position = 4
    data = b""
    while position + 4 <= end and len(data) < size:
        (length,) = struct.unpack_from("<I", packed, position)
        position += 4
        if not length or position + length > len(packed):
            raise LzoError("the stream is cut off")
        data += unpack_lzo(packed[position : position + length], _LARGEST_PAGE)
        position += length
        if _SECTOR - position % _SECTOR < 4:
            position += _SECTOR - position % _SECTOR
    return data[:size]
