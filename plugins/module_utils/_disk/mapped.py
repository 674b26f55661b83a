# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A part of a disk, or a volume put together from parts of it, read as a disk of its own."""

from bisect import bisect_right
from typing import Iterator, List, NamedTuple, Sequence, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader


class Piece(NamedTuple):
    """`length` bytes of a volume from byte `start` on, found at byte `offset` of `reader`."""

    start: int
    length: int
    reader: DiskReader
    offset: int


class MappedReader(DiskReader):
    """A volume made of pieces that follow each other without a gap.

    :param disk: what messages name
    :param pieces: in any order; a gap raises :class:`DiskError`
    """

    format = "raw"

    def __init__(self, disk: DiskReader, pieces: Sequence[Piece]) -> None:
        self._pieces: List[Piece] = sorted(pieces, key=lambda piece: piece.start)
        end = 0
        for piece in self._pieces:
            if piece.start != end:
                raise DiskError(
                    "{0}: a volume on it lacks bytes {1} to {2}".format(disk.path, end, piece.start)
                )
            end += piece.length
        super().__init__(disk.file, end)
        self._starts = [piece.start for piece in self._pieces]

    def extents(self) -> Iterator[Tuple[int, int]]:
        if self.virtual_size:
            yield 0, self.virtual_size

    def read_into(self, offset: int, view: memoryview) -> None:
        self.check_bounds(offset, len(view))
        done = 0
        while done < len(view):
            piece = self._pieces[bisect_right(self._starts, offset + done) - 1]
            within = offset + done - piece.start
            count = min(len(view) - done, piece.length - within)
            piece.reader.read_into(piece.offset + within, view[done : done + count])
            done += count
