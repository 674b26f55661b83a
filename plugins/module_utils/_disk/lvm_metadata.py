# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""LVM2's description of a volume group: where it lies on a physical volume, and its grammar.

Facts: lvm2's lib/format_text/layout.h for the structures; vgcfgbackup(8) writes the same text. It consists of
nested sections, numbers, texts and lists.
"""

import re
import struct
import zlib
from typing import Dict, List, NamedTuple, Optional, Tuple, Union

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    DiskReader,
)

Value = Union[int, str, List["Value"], "Section"]
Section = Dict[str, Value]

_LABEL = b"LABELONE"
_LABEL_TYPE = b"LVM2 001"
_LABEL_SECTORS = 4
_PV_ID = 32
_AREA_MAGIC = b" LVM2 x[5A%r0N*>"
_AREA_HEADER = 512
_CRC_START = 0xF597A6CF
_IGNORED = 1
_MAX_TEXT = 16 << 20
_MAX_DEPTH = 8
_TOKEN = re.compile(r'#[^\n]*|"(?:[^"\\]|\\.)*"|[{}\[\]=,]|[^\s{}\[\]=,#"]+')


class PhysicalVolume(NamedTuple):
    """A partition or disk that LVM uses: its id without dashes, where it lies on the disk in bytes, and the
    metadata of its group ("" when it keeps none)."""

    id: str
    offset: int
    length: int
    text: str


def read_physical_volume(reader: DiskReader, offset: int, length: int) -> Optional[PhysicalVolume]:
    """The physical volume that begins at `offset`; None when there is none. Damage raises DiskError."""
    for sector in range(_LABEL_SECTORS):
        place = sector * SECTOR
        if place + SECTOR > length:
            return None
        label = reader.read(offset + place, SECTOR)
        if label.startswith(_LABEL) and label[24:32] == _LABEL_TYPE:
            (header,) = struct.unpack_from("<I", label, 20)
            return _physical_volume(reader, offset, length, label[header:])
    return None


def _physical_volume(reader: DiskReader, offset: int, length: int, header: bytes) -> PhysicalVolume:
    """From the header in the rest of the label's sector: id, size, data areas, metadata areas."""
    name = header[:_PV_ID].decode("ascii", "replace")
    position = _PV_ID + 8
    _data_areas, position = _locations(header, position)
    areas, _position = _locations(header, position)
    text = ""
    for start, size in areas:
        if start + size > length or size < 2 * _AREA_HEADER:
            raise _damaged(reader, offset, "has a metadata area that lies outside of it")
        text = text or _area_text(reader, offset, start, size)
    return PhysicalVolume(name, offset, length, text)


def _locations(header: bytes, position: int) -> Tuple[List[Tuple[int, int]], int]:
    """Pairs of offset and size up to a pair of zeros, and where the next list begins."""
    found = []
    while position + 16 <= len(header):
        start, size = struct.unpack_from("<QQ", header, position)
        position += 16
        if not start:
            break
        found.append((start, size))
    return found, position


def _area_text(reader: DiskReader, offset: int, start: int, size: int) -> str:
    header = reader.read(offset + start, _AREA_HEADER)
    if header[4:20] != _AREA_MAGIC or _checksum(header[4:]) != struct.unpack_from("<I", header)[0]:
        raise _damaged(reader, offset, "has a damaged metadata area")
    text_start, text_size, checksum, flags = struct.unpack_from("<QQII", header, 40)
    if not text_start or flags & _IGNORED:
        return ""
    if not _AREA_HEADER <= text_start < size or text_size > min(size - _AREA_HEADER, _MAX_TEXT):
        raise _damaged(reader, offset, "has metadata that lies outside of its area")
    # The area is a ring: what does not fit in front of its end goes on behind its header.
    first = min(text_size, size - text_start)
    data = reader.read(offset + start + text_start, first)
    data += reader.read(offset + start + _AREA_HEADER, text_size - first)
    if _checksum(data) != checksum:
        raise _damaged(reader, offset, "has metadata with a wrong checksum")
    return data.decode("utf-8", "replace").rstrip("\0")


def _checksum(data: bytes) -> int:
    """CRC-32 with LVM's own start and no inversion at the end."""
    return zlib.crc32(data, _CRC_START ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def _damaged(reader: DiskReader, offset: int, problem: str) -> DiskError:
    return DiskError("{0}: the LVM physical volume at byte {1} {2}".format(reader.path, offset, problem))


class GrammarError(ValueError):
    """Text that is no LVM metadata."""


def parse_metadata(text: str) -> Section:
    """The nested sections of LVM metadata; anything else raises :class:`GrammarError`."""
    tokens = [token for token in _TOKEN.findall(text) if not token.startswith("#")]
    tokens.append("}")
    section, position = _section(tokens, 0, 0)
    if position != len(tokens):
        raise GrammarError("it goes on behind its end")
    return section


def _section(tokens: List[str], position: int, depth: int) -> Tuple[Section, int]:
    found: Section = {}
    while position < len(tokens):
        name = tokens[position]
        if name == "}":
            return found, position + 1
        sign = tokens[position + 1] if position + 1 < len(tokens) else ""
        if sign == "{" and depth < _MAX_DEPTH:
            found[name], position = _section(tokens, position + 2, depth + 1)
        elif sign == "=":
            found[name], position = _value(tokens, position + 2)
        else:
            raise GrammarError("{0!r} is followed by {1!r}".format(name[:40], sign[:40]))
    raise GrammarError("a section does not end")


def _value(tokens: List[str], position: int) -> Tuple[Value, int]:
    if position >= len(tokens):
        raise GrammarError("a value is missing")
    if tokens[position] != "[":
        return _scalar(tokens[position]), position + 1
    items: List[Value] = []
    for index in range(position + 1, len(tokens)):
        if tokens[index] == "]":
            return items, index + 1
        if tokens[index] != ",":
            items.append(_scalar(tokens[index]))
    raise GrammarError("a list does not end")


def _scalar(token: str) -> Value:
    if token.startswith('"'):
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    try:
        return int(token)
    except ValueError:
        return token
