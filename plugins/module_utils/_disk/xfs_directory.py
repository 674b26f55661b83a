# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Names in XFS directories: short ones in the inode, and blocks of entries. Facts as for `xfs_layout`."""

import struct
from typing import Iterator, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.xfs_layout import Refuse

# Entries lie below this byte of a directory, its index of hashes behind it.
INDEX_START = 1 << 35

_SINGLE = {b"XD2B", b"XDB3"}
_HEADERS = {b"XD2B": 16, b"XD2D": 16, b"XDB3": 64, b"XDD3": 64}
_FREE = 0xFFFF


def short_names(fork: bytes, size: int, types: bool, refuse: Refuse) -> Iterator[Tuple[str, int]]:
    """Name and inode number of the entries of a directory of `size` bytes that is kept in its inode."""
    if not 6 <= size <= len(fork):
        refuse("has a damaged directory")
    count, wide = struct.unpack_from(">BB", fork, 0)
    width = 8 if wide else 4
    position = 2 + width
    for _unused in range(count):
        length = fork[position] if position < size else 0
        end = position + 3 + length + types
        if not length or end + width > size:
            refuse("has a damaged directory")
        yield (
            _text(fork[position + 3 : position + 3 + length], refuse),
            int.from_bytes(fork[end : end + width], "big"),
        )
        position = end + width


def block_names(block: bytes, types: bool, refuse: Refuse) -> Iterator[Tuple[str, int]]:
    """Name and inode number of the entries in one block of a directory, without "." and ".."."""
    magic = block[:4]
    position = _HEADERS.get(magic, 0)
    if not position:
        refuse("has a damaged directory block")
    end = len(block)
    if magic in _SINGLE:
        # The index of the hashes stands at the end of the only block.
        end -= 8 + 8 * struct.unpack_from(">I", block, end - 8)[0]
    while position + 8 <= end:
        tag, free = struct.unpack_from(">HH", block, position)
        if tag == _FREE:
            if free < 8 or free % 8:
                refuse("has a damaged directory block")
            position += free
            continue
        number, length = struct.unpack_from(">QB", block, position)
        if not length or position + 9 + length > end:
            refuse("has a damaged directory block")
        name = block[position + 9 : position + 9 + length]
        if name not in {b".", b".."}:
            yield _text(name, refuse), number
        # Number, length of the name, name, type, and a tag of two bytes, rounded up to eight.
        position += (9 + length + types + 2 + 7) & ~7


def _text(name: bytes, refuse: Refuse) -> str:
    if b"/" in name or b"\0" in name:
        refuse("has a directory entry with a slash or a zero byte in its name")
    return name.decode("utf-8", "surrogateescape")
