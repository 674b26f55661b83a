# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Send a disk to a page blob in one pass, by several connections at once.

Memory stays at one window per connection. What is sent is known only when all is sent; the footer, whose
unique id comes from the content, is the last.
"""

import threading
import time
from typing import Callable, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.journal import Journal
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import (
    Assembly,
    Holds,
    Plan,
    Progress,
    Report,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Ranges
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import (
    WINDOW,
    Window,
    data_bytes,
    scan,
    windows,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.workers import Workers

_PROGRESS_EVERY = 0.5

OpenBlob = Callable[[threading.Event], PageBlob]


class Sent(NamedTuple):
    """What was sent: bytes of bodies, number of Put Page requests, seconds it took.

    `bytes_resumed` were not: the target had them from an earlier run.
    """

    bytes_sent: int
    puts: int
    seconds: float
    bytes_resumed: int = 0


class _Work:
    """What the threads share."""

    def __init__(
        self,
        reader: DiskReader,
        cancelled: threading.Event,
        journal: Optional[Journal],
        holds: Optional[Holds],
    ) -> None:
        self.reader = reader
        self.assembly = Assembly(reader.virtual_size)
        self._cancelled = cancelled
        self.bytes_sent = 0
        self.puts = 0
        self._journal = journal
        self._holds = holds
        self._windows = enumerate(windows(reader))
        self._lock = threading.Lock()

    def _next(self) -> Optional[Tuple[int, Window]]:
        with self._lock:
            return None if self._cancelled.is_set() else next(self._windows, None)

    def sent(self, length: int) -> None:
        """One more request was acknowledged."""
        with self._lock:
            self.bytes_sent += length
            self.puts += 1

    def run(self, blob: PageBlob) -> None:
        """Take one window after the other until none is left."""
        buffer = bytearray(WINDOW)
        item = self._next()
        while item is not None:
            self._do(item[0], item[1], buffer, blob)
            item = self._next()

    def _do(self, order: int, window: Window, buffer: bytearray, blob: PageBlob) -> None:
        pieces = scan(self.reader, window, buffer)
        held = self._holds is not None and self._holds(window, pieces)
        if not held:
            view = memoryview(buffer)
            for piece in pieces:
                first = piece.offset - window.start
                blob.put_pages(piece.offset, view[first : first + piece.length], piece.md5)
                self.sent(piece.length)
            if self._journal is not None:
                self._journal.acknowledge(window, pieces)
        self.assembly.add(order, window, pieces, held)


def send(
    reader: DiskReader,
    open_blob: OpenBlob,
    connections: int = 12,
    progress: Optional[Report] = None,
    *,
    journal: Optional[Journal] = None,
    holds: Optional[Holds] = None,
) -> Tuple[Plan, Sent]:
    """Send every piece of the disk, then the footer.

    The first failure stops all connections and is raised: :class:`UploadError`, or
    :class:`~ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader.DiskError` when the file
    cannot be read any more or was changed since it was opened.

    :param open_blob: makes a client with a connection of its own, that stops when the given event is set
    :param progress: called twice a second
    :param journal: notes every window that has arrived
    :param holds: what the target has from an earlier run; whatever else it has is cleared
    """
    started = time.monotonic()
    workers: Workers[PageBlob] = Workers(open_blob, connections, "send")
    work = _Work(reader, workers.cancelled, journal, holds)
    total = data_bytes(reader)
    reached = [0]

    def report() -> None:
        if progress is not None:
            # On a slow line many seconds pass before a request is through.
            underway = sum(blob.bytes_underway for blob in workers.blobs)
            reached[0] = max(reached[0], min(work.assembly.bytes_read + underway, total))
            held = work.assembly.bytes_held
            sent = work.bytes_sent + underway
            progress(Progress(reached[0], total, sent, held, time.monotonic() - started))

    workers.run(work.run, report, _PROGRESS_EVERY)
    for path in reader.changed_files():
        raise DiskError(
            "{0}: was changed while it was uploaded; shut down what writes to it and try again".format(path)
        )
    plan = work.assembly.plan()
    blob = open_blob(workers.cancelled)
    try:
        if holds is not None:
            for start, end in Ranges(blob.page_ranges()).without(plan.ranges):
                blob.clear_pages(start, end)
        blob.put_pages(plan.virtual_size, plan.footer)
    finally:
        blob.close()
    work.sent(len(plan.footer))
    report()
    return plan, Sent(work.bytes_sent, work.puts, time.monotonic() - started, plan.bytes_held)
