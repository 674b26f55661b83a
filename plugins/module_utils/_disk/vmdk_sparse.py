# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Sparse extents of VMDK disks: hosted and stream-optimized ones ("KDMV"), and ESXi's older ones ("COWD").

VMware, "Virtual Disk Format 5.0". Numbers are little-endian, offsets count sectors of 512 bytes.
"""

import struct
import sys
import zlib
from array import array
from typing import NamedTuple, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.block_map import (
    ABSENT,
    SPECIAL,
    ZERO,
    BlockReader,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    SourceFile,
)

HOSTED_MAGIC = b"KDMV"
ESX_MAGIC = b"COWD"

_HOSTED = struct.Struct("<4sIIQQQQIQQQB4sH")
_ESX = struct.Struct("<4sIIIIIII")
_GRAIN_MARKER = struct.Struct("<QI")
_AT_END = 0xFFFFFFFFFFFFFFFF
_NEWLINES = b"\n \r\n"
_HAS_NEWLINE_TEST, _HAS_ZERO_GRAINS, _COMPRESSED = 1, 1 << 2, 1 << 16
_KNOWN_FLAGS = _HAS_NEWLINE_TEST | 2 | _HAS_ZERO_GRAINS | _COMPRESSED | 1 << 17
_DEFLATE = 1
_ZERO_GRAIN = 1
_ESX_ENTRIES = 4096
_MAX_GRAIN = 2048  # sectors
_MAX_ENTRIES_PER_TABLE = 65536
_MAX_DIRECTORY = 32 << 20  # bytes


class SparseHeader(NamedTuple):
    """Sizes in bytes, offsets in bytes. `descriptor_size` is 0 where the descriptor is a file of its own."""

    capacity: int
    grain_size: int
    entries_per_table: int
    directory_offset: int
    descriptor_offset: int
    descriptor_size: int
    has_zero_grains: bool
    compressed: bool
    unclean: bool


def damaged(file: SourceFile, detail: str) -> DiskError:
    """The error for a VMDK that breaks its format."""
    return DiskError(
        "{0}: the VMDK is damaged: {1}; copy it again or export the disk once more".format(file.path, detail)
    )


def read_sparse_header(file: SourceFile) -> SparseHeader:
    """Read the header of a sparse extent; a stream's real one stands at its end."""
    data = file.read_up_to(0, SECTOR)
    if len(data) < SECTOR:
        raise damaged(file, "it ends inside its header")
    if data.startswith(ESX_MAGIC):
        return _esx_header(file, data)
    header = _hosted_header(file, data)
    if header.directory_offset == _AT_END * SECTOR:
        if file.size < 4 * SECTOR:
            raise damaged(file, "it ends before its footer")
        footer = file.read(file.size - 2 * SECTOR, SECTOR)
        if not footer.startswith(HOSTED_MAGIC):
            raise DiskError(
                "{0}: is truncated: a stream-optimized VMDK ends with a footer, this one does not; "
                "copy it again".format(file.path)
            )
        last = _hosted_header(file, footer)
        if last.directory_offset == _AT_END * SECTOR or last.capacity != header.capacity:
            raise damaged(file, "its footer does not fit its header")
        header = last._replace(
            descriptor_offset=header.descriptor_offset, descriptor_size=header.descriptor_size
        )
    return header


def _hosted_header(file: SourceFile, data: bytes) -> SparseHeader:
    (
        _magic, version, flags, capacity, grain, descriptor, descriptor_size, entries, _redundant, directory,
        _overhead, unclean, newlines, compression,
    ) = _HOSTED.unpack(data[: _HOSTED.size])  # fmt: skip
    if version not in (1, 2, 3):
        raise DiskError("{0}: is a VMDK of version {1}, which is not known".format(file.path, version))
    if flags & ~_KNOWN_FLAGS:
        raise DiskError(
            "{0}: uses VMDK features that are not known here (flags {1:#x})".format(file.path, flags)
        )
    if flags & _HAS_NEWLINE_TEST and newlines != _NEWLINES:
        raise damaged(file, "its line ends were changed, as a transfer in text mode does")
    if flags & _COMPRESSED and compression != _DEFLATE:
        raise DiskError(
            "{0}: is compressed by a method that is not known: {1}".format(file.path, compression)
        )
    if not 0 < grain <= _MAX_GRAIN or grain & (grain - 1) or not 0 < entries <= _MAX_ENTRIES_PER_TABLE:
        raise damaged(file, "grains of {0} sectors in tables of {1} entries".format(grain, entries))
    return SparseHeader(
        capacity * SECTOR, grain * SECTOR, entries, directory * SECTOR, descriptor * SECTOR,
        descriptor_size * SECTOR, bool(flags & _HAS_ZERO_GRAINS), bool(flags & _COMPRESSED), bool(unclean),
    )  # fmt: skip


