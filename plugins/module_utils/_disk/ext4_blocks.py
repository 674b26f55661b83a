# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Where the blocks of an ext2, ext3 or ext4 file lie: extent trees and indirect blocks.

Both ways only visit what overlaps the blocks asked for and insist on ascending order, so that a damaged map
costs at most as many steps as there are blocks to read.
"""

import struct
from typing import Callable, Iterator, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.ext4_layout import (
    FLAG_EXTENTS,
    Inode,
    Refuse,
)

_EXTENT_MAGIC = 0xF30A
_MAX_DEPTH = 5
_MAX_WRITTEN = 32768
_LAST_BLOCK = (1 << 32) - 1

ReadBlock = Callable[[int], bytes]


class Run(NamedTuple):
    """`blocks` blocks of a file from block `logical` on, found at block `physical` of the file system."""

    logical: int
    physical: int
    blocks: int


class BlockMap:
    """The map of one file. `read_block` reads a block of the file system, `refuse` raises for damage."""

    def __init__(self, inode: Inode, block_size: int, read_block: ReadBlock, refuse: Refuse) -> None:
        self._inode = inode
        self._fan_out = block_size // 4
        self._read_block = read_block
        self._refuse = refuse

    def runs(self, first: int, last: int) -> Iterator[Run]:
        """The written runs from block `first` to block `last`, ascending; what they leave out is zeros."""
        if self._inode.flags & FLAG_EXTENTS:
            return self._extents(self._inode.block, None, (first, last))
        return self._indirect(first, last)

    def _extents(self, node: bytes, depth_wanted: Optional[int], wanted: Tuple[int, int]) -> Iterator[Run]:
        magic, entries, capacity, depth = struct.unpack_from("<HHHH", node, 0)
        sound = magic == _EXTENT_MAGIC and depth <= _MAX_DEPTH and entries <= capacity
        if not sound or 12 + 12 * entries > len(node) or (depth_wanted is not None and depth != depth_wanted):
            self._refuse_tree()
        starts = [struct.unpack_from("<I", node, 12 + 12 * index)[0] for index in range(entries)]
        if sorted(set(starts)) != starts:
            self._refuse_tree()
        for index, (start, following) in enumerate(zip(starts, starts[1:] + [_LAST_BLOCK + 1])):  # noqa: B905
            within = (max(wanted[0], start), min(wanted[1], following - 1))
            if within[0] > within[1]:
                continue
            item = node[12 + 12 * index : 24 + 12 * index]
            if depth:
                low, high = struct.unpack_from("<IH", item, 4)
                yield from self._extents(self._read_block(low | high << 32), depth - 1, within)
                continue
            blocks, high, low = struct.unpack_from("<HHI", item, 4)
            stop = min(within[1], start + blocks - 1)
            # More than 32768 marks blocks that are allocated, but not written: they read as zeros.
            if blocks <= _MAX_WRITTEN and within[0] <= stop:
                yield Run(within[0], (low | high << 32) + within[0] - start, stop - within[0] + 1)

    def _indirect(self, first: int, last: int) -> Iterator[Run]:
        """The map of ext2 and ext3: 12 direct blocks, then one, two and three times indirect ones."""
        pointers = struct.unpack("<15I", self._inode.block)
        for logical in range(first, min(last, 11) + 1):
            if pointers[logical]:
                yield Run(logical, pointers[logical], 1)
        start = 12
        for level in (1, 2, 3):
            end = start + self._fan_out**level - 1
            wanted = (max(first, start), min(last, end))
            if wanted[0] <= wanted[1] and pointers[11 + level]:
                yield from self._indirect_block(pointers[11 + level], level, start, wanted)
            start = end + 1
        if last >= start:
            self._refuse("inode {0} is larger than a block map allows".format(self._inode.number))

    def _indirect_block(self, block: int, level: int, start: int, wanted: Tuple[int, int]) -> Iterator[Run]:
        step = self._fan_out ** (level - 1)
        table = struct.unpack("<{0}I".format(self._fan_out), self._read_block(block))
        for index in range((wanted[0] - start) // step, (wanted[1] - start) // step + 1):
            if not table[index]:
                continue
            begin = start + index * step
            if level == 1:
                yield Run(begin, table[index], 1)
                continue
            within = (max(wanted[0], begin), min(wanted[1], begin + step - 1))
            yield from self._indirect_block(table[index], level - 1, begin, within)

    def _refuse_tree(self) -> None:
        self._refuse("the extent tree of inode {0} is damaged".format(self._inode.number))
