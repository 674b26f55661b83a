# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The finished file, read again as a disk and held against what arrived."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_journal import (
    DownloadJournal,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_pieces import Pieces
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.checksum import md5
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Plan, Report, make_plan
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Ranges
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import Piece, Window


class _WithArrived(DiskReader):
    """A disk that is also read where its file has nothing, if something has arrived there.

    A piece that never got into the file is a hole in it; nobody would look there otherwise.
    """

    def __init__(self, disk: DiskReader, arrived: Ranges) -> None:
        super().__init__(disk.file, disk.virtual_size)
        self._disk = disk
        in_file = ((offset, offset + length) for offset, length in disk.extents())
        self._ranges = Ranges(heapq.merge(in_file, arrived))

    def extents(self) -> Iterator[tuple[int, int]]:
        for start, end in self._ranges:
            yield start, end - start

    def read_into(self, offset: int, view: memoryview) -> None:
        self._disk.read_into(offset, view)


def check_content(disk: DiskReader, pieces: Pieces, journal: DownloadJournal, progress: Report) -> Plan:
    """Read the disk whole; every piece must have the MD5 that it arrived with, and all else must be zeros.

    Returns the plan to upload it, which has the digest of its content. Raises DiskError for other content.
    """
    if disk.virtual_size != pieces.size:
        raise DiskError(f"{disk.path}: has {disk.virtual_size} bytes, not {pieces.size}")

    def check(window: Window, found: list[Piece]) -> bool:
        known = {(piece.offset, piece.length): piece.md5 for piece in found}
        position = window.start
        for piece in pieces.within(window.start):
            _check_zeros(disk, known, position, piece.offset)
            position = piece.end
            # Mostly the zeros were cut off at the same places when it was written.
            actual = known.get((piece.offset, piece.length)) or md5(disk.read(piece.offset, piece.length))
            if actual != journal.md5_of(piece.number):
                raise DiskError(
                    f"{disk.path}: bytes {piece.offset} to {piece.end} are not read as they arrived; the"
                    " storage that the file is on has damaged them"
                )
        _check_zeros(disk, known, position, disk.virtual_size)
        return False

    return make_plan(_WithArrived(disk, pieces.ranges), progress=progress, holds=check)


def _check_zeros(disk: DiskReader, found: dict[tuple[int, int], bytes], start: int, end: int) -> None:
    """Refuse a disk with something between start and end; `found` are places of all it has in 4 MiB."""
    for offset, length in found:
        first, behind = max(offset, start), min(offset + length, end)
        if first < behind and any(disk.read(first, behind - first)):
            raise DiskError(f"{disk.path}: there is something at byte {first}, where nothing arrived")
