# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""qcow2 disks read from the file itself: no temporary copy, no other program.

The whole cluster map is read and checked when the file is opened, so that a truncated or damaged file is
found before anything is sent anywhere. It is kept as runs: neighbours on the disk that are neighbours in the
file are one run, which is also what makes reading fast.
"""

import sys
import zlib
from array import array
from bisect import bisect_right
from typing import Iterator, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.qcow2_header import read_header
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    DiskReader,
    SourceFile,
)

_OFFSET_MASK = 0x00FFFFFFFFFFFE00
_L1_RESERVED = ~(_OFFSET_MASK | 1 << 63) & 0xFFFFFFFFFFFFFFFF
_L2_RESERVED = 0x3F000000000001FE
_COMPRESSED = 1 << 62
_ZERO = 1


class Qcow2Reader(DiskReader):
    """A qcow2 disk, version 2 or 3, with zlib-compressed, zero and unallocated clusters."""

    format = "qcow2"

    def __init__(self, file: SourceFile) -> None:
        header = read_header(file)
        super().__init__(file, header.virtual_size)
        self._version = header.version
        self._cluster_bits = header.cluster_bits
        self._cluster_size = 1 << header.cluster_bits
        # Three columns of one table: where a run starts on the disk, how long it is (0: one compressed
        # cluster), and where it is in the file (for a compressed cluster: its whole L2 entry).
        self._starts = array("Q")
        self._lengths = array("Q")
        self._places = array("Q")
        self._read_map(header.l1_offset, header.l1_entries)

    def _table(self, what: str, offset: int, entries: int) -> "array[int]":
        if offset % self._cluster_size:
            raise self._damaged("the {0} at byte {1} is not aligned to a cluster".format(what, offset))
        if offset + entries * 8 > self.file.size:
            raise self._truncated(what, offset + entries * 8)
        table = array("Q")
        table.frombytes(self.file.read(offset, entries * 8))
        if sys.byteorder == "little":
            table.byteswap()
        return table

    def _damaged(self, detail: str) -> DiskError:
        return DiskError(
            "{0}: the qcow2 file is damaged: {1}; see what can be saved with: "
            "qemu-img check -r all {0}".format(self.path, detail)
        )

    def _truncated(self, what: str, end: int) -> DiskError:
        return DiskError(
            "{0}: is truncated: its {1} ends at byte {2}, but the file has only {3} bytes; "
            "copy it again".format(self.path, what, end, self.file.size)
        )

    def _read_map(self, l1_offset: int, l1_entries: int) -> None:
        entries_per_table = self._cluster_size // 8
        for index, entry in enumerate(self._table("L1 table", l1_offset, l1_entries)):
            if entry & _L1_RESERVED:
                raise self._damaged("L1 entry {0} has reserved bits set".format(index))
            if not entry & _OFFSET_MASK:
                continue
            table = self._table("L2 table", entry & _OFFSET_MASK, entries_per_table)
            first = index * entries_per_table * self._cluster_size
            for number, cluster in enumerate(table):
                if cluster:
                    self._add(first + number * self._cluster_size, cluster)

    def _add(self, start: int, entry: int) -> None:
        if start >= self.virtual_size:
            return
        if entry & _COMPRESSED:
            place, size = self._compressed_place(entry)
            # The last sector a compressed cluster touches may reach beyond the end of the file.
            if place >= self.file.size or place + size > -(-self.file.size // SECTOR) * SECTOR:
                raise self._truncated("compressed cluster for disk byte {0}".format(start), place + size)
            self._append(start, 0, entry)
            return
        if entry & _L2_RESERVED or (self._version == 2 and entry & _ZERO):
            raise self._damaged("the L2 entry for disk byte {0} has reserved bits set".format(start))
        place = entry & _OFFSET_MASK
        if entry & _ZERO or not place:
            return
        if place % self._cluster_size:
            raise self._damaged("the cluster for disk byte {0} is not aligned".format(start))
        length = min(self._cluster_size, self.virtual_size - start)
        if place + length > self.file.size:
            raise self._truncated("cluster for disk byte {0}".format(start), place + length)
        if self._starts:
            last = self._lengths[-1]
            if last and self._starts[-1] + last == start and self._places[-1] + last == place:
                self._lengths[-1] = last + length
                return
        self._append(start, length, place)

    def _append(self, start: int, length: int, place: int) -> None:
        self._starts.append(start)
        self._lengths.append(length)
        self._places.append(place)

    def _compressed_place(self, entry: int) -> Tuple[int, int]:
        """Where a compressed cluster's bytes are in the file, and how many at most."""
        offset_bits = 62 - (self._cluster_bits - 8)
        place = entry & ((1 << offset_bits) - 1)
        sectors = ((entry & (_COMPRESSED - 1)) >> offset_bits) + 1
        return place, sectors * SECTOR - place % SECTOR

    def _run_length(self, index: int) -> int:
        return self._lengths[index] or min(self._cluster_size, self.virtual_size - self._starts[index])

    def extents(self) -> Iterator[Tuple[int, int]]:
        offset = length = 0
        for index, start in enumerate(self._starts):
            if length and offset + length == start:
                length += self._run_length(index)
                continue
            if length:
                yield offset, length
            offset, length = start, self._run_length(index)
        if length:
            yield offset, length

    def read_into(self, offset: int, view: memoryview) -> None:
        self.check_bounds(offset, len(view))
        position, end = offset, offset + len(view)
        index = max(bisect_right(self._starts, offset) - 1, 0)
        while position < end:
            if index >= len(self._starts) or self._starts[index] >= end:
                _fill_zeros(view[position - offset :])
                return
            start, length = self._starts[index], self._run_length(index)
            if start > position:
                _fill_zeros(view[position - offset : start - offset])
                position = start
            stop = min(start + length, end)
            if stop > position:
                self._read_run(index, position - start, view[position - offset : stop - offset])
                position = stop
            index += 1

    def _read_run(self, index: int, skip: int, view: memoryview) -> None:
        if self._lengths[index]:
            self.file.read_into(self._places[index] + skip, view)
            return
        data = self._inflate(self._starts[index], *self._compressed_place(self._places[index]))
        view[:] = data[skip : skip + len(view)]

    def _inflate(self, start: int, place: int, size: int) -> bytes:
        packed = self.file.read_up_to(place, size)
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, self._cluster_size)
        except zlib.error:
            data = b""
        if len(data) != self._cluster_size:
            raise self._damaged("the compressed cluster for disk byte {0} cannot be unpacked".format(start))
        return data


def _fill_zeros(view: memoryview) -> None:
    view[:] = bytes(len(view))
