# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What every file system reader offers to whoever looks for files: names, content, links, by inode number."""

import stat
from typing import Dict, Iterator, List, NamedTuple, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.ext4 import Ext4
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.fat import Fat, FatEntry


class Node(NamedTuple):
    """What is known of a file or directory; `mode` as lstat(2) has it."""

    mode: int
    size: int
    uid: int


class FileTree:
    """One file system. `kind` is "ext4", "xfs", "btrfs" or "vfat"; `uuid` is in the spelling of blkid(8);
    `needs_recovery` is whether a journal holds changes that the files do not show yet."""

    kind = ""
    uuid = ""
    label = ""
    needs_recovery = False

    def root(self) -> int:
        """The number of the top directory."""
        raise NotImplementedError

    def info(self, number: int) -> Node:
        """What is known of an inode."""
        raise NotImplementedError

    def names(self, number: int) -> Dict[str, int]:
        """The names in a directory without "." and "..", and their inode numbers."""
        raise NotImplementedError

    def lookup(self, number: int, name: str) -> int:
        """The inode number of a name in a directory; 0 when it is not there."""
        return self.names(number).get(name, 0)

    def read(self, number: int, offset: int, limit: int) -> bytes:
        """At most `limit` bytes of a regular file; holes read as zeros."""
        raise NotImplementedError

    def readlink(self, number: int) -> str:
        """The target of a symbolic link."""
        raise NotImplementedError

    def data_runs(self, number: int) -> Iterator[Tuple[int, int]]:
        """(offset, length) in bytes of the written parts of a file, ascending."""
        raise NotImplementedError


class Ext4Tree(FileTree):
    """ext2, ext3 or ext4."""

    kind = "ext4"

    def __init__(self, volume: Ext4) -> None:
        self._volume = volume
        self.uuid = volume.uuid
        self.label = volume.label
        self.needs_recovery = volume.needs_recovery

    def root(self) -> int:
        return self._volume.root().number

    def info(self, number: int) -> Node:
        inode = self._volume.inode(number)
        return Node(inode.mode, inode.size, inode.uid)

    def names(self, number: int) -> Dict[str, int]:
        return {entry.name: entry.inode for entry in self._volume.entries(self._volume.inode(number))}

    def lookup(self, number: int, name: str) -> int:
        return self._volume.lookup(self._volume.inode(number), name)

    def read(self, number: int, offset: int, limit: int) -> bytes:
        return self._volume.read(self._volume.inode(number), offset, limit)

    def readlink(self, number: int) -> str:
        return self._volume.readlink(self._volume.inode(number))

    def data_runs(self, number: int) -> Iterator[Tuple[int, int]]:
        return self._volume.data_runs(self._volume.inode(number))


class FatTree(FileTree):
    """FAT, as on EFI system partitions. It has no inodes: entries are numbered as they are met."""

    kind = "vfat"

    def __init__(self, volume: Fat) -> None:
        self._volume = volume
        self.uuid = volume.serial
        self.label = volume.label
        self._paths: List[str] = ["", ""]
        self._entries: List[FatEntry] = [FatEntry("", True, 0, 0)] * 2
        self._children: Dict[int, Dict[str, int]] = {}

    def root(self) -> int:
        return 1

    def info(self, number: int) -> Node:
        entry = self._entries[number]
        kind = stat.S_IFDIR if entry.is_directory else stat.S_IFREG
        return Node(kind | 0o755, entry.size, 0)

    def names(self, number: int) -> Dict[str, int]:
        found = self._children.get(number)
        if found is None:
            found = {}
            for entry in self._volume.entries(self._paths[number]):
                found[entry.name] = len(self._entries)
                self._entries.append(entry)
                self._paths.append((self._paths[number] + "/" + entry.name).lstrip("/"))
            self._children[number] = found
        return found

    def lookup(self, number: int, name: str) -> int:
        names = self.names(number)
        for known, child in names.items():
            if known.lower() == name.lower():
                return child
        return 0

    def read(self, number: int, offset: int, limit: int) -> bytes:
        return self._volume.read(self._entries[number], limit, offset)

    def readlink(self, number: int) -> str:
        del number
        return ""

    def data_runs(self, number: int) -> Iterator[Tuple[int, int]]:
        if self._entries[number].size:
            yield 0, self._entries[number].size
