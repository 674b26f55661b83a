# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Send a disk to a page blob in one pass, by several connections at once.

Threads with one keep-alive connection each: reading, hashing and sending release the interpreter lock, and
memory stays at one window per connection. What is sent is known only when all is sent; the footer, whose
unique id comes from the content, is the last.
"""

import threading
import time
from typing import Callable, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import (
    UploadCancelledError,
)
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

    def __init__(self, reader: DiskReader, journal: Optional[Journal], holds: Optional[Holds]) -> None:
        self.reader = reader
        self.assembly = Assembly(reader.virtual_size)
        self.cancel = threading.Event()
        self.error: Optional[Exception] = None
        self.bytes_sent = 0
        self.puts = 0
        self._journal = journal
        self._holds = holds
        self._windows = enumerate(windows(reader))
        self._lock = threading.Lock()

    def _next(self) -> Optional[Tuple[int, Window]]:
        with self._lock:
            return None if self.cancel.is_set() else next(self._windows, None)

    def sent(self, length: int) -> None:
        """One more request was acknowledged."""
        with self._lock:
            self.bytes_sent += length
            self.puts += 1

    def fail(self, error: Exception) -> None:
        """Keep the first error; what fails after it fails because of it."""
        with self._lock:
            if self.error is None and not self.cancel.is_set():
                self.error = error
        self.cancel.set()

    def run(self, blob: PageBlob) -> None:
        """The life of one thread."""
        buffer = bytearray(WINDOW)
        try:
            item = self._next()
            while item is not None:
                self._do(item[0], item[1], buffer, blob)
                item = self._next()
        except UploadCancelledError:
            return
        # The boundary of a thread: whatever ends it, the others and the user must know.
        except Exception as error:  # noqa: BLE001
            self.fail(error)
        finally:
            blob.close()

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
    connections: int = 8,
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
    work = _Work(reader, journal, holds)
    total = data_bytes(reader)

    blobs = [open_blob(work.cancel) for _number in range(connections)]
    reached = [0]

    def report() -> None:
        if progress is not None:
            # On a slow line many seconds pass before a request is through.
            underway = sum(blob.bytes_underway for blob in blobs)
            reached[0] = max(reached[0], min(work.assembly.bytes_read + underway, total))
            held = work.assembly.bytes_held
            sent = work.bytes_sent + underway
            progress(Progress(reached[0], total, sent, held, time.monotonic() - started))

    _run_threads(work, blobs, report)
    for path in reader.changed_files():
        raise DiskError(
            "{0}: was changed while it was uploaded; shut down what writes to it and try again".format(path)
        )
    plan = work.assembly.plan()
    blob = open_blob(work.cancel)
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


def _run_threads(work: _Work, blobs: List[PageBlob], report: Callable[[], None]) -> None:
    threads = [
        threading.Thread(target=work.run, args=(blob,), daemon=True, name="send-{0}".format(number))
        for number, blob in enumerate(blobs)
    ]
    try:
        for thread in threads:
            thread.start()
        _wait(work, blobs, threads, report)
    except BaseException:
        # Interrupted or killed: nothing may go on writing when the caller cleans up.
        work.cancel.set()
        for blob in blobs:
            blob.abort()
        for thread in threads:
            if thread.is_alive():
                thread.join(5)
        raise
    if work.error is not None:
        raise work.error


def _wait(
    work: _Work, blobs: List[PageBlob], threads: List[threading.Thread], report: Callable[[], None]
) -> None:
    deadline = time.monotonic() + _PROGRESS_EVERY
    for thread in threads:
        while thread.is_alive():
            thread.join(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                if work.cancel.is_set():
                    # One has failed for good; the others need not wait for answers that no longer matter.
                    for blob in blobs:
                        blob.abort()
                report()
                deadline = time.monotonic() + _PROGRESS_EVERY