def _esx_header(file: SourceFile, data: bytes) -> SparseHeader:
    _magic, version, _flags, sectors, grain, directory, _entries, _free = _ESX.unpack(data[: _ESX.size])
    if version != 1 or not 0 < grain <= _MAX_GRAIN:
        raise damaged(file, "version {0}, grains of {1} sectors".format(version, grain))
    return SparseHeader(
        sectors * SECTOR, grain * SECTOR, _ESX_ENTRIES, directory * SECTOR, 0, 0, False, False, False
    )


class SparseExtent(BlockReader):
    """One sparse extent of a VMDK disk; what it does not hold is the parent's."""

    format = "vmdk"

    def __init__(self, file: SourceFile, header: SparseHeader) -> None:
        if header.unclean:
            raise DiskError(
                "{0}: was not closed properly, or a machine is using it; shut the machine down and have "
                "VMware repair the disk (vmware-vdiskmanager -R)".format(file.path)
            )
        if header.capacity == 0:
            raise damaged(file, "a disk of 0 bytes")
        super().__init__(file, header.capacity, header.grain_size, header.entries_per_table)
        self._header = header
        tables = -(-header.capacity // (header.grain_size * header.entries_per_table))
        if tables * 4 > _MAX_DIRECTORY or header.directory_offset + tables * 4 > file.size:
            raise DiskError(
                "{0}: is truncated: its grain directory ends at byte {1}, but the file has only {2} bytes; "
                "copy it again".format(file.path, header.directory_offset + tables * 4, file.size)
            )
        self._directory = self._numbers(header.directory_offset, tables)
        self._last_grain = (0, 0)
        self.check_map()
        self._check_last_grain()

    def _numbers(self, offset: int, count: int) -> "array[int]":
        numbers = array("I")
        numbers.frombytes(self.file.read(offset, count * 4))
        if sys.byteorder == "big":
            numbers.byteswap()
        return numbers

    def load_table(self, index: int) -> Optional["array[int]"]:
        offset = self._directory[index] * SECTOR
        if not offset:
            return None
        if offset + self.blocks_per_table * 4 > self.file.size:
            raise DiskError(
                "{0}: is truncated: a grain table ends at byte {1}, but the file has only {2} bytes; "
                "copy it again".format(self.path, offset + self.blocks_per_table * 4, self.file.size)
            )
        raw = self._numbers(offset, self.blocks_per_table)
        first = index * self.blocks_per_table
        count = min(self.blocks_per_table, -(-self.virtual_size // self.block_size) - first)
        table = array("Q", [ABSENT]) * count
        for number in range(count):
            if raw[number]:
                table[number] = self._entry(raw[number], first + number)
        return table if any(table) else None

    def _entry(self, sector: int, block: int) -> int:
        if sector == _ZERO_GRAIN and self._header.has_zero_grains:
            return ZERO
        place = sector * SECTOR
        if self._header.compressed:
            self.check_place(place, block, _GRAIN_MARKER.size)
            self._last_grain = max(self._last_grain, (place, block))
            return SPECIAL | place
        self.check_place(place, block)
        return place

    def _check_last_grain(self) -> None:
        # A compressed grain itself says how long it is; a file that was cut off lacks a part of the last one.
        place, block = self._last_grain
        if place:
            _sector, size = _GRAIN_MARKER.unpack(self.file.read(place, _GRAIN_MARKER.size))
            self.check_place(place, block, _GRAIN_MARKER.size + size)

    def read_special(self, entry: int, block: int, skip: int, view: memoryview) -> None:
        place = entry & ~SPECIAL
        sector, size = _GRAIN_MARKER.unpack(self.file.read(place, _GRAIN_MARKER.size))
        if sector * SECTOR != block * self.block_size:
            raise damaged(
                self.file,
                "a grain says it is at sector {0} of the disk, but its table says {1}".format(
                    sector, block * self.block_size // SECTOR
                ),
            )
        # Data that cannot be made smaller grows by a few bytes.
        if size > 2 * self.block_size:
            raise damaged(self.file, "a compressed grain of {0} bytes".format(size))
        self.check_place(place, block, _GRAIN_MARKER.size + size)
        packed = self.file.read(place + _GRAIN_MARKER.size, size)
        try:
            data = zlib.decompressobj().decompress(packed, self.block_size)
        except zlib.error:
            data = b""
        needed = min(self.block_size, self.virtual_size - block * self.block_size)
        if len(data) < needed:
            raise damaged(
                self.file, "the grain for disk byte {0} cannot be unpacked".format(block * self.block_size)
            )
        view[:] = data[skip : skip + len(view)]
