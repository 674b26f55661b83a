# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A read-only look into a btrfs file system in a disk file: no root, no mount, no kernel.

Every subvolume is a tree of its own; one in a directory of another is entered as the kernel does it. The log
is not replayed: `needs_recovery` says whether it holds changes that the files do not show yet. Damaged
structures raise :class:`DiskError`; none makes the reader loop or read without bound.
"""

import stat
from typing import Dict, Iterator, NoReturn, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_layout import (
    DIRECTORY_INDEX,
    EXTENT_DATA,
    FIRST_NUMBER,
    INODE_ITEM,
    ROOT_ITEM,
    SUPERBLOCK_OFFSET,
    SUPERBLOCK_SIZE,
    BtrfsInode,
    Extent,
    Key,
    parse_entries,
    parse_extent,
    parse_inode,
    parse_superblock,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_nodes import Nodes
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_packed import LONGEST, unpack
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_subvolumes import (
    ROOT_TREE,
    SubvolumeTable,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.file_tree import FileTree, Node
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader

_MAX_SYMLINK = 4096
_CACHED = 512
_LAST = (1 << 64) - 1
# Numbers of files hold that of their subvolume above these bits.
_BITS = 64
# The directory that the kernel shows where a snapshot has another subvolume's name, but not the subvolume.
_EMPTY = 2


class BtrfsVolume:
    """One file system of a disk, with all subvolumes.

    :param reader: the disk or volume
    :param offset: where the file system begins, in bytes
    :param length: how many bytes its partition has
    """

    def __init__(self, reader: DiskReader, offset: int, length: int) -> None:
        self._reader = reader
        self._offset = offset
        self._length = length
        if length < SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE:
            self.refuse("is too small for a file system")
        head = reader.read(offset + SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE)
        self._super = parse_superblock(head, length, self.refuse)
        self.uuid = self._super.uuid
        self.label = self._super.label
        self.needs_recovery = self._super.has_log
        self._nodes = Nodes(self._super, self._read_disk, self.refuse)
        self._inodes: Dict[Tuple[int, int], BtrfsInode] = {}
        self.table = SubvolumeTable(self.items, self.refuse)

    def tree(self, number: int) -> "Btrfs":
        """A subvolume as a tree of files."""
        return Btrfs(self, number)

    def items(self, subvolume: int, low: Key, high: Key, before: bool = False) -> Iterator[Tuple[Key, bytes]]:
        """Items of a subvolume's tree, or of the tree of all trees, see :class:`Nodes`."""
        if subvolume == ROOT_TREE:
            return self._nodes.items(self._super.root, self._super.root_level, low, high, before)
        root = self.table.roots.get(subvolume)
        if root is None:
            self.refuse("has no subvolume {0}".format(subvolume))
        return self._nodes.items(root.address, root.level, low, high, before)

    def inode(self, subvolume: int, number: int) -> BtrfsInode:
        """An inode of a subvolume."""
        found = self._inodes.get((subvolume, number))
        if found is None:
            key = (number, INODE_ITEM, 0)
            item = next(self.items(subvolume, key, key), None)
            if item is None:
                self.refuse("refers to inode {0}, which does not exist".format(number))
            found = parse_inode(item[1], self.refuse)
            if len(self._inodes) >= _CACHED:
                self._inodes.clear()
            self._inodes[(subvolume, number)] = found
        return found

    def extents(self, subvolume: int, number: int, offset: int, end: int) -> Iterator[Extent]:
        """The extents of a file that may have bytes from `offset` to `end`, ascending and apart."""
        low, high = (number, EXTENT_DATA, offset), (number, EXTENT_DATA, end - 1)
        expected = 0
        for key, data in self.items(subvolume, low, high, before=True):
            if key[:2] != low[:2]:
                continue
            extent = parse_extent(key[2], data, self.refuse)
            if extent.position < expected:
                self.refuse("has overlapping extents at inode {0}".format(number))
            expected = extent.position + extent.length
            yield extent

    def content(self, extent: Extent, skip: int, length: int) -> bytes:
        """`length` bytes of an extent from byte `skip` on; it is no hole."""
        if extent.inline is not None:
            data = extent.inline
            if extent.compression:
                data = unpack(extent.compression, data, extent.unpacked, self.refuse)
            return data[skip : skip + length]
        skip += extent.skip
        if not extent.compression:
            return self._nodes.read(extent.place + skip, length)
        if extent.stored > LONGEST:
            self.refuse("has a damaged extent")
        packed = self._nodes.read(extent.place, extent.stored)
        return unpack(extent.compression, packed, extent.unpacked, self.refuse)[skip : skip + length]

    def _read_disk(self, offset: int, length: int) -> bytes:
        if offset + length > self._length:
            self.refuse("refers to byte {0}, which lies behind its end".format(offset))
        return self._reader.read(self._offset + offset, length)

    def refuse(self, problem: str) -> NoReturn:
        """Raise :class:`DiskError` with what is wrong, as the rest of a sentence."""
        raise DiskError(
            "{0}: the btrfs file system at byte {1} {2}".format(self._reader.path, self._offset, problem)
        )


