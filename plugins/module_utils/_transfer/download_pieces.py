# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""In which pieces a disk is fetched."""

from __future__ import annotations

import hashlib
import struct
from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Range, Ranges
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import GAP, WINDOW


class RemotePiece(NamedTuple):
    """What one request fetches: its number among all, from 0, its place and its length in bytes."""

    number: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.length


class Pieces:
    """What was ever written to a disk, cut at every 4 MiB of it; 24 bytes of memory for each range.

    Ranges with gaps of up to 64 KiB between them are one: a request costs more than the zeros.

    :param written: ascending ranges, end exclusive, as the service tells them
    :param size: the disk's size in bytes; what stands behind it is left out
    """

    def __init__(self, written: Iterable[Range], size: int) -> None:
        self.size = size
        self.ranges = Ranges(_bridged((start, min(end, size)) for start, end in written if start < size))
        self.count = self.total = 0
        self._numbers = array("Q")
        for start, end in self.ranges:
            self._numbers.append(self.count)
            self.count += -(-end // WINDOW) - start // WINDOW
            self.total += end - start

    def __iter__(self) -> Iterator[RemotePiece]:
        number = 0
        for start, end in self.ranges:
            position = start
            while position < end:
                stop = min(position - position % WINDOW + WINDOW, end)
                yield RemotePiece(number, position, stop - position)
                number += 1
                position = stop

    def within(self, window: int) -> Iterator[RemotePiece]:
        """The pieces in the 4 MiB that begin at byte `window`, a multiple of 4 MiB."""
        for index, start, end in self.ranges.overlapping(window, window + WINDOW):
            offset = max(start, window)
            number = self._numbers[index] + window // WINDOW - start // WINDOW
            yield RemotePiece(number, offset, min(end, window + WINDOW) - offset)

    def digest(self) -> bytes:
        """32 bytes that are others for other pieces."""
        made = hashlib.sha256(struct.pack(">Q", self.size))
        for start, end in self.ranges:
            made.update(struct.pack(">QQ", start, end))
        return made.digest()


def _bridged(ranges: Iterable[Range]) -> Iterator[Range]:
    """The ranges, small gaps closed."""
    joined: Range | None = None
    for start, end in ranges:
        if joined is not None and start - joined[1] <= GAP:
            joined = (joined[0], max(joined[1], end))
            continue
        if joined is not None:
            yield joined
        joined = (start, end)
    if joined is not None:
        yield joined
