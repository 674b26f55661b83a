# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The log of a VHDX that was not closed properly ([MS-VHDX], section 2.3).

It is applied in memory: the file is only read.
"""

import struct
import uuid
from typing import Dict, Iterator, List, NamedTuple, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.crc32c import crc32c_without
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, SourceFile
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhdx_header import (
    KIB,
    MIB,
    Header,
    damaged,
)

_SECTOR = 4 * KIB
_ENTRY = struct.Struct("<4sIIIQII16sQQ")
_ENTRY_SIZE = 64
_DESCRIPTOR_SIZE = 32
_DESCRIPTOR = struct.Struct("<4s4s8sQQ")
_ZERO = struct.Struct("<4sIQQQ")
# Hyper-V's logs have 1 MiB; more would have to be kept in memory.
_MAX_LOG = 64 * MIB


class _Entry(NamedTuple):
    offset: int
    length: int
    tail: int
    sequence: int
    descriptors: int
    file_size: int
    data: bytes


class PatchedFile(SourceFile):
    """A file with some of its 4 KiB sectors replaced by what the log has for them."""

    def __init__(self, file: SourceFile, sectors: Dict[int, bytes]) -> None:
        # The opened file lives on in this object; only its reading changes.
        self.__dict__.update(file.__dict__)
        self._sectors = sectors

    def read_into(self, offset: int, view: memoryview) -> None:
        super().read_into(offset, view)
        first, last = offset // _SECTOR, -(-(offset + len(view)) // _SECTOR)
        if last - first > len(self._sectors):
            touched = [number for number in self._sectors if first <= number < last]
        else:
            touched = [number for number in range(first, last) if number in self._sectors]
        for number in touched:
            start = max(number * _SECTOR, offset)
            stop = min((number + 1) * _SECTOR, offset + len(view))
            skip = start - number * _SECTOR
            view[start - offset : stop - offset] = self._sectors[number][skip : skip + stop - start]


def replayed(file: SourceFile, header: Header) -> SourceFile:
    """The file as it is once its log has been applied; the file itself when nothing waits there."""
    if header.log_id is None:
        return file
    if (
        header.log_offset % MIB
        or header.log_length % MIB
        or not 0 < header.log_length <= _MAX_LOG
        or header.log_offset + header.log_length > file.size
    ):
        raise damaged(file, "its log is outside of it")
    log = file.read(header.log_offset, header.log_length)
    sequence = _active_sequence(log, header.log_id)
    if sequence is None:
        raise damaged(
            file, "it was not closed properly and its log has no complete entry, so it cannot be completed"
        )
    if sequence[-1].file_size > file.size:
        raise DiskError(
            "{0}: is truncated: its log speaks of {1} bytes, but the file has only {2} bytes; "
            "copy it again".format(file.path, sequence[-1].file_size, file.size)
        )
    sectors = {}  # type: Dict[int, bytes]
    for entry in sequence:
        _apply(file, entry, sectors)
    return PatchedFile(file, sectors)


def _active_sequence(log: bytes, log_id: uuid.UUID) -> Optional[List[_Entry]]:
    """The consecutive valid entries that end in the newest one, from its tail on."""
    entries = {entry.offset: entry for entry in _valid_entries(log, log_id)}
    best = None  # type: Optional[List[_Entry]]
    for newest in entries.values():
        sequence = _from_tail(log, entries, newest)
        if sequence is not None and (best is None or newest.sequence > best[-1].sequence):
            best = sequence
    return best


def _from_tail(log: bytes, entries: Dict[int, _Entry], newest: _Entry) -> Optional[List[_Entry]]:
    sequence = []  # type: List[_Entry]
    offset = newest.tail
    while len(sequence) <= len(entries):
        entry = entries.get(offset)
        if entry is None or (sequence and entry.sequence != sequence[-1].sequence + 1):
            return None
        sequence.append(entry)
        if entry is newest:
            return sequence
        offset = (offset + entry.length) % len(log)
    return None


def _valid_entries(log: bytes, log_id: uuid.UUID) -> Iterator[_Entry]:
    for offset in range(0, len(log), _SECTOR):
        if log[offset : offset + 4] != b"loge":
            continue
        (
            _signature, stored, length, tail, sequence, descriptors, _reserved, raw, _flushed, file_size,
        ) = _ENTRY.unpack_from(log, offset)  # fmt: skip
        if length % _SECTOR or not _SECTOR <= length <= len(log) or uuid.UUID(bytes_le=raw) != log_id:
            continue
        data = (
            (log + log[:length])[offset : offset + length]
            if offset + length > len(log)
            else log[offset : offset + length]
        )
        if stored == crc32c_without(data, 4) and _descriptor_sectors(descriptors) * _SECTOR <= length:
            yield _Entry(offset, length, tail, sequence, descriptors, file_size, data)


def _descriptor_sectors(count: int) -> int:
    return -(-(_ENTRY_SIZE + count * _DESCRIPTOR_SIZE) // _SECTOR)


def _apply(file: SourceFile, entry: _Entry, sectors: Dict[int, bytes]) -> None:
    data_at = _descriptor_sectors(entry.descriptors) * _SECTOR
    for number in range(entry.descriptors):
        at = _ENTRY_SIZE + number * _DESCRIPTOR_SIZE
        signature = entry.data[at : at + 4]
        if signature == b"zero":
            _kind, _reserved, length, offset, sequence = _ZERO.unpack_from(entry.data, at)
            _check(file, entry, sequence, offset, length)
            for sector in range(offset // _SECTOR, (offset + length) // _SECTOR):
                sectors[sector] = bytes(_SECTOR)
        elif signature == b"desc":
            _kind, trailing, leading, offset, sequence = _DESCRIPTOR.unpack_from(entry.data, at)
            _check(file, entry, sequence, offset, _SECTOR)
            body = entry.data[data_at : data_at + _SECTOR]
            data_at += _SECTOR
            if len(body) < _SECTOR or body[:4] != b"data" or _sequence_of(body) != entry.sequence:
                raise damaged(file, "a data sector of its log is not one")
            sectors[offset // _SECTOR] = leading + body[8:-4] + trailing
        else:
            raise damaged(file, "its log has a descriptor that is none")


def _sequence_of(body: bytes) -> int:
    high, low = struct.unpack("<I", body[4:8])[0], struct.unpack("<I", body[-4:])[0]
    return int(high << 32 | low)


def _check(file: SourceFile, entry: _Entry, sequence: int, offset: int, length: int) -> None:
    # A log may fill at most what the file has; anything else would only eat memory.
    if sequence != entry.sequence or offset % _SECTOR or length % _SECTOR or length > _MAX_LOG:
        raise damaged(file, "a descriptor of its log is out of order")
