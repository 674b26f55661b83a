# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A read-only look into a FAT12, FAT16 or FAT32 file system in a disk: EFI system partitions are such.

Layout as in Microsoft's "FAT File System Specification" (fatgen103). Damaged structures raise
:class:`DiskError`; none makes the reader loop or read without bound.
"""

import struct
from typing import Dict, Iterator, List, NamedTuple, NoReturn, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    DiskReader,
)

_BPB = struct.Struct("<HBHBHHBHHHII")
_BPB_OFFSET = 11
_ENTRY = 32
_FREE, _LAST = 0xE5, 0x00
_VOLUME_LABEL, _DIRECTORY, _LONG_NAME = 0x08, 0x10, 0x0F
_LOWER_BASE, _LOWER_EXTENSION = 0x08, 0x10
_MAX_DIRECTORY = 2 << 20  # the specification allows 65,536 entries of 32 bytes
_TABLE_CHUNK = 64 << 10
_FAT12_CLUSTERS, _FAT16_CLUSTERS = 4085, 65525
_END_OF_CHAIN = {12: 0xFF8, 16: 0xFFF8, 32: 0x0FFFFFF8}


class FatEntry(NamedTuple):
    """One file or directory. `size` in bytes, 0 for directories."""

    name: str
    is_directory: bool
    size: int
    cluster: int


class Fat:
    """One file system of a disk.

    :param reader: the disk
    :param offset: where the file system begins, in bytes
    :param length: how many bytes its partition has

    Attributes: `bits` (12, 16 or 32), `serial` ("1A2B-3C4D"), `label` (that of the boot sector).
    """

    def __init__(self, reader: DiskReader, offset: int, length: int) -> None:
        self._reader = reader
        self._offset = offset
        self._length = length
        self._table_chunks: Dict[int, bytes] = {}
        if length < SECTOR:
            self._refuse("is too small")
        sector = reader.read(offset, SECTOR)
        (
            sector_size, sectors_per_cluster, reserved, tables, root_entries, small_total,
            _media, small_table, _track, _heads, _hidden, large_total,
        ) = _BPB.unpack_from(sector, _BPB_OFFSET)  # fmt: skip
        if sector_size not in (512, 1024, 2048, 4096) or not (sectors_per_cluster and tables and reserved):
            self._refuse("has no sensible boot sector")
        self._cluster_size = sector_size * sectors_per_cluster
        table_sectors = small_table or struct.unpack_from("<I", sector, 36)[0]
        self._table = reserved * sector_size
        self._table_bytes = table_sectors * sector_size
        self._root = self._table + tables * self._table_bytes
        self._root_bytes = -(-root_entries * _ENTRY // sector_size) * sector_size
        self._data = self._root + self._root_bytes
        total = (small_total or large_total) * sector_size
        if not self._data < total <= length:
            self._refuse("has {0} bytes, but its partition {1}".format(total, length))
        self._clusters = (total - self._data) // self._cluster_size
        self.bits = self._find_bits(small_table)
        self._root_cluster = struct.unpack_from("<I", sector, 44)[0] if self.bits == 32 else 0
        if self._table_bytes * 8 < (self._clusters + 2) * self.bits:
            self._refuse("has an allocation table that is too small")
        names = 67 if self.bits == 32 else 39
        low, high = struct.unpack_from("<HH", sector, names)
        self.serial = "{0:04X}-{1:04X}".format(high, low)
        label = sector[names + 4 : names + 15].decode("ascii", "replace").rstrip("\0 ")
        self.label = "" if label == "NO NAME" else label

    def _find_bits(self, small_table: int) -> int:
        if not small_table:
            return 32
        if self._clusters < _FAT12_CLUSTERS:
            return 12
        return 16 if self._clusters < _FAT16_CLUSTERS else 32

    def entries(self, path: str = "") -> List[FatEntry]:
        """What is in a directory: "" is the top one, "EFI/BOOT" one below; nothing when it is not there."""
        cluster = self._root_cluster
        for name in path.split("/") if path else []:
            found = self._lookup(cluster, name)
            if found is None or not found.is_directory:
                return []
            cluster = found.cluster
        return list(self._entries(cluster))

    def find(self, path: str) -> Optional[FatEntry]:
        """The file or directory of that path, whatever its case; None when it is not there."""
        folder, _slash, name = path.rpartition("/")
        for entry in self.entries(folder):
            if entry.name.lower() == name.lower():
                return entry
        return None

    def read(self, entry: FatEntry, limit: int, offset: int = 0) -> bytes:
        """At most `limit` bytes of a file from `offset`."""
        end = min(offset + limit, entry.size)
        pieces = []
        position = 0
        for cluster in self._chain(entry.cluster, end if offset < end else 0):
            if position + self._cluster_size > offset:
                data = self._cluster(cluster, min(self._cluster_size, end - position))
                pieces.append(data[max(0, offset - position) :])
            position += self._cluster_size
        if offset < end and position < end:
            self._refuse("ends in the midst of the file {0}".format(entry.name))
        return b"".join(pieces)

    def _lookup(self, cluster: int, name: str) -> Optional[FatEntry]:
        for entry in self._entries(cluster):
            if entry.name.lower() == name.lower():
                return entry
        return None

    def _entries(self, cluster: int) -> Iterator[FatEntry]:
        long_name: List[str] = []
        for data in self._directory(cluster):
            for start in range(0, len(data) - _ENTRY + 1, _ENTRY):
                raw = data[start : start + _ENTRY]
                if raw[0] == _LAST:
                    return
                if raw[0] == _FREE:
                    long_name = []
                elif raw[11] & 0x3F == _LONG_NAME:
                    # Parts of a long name stand before the entry, the last part first.
                    part = (raw[1:11] + raw[14:26] + raw[28:32]).decode("utf-16-le", "replace")
                    long_name.insert(0, part.split("\0")[0])
                else:
                    name = "".join(long_name) or _short_name(raw)
                    long_name = []
                    if not raw[11] & _VOLUME_LABEL and name not in {".", ".."}:
                        yield self._entry(raw, name)

    def _entry(self, raw: bytes, name: str) -> FatEntry:
        high, low, size = struct.unpack_from("<H4xHI", raw, 20)
        is_directory = bool(raw[11] & _DIRECTORY)
        cluster = low | (high << 16 if self.bits == 32 else 0)
        return FatEntry(name, is_directory, 0 if is_directory else size, cluster)

    def _directory(self, cluster: int) -> Iterator[bytes]:
        if not cluster:
            yield self._bytes(self._root, min(self._root_bytes, _MAX_DIRECTORY))
            return
        for number in self._chain(cluster, _MAX_DIRECTORY):
            yield self._cluster(number, self._cluster_size)

    def _chain(self, cluster: int, length: int) -> Iterator[int]:
        """The clusters that follow each other, as many as `length` bytes need."""
        for _unused in range(-(-length // self._cluster_size)):
            if not 2 <= cluster < self._clusters + 2:
                if cluster >= _END_OF_CHAIN[self.bits]:
                    return
                self._refuse("refers to cluster {0}, which does not exist".format(cluster))
            yield cluster
            cluster = self._next(cluster)

    def _next(self, cluster: int) -> int:
        if self.bits == 12:
            pair = self._table_entry(cluster + cluster // 2, "<H")
            return pair >> 4 if cluster & 1 else pair & 0xFFF
        if self.bits == 16:
            return self._table_entry(cluster * 2, "<H")
        return self._table_entry(cluster * 4, "<I") & 0x0FFFFFFF

    def _table_entry(self, position: int, layout: str) -> int:
        # An entry of 12 bits may lie in two chunks, so that each holds one byte of the next.
        index = position // _TABLE_CHUNK
        if index not in self._table_chunks:
            start = index * _TABLE_CHUNK
            size = min(_TABLE_CHUNK + 1, self._table_bytes - start)
            self._table_chunks[index] = self._bytes(self._table + start, size)
        within = position - index * _TABLE_CHUNK
        value: int = struct.unpack_from(layout, self._table_chunks[index], within)[0]
        return value

    def _cluster(self, number: int, length: int) -> bytes:
        return self._bytes(self._data + (number - 2) * self._cluster_size, length)

    def _bytes(self, offset: int, length: int) -> bytes:
        if offset + length > self._length:
            self._refuse("refers to byte {0}, which is behind its end".format(offset + length))
        return self._reader.read(self._offset + offset, length)

    def _refuse(self, problem: str) -> NoReturn:
        raise DiskError(
            "{0}: the FAT file system at byte {1} {2}".format(self._reader.path, self._offset, problem)
        )


def _short_name(raw: bytes) -> str:
    # 0x05 stands for a first byte 0xE5, which would mark a free entry.
    first = b"\xe5" if raw[0] == 0x05 else raw[:1]
    base = (first + raw[1:8]).decode("cp437").rstrip()
    extension = raw[8:11].decode("cp437").rstrip()
    if raw[12] & _LOWER_BASE:
        base = base.lower()
    if raw[12] & _LOWER_EXTENSION:
        extension = extension.lower()
    return base + ("." + extension if extension else "")
