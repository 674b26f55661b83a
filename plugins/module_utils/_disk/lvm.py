# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Logical volumes of LVM2 on a disk, read without device mapper: linear and striped ones.

Others (thin, mirrored, cached, encrypted) are named with the reason why they are not read.
"""

from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.lvm_metadata import (
    GrammarError,
    PhysicalVolume,
    Section,
    parse_metadata,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.mapped import MappedReader, Piece
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    DiskReader,
)

_MAX_PIECES = 1 << 20


class LogicalVolume(NamedTuple):
    """A volume by its names; `reader` is None when it cannot be read, and `problem` says why."""

    group: str
    name: str
    reader: Optional[DiskReader]
    problem: str


def logical_volumes(reader: DiskReader, volumes: Sequence[PhysicalVolume]) -> List[LogicalVolume]:
    """The visible logical volumes of every group on these physical volumes, in the order of their groups."""
    texts: Dict[str, str] = {}
    for volume in volumes:
        name = volume.text.partition("{")[0].strip()
        # Copies differ when a write was interrupted: the one with the highest sequence number holds.
        if volume.text and _sequence(reader, volume.text) >= _sequence(reader, texts.get(name, "")):
            texts[name] = volume.text
    found: List[LogicalVolume] = []
    for name, text in texts.items():
        group = _sub(_parsed(reader, text), name)
        places = _Places(reader, group, volumes)
        for logical, described in _subsections(_sub(group, "logical_volumes")):
            status = described.get("status")
            if isinstance(status, list) and "VISIBLE" in status:
                found.append(_logical_volume(places, name, logical, described))
    return found


def _parsed(reader: DiskReader, text: str) -> Section:
    try:
        return parse_metadata(text)
    except GrammarError as error:
        raise DiskError(
            "{0}: the metadata of its LVM group is damaged: {1}".format(reader.path, error)
        ) from None


def _sequence(reader: DiskReader, text: str) -> int:
    if not text:
        return -1
    return _number(_sub(_parsed(reader, text), text.partition("{")[0].strip()), "seqno")


class _Places:
    """Where extents of a group's physical volumes lie on the disk."""

    def __init__(self, reader: DiskReader, group: Section, volumes: Sequence[PhysicalVolume]) -> None:
        self.reader = reader
        self.extent = _number(group, "extent_size") * SECTOR
        by_id = {volume.id: volume for volume in volumes}
        self._first: Dict[str, int] = {}
        self._end: Dict[str, int] = {}
        for name, described in _subsections(_sub(group, "physical_volumes")):
            volume = by_id.get(str(described.get("id", "")).replace("-", ""))
            if volume is not None:
                self._first[name] = volume.offset + _number(described, "pe_start") * SECTOR
                self._end[name] = volume.offset + volume.length

    def find(self, name: str, extent: int, length: int) -> int:
        """The byte of the disk where an extent of a physical volume begins."""
        if name not in self._first:
            raise _NotReadError("lies on a disk that is not here")
        place = self._first[name] + extent * self.extent
        if place + length > self._end[name]:
            raise _NotReadError("lies behind the end of its physical volume")
        return place


class _NotReadError(Exception):
    """Why a logical volume is not read."""


def _logical_volume(places: _Places, group: str, name: str, described: Section) -> LogicalVolume:
    try:
        pieces = list(_pieces(places, described))
        return LogicalVolume(group, name, MappedReader(places.reader, pieces), "")
    except _NotReadError as error:
        return LogicalVolume(group, name, None, str(error))


def _pieces(places: _Places, described: Section) -> Iterator[Piece]:
    if not places.extent:
        raise _NotReadError("has no size of extents")
    count = 0
    for _name, segment in _subsections(described):
        kind = str(segment.get("type", ""))
        stripes = segment.get("stripes")
        if kind != "striped" or not isinstance(stripes, list) or len(stripes) % 2 or not stripes:
            raise _NotReadError("is of type {0}, which is not read".format(kind or "unknown"))
        for piece in _segment(places, segment, stripes):
            count += 1
            if count > _MAX_PIECES:
                raise _NotReadError("consists of too many pieces")
            yield piece


def _segment(places: _Places, segment: Section, stripes: Sequence[object]) -> Iterator[Piece]:
    """Stripes take turns with `stripe_size` sectors each; a single one takes all at once."""
    start = _number(segment, "start_extent") * places.extent
    length = _number(segment, "extent_count") * places.extent
    width = len(stripes) // 2
    step = length if width == 1 else _number(segment, "stripe_size") * SECTOR
    if not step or length % (step * width) or length < 0:
        raise _NotReadError("has stripes that do not fit")
    bases = []
    for name, extent in zip(stripes[::2], stripes[1::2]):  # noqa: B905 (Python 3.6)
        if not isinstance(extent, int) or extent < 0:
            raise _NotReadError("has stripes that do not fit")
        bases.append(places.find(str(name), extent, length // width))
    for row in range(length // (step * width)):
        for column, base in enumerate(bases):
            yield Piece(start + (row * width + column) * step, step, places.reader, base + row * step)


def _sub(section: Section, name: str) -> Section:
    found = section.get(name)
    return found if isinstance(found, dict) else {}


def _subsections(section: Section) -> Iterator[Tuple[str, Section]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield name, value


def _number(section: Section, name: str) -> int:
    found = section.get(name)
    return found if isinstance(found, int) else 0
