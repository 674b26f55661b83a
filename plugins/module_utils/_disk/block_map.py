# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Disks whose file maps blocks of one size to places: what qcow2, VHD, VHDX and VMDK have in common.

The map is read in tables, a few of which are kept: memory stays small whatever the size of the disk. A format
turns its tables into entries of one kind:

* `ABSENT`: the file says nothing of the block; it is the parent's, or zeros where there is no parent
* `ZERO`: the block reads as zeros whatever the parent holds
* a multiple of 512: the block lies there in the file
* anything with `SPECIAL` set: the format reads it itself (compressed, or valid in parts)
"""

import threading
from array import array
from collections import OrderedDict
from typing import Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    DiskError,
    DiskReader,
    SourceFile,
)

ABSENT = 0
ZERO = 1
SPECIAL = 1 << 63

# 64 tables of 8 Ki entries of 8 bytes, or fewer of larger ones: a VMDK may have 64 Ki entries in each.
_KEPT_BYTES = 4 << 20
_LEAST_KEPT = 2

Extents = Iterator[Tuple[int, int]]


class _Run(NamedTuple):
    """Consecutive blocks of one kind; `entry` is that of the first byte."""

    offset: int
    length: int
    entry: int


class BlockReader(DiskReader):
    """Base of the block-mapped formats.

    A format calls `check_map` at the end of its constructor, so that damage is found before anything is sent,
    and implements `load_table` and, if it has special entries, `read_special`.
    """

    def __init__(
        self,
        file: SourceFile,
        virtual_size: int,
        block_size: int,
        blocks_per_table: int,
        parent: Optional[DiskReader] = None,
    ) -> None:
        super().__init__(file, virtual_size)
        self.block_size = block_size
        self.blocks_per_table = blocks_per_table
        self.parent = parent
        self._table_bytes = block_size * blocks_per_table
        self._kept_tables = max(_LEAST_KEPT, _KEPT_BYTES // (blocks_per_table * 8))
        self._tables = OrderedDict()  # type: OrderedDict[int, Optional[array[int]]]
        self._tables_lock = threading.Lock()

    def load_table(self, index: int) -> Optional["array[int]"]:
        """The entries of table `index`, checked; None when all of them are absent.

        Fewer than `blocks_per_table` are right for the last table.
        """
        raise NotImplementedError

    def read_special(self, entry: int, block: int, skip: int, view: memoryview) -> None:
        """Fill `view` from byte `skip` of block number `block`, whose entry has SPECIAL set."""
        raise NotImplementedError

    def check_map(self) -> None:
        """Read the whole map once; `load_table` raises DiskError for what cannot be right."""
        for index in range(-(-self.virtual_size // self._table_bytes)):
            self.load_table(index)

    def check_place(self, place: int, block: int, length: Optional[int] = None) -> None:
        """Refuse a block that lies beyond the end of the file."""
        if length is None:
            length = min(self.block_size, self.virtual_size - block * self.block_size)
        if place + length > self.file.size:
            raise DiskError(
                "{0}: is truncated: the data of disk byte {1} ends at byte {2}, but the file has only {3} "
                "bytes; copy it again".format(
                    self.path, block * self.block_size, place + length, self.file.size
                )
            )

    def _table(self, index: int) -> Optional["array[int]"]:
        # Loaded under the lock: else every thread that misses it would hold a copy of its own.
        with self._tables_lock:
            if index not in self._tables:
                self._tables[index] = self.load_table(index)
                while len(self._tables) > self._kept_tables:
                    self._tables.popitem(last=False)
            self._tables.move_to_end(index)
            return self._tables[index]

    def _runs(self, start: int, end: int) -> Iterator[_Run]:
        """What lies between two bytes of the disk, in order and without gaps."""
        while start < end:
            index = start // self._table_bytes
            stop = min((index + 1) * self._table_bytes, end)
            table = self._table(index)
            if table is None:
                yield _Run(start, stop - start, ABSENT)
            else:
                yield from self._table_runs(table, index * self.blocks_per_table, start, stop)
            start = stop

    def _table_runs(self, table: "array[int]", first_block: int, start: int, end: int) -> Iterator[_Run]:
        size = self.block_size
        block, skip = divmod(start, size)
        last = -(-end // size)
        while block < last:
            entry = table[block - first_block]
            after = block + 1
            if entry < SPECIAL:
                step = size if entry > ZERO else 0
                expected = entry + step
                while after < last and table[after - first_block] == expected:
                    after += 1
                    expected += step
            offset = block * size + skip
            yield _Run(
                offset, min(after * size, end) - offset, entry + skip if ZERO < entry < SPECIAL else entry
            )
            block, skip = after, 0

    def extents(self) -> Extents:
        return merged(self._own_and_inherited())

    def _own_and_inherited(self) -> Extents:
        inherited = _Cursor(self.parent.extents()) if self.parent is not None else None
        for run in self._runs(0, self.virtual_size):
            if run.entry == ABSENT:
                if inherited is not None:
                    yield from inherited.between(run.offset, run.offset + run.length)
            elif run.entry != ZERO:
                yield run.offset, run.length

    def read_into(self, offset: int, view: memoryview) -> None:
        self.check_bounds(offset, len(view))
        for run in self._runs(offset, offset + len(view)):
            part = view[run.offset - offset : run.offset - offset + run.length]
            if run.entry == ABSENT:
                self.read_parent(run.offset, part)
            elif run.entry == ZERO:
                fill_zeros(part)
            elif run.entry & SPECIAL:
                block, skip = divmod(run.offset, self.block_size)
                self.read_special(run.entry, block, skip, part)
            else:
                self.file.read_into(run.entry, part)

    def read_parent(self, offset: int, view: memoryview) -> None:
        """Fill `view` with what the parent has there: zeros without one and beyond its end."""
        available = 0
        if self.parent is not None:
            available = max(0, min(len(view), self.parent.virtual_size - offset))
            if available:
                self.parent.read_into(offset, view[:available])
        fill_zeros(view[available:])

    def files(self) -> List[SourceFile]:
        return super().files() + (self.parent.files() if self.parent is not None else [])

    def close(self) -> None:
        super().close()
        if self.parent is not None:
            self.parent.close()


class _Cursor:
    """Hands out pieces of ascending extents for ascending, disjoint ranges."""

    def __init__(self, extents: Extents) -> None:
        self._extents = extents
        self._offset = self._end = 0
        self._exhausted = False

    def between(self, start: int, end: int) -> Extents:
        while not self._exhausted:
            if self._end > start:
                if self._offset >= end:
                    return
                first = max(self._offset, start)
                yield first, min(self._end, end) - first
                if self._end >= end:
                    return
            extent = next(self._extents, None)
            if extent is None:
                self._exhausted = True
                return
            self._offset, self._end = extent[0], extent[0] + extent[1]


def merged(extents: Extents) -> Extents:
    """The same extents with neighbours made one."""
    offset = length = 0
    for start, size in extents:
        if length and offset + length == start:
            length += size
            continue
        if length:
            yield offset, length
        offset, length = start, size
    if length:
        yield offset, length


def fill_zeros(view: memoryview) -> None:
    """Overwrite `view` with zeros."""
    view[:] = bytes(len(view))
