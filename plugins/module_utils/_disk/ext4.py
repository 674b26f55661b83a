# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A read-only look into an ext2, ext3 or ext4 file system in a disk file: no root, no mount, no kernel.

The journal is not replayed: `needs_recovery` says whether it holds changes that the files do not show yet.
Damaged structures raise :class:`DiskError`; none makes the reader loop or read without bound.
"""

import stat
import struct
from typing import Callable, Dict, Iterator, List, NamedTuple, NoReturn, Tuple, TypeVar

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.ext4_blocks import BlockMap, Run
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.ext4_layout import (
    FLAG_ENCRYPTED,
    FLAG_EXTENTS,
    FLAG_INLINE,
    ROOT_INODE,
    SUPERBLOCK_OFFSET,
    Inode,
    descriptor_offset,
    has_ext_signature,
    inline_data,
    parse_inode,
    parse_inode_table,
    parse_superblock,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader

_CACHED_BLOCKS = 1024
_CACHED_DIRECTORIES = 512
_MAX_SYMLINK = 4096

Key = TypeVar("Key")
Value = TypeVar("Value")


class Entry(NamedTuple):
    """One name in a directory."""

    name: str
    inode: int


class Ext4:
    """One file system of a disk.

    :param reader: the disk
    :param offset: where the file system begins, in bytes
    :param length: how many bytes its partition has

    Attributes: `uuid`, `label`, `block_size`, `needs_recovery`.
    """

    def __init__(self, reader: DiskReader, offset: int, length: int) -> None:
        self._reader = reader
        self._offset = offset
        self._length = length
        if length < 2 * SUPERBLOCK_OFFSET:
            self._refuse("is too small for a file system")
        self._super = parse_superblock(self._bytes(SUPERBLOCK_OFFSET, 1024), length, self._refuse)
        self.uuid = self._super.uuid
        self.label = self._super.label
        self.block_size = self._super.block_size
        self.needs_recovery = self._super.needs_recovery
        self._blocks: Dict[int, bytes] = {}
        self._inode_tables: Dict[int, int] = {}
        self._directories: Dict[int, Dict[str, int]] = {}

    def root(self) -> Inode:
        """The inode of the top directory."""
        inode = self.inode(ROOT_INODE)
        if not stat.S_ISDIR(inode.mode):
            self._refuse("has no top directory")
        return inode

    def inode(self, number: int) -> Inode:
        """The inode of that number."""
        layout = self._super
        if not 1 <= number <= layout.inodes:
            self._refuse("refers to inode {0}, which does not exist".format(number))
        group, index = divmod(number - 1, layout.inodes_per_group)
        table = self._inode_tables.get(group)
        if table is None:
            where = descriptor_offset(layout, group)
            table = parse_inode_table(self._bytes(where, layout.descriptor_size))
            self._inode_tables[group] = table
        block, within = divmod(index * layout.inode_size, layout.block_size)
        data = self._block(table + block)
        return parse_inode(number, data[within : within + layout.inode_size])

    def entries(self, directory: Inode) -> List[Entry]:
        """The names in a directory without "." and "..", in the order of the disk."""
        return [Entry(name, number) for name, number in self._names(directory).items()]

    def lookup(self, directory: Inode, name: str) -> int:
        """The inode number of a name in a directory; 0 when it is not there."""
        return self._names(directory).get(name, 0)

    def read(self, inode: Inode, offset: int, limit: int) -> bytes:
        """At most `limit` bytes of a file from `offset`; holes read as zeros."""
        length = max(0, min(limit, inode.size - offset))
        if not length:
            return b""
        if inode.flags & FLAG_INLINE:
            return inline_data(inode, self._refuse)[offset : offset + length]
        if inode.flags & FLAG_ENCRYPTED and stat.S_ISREG(inode.mode):
            self._refuse("has encrypted files, which cannot be read without their keys")
        size = self.block_size
        first, last = offset // size, (offset + length - 1) // size
        data = bytearray((last - first + 1) * size)
        for run in self._runs(inode, first, last):
            position = (run.logical - first) * size
            data[position : position + run.blocks * size] = self._bytes_of_blocks(run.physical, run.blocks)
        begin = offset - first * size
        return bytes(data[begin : begin + length])

    def data_runs(self, inode: Inode) -> Iterator[Tuple[int, int]]:
        """(offset, length) in bytes of the parts of a file that are written, ascending."""
        if inode.flags & FLAG_INLINE:
            yield 0, inode.size
        elif inode.size:
            for run in self._runs(inode, 0, (inode.size - 1) // self.block_size):
                start = run.logical * self.block_size
                yield start, min(run.blocks * self.block_size, inode.size - start)

    def readlink(self, inode: Inode) -> str:
        """The target of a symbolic link."""
        if not stat.S_ISLNK(inode.mode) or inode.size > _MAX_SYMLINK:
            self._refuse("inode {0} is no symbolic link".format(inode.number))
        if inode.size < len(inode.block) and not inode.flags & (FLAG_INLINE | FLAG_EXTENTS):
            data = inode.block[: inode.size]
        else:
            data = self.read(inode, 0, inode.size)
        return data.decode("utf-8", "surrogateescape")

    def _runs(self, inode: Inode, first: int, last: int) -> Iterator[Run]:
        return BlockMap(inode, self.block_size, self._block, self._refuse).runs(first, last)

    def _names(self, directory: Inode) -> Dict[str, int]:
        if not stat.S_ISDIR(directory.mode):
            self._refuse("inode {0} is no directory".format(directory.number))
        names = self._directories.get(directory.number)
        if names is None:
            names = {}
            for block in self._directory_blocks(directory):
                names.update(_parse_entries(block, self._refuse))
            for dots in (".", ".."):
                names.pop(dots, None)
            _remember(self._directories, directory.number, names, _CACHED_DIRECTORIES)
        return names

    def _directory_blocks(self, directory: Inode) -> Iterator[bytes]:
        if directory.flags & FLAG_INLINE:
            data = inline_data(directory, self._refuse)
            # The first four bytes are the parent's inode number; entries restart after the block map.
            yield data[4:60]
            if len(data) > 60:
                yield data[60:]
            return
        if directory.size > self._super.blocks * self.block_size:
            self._refuse("the directory of inode {0} is larger than the file system".format(directory.number))
        expected = 0
        for run in self._runs(directory, 0, max(0, directory.size - 1) // self.block_size):
            if run.logical != expected:
                break
            expected += run.blocks
            for index in range(run.blocks):
                yield self._block(run.physical + index)
        if expected * self.block_size < directory.size:
            self._refuse("the directory of inode {0} has a hole".format(directory.number))

    def _block(self, number: int) -> bytes:
        data = self._blocks.get(number)
        if data is None:
            data = self._bytes_of_blocks(number, 1)
            _remember(self._blocks, number, data, _CACHED_BLOCKS)
        return data

    def _bytes_of_blocks(self, number: int, count: int) -> bytes:
        if number < 1 or number + count > self._super.blocks:
            self._refuse("refers to block {0}, which does not exist".format(number))
        return self._bytes(number * self.block_size, count * self.block_size)

    def _bytes(self, offset: int, length: int) -> bytes:
        if offset + length > self._length:
            self._refuse("refers to byte {0}, which lies behind its end".format(offset))
        return self._reader.read(self._offset + offset, length)

    def _refuse(self, problem: str) -> NoReturn:
        if not problem.startswith(("has ", "is ", "refers ", "uses ")):
            problem = "is damaged: " + problem
        raise DiskError(
            "{0}: the ext4 file system at byte {1} {2}".format(self._reader.path, self._offset, problem)
        )


def _parse_entries(block: bytes, refuse: Callable[[str], NoReturn]) -> Iterator[Tuple[str, int]]:
    position = 0
    # Index nodes of hashed directories look like one unused entry that fills the block.
    while position + 8 <= len(block):
        inode, length, name_length = struct.unpack_from("<IHB", block, position)
        if length in {0, 65535} and len(block) >= 65536:
            length = 65536
        if length < 8 or length % 4 or position + length > len(block) or name_length + 8 > length:
            refuse("a directory entry is cut off")
        if inode and name_length:
            name = block[position + 8 : position + 8 + name_length].decode("utf-8", "surrogateescape")
            if "/" in name or "\0" in name:
                refuse("a directory entry has a name with a slash or a zero byte")
            yield name, inode
        position += length


def _remember(cache: Dict[Key, Value], key: Key, value: Value, limit: int) -> None:
    if len(cache) >= limit:
        cache.clear()
    cache[key] = value


__all__ = ["DiskError", "Entry", "Ext4", "Inode", "has_ext_signature"]
