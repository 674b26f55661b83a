# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What has to be sent so that an empty page blob becomes a fixed VHD of a disk, and the digest over it."""

import hashlib
import struct
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    FOOTER_SIZE,
    build_fixed_footer,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Range, Ranges
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import (
    MIB,
    WINDOW,
    Piece,
    Window,
    data_bytes,
    scan,
    windows,
)

# Changing how pieces are cut changes the digest of the same content, so it must change this line, too.
DIGEST_HEADER = b"goldenimage plan 2\n"

#: Whether the target has these pieces of a window already.
Holds = Callable[[Window, List[Piece]], bool]


class Progress(NamedTuple):
    """How far the work is. Bytes and seconds.

    `done` and `total` count what the file may hold as data; `sent` the bodies that have arrived; `resumed` is
    what of `done` an earlier run had sent.
    """

    done: int
    total: int
    sent: int
    resumed: int
    seconds: float


Report = Callable[[Progress], None]


class Plan(NamedTuple):
    """What to send. Sizes in bytes.

    `ranges`: the disk's bytes that are sent, neighbouring pieces joined; cut at every 4 MiB of the disk they
    are the pieces again; `virtual_size`: the disk's size rounded up to MiB; `footer`: the 512 bytes behind
    it, sent last; `content_sha256`: SHA-256 over the size and over offset, length and MD5 of every piece;
    `bytes_read`: how much of the disk was read to find all this; `bytes_to_send`: the bodies of all requests
    together; `puts`: the number of requests; `bytes_held`: what of it the target had already.
    """

    ranges: Ranges
    virtual_size: int
    footer: bytes
    content_sha256: str
    bytes_read: int
    bytes_to_send: int
    puts: int
    bytes_held: int

    @property
    def blob_size(self) -> int:
        """The page blob's size: the disk and its footer."""
        return self.virtual_size + FOOTER_SIZE

    @property
    def written(self) -> Ranges:
        """What of the blob is written when it is complete."""
        return self.ranges.followed_by(self.virtual_size, self.blob_size)


def rounded_size(virtual_size: int) -> int:
    """The size the disk has in Azure, which takes whole MiB only."""
    return -(-virtual_size // MIB) * MIB


class ContentDigest:
    """SHA-256 over a disk's size and its pieces, given in ascending order."""

    def __init__(self, size: int) -> None:
        self._hash = hashlib.sha256(DIGEST_HEADER + struct.pack(">Q", size))

    def add(self, piece: Piece) -> None:
        """The next piece."""
        self._hash.update(struct.pack(">QQ", piece.offset, piece.length) + piece.md5)

    def digest(self) -> bytes:
        """32 bytes."""
        return self._hash.digest()


class Assembly:
    """Puts a plan together from windows that are finished in any order, by any thread."""

    def __init__(self, virtual_size: int) -> None:
        self._size = rounded_size(virtual_size)
        self._digest = ContentDigest(self._size)
        self._ranges = Ranges()
        self._next = 0
        self._early: Dict[int, List[Piece]] = {}
        self._lock = threading.Lock()
        self._bytes_to_send = FOOTER_SIZE
        self._puts = 1
        self.bytes_read = 0
        self.bytes_held = 0

    def add(self, order: int, window: Window, pieces: List[Piece], held: bool) -> None:
        """A finished window.

        :param order: 0, 1, 2 ... in the order of the windows on the disk
        :param held: whether the target had its pieces already
        """
        length = sum(piece.length for piece in pieces)
        with self._lock:
            self.bytes_read += window.bytes_to_read
            self.bytes_held += length if held else 0
            self._bytes_to_send += length
            self._puts += len(pieces)
            self._early[order] = pieces
            while self._next in self._early:
                for piece in self._early.pop(self._next):
                    self._digest.add(piece)
                    self._ranges.append(piece.offset, piece.offset + piece.length)
                self._next += 1

    def plan(self) -> Plan:
        """The plan, once all windows are there."""
        digest = self._digest.digest()
        return Plan(
            ranges=self._ranges,
            virtual_size=self._size,
            footer=build_fixed_footer(self._size, digest[:16]),
            content_sha256=digest.hex(),
            bytes_read=self.bytes_read,
            bytes_to_send=self._bytes_to_send,
            puts=self._puts,
            bytes_held=self.bytes_held,
        )


def make_plan(
    reader: DiskReader, threads: int = 2, progress: Optional[Report] = None, holds: Optional[Holds] = None
) -> Plan:
    """Read the disk and plan its upload without sending anything. Holds one window a thread in memory.

    :param progress: called after every window
    :param holds: says what of it the target has already
    """
    assembly = Assembly(reader.virtual_size)
    total = data_bytes(reader)
    buffers: Deque[bytearray] = deque(bytearray(WINDOW) for _number in range(threads))

    def work(order: int, window: Window) -> None:
        buffer = buffers.pop()
        try:
            pieces = scan(reader, window, buffer)
        finally:
            buffers.append(buffer)
        assembly.add(order, window, pieces, holds is not None and holds(window, pieces))

    waiting: Deque["Future[None]"] = deque()
    pool = ThreadPoolExecutor(max_workers=threads)
    try:
        for item in enumerate(windows(reader)):
            waiting.append(pool.submit(work, *item))
            if len(waiting) > 2 * threads:
                waiting.popleft().result()
                _report(progress, assembly, total)
        while waiting:
            waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown()
    _report(progress, assembly, total)
    return assembly.plan()


def _report(progress: Optional[Report], assembly: Assembly, total: int) -> None:
    if progress is not None:
        progress(Progress(min(assembly.bytes_read, total), total, 0, 0, 0.0))


def pieces_of(ranges: Iterable[Range]) -> Iterator[Tuple[int, int]]:
    """(offset, length) of the pieces that were joined to these ranges."""
    for start, end in ranges:
        position = start
        while position < end:
            stop = min(position - position % WINDOW + WINDOW, end)
            yield position, stop - position
            position = stop
