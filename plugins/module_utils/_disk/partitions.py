# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Partition tables, and which generation of Azure virtual machine can boot from a disk.

GPT as in the UEFI specification, chapter 5; MBR with extended partitions. Sectors have 512 bytes, as on every
Azure disk that can be booted from.
"""

import struct
import uuid
import zlib
from typing import FrozenSet, List, NamedTuple, Optional, Set

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    DiskReader,
)

EFI_SYSTEM = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"

_GPT_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_GPT_ENTRY = struct.Struct("<16s16sQQQ72s")
_GPT_SIGNATURE = b"EFI PART"
_MBR_ENTRY = struct.Struct("<B3sB3sII")
_MBR_SIGNATURE = b"\x55\xaa"
_MBR_BOOT_CODE = 440
_PROTECTIVE, _MBR_EFI = 0xEE, 0xEF
_EXTENDED = (0x05, 0x0F, 0x85)
_MAX_LOGICAL = 128
_LEGACY_BOOTABLE = 1 << 2


class Partition(NamedTuple):
    """One partition. `offset` and `length` in bytes; `type_id` is a lower-case GUID (GPT) or "0x83" (MBR);
    `bootable` is the legacy boot flag of either scheme; `unique_id` and the bits `attributes` only a GPT has.
    """

    number: int
    offset: int
    length: int
    type_id: str
    name: str
    bootable: bool
    unique_id: str = ""
    attributes: int = 0


class PartitionTable(NamedTuple):
    """`scheme` is "gpt", "mbr" or "none"; partitions in the order of their numbers."""

    scheme: str
    partitions: List[Partition]


def read_partition_table(reader: DiskReader) -> PartitionTable:
    """The disk's partition table; checksums and bounds are checked.

    A GPT whose first copy is damaged is read from the copy at the end of the disk; when both are damaged, or
    a partition lies outside of the disk, :class:`DiskError` is raised.
    """
    if reader.virtual_size < 3 * SECTOR:
        return PartitionTable("none", [])
    mbr = reader.read(0, SECTOR)
    entries = _mbr_entries(mbr)
    protective = any(kind == _PROTECTIVE for _flag, kind, _start, _count in entries)
    if protective or reader.read(SECTOR, 8) == _GPT_SIGNATURE:
        return PartitionTable("gpt", _read_gpt(reader))
    if not entries:
        return PartitionTable("none", [])
    return PartitionTable("mbr", _read_mbr(reader, entries))


class _MbrEntry(NamedTuple):
    flag: int
    kind: int
    start: int
    length: int


def _mbr_entries(sector: bytes) -> List[_MbrEntry]:
    """The four entries of a boot sector; an empty list when it holds no sensible partition table.

    A FAT or NTFS boot sector has the same signature with program code where the entries would be.
    """
    if sector[510:512] != _MBR_SIGNATURE:
        return []
    entries = []
    for position in range(446, 510, 16):
        flag, _chs, kind, _chs_end, start, count = _MBR_ENTRY.unpack(sector[position : position + 16])
        if flag not in (0x00, 0x80) or (kind and not (start and count)):
            return []
        entries.append(_MbrEntry(flag, kind, start, count))
    return entries if any(entry.kind for entry in entries) else []


def _read_mbr(reader: DiskReader, entries: List[_MbrEntry]) -> List[Partition]:
    partitions = []
    extended: Optional[_MbrEntry] = None
    for number, entry in enumerate(entries, 1):
        if not entry.kind:
            continue
        partitions.append(_mbr_partition(reader, number, entry, 0))
        if entry.kind in _EXTENDED and extended is None:
            extended = entry
    if extended is not None:
        partitions.extend(_logical_partitions(reader, extended.start))
    return partitions


def _mbr_partition(reader: DiskReader, number: int, entry: _MbrEntry, base: int) -> Partition:
    offset, length = (base + entry.start) * SECTOR, entry.length * SECTOR
    _check_inside(reader, number, offset, length)
    return Partition(number, offset, length, "0x{0:02x}".format(entry.kind), "", entry.flag == 0x80)


def _logical_partitions(reader: DiskReader, base: int) -> List[Partition]:
    """Follow the chain of extended boot records; each names one partition and the next record."""
    partitions: List[Partition] = []
    record = base
    while len(partitions) < _MAX_LOGICAL:
        if (record + 1) * SECTOR > reader.virtual_size:
            raise DiskError(
                "{0}: the chain of logical partitions leaves the disk at sector {1}; "
                "the disk is truncated or damaged".format(reader.path, record)
            )
        entries = _mbr_entries(reader.read(record * SECTOR, SECTOR))
        if not entries:
            return partitions
        if entries[0].kind:
            partitions.append(_mbr_partition(reader, 5 + len(partitions), entries[0], record))
        following = entries[1]
        if following.kind not in _EXTENDED or base + following.start <= record:
            return partitions
        record = base + following.start
    return partitions


def _check_inside(reader: DiskReader, number: int, offset: int, length: int) -> None:
    if offset + length > reader.virtual_size:
        raise DiskError(
            "{0}: partition {1} ends at byte {2}, but the disk has only {3} bytes; "
            "the file is truncated: copy it again".format(
                reader.path, number, offset + length, reader.virtual_size
            )
        )


def _read_gpt(reader: DiskReader) -> List[Partition]:
    problems = []
    for sector in (1, reader.virtual_size // SECTOR - 1):
        try:
            return _read_gpt_copy(reader, sector)
        except _BadCopyError as error:
            problems.append("sector {0}: {1}".format(sector, error))
    raise DiskError(
        "{0}: is marked as a GPT disk, but both copies of the table are unusable ({1}); "
        "the file is truncated or damaged".format(reader.path, "; ".join(problems))
    )


class _BadCopyError(Exception):
    """One of the two copies of a GPT cannot be used."""


def _read_gpt_copy(reader: DiskReader, sector: int) -> List[Partition]:
    raw = reader.read(sector * SECTOR, SECTOR)
    (
        signature, _revision, size, stored, _reserved, own, _other, _first, _last, _disk_id,
        table, count, entry_size, table_crc,
    ) = _GPT_HEADER.unpack(raw[: _GPT_HEADER.size])  # fmt: skip
    if signature != _GPT_SIGNATURE:
        raise _BadCopyError("no GPT header")
    if not _GPT_HEADER.size <= size <= SECTOR or zlib.crc32(raw[:16] + bytes(4) + raw[20:size]) != stored:
        raise _BadCopyError("wrong header checksum")
    if own != sector:
        raise _BadCopyError("header for sector {0}".format(own))
    if entry_size < _GPT_ENTRY.size or count * entry_size > 1 << 20:
        raise _BadCopyError("{0} entries of {1} bytes".format(count, entry_size))
    if table * SECTOR + count * entry_size > reader.virtual_size:
        raise _BadCopyError("the table lies outside of the disk")
    entries = reader.read(table * SECTOR, count * entry_size)
    if zlib.crc32(entries) != table_crc:
        raise _BadCopyError("wrong table checksum")
    partitions = []
    for index in range(count):
        kind, own_id, first, last, attributes, name = _GPT_ENTRY.unpack_from(entries, index * entry_size)
        if kind == bytes(16):
            continue
        if last < first:
            raise _BadCopyError("partition {0} ends before it begins".format(index + 1))
        _check_inside(reader, index + 1, first * SECTOR, (last - first + 1) * SECTOR)
        partitions.append(
            Partition(
                index + 1,
                first * SECTOR,
                (last - first + 1) * SECTOR,
                str(uuid.UUID(bytes_le=kind)),
                name.decode("utf-16-le", "replace").split("\0")[0],
                bool(attributes & _LEGACY_BOOTABLE),
                str(uuid.UUID(bytes_le=own_id)),
                attributes,
            )
        )
    return partitions


def bootable_generations(reader: DiskReader) -> FrozenSet[str]:
    """Which generations ("V1" boots by BIOS, "V2" by UEFI) can boot from this disk, by what is on it.

    V2: there is an EFI system partition. V1: there is code in the boot sector, and on a GPT disk also a BIOS
    boot partition (where GRUB keeps its core) or a partition with the legacy boot flag (syslinux); Windows
    writes a boot sector on every GPT disk, so code alone proves nothing there. An empty set: nothing boots.
    """
    table = read_partition_table(reader)
    found: Set[str] = set()
    has_code = any(reader.read(0, _MBR_BOOT_CODE)) if table.scheme != "none" else False
    types = {partition.type_id for partition in table.partitions}
    if EFI_SYSTEM in types or "0x{0:02x}".format(_MBR_EFI) in types:
        found.add("V2")
    legacy = BIOS_BOOT in types or any(partition.bootable for partition in table.partitions)
    if has_code and (table.scheme == "mbr" or legacy):
        found.add("V1")
    return frozenset(found)


def detect_generation(reader: DiskReader) -> Optional[str]:
    """Return "V1" or "V2" when the disk can boot in exactly that one; None when in both or in none."""
    found = bootable_generations(reader)
    return next(iter(found)) if len(found) == 1 else None
