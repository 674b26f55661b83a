# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A read-only look into an XFS file system in a disk file: no root, no mount, no kernel.

The log is not replayed: `needs_recovery` says whether it holds changes that the files do not show yet.
Damaged structures raise :class:`DiskError`; none makes the reader loop or read without bound.
"""

import stat
from typing import Dict, Iterator, List, NoReturn, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.file_tree import FileTree, Node
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.xfs_directory import (
    INDEX_START,
    block_names,
    short_names,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.xfs_layout import (
    FORMAT_BTREE,
    FORMAT_EXTENTS,
    FORMAT_LOCAL,
    SUPERBLOCK_SIZE,
    Extent,
    XfsInode,
    parse_extents,
    parse_inode,
    parse_superblock,
    parse_tree_block,
    parse_tree_root,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.xfs_log import ends_cleanly

_MAX_SYMLINK = 4096
_MAX_TREE_BLOCKS = 1 << 16
_MAX_DIRECTORY = 1 << 30
_MAX_DEPTH = 9
_LINK_HEADER = 56
_LINK_MAGIC = b"XSLM"
_CACHED = 512


class Xfs(FileTree):
    """One file system of a disk.

    :param reader: the disk or volume
    :param offset: where the file system begins, in bytes
    :param length: how many bytes its partition has
    """

    kind = "xfs"

    def __init__(self, reader: DiskReader, offset: int, length: int) -> None:
        self._reader = reader
        self._offset = offset
        self._length = length
        if length < SUPERBLOCK_SIZE:
            self._refuse("is too small for a file system")
        self._super = parse_superblock(reader.read(offset, SUPERBLOCK_SIZE), length, self._refuse)
        self.uuid = self._super.uuid
        self.label = self._super.label
        self._inodes: Dict[int, XfsInode] = {}
        self._directories: Dict[int, Dict[str, int]] = {}
        self.needs_recovery = self._super.needs_repair or not self._log_is_clean()

    def root(self) -> int:
        return self._super.root

    def info(self, number: int) -> Node:
        inode = self._inode(number)
        return Node(inode.mode, inode.size, inode.uid)

    def names(self, number: int) -> Dict[str, int]:
        found = self._directories.get(number)
        if found is None:
            inode = self._inode(number)
            if not stat.S_ISDIR(inode.mode):
                self._refuse("has no directory at inode {0}".format(number))
            found = dict(self._entries(inode))
            if len(self._directories) >= _CACHED:
                self._directories.clear()
            self._directories[number] = found
        return found

    def read(self, number: int, offset: int, limit: int) -> bytes:
        inode = self._inode(number)
        length = max(0, min(limit, inode.size - offset))
        if not length:
            return b""
        if inode.format == FORMAT_LOCAL:
            return inode.fork[offset : offset + length]
        size = self._super.block_size
        first, last = offset // size, (offset + length - 1) // size
        data = bytearray((last - first + 1) * size)
        for run in self._runs(inode, first, last):
            position = (run.logical - first) * size
            data[position : position + run.blocks * size] = self._blocks(run.start, run.blocks)
        begin = offset - first * size
        return bytes(data[begin : begin + length])

    def data_runs(self, number: int) -> Iterator[Tuple[int, int]]:
        inode = self._inode(number)
        size = self._super.block_size
        if inode.format == FORMAT_LOCAL:
            yield 0, inode.size
        elif inode.size:
            for run in self._runs(inode, 0, (inode.size - 1) // size):
                yield run.logical * size, min(run.blocks * size, inode.size - run.logical * size)

    def readlink(self, number: int) -> str:
        inode = self._inode(number)
        if not stat.S_ISLNK(inode.mode) or inode.size > _MAX_SYMLINK:
            self._refuse("has no symbolic link at inode {0}".format(number))
        if inode.format == FORMAT_LOCAL:
            return inode.fork[: inode.size].decode("utf-8", "surrogateescape")
        data = b""
        for run in self._extents(inode):
            for index in range(min(run.blocks, _MAX_SYMLINK)):
                block = self._blocks(run.start + index, 1)
                # Version 5 has a header; mkfs.xfs left it out for a while.
                data += block[_LINK_HEADER:] if block.startswith(_LINK_MAGIC) else block
        return data[: inode.size].decode("utf-8", "surrogateescape")

    def _inode(self, number: int) -> XfsInode:
        found = self._inodes.get(number)
        if found is None:
            layout = self._super
            block = number >> layout.inodes_per_block_bits
            index = number & ((1 << layout.inodes_per_block_bits) - 1)
            place = self._place(block, 1) + index * layout.inode_size
            found = parse_inode(
                number, self._reader.read(self._offset + place, layout.inode_size), self._refuse
            )
            if len(self._inodes) >= _CACHED:
                self._inodes.clear()
            self._inodes[number] = found
        return found

    def _entries(self, inode: XfsInode) -> Iterator[Tuple[str, int]]:
        types = self._super.entry_types
        if inode.format == FORMAT_LOCAL:
            yield from short_names(inode.fork, inode.size, types, self._refuse)
            return
        if inode.size > _MAX_DIRECTORY:
            self._refuse("has a directory of {0} bytes".format(inode.size))
        size, whole = self._super.block_size, self._super.directory_block
        pieces = b""
        last = min(INDEX_START, inode.size) // size - 1
        # A directory block may consist of several blocks of the file system, in one extent or in several.
        for run in self._runs(inode, 0, last):
            for index in range(run.blocks):
                pieces += self._blocks(run.start + index, 1)
                if len(pieces) == whole:
                    yield from block_names(pieces, types, self._refuse)
                    pieces = b""

    def _runs(self, inode: XfsInode, first: int, last: int) -> Iterator[Extent]:
        """The written runs from block `first` to block `last`, ascending; what they leave out is zeros."""
        expected = 0
        for run in self._extents(inode):
            if run.logical < expected or not run.blocks:
                self._refuse("has a damaged list of extents at inode {0}".format(inode.number))
            expected = run.logical + run.blocks
            begin, end = max(first, run.logical), min(last, expected - 1)
            if begin <= end and run.written:
                yield Extent(begin, run.start + begin - run.logical, end - begin + 1, True)
            if run.logical > last:
                return

    def _extents(self, inode: XfsInode) -> Iterator[Extent]:
        if inode.format == FORMAT_EXTENTS:
            if inode.extents * 16 > len(inode.fork):
                self._refuse("has a damaged list of extents at inode {0}".format(inode.number))
            yield from parse_extents(inode.fork, inode.extents)
        elif inode.format == FORMAT_BTREE:
            level, children = parse_tree_root(inode.fork, self._refuse)
            if level > _MAX_DEPTH:
                self._refuse("has a damaged extent tree")
            yield from self._tree(level - 1, children, [_MAX_TREE_BLOCKS])

    def _tree(self, level: int, children: List[int], left: List[int]) -> Iterator[Extent]:
        for child in children:
            left[0] -= 1
            block = self._blocks(child, 1)
            found, below, extents = parse_tree_block(block, self._super.version, self._refuse)
            if found != level or left[0] < 0:
                self._refuse("has a damaged extent tree")
            yield from extents
            if below:
                yield from self._tree(level - 1, below, left)

    def _log_is_clean(self) -> bool:
        layout = self._super
        if not layout.log_start:
            return True  # the log is on another device
        size = layout.log_blocks * layout.block_size
        start = self._place(layout.log_start, layout.log_blocks)
        return ends_cleanly(
            lambda offset, count: self._reader.read(self._offset + start + offset, count), size
        )

    def _blocks(self, number: int, count: int) -> bytes:
        return self._reader.read(self._offset + self._place(number, count), count * self._super.block_size)

    def _place(self, number: int, count: int) -> int:
        """The byte where a block begins; its number holds the group and the block in it."""
        layout = self._super
        group, within = number >> layout.group_block_bits, number & ((1 << layout.group_block_bits) - 1)
        block = group * layout.group_blocks + within
        if group >= layout.groups or within + count > layout.group_blocks or block + count > layout.blocks:
            self._refuse("refers to block {0}, which does not exist".format(number))
        return block * layout.block_size

    def _refuse(self, problem: str) -> NoReturn:
        raise DiskError(
            "{0}: the XFS file system at byte {1} {2}".format(self._reader.path, self._offset, problem)
        )
