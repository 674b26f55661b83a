# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""VHDX disks, dynamic, fixed and differencing ([MS-VHDX]: Virtual Hard Disk v2 File Format)."""

import sys
import uuid
from array import array
from typing import Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.block_map import (
    ABSENT,
    SPECIAL,
    ZERO,
    BlockReader,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.parents import OpenParent
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    DiskError,
    DiskReader,
    SourceFile,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhdx_header import (
    MIB,
    damaged,
    parent_names,
    read_header,
    read_layout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhdx_log import replayed

MAGIC = b"vhdxfile"

_ENTRIES_PER_TABLE = 1024
_STATE_MASK = 7
_NOT_PRESENT, _UNDEFINED, _ZERO_STATE, _UNMAPPED, _PRESENT, _PARTIAL = 0, 1, 2, 3, 6, 7
_SECTORS_PER_BITMAP = 1 << 23  # a sector bitmap block has 1 MiB
_BITMAP_PRESENT = 6


class VhdxReader(BlockReader):
    """The disk in a VHDX. A log that was left behind is applied in memory."""

    format = "vhdx"

    def __init__(self, file: SourceFile, open_parent: OpenParent) -> None:
        header = read_header(file)
        file = replayed(file, header)
        layout = read_layout(file)
        self._unique_id = header.data_write_id
        self._sector_size = layout.sector_size
        self._chunk_ratio = _SECTORS_PER_BITMAP * layout.sector_size // layout.block_size
        self._bat_offset = layout.bat_offset
        self._differencing = layout.parent is not None
        self._bitmaps = {}  # type: dict[int, int]
        self._blocks = -(-layout.virtual_size // layout.block_size)
        super().__init__(file, layout.virtual_size, layout.block_size, _ENTRIES_PER_TABLE)
        if self._bat_index(self._blocks - 1) * 8 + 8 > layout.bat_length:
            raise damaged(
                file, "its block table is too short for a disk of {0} bytes".format(layout.virtual_size)
            )
        self.check_map()
        if layout.parent is not None:
            self.parent = self._open_parent(layout.parent, open_parent)

    @property
    def unique_id(self) -> uuid.UUID:
        """What a child calls its parent by; it changes with the data."""
        return self._unique_id

    def _open_parent(self, locator: "dict[str, str]", open_parent: OpenParent) -> DiskReader:
        wanted = []  # type: list[uuid.UUID]
        for key in ("parent_linkage", "parent_linkage2"):
            try:
                wanted.append(uuid.UUID(locator.get(key, "")))
            except ValueError:
                continue
        failures = []
        for name in parent_names(locator):
            try:
                parent = open_parent(self.file, name, "vhdx")
            except DiskError as error:
                failures.append(str(error))
                continue
            if getattr(parent, "unique_id", None) in wanted:
                return parent
            parent.close()
            failures.append(
                "{0}: is not the disk that the child was made from: their ids differ".format(name)
            )
        raise DiskError(
            "{0}: is a differencing VHDX and its parent cannot be used: {1}".format(
                self.path, "; ".join(failures) or "the file does not name it"
            )
        )

    def _bat_index(self, block: int) -> int:
        """Behind every chunk of blocks stands the entry of the chunk's sector bitmap."""
        return block + block // self._chunk_ratio

    def _bat(self, first: int, count: int) -> "array[int]":
        table = array("Q")
        table.frombytes(self.file.read(self._bat_offset + first * 8, count * 8))
        if sys.byteorder == "big":
            table.byteswap()
        return table

    def load_table(self, index: int) -> Optional["array[int]"]:
        first = index * self.blocks_per_table
        count = min(self.blocks_per_table, self._blocks - first)
        start = self._bat_index(first)
        raw = self._bat(start, self._bat_index(first + count - 1) - start + 1)
        table = array("Q", [ABSENT]) * count
        for number in range(count):
            entry = raw[self._bat_index(first + number) - start]
            if entry:
                table[number] = self._entry(entry, first + number)
        return table if any(table) else None

    def _entry(self, entry: int, block: int) -> int:
        state, place = entry & _STATE_MASK, (entry >> 20) * MIB
        if state == _PRESENT:
            self._check_block(place, block)
            return place
        if state == _PARTIAL and self._differencing:
            self._check_block(place, block)
            return SPECIAL | place
        if state == _NOT_PRESENT:
            return ABSENT
        if state in (_UNDEFINED, _ZERO_STATE, _UNMAPPED):
            return ZERO
        raise damaged(self.file, "block {0} has state {1}".format(block, state))

    def _check_block(self, place: int, block: int) -> None:
        if place < MIB:
            raise damaged(self.file, "block {0} lies in the file's header".format(block))
        self.check_place(place, block)

    def read_special(self, entry: int, block: int, skip: int, view: memoryview) -> None:
        place, size = entry & ~SPECIAL, self._sector_size
        chunk, within = divmod(block, self._chunk_ratio)
        (bitmap_entry,) = self._bat((chunk + 1) * self._chunk_ratio + chunk, 1)
        if bitmap_entry & _STATE_MASK != _BITMAP_PRESENT:
            raise damaged(self.file, "block {0} is valid in parts, but does not say in which".format(block))
        first, last = skip // size, -(-(skip + len(view)) // size)
        base = within * (self.block_size // size) + first
        bitmap = self.file.read(
            (bitmap_entry >> 20) * MIB + base // 8, -(-(base + last - first) // 8) - base // 8
        )
        position, end = skip, skip + len(view)
        while position < end:
            sector = position // size
            present = self._bit(bitmap, base % 8 + sector - first)
            while sector < last and self._bit(bitmap, base % 8 + sector - first) == present:
                sector += 1
            stop = min(sector * size, end)
            part = view[position - skip : stop - skip]
            if present:
                self.file.read_into(place + position, part)
            else:
                self.read_parent(block * self.block_size + position, part)
            position = stop

    @staticmethod
    def _bit(bitmap: bytes, number: int) -> bool:
        return bool(bitmap[number // 8] >> number % 8 & 1)