class Btrfs(FileTree):
    """One subvolume of a file system, with those in its directories."""

    kind = "btrfs"

    def __init__(self, volume: BtrfsVolume, subvolume: int) -> None:
        self.volume = volume
        self.subvolume = subvolume
        self.uuid = volume.uuid
        self.label = volume.label
        self.needs_recovery = volume.needs_recovery
        self._directories: Dict[int, Dict[str, int]] = {}

    def root(self) -> int:
        return self.subvolume << _BITS | FIRST_NUMBER

    def is_own(self, number: int) -> bool:
        """Whether a file belongs to this subvolume itself, not to one in its directories."""
        return _split(number)[0] == self.subvolume

    def info(self, number: int) -> Node:
        inode = self._inode(number)
        return Node(inode.mode, inode.size, inode.uid)

    def names(self, number: int) -> Dict[str, int]:
        found = self._directories.get(number)
        if found is None:
            if not stat.S_ISDIR(self._inode(number).mode):
                self.volume.refuse("has no directory at inode {0}".format(number & _LAST))
            found = dict(self._entries(number))
            if len(self._directories) >= _CACHED:
                self._directories.clear()
            self._directories[number] = found
        return found

    def read(self, number: int, offset: int, limit: int) -> bytes:
        length = max(0, min(limit, self._inode(number).size - offset))
        if not length:
            return b""
        data = bytearray(length)
        for extent in self.volume.extents(*_split(number), offset, offset + length):
            begin, end = (
                max(offset, extent.position),
                min(offset + length, extent.position + extent.length),
            )
            if begin < end and (extent.place or extent.inline is not None):
                piece = self.volume.content(extent, begin - extent.position, end - begin)
                data[begin - offset : begin - offset + len(piece)] = piece
        return bytes(data)

    def data_runs(self, number: int) -> Iterator[Tuple[int, int]]:
        size = self._inode(number).size
        for extent in self.volume.extents(*_split(number), 0, max(size, 1)):
            length = min(extent.length, size - extent.position)
            if length > 0 and (extent.place or extent.inline is not None):
                yield extent.position, length

    def readlink(self, number: int) -> str:
        inode = self._inode(number)
        if not stat.S_ISLNK(inode.mode) or inode.size > _MAX_SYMLINK:
            self.volume.refuse("has no symbolic link at inode {0}".format(number & _LAST))
        return self.read(number, 0, inode.size).decode("utf-8", "surrogateescape")

    def _inode(self, number: int) -> BtrfsInode:
        subvolume, inode = _split(number)
        if inode == _EMPTY:
            return BtrfsInode(stat.S_IFDIR | 0o755, 0, 0)
        return self.volume.inode(subvolume, inode)

    def _entries(self, number: int) -> Iterator[Tuple[str, int]]:
        subvolume, directory = _split(number)
        low, high = (directory, DIRECTORY_INDEX, 0), (directory, DIRECTORY_INDEX, _LAST)
        for _key, data in self.volume.items(subvolume, low, high):
            for name, (target, kind, _offset) in parse_entries(data, self.volume.refuse):
                text = name.decode("utf-8", "surrogateescape")
                if kind == INODE_ITEM:
                    yield text, subvolume << _BITS | target
                elif kind == ROOT_ITEM and self.volume.table.is_there(target, subvolume, directory, name):
                    yield text, target << _BITS | FIRST_NUMBER
                else:
                    yield text, subvolume << _BITS | _EMPTY


def _split(number: int) -> Tuple[int, int]:
    return number >> _BITS, number & _LAST


def open_btrfs(reader: DiskReader, offset: int, length: int) -> FileTree:
    """The subvolume that is mounted when none is named."""
    volume = BtrfsVolume(reader, offset, length)
    return volume.tree(volume.table.default)
