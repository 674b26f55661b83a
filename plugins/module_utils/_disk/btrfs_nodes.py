# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The trees of a btrfs file system: where logical addresses lie on the disk, and the items between two keys.

A child has to begin with the key its parent has for it, and keys ascend, so that no node is met twice and a
damaged tree costs at most as many steps as it has nodes.
"""

import struct
from bisect import bisect_left, bisect_right
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_layout import (
    CHUNK_ITEM,
    BtrfsSuperblock,
    Chunk,
    Key,
    Refuse,
    checksum_matches,
    parse_chunk,
    parse_system_chunks,
)

_HEADER = 101
_POINTER = struct.Struct("<QBQQQ")
_ITEM = struct.Struct("<QBQII")
_MAX_LEVEL = 7
_CACHED = 512
_END = (1 << 64) - 1

ReadDisk = Callable[[int, int], bytes]


class _Node(NamedTuple):
    """`keys` ascend; `places` are (logical address, generation) of children, or (offset, size) of items in
    `data`."""

    level: int
    keys: List[Key]
    places: List[Tuple[int, int]]
    data: bytes


class Nodes:
    """All trees of one file system.

    :param layout: its superblock
    :param read_disk: reads (offset, length) of the partition it is in
    :param refuse: raises for damage
    """

    def __init__(self, layout: BtrfsSuperblock, read_disk: ReadDisk, refuse: Refuse) -> None:
        self._layout = layout
        self._read_disk = read_disk
        self._refuse = refuse
        self._nodes: Dict[int, _Node] = {}
        self._chunks: List[Chunk] = []
        self._starts: List[int] = []
        self._use(list(parse_system_chunks(layout, refuse)))
        found = []
        for key, data in self.items(layout.chunk_root, layout.chunk_root_level):
            if key[1] == CHUNK_ITEM:
                found.append(parse_chunk(key[2], data, layout, refuse))
        self._use(found)

    def _use(self, chunks: List[Chunk]) -> None:
        self._chunks = sorted(chunks)
        self._starts = [chunk.start for chunk in self._chunks]

    def items(
        self,
        root: int,
        level: int,
        low: Key = (0, 0, 0),
        high: Key = (_END, 255, _END),
        before: bool = False,
    ) -> Iterator[Tuple[Key, bytes]]:
        """The items of a tree between two keys, both included, ascending.

        :param root: logical address of the tree's root, which is at `level`
        :param before: begin with the last item before `low` when there is none at it
        """
        if level > _MAX_LEVEL:
            self._refuse("has a damaged tree")
        yield from self._below(self._node(root, level, None, None), low, high, before)

    def _below(self, node: _Node, low: Key, high: Key, before: bool) -> Iterator[Tuple[Key, bytes]]:
        inside = bool(node.level) or before
        first = max(0, bisect_right(node.keys, low) - 1) if inside else bisect_left(node.keys, low)
        for index in range(first, len(node.keys)):
            key, (place, amount) = node.keys[index], node.places[index]
            if key > high:
                return
            if node.level:
                child = self._node(place, node.level - 1, key, amount)
                yield from self._below(child, low, high, before)
            else:
                yield key, node.data[place : place + amount]

    def read(self, address: int, length: int) -> bytes:
        """Bytes of data at a logical address."""
        return b"".join(self._read_disk(copies[0], count) for copies, count in self._places(address, length))

    def _places(self, address: int, length: int) -> Iterator[Tuple[Tuple[int, ...], int]]:
        """Where each piece of a logical range begins on the disk, once for every copy, and how long it is."""
        while length:
            index = bisect_right(self._starts, address) - 1
            chunk = self._chunks[index] if index >= 0 else None
            if chunk is None or address >= chunk.start + chunk.length:
                self._refuse("refers to address {0}, which does not exist".format(address))
            if chunk.problem:
                self._refuse(chunk.problem + "; mount it with all of them and give the mount point as root")
            skip = address - chunk.start
            count = min(length, chunk.length - skip)
            yield tuple(copy + skip for copy in chunk.copies), count
            address += count
            length -= count

    def _node(self, address: int, level: int, key: Optional[Key], generation: Optional[int]) -> _Node:
        node = self._nodes.get(address)
        if node is None:
            node = self._parse(self._sound_copy(address, generation))
            if len(self._nodes) >= _CACHED:
                self._nodes.clear()
            self._nodes[address] = node
        if node.level != level or (key is not None and (not node.keys or node.keys[0] != key)):
            self._refuse("has a damaged tree at address {0}".format(address))
        return node

    def _sound_copy(self, address: int, generation: Optional[int]) -> bytes:
        """A node by the first of its copies that is whole."""
        size = self._layout.node_size
        copies, whole = next(self._places(address, size))
        read = (self._read_disk(copy, size) for copy in copies if whole == size)
        data = next((data for data in read if self._is_sound(data, address, generation)), None)
        if data is None:
            self._refuse("has a damaged tree at address {0}".format(address))
        return data

    def _is_sound(self, data: bytes, address: int, generation: Optional[int]) -> bool:
        own, made = struct.unpack_from("<Q24xQ", data, 0x30)
        return (
            own == address
            and data[0x20:0x30] == self._layout.nodes_id
            and generation in {None, made}
            and checksum_matches(data, self._layout.checksum)
        )

    def _parse(self, data: bytes) -> _Node:
        count, level = struct.unpack_from("<IB", data, 0x60)
        form = _POINTER if level else _ITEM
        end = _HEADER + count * form.size
        if end > len(data):
            self._refuse("has a damaged tree")
        keys: List[Key] = []
        places: List[Tuple[int, int]] = []
        # Offsets of items count from the end of the header.
        base = 0 if level else _HEADER
        for number, kind, offset, place, amount in form.iter_unpack(data[_HEADER:end]):
            keys.append((number, kind, offset))
            places.append((base + place, amount))
            if not level and (base + place < end or base + place + amount > len(data)):
                self._refuse("has a damaged tree")
        if any(one >= other for one, other in zip(keys, keys[1:])):  # noqa: B905, RUF007
            self._refuse("has a damaged tree")
        return _Node(level, keys, places, b"" if level else data)
