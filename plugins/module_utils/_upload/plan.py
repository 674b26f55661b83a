# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What has to be sent so that an empty page blob becomes a fixed VHD of a disk.

The disk is read once, by windows of 4 MiB, and only where its file has data. Blocks of 4 KiB that are zero
are left out; gaps of up to 64 KiB between what is left are sent all the same, because a request costs more
than the zeros; the ends of each piece are trimmed to sectors. The pieces depend on the content alone, not on
the file's format or its holes, and so does the digest over them.
"""

import hashlib
import struct
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import SECTOR, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    FOOTER_SIZE,
    build_fixed_footer,
)

MIB = 1 << 20
WINDOW = 4 * MIB  # the largest body of one Put Page request (REST reference, "Put Page")
BLOCK = 4096
GAP = 64 << 10

_ZERO_BLOCK = bytes(BLOCK)
_ZERO_WINDOW = bytes(WINDOW)
# Changing how pieces are cut changes the digest of the same content, so it must change this line, too.
_DIGEST_HEADER = b"goldenimage plan 1\n"

Piece = Tuple[int, int]
Progress = Callable[[int, int, float], None]


class Plan(NamedTuple):
    """What to send. Sizes in bytes.

    `pieces`: (offset, length) of the disk, ascending, each at most 4 MiB and inside one 4 MiB window;
    `virtual_size`: the disk's size rounded up to MiB; `footer`: the 512 bytes behind it, sent last;
    `content_sha256`: SHA-256 over the size and over offset, length and data of every piece;
    `bytes_read`: how much of the disk was read to find all this.
    """

    pieces: List[Piece]
    virtual_size: int
    footer: bytes
    content_sha256: str
    bytes_read: int

    @property
    def blob_size(self) -> int:
        """The page blob's size: the disk and its footer."""
        return self.virtual_size + FOOTER_SIZE

    @property
    def bytes_to_send(self) -> int:
        """The bodies of all requests together."""
        return sum(length for _offset, length in self.pieces) + FOOTER_SIZE

    @property
    def puts(self) -> int:
        """The number of requests."""
        return len(self.pieces) + 1


def rounded_size(virtual_size: int) -> int:
    """The size the disk has in Azure, which takes whole MiB only."""
    return -(-virtual_size // MIB) * MIB


def make_plan(reader: DiskReader, threads: int = 2, progress: Optional[Progress] = None) -> Plan:
    """Read the disk and plan its upload. Holds at most `2 * threads` windows in memory.

    :param progress: called now and then with bytes looked at, the disk's size, and 0.0
    """
    size = rounded_size(reader.virtual_size)
    digest = hashlib.sha256(_DIGEST_HEADER + struct.pack(">Q", size))
    pieces: List[Piece] = []
    bytes_read = 0
    waiting: Deque["Future[_Scanned]"] = deque()
    windows = _windows(reader)
    pool = ThreadPoolExecutor(max_workers=threads)
    try:
        more = True
        while more or waiting:
            while more and len(waiting) < 2 * threads:
                window = next(windows, None)
                more = window is not None
                if window is not None:
                    waiting.append(pool.submit(_scan, reader, window))
            if not waiting:
                break
            scanned = waiting.popleft().result()
            bytes_read += scanned.bytes_read
            view = memoryview(scanned.data)
            for offset, length in scanned.pieces:
                digest.update(struct.pack(">QQ", offset, length))
                digest.update(view[offset - scanned.start : offset - scanned.start + length])
                pieces.append((offset, length))
            if progress is not None:
                progress(min(scanned.start + WINDOW, reader.virtual_size), reader.virtual_size, 0.0)
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown()
    footer = build_fixed_footer(size, digest.digest()[:16])
    return Plan(pieces, size, footer, digest.hexdigest(), bytes_read)


class _Window(NamedTuple):
    start: int
    end: int
    extents: List[Piece]


class _Scanned(NamedTuple):
    start: int
    data: bytearray
    pieces: List[Piece]
    bytes_read: int


def _windows(reader: DiskReader) -> Iterator[_Window]:
    """The windows that have data, each with its extents widened to whole blocks."""
    current: Optional[_Window] = None
    for offset, length in reader.extents():
        position = offset - offset % BLOCK
        end = min(-(-(offset + length) // BLOCK) * BLOCK, reader.virtual_size)
        while position < end:
            start = position - position % WINDOW
            stop = min(start + WINDOW, end)
            if current is None or current.start != start:
                if current is not None:
                    yield current
                current = _Window(start, min(start + WINDOW, reader.virtual_size), [])
            _append(current.extents, position, stop)
            position = stop
    if current is not None:
        yield current


def _append(extents: List[Piece], start: int, end: int) -> None:
    """Add a piece that begins at or after the last one's beginning; overlapping ones become one."""
    if extents and start <= extents[-1][0] + extents[-1][1]:
        first = extents[-1][0]
        extents[-1] = (first, max(end, first + extents[-1][1]) - first)
    else:
        extents.append((start, end - start))


def _scan(reader: DiskReader, window: _Window) -> _Scanned:
    data = bytearray(window.end - window.start)
    view = memoryview(data)
    runs: List[Piece] = []
    bytes_read = 0
    for offset, length in window.extents:
        first = offset - window.start
        reader.read_into(offset, view[first : first + length])
        bytes_read += length
        _find_runs(data, first, first + length, runs)
    pieces = [(window.start + start, end - start) for start, end in (_trim(data, run) for run in runs)]
    return _Scanned(window.start, data, pieces, bytes_read)


def _find_runs(data: bytearray, start: int, end: int, runs: List[Piece]) -> None:
    """Append (first, end) of what is not zero, in whole blocks, gaps bridged."""
    if end - start == len(_ZERO_WINDOW) and data == _ZERO_WINDOW:
        return
    for position in range(start, end, BLOCK):
        stop = min(position + BLOCK, end)
        if data.startswith(_ZERO_BLOCK if stop - position == BLOCK else bytes(stop - position), position):
            continue
        if runs and position - runs[-1][1] <= GAP:
            runs[-1] = (runs[-1][0], stop)
        else:
            runs.append((position, stop))


def _trim(data: bytearray, run: Piece) -> Piece:
    start, end = run
    zero = bytes(SECTOR)
    while data.startswith(zero, start):
        start += SECTOR
    while data.startswith(zero, end - SECTOR):
        end -= SECTOR
    return start, end
