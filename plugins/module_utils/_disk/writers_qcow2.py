# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""qcow2 files, version 3, clusters of 64 KiB (QEMU's docs/interop/qcow2.rst).

The order in the file: header, L1 table, refcount table, refcount blocks, L2 tables, data in the order of the
disk. A cluster that may get data has its place from the beginning; if none comes it is a hole in the file.
"""

import struct
from array import array
from bisect import bisect_right
from typing import Iterable, Iterator, Set, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.qcow2_header import MAGIC
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers import (
    BLOCK,
    DiskWriter,
    Pieces,
)

_CLUSTER_BITS = 16
CLUSTER = 1 << _CLUSTER_BITS
_HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
_VERSION = 3
_REFCOUNT_ORDER = 4  # refcounts of 16 bits
_ENTRIES = CLUSTER // 8  # of an L2 table, and of a cluster of the L1 or refcount table
_BLOCK_ENTRIES = BLOCK // 8  # of what is written of an L2 table at once
_COUNTS = CLUSTER // 2  # of a refcount block
_COPIED = 1 << 63  # refcount is exactly one


def _clusters(count: int, per_cluster: int) -> int:
    return -(-count // per_cluster)


class Qcow2Writer(DiskWriter):
    """A qcow2 disk.

    :param ranges: ascending (start, end), in bytes, where content may be written
    """

    format = "qcow2"

    def __init__(self, fd: int, path: str, virtual_size: int, ranges: Iterable[Tuple[int, int]]) -> None:
        super().__init__(fd, path, virtual_size)
        # Runs of disk clusters: the first of each, the one behind it, and how many are in the runs before it.
        self._firsts, self._ends, self._before = array("Q"), array("Q"), array("Q")
        self._data_clusters = 0
        for start, end in ranges:
            self._add_run(start // CLUSTER, _clusters(end, CLUSTER))
        self._tables = array("Q", sorted(self._used_tables()))
        self._l1_entries = _clusters(virtual_size, CLUSTER * _ENTRIES)
        self._l1_clusters = _clusters(self._l1_entries, _ENTRIES)
        fixed = 1 + self._l1_clusters + len(self._tables) + self._data_clusters
        blocks = table = 0
        # The refcounts count the clusters that hold them, too.
        while True:
            total = fixed + blocks + table
            needed = _clusters(total, _COUNTS)
            if needed == blocks and table == _clusters(blocks, _ENTRIES):
                break
            blocks, table = needed, _clusters(needed, _ENTRIES)
        self._refcount_blocks, self._refcount_table, self._total = blocks, table, total
        self._data = total - self._data_clusters
        self._l2 = self._data - len(self._tables)
        table_blocks = sum(
            (end - 1) // _BLOCK_ENTRIES - first // _BLOCK_ENTRIES + 1 for first, end in self._runs()
        )
        self.overhead = self._l2 * CLUSTER + table_blocks * BLOCK

    def _add_run(self, first: int, end: int) -> None:
        if self._ends and first <= self._ends[-1]:
            self._data_clusters += max(0, end - self._ends[-1])
            self._ends[-1] = max(end, self._ends[-1])
            return
        self._firsts.append(first)
        self._ends.append(end)
        self._before.append(self._data_clusters)
        self._data_clusters += end - first

    def _used_tables(self) -> Set[int]:
        used: Set[int] = set()
        for first, end in self._runs():
            used.update(range(first // _ENTRIES, (end - 1) // _ENTRIES + 1))
        return used

    def _runs(self) -> Iterator[Tuple[int, int]]:
        return zip(self._firsts, self._ends)  # noqa: B905 - Python 3.6 has no strict

    def prepare(self) -> None:
        self._truncate(self._total * CLUSTER)
        refcount_table = 1 + self._l1_clusters
        blocks = refcount_table + self._refcount_table
        header = _HEADER.pack(
            MAGIC, _VERSION, 0, 0, _CLUSTER_BITS, self.virtual_size, 0, self._l1_entries, CLUSTER,
            refcount_table * CLUSTER, self._refcount_table, 0, 0, 0, 0, 0, _REFCOUNT_ORDER, _HEADER.size,
        )  # fmt: skip
        self._write_at(memoryview(header), 0)
        first_level = array("Q", bytes(8 * self._l1_entries))
        for number, table in enumerate(self._tables):
            first_level[table] = (self._l2 + number) * CLUSTER | _COPIED
            self._put((self._l2 + number) * CLUSTER, self._table(table))
        self._put(CLUSTER, first_level)
        self._put(
            refcount_table * CLUSTER,
            array("Q", [(blocks + number) * CLUSTER for number in range(self._refcount_blocks)]),
        )
        for number in range(self._refcount_blocks):
            used = min(self._total - number * _COUNTS, _COUNTS)
            self._put((blocks + number) * CLUSTER, array("H", [1]) * used)

    def _table(self, table: int) -> "array[int]":
        """The entries of one L2 table."""
        entries = array("Q", bytes(CLUSTER))
        start, stop = table * _ENTRIES, (table + 1) * _ENTRIES
        number = max(0, bisect_right(self._firsts, start) - 1)
        while number < len(self._firsts) and self._firsts[number] < stop:
            first = self._firsts[number]
            place = self._data + self._before[number] - first
            for cluster in range(max(first, start), min(self._ends[number], stop)):
                entries[cluster - start] = (place + cluster) * CLUSTER | _COPIED
            number += 1
        return entries

    def _put(self, place: int, values: "array[int]") -> None:
        big_endian = values[:]
        if struct.pack("=H", 1) != struct.pack(">H", 1):
            big_endian.byteswap()
        data = big_endian.tobytes()
        # Most of a table is zeros where the disk has little; those stay holes.
        self._write_data(data, memoryview(data), 0, len(data), place)

    def _places(self, offset: int, length: int) -> Pieces:
        done = 0
        while done < length:
            cluster, skip = divmod(offset + done, CLUSTER)
            number = bisect_right(self._firsts, cluster) - 1
            if number < 0 or cluster >= self._ends[number]:
                raise DiskError(
                    "{0}: has no place for byte {1} of the disk".format(self._path, offset + done)
                )
            run_end = self._ends[number] * CLUSTER
            size = min(length - done, run_end - (offset + done))
            place = (self._data + self._before[number] + cluster - self._firsts[number]) * CLUSTER + skip
            yield done, place, size
            done += size
