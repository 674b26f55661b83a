# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Send a plan to a page blob by several connections at once.

Threads with one keep-alive connection each: reading, hashing and sending release the interpreter lock, and
memory stays at one window per connection.
"""

import threading
import time
from typing import Callable, Iterator, List, NamedTuple, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import (
    UploadCancelledError,
    UploadError,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import (
    WINDOW,
    Piece,
    Plan,
    Progress,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import first_difference

_PROGRESS_EVERY = 0.5

OpenBlob = Callable[[threading.Event], PageBlob]


class Sent(NamedTuple):
    """What was sent: bytes of bodies, number of Put Page requests, seconds it took."""

    bytes_sent: int
    puts: int
    seconds: float


class _Work:
    """What the threads share."""

    def __init__(self, reader: DiskReader, pieces: List[Piece]) -> None:
        self.reader = reader
        self.cancel = threading.Event()
        self.error: Optional[Exception] = None
        self.bytes_done = 0
        self._pieces: Iterator[Piece] = iter(pieces)
        self._lock = threading.Lock()

    def next_piece(self) -> Optional[Piece]:
        with self._lock:
            return None if self.cancel.is_set() else next(self._pieces, None)

    def sent(self, length: int) -> None:
        with self._lock:
            self.bytes_done += length

    def fail(self, error: Exception) -> None:
        """Keep the first error; what fails after it fails because of it."""
        with self._lock:
            if self.error is None and not self.cancel.is_set():
                self.error = error
        self.cancel.set()

    def run(self, blob: PageBlob) -> None:
        """The life of one thread."""
        buffer = memoryview(bytearray(WINDOW))
        try:
            piece = self.next_piece()
            while piece is not None:
                offset, length = piece
                self.reader.read_into(offset, buffer[:length])
                blob.put_pages(offset, buffer[:length])
                self.sent(length)
                piece = self.next_piece()
        except UploadCancelledError:
            return
        # The boundary of a thread: whatever ends it, the others and the user must know.
        except Exception as error:  # noqa: BLE001
            self.fail(error)
        finally:
            blob.close()


def send(
    plan: Plan,
    reader: DiskReader,
    open_blob: OpenBlob,
    connections: int = 8,
    progress: Optional[Progress] = None,
) -> Sent:
    """Send every piece of the plan, then the footer.

    The first failure stops all connections and is raised: :class:`UploadError`, or
    :class:`~ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader.DiskError` when the file
    cannot be read any more or was changed since it was opened.

    :param open_blob: makes a client with a connection of its own, that stops when the given event is set
    :param progress: called twice a second with bytes sent, bytes to send and seconds so far
    """
    started = time.monotonic()
    work = _Work(reader, plan.pieces)
    blobs = [open_blob(work.cancel) for number in range(max(1, min(connections, len(plan.pieces))))]
    threads = [threading.Thread(target=work.run, args=(blob,), daemon=True) for blob in blobs]
    total = plan.bytes_to_send

    def report() -> None:
        if progress is not None:
            progress(work.bytes_done, total, time.monotonic() - started)

    try:
        for thread in threads:
            thread.start()
        _wait(threads, report)
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
    _check_unchanged(reader)
    footer = open_blob(work.cancel)
    try:
        footer.put_pages(plan.virtual_size, plan.footer)
    finally:
        footer.close()
    work.sent(len(plan.footer))
    report()
    return Sent(work.bytes_done, plan.puts, time.monotonic() - started)


def _wait(threads: List[threading.Thread], report: Callable[[], None]) -> None:
    deadline = time.monotonic() + _PROGRESS_EVERY
    for thread in threads:
        while thread.is_alive():
            thread.join(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline:
                report()
                deadline = time.monotonic() + _PROGRESS_EVERY


def _check_unchanged(reader: DiskReader) -> None:
    for path in reader.changed_files():
        raise DiskError(
            "{0}: was changed while it was uploaded; shut down what writes to it and try again".format(path)
        )


def verify(plan: Plan, blob: PageBlob) -> None:
    """Compare what the service says was written with the plan; a difference raises :class:`UploadError`.

    The data itself was checked by the service: every request carried its MD5.
    """
    expected = [(offset, offset + length) for offset, length in plan.pieces]
    expected.append((plan.virtual_size, plan.blob_size))
    difference = first_difference(expected, blob.page_ranges())
    if difference is not None:
        raise UploadError(
            "The uploaded disk is not what was sent: {0}. Something else wrote to it; "
            "upload it again.".format(difference)
        )
