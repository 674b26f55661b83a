# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""qcow2 disks read from the file itself: no temporary copy, no other program (QEMU, docs/interop/qcow2.txt).

The whole cluster map is checked when the file is opened, so that a truncated or damaged file is found before
anything is sent anywhere.
"""

import sys
import zlib
from array import array
from typing import Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.block_map import (
    ABSENT,
    SPECIAL,
    ZERO,
    BlockReader,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.parents import OpenParent
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.qcow2_header import read_header
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    SourceFile,
)

_OFFSET_MASK = 0x00FFFFFFFFFFFE00
_L1_RESERVED = ~(_OFFSET_MASK | 1 << 63) & 0xFFFFFFFFFFFFFFFF
_L2_RESERVED = 0x3F000000000001FE
_COMPRESSED = 1 << 62
_ZERO_FLAG = 1
# An L2 table has one cluster, up to 2 MiB; of larger ones than usual only a part is read at a time.
_MOST_ENTRIES = 8192


class Qcow2Reader(BlockReader):
    """A qcow2 disk, version 2 or 3: zlib-compressed, zero and unallocated clusters, a backing file."""

    format = "qcow2"

    def __init__(self, file: SourceFile, open_parent: OpenParent) -> None:
        header = read_header(file)
        cluster_size = 1 << header.cluster_bits
        self._l2_entries = cluster_size // 8
        per_table = min(self._l2_entries, _MOST_ENTRIES)
        super().__init__(file, header.virtual_size, cluster_size, per_table)
        self._version = header.version
        self._cluster_bits = header.cluster_bits
        self._check_aligned("L1 table", header.l1_offset)
        self._l1 = self._read_table("L1 table", header.l1_offset, header.l1_entries)
        self._check_l1()
        self.check_map()
        if header.backing_name:
            self.parent = open_parent(file, header.backing_name, header.backing_format)

    def _check_aligned(self, what: str, offset: int) -> None:
        if offset % self.block_size:
            raise self._damaged("the {0} at byte {1} is not aligned to a cluster".format(what, offset))

    def _read_table(self, what: str, offset: int, entries: int) -> "array[int]":
        if offset + entries * 8 > self.file.size:
            raise self._truncated(what, offset + entries * 8)
        table = array("Q", [0]) * entries
        self.file.read_into(offset, memoryview(table).cast("B"))
        if sys.byteorder == "little":
            table.byteswap()
        return table

    def _check_l1(self) -> None:
        for index, entry in enumerate(self._l1):
            if entry & _L1_RESERVED:
                raise self._damaged("L1 entry {0} has reserved bits set".format(index))

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

    def load_table(self, index: int) -> Optional["array[int]"]:
        first = index * self.blocks_per_table
        l1_index, inside = divmod(first, self._l2_entries)
        place = self._l1[l1_index] & _OFFSET_MASK
        if not place:
            return None
        self._check_aligned("L2 table", place)
        table = self._read_table("L2 table", place + inside * 8, self.blocks_per_table)
        if not any(table):
            return None
        blocks = min(self.blocks_per_table, -(-self.virtual_size // self.block_size) - first)
        for number in range(blocks):
            if table[number]:
                table[number] = self._entry(table[number], first + number)
        return table

    def _entry(self, entry: int, block: int) -> int:
        start = block * self.block_size
        if entry & _COMPRESSED:
            place, size = self._compressed_place(entry)
            # The last sector a compressed cluster touches may reach beyond the end of the file.
            if place >= self.file.size or place + size > -(-self.file.size // SECTOR) * SECTOR:
                raise self._truncated("compressed cluster for disk byte {0}".format(start), place + size)
            return SPECIAL | entry & (_COMPRESSED - 1)
        if entry & _L2_RESERVED or (self._version == 2 and entry & _ZERO_FLAG):
            raise self._damaged("the L2 entry for disk byte {0} has reserved bits set".format(start))
        if entry & _ZERO_FLAG:
            return ZERO
        place = entry & _OFFSET_MASK
        if not place:
            return ABSENT
        if place % self.block_size:
            raise self._damaged("the cluster for disk byte {0} is not aligned".format(start))
        self.check_place(place, block)
        return place

    def _compressed_place(self, entry: int) -> Tuple[int, int]:
        """Where a compressed cluster's bytes are in the file, and how many at most."""
        offset_bits = 62 - (self._cluster_bits - 8)
        place = entry & ((1 << offset_bits) - 1)
        sectors = ((entry & (_COMPRESSED - 1)) >> offset_bits) + 1
        return place, sectors * SECTOR - place % SECTOR

    def read_special(self, entry: int, block: int, skip: int, view: memoryview) -> None:
        packed = self.file.read_up_to(*self._compressed_place(entry & ~SPECIAL))
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, self.block_size)
        except zlib.error:
            data = b""
        if len(data) != self.block_size:
            raise self._damaged(
                "the compressed cluster for disk byte {0} cannot be unpacked".format(block * self.block_size)
            )
        view[:] = data[skip : skip + len(view)]
