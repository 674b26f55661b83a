# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The subvolumes of a btrfs file system, by the items of its trees: those of a disk file, or those that the
kernel gives of a mounted one. Facts as for `btrfs_layout`."""

import re
from typing import Callable, Container, Dict, Iterable, Iterator, List, NamedTuple, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_layout import (
    DIRECTORY_ITEM,
    FIRST_NUMBER,
    INODE_REFERENCE,
    ROOT_BACK_REFERENCE,
    ROOT_ITEM,
    TOP_LEVEL,
    Key,
    Refuse,
    Root,
    is_subvolume,
    parse_entries,
    parse_inode_reference,
    parse_reference,
    parse_root,
)

ROOT_TREE = 1
_ROOT_DIRECTORY = 6
_LAST = (1 << 64) - 1
_MAX_PATH, _MAX_DEPTH = 4096, 2048
# snapper's, which are no snapshots by birth when the system was installed into one or rolled back from it.
_SNAPPER = re.compile(r"(^|/)\.snapshots/[0-9]+/snapshot$")
# Layers of containers are snapshots of one another, and none of the guest.
_LAYERS = re.compile(
    r"(^|/)(docker/btrfs/subvolumes|containers/storage/btrfs/subvolumes"
    r"|io\.containerd\.snapshotter\.v1\.btrfs/[a-z]+)/[^/]+$"
)

ReadItems = Callable[[int, Key, Key], Iterator[Tuple[Key, bytes]]]
"""The items of a tree between two keys, both included, ascending."""
_Place = Tuple[int, int]  # a subvolume and a directory in it


class Subvolume(NamedTuple):
    """`path` leads to it from the top level, "" for that itself; `parent_uuid` is empty unless it began as a
    snapshot."""

    number: int
    path: str
    parent_uuid: str
    read_only: bool


class _Reference(NamedTuple):
    parent: int
    directory: int
    name: bytes


class SubvolumeTable:
    """All subvolumes: `roots` by number, and the number of the `default` one, which is mounted when none is
    named."""

    def __init__(self, items: ReadItems, refuse: Refuse) -> None:
        self._items = items
        self._refuse = refuse
        self.roots: Dict[int, Root] = {}
        self._references: Dict[int, _Reference] = {}
        self._paths: Dict[_Place, bytes] = {(TOP_LEVEL, FIRST_NUMBER): b""}
        self.default = TOP_LEVEL
        for key, data in items(ROOT_TREE, (0, 0, 0), (_LAST, 255, _LAST)):
            self._add(key, data)
        # What was deleted has lost its name first.
        for number in set(self.roots) - set(self._references) - {TOP_LEVEL}:
            del self.roots[number]
        if self.default not in self.roots:
            refuse("has no subvolume {0}, which is to be mounted by default".format(self.default))

    def _add(self, key: Key, data: bytes) -> None:
        number, kind, offset = key
        if kind == ROOT_ITEM and is_subvolume(number):
            root = parse_root(data, self._refuse)
            if not root.deleted:
                self.roots[number] = root
        elif kind == ROOT_BACK_REFERENCE:
            directory, name = parse_reference(data, self._refuse)
            self._references[number] = _Reference(offset, directory, name)
        elif kind == DIRECTORY_ITEM and number == _ROOT_DIRECTORY:
            for name, target in parse_entries(data, self._refuse):
                if name == b"default":
                    self.default = target[0]

    def all(self) -> List[Subvolume]:
        """Every subvolume by its number, the top level first."""
        return [
            Subvolume(
                number,
                self._path((number, FIRST_NUMBER)).decode("utf-8", "surrogateescape"),
                root.parent_uuid,
                root.read_only,
            )
            for number, root in sorted(self.roots.items())
        ]

    def is_there(self, number: int, parent: int, directory: int, name: bytes) -> bool:
        """Whether a subvolume is the one of that name in a directory of its parent: snapshots of the parent
        have the name alone."""
        return number in self.roots and self._references.get(number) == (parent, directory, name)

    def _path(self, place: _Place) -> bytes:
        """The way from the top level to a directory."""
        steps: List[Tuple[_Place, bytes]] = []
        while place not in self._paths:
            if len(steps) > _MAX_DEPTH:
                self._refuse("has a directory {0} that is not below the top level".format(place[1]))
            above, name = self._above(place)
            steps.append((place, name))
            place = above
        path = self._paths[place]
        for below, name in reversed(steps):
            path = path + b"/" + name if path else name
            if len(path) > _MAX_PATH:
                self._refuse("has a subvolume at a path of more than {0} bytes".format(_MAX_PATH))
            self._paths[below] = path
        return path

    def _above(self, place: _Place) -> Tuple[_Place, bytes]:
        """The directory that has another one, or the subvolume that it is the top of, and its name there."""
        subvolume, directory = place
        if directory == FIRST_NUMBER:
            found = self._references.get(subvolume)
            if found is None:
                self._refuse("has a subvolume {0} in no directory".format(subvolume))
            return (found.parent, found.directory), found.name
        low, high = (directory, INODE_REFERENCE, 0), (directory, INODE_REFERENCE, _LAST)
        item = next(self._items(subvolume, low, high), None)
        if item is None:
            self._refuse("has a directory {0} in no other one".format(directory))
        return (subvolume, item[0][2]), parse_inode_reference(item[1], self._refuse)


def is_layer(subvolume: Subvolume) -> bool:
    """Whether it is a layer of a container, which looks like a system of its own."""
    return _LAYERS.search(subvolume.path) is not None


def snapshots_among(subvolumes: Iterable[Subvolume], mounted: Container[int]) -> List[Subvolume]:
    """Those that keep an earlier state of the guest: snapshots, except the ones that are mounted, which the
    guest works with, and layers of containers.

    :param mounted: numbers of subvolumes
    """
    return [
        item
        for item in subvolumes
        if item.number not in mounted
        and (item.parent_uuid or _SNAPPER.search(item.path))
        and not is_layer(item)
    ]
