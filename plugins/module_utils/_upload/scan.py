# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Which pieces of a disk are worth sending.

The disk is read by windows of 4 MiB, and only where its file has data. Blocks of 4 KiB that are zero are
left out; gaps of up to 64 KiB between what is left are sent all the same, because a request costs more than
the zeros; the ends of each piece are trimmed to sectors. The pieces depend on the content alone, not on the
file's format or its holes.
"""

from typing import Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import SECTOR, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.checksum import md5

MIB = 1 << 20
WINDOW = 4 * MIB  # the largest body of one Put Page request (REST reference, "Put Page")
BLOCK = 4096
GAP = 64 << 10

_ZERO_SECTOR = bytes(SECTOR)
_ZERO_BLOCK = bytes(BLOCK)
_ZERO_GAP = bytes(GAP)
_ZERO_WINDOW = bytes(WINDOW)

Extent = Tuple[int, int]


class Piece(NamedTuple):
    """Something to send: where on the disk, how many bytes, and the MD5 of them."""

    offset: int
    length: int
    md5: bytes


class Window(NamedTuple):
    """4 MiB of the disk, fewer at its end. `extents`: (offset, length) of what may hold data in it."""

    start: int
    extents: List[Extent]

    @property
    def number(self) -> int:
        """Its place among all windows of the disk, those without data counted."""
        return self.start // WINDOW

    @property
    def bytes_to_read(self) -> int:
        """How much of it is read."""
        return sum(length for _offset, length in self.extents)


def data_bytes(reader: DiskReader) -> int:
    """How much of the disk may hold data, as far as its file tells without being read."""
    return sum(length for _offset, length in reader.extents())


def windows(reader: DiskReader) -> Iterator[Window]:
    """The windows that may hold data, ascending, each with its extents widened to whole blocks."""
    current: Optional[Window] = None
    for offset, length in reader.extents():
        position = offset - offset % BLOCK
        end = min(-(-(offset + length) // BLOCK) * BLOCK, reader.virtual_size)
        while position < end:
            start = position - position % WINDOW
            stop = min(start + WINDOW, end)
            if current is None or current.start != start:
                if current is not None:
                    yield current
                current = Window(start, [])
            _append(current.extents, position, stop)
            position = stop
    if current is not None:
        yield current


def _append(extents: List[Extent], start: int, end: int) -> None:
    """Add an extent that begins at or after the last one's beginning; overlapping ones become one."""
    if extents and start <= extents[-1][0] + extents[-1][1]:
        first = extents[-1][0]
        extents[-1] = (first, max(end, first + extents[-1][1]) - first)
    else:
        extents.append((start, end - start))


def scan(reader: DiskReader, window: Window, buffer: bytearray) -> List[Piece]:
    """Read a window and find its pieces.

    :param buffer: of 4 MiB; afterwards byte `offset - window.start` of it is the first of a piece
    """
    view = memoryview(buffer)
    runs: List[Extent] = []
    before = 0
    for offset, length in window.extents:
        first = offset - window.start
        # A small hole may be bridged, and the buffer is not new.
        if first - before <= GAP:
            view[before:first] = _ZERO_GAP[: first - before]
        before = first + length
        reader.read_into(offset, view[first:before])
        _find_runs(buffer, first, before, runs)
    pieces = []
    for run in runs:
        start, end = _trim(buffer, run)
        pieces.append(Piece(window.start + start, end - start, md5(view[start:end])))
    return pieces


def _find_runs(data: bytearray, start: int, end: int, runs: List[Extent]) -> None:
    """Append (first, end) of what is not zero, in whole blocks, gaps bridged."""
    if end - start == WINDOW and data == _ZERO_WINDOW:
        return
    for position in range(start, end, BLOCK):
        if data.startswith(_ZERO_BLOCK, position):
            continue
        stop = position + BLOCK
        if stop > end:
            # The disk ends within this block; what stands behind its end is of another window.
            stop = end
            if data.startswith(bytes(stop - position), position):
                continue
        if runs and position - runs[-1][1] <= GAP:
            runs[-1] = (runs[-1][0], stop)
        else:
            runs.append((position, stop))


def _trim(data: bytearray, run: Extent) -> Extent:
    start, end = run
    while data.startswith(_ZERO_SECTOR, start):
        start += SECTOR
    while data.startswith(_ZERO_SECTOR, end - SECTOR):
        end -= SECTOR
    return start, end
