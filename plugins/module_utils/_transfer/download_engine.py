# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Fetch the pieces of a disk by several connections at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers import DiskWriter
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_blob import SourceBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_journal import (
    Arrived,
    DownloadJournal,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadCancelledError

_NOTE_EVERY = 1.0

OpenSource = Callable[[threading.Event], SourceBlob]
Piece = tuple[int, int]


class Fetched(NamedTuple):
    """What came: bytes of content, number of requests, seconds it took."""

    bytes_received: int
    requests: int
    seconds: float


class _Work:
    """What the threads share."""

    def __init__(self, pieces: Iterable[Piece], writer: DiskWriter, etag: str) -> None:
        self.cancel = threading.Event()
        self.error: Exception | None = None
        self.bytes_received = self.requests = 0
        self._pieces: Iterator[Piece] = iter(pieces)
        self._writer = writer
        self._etag = etag
        self._arrived: list[Arrived] = []
        self._lock = threading.Lock()

    def _next(self) -> Piece | None:
        with self._lock:
            return None if self.cancel.is_set() else next(self._pieces, None)

    def run(self, blob: SourceBlob) -> None:
        """The life of one thread."""
        try:
            piece = self._next()
            while piece is not None:
                data, check = blob.fetch(*piece, self._etag)
                self._writer.write(piece[0], data)
                with self._lock:
                    self._arrived.append(Arrived(*piece, check.hex()))
                    self.bytes_received += len(data)
                    self.requests += 1
                piece = self._next()
        except UploadCancelledError:
            return
        # The boundary of a thread: whatever ends it, the others and the user must know.
        except Exception as error:  # noqa: BLE001
            with self._lock:
                if self.error is None and not self.cancel.is_set():
                    self.error = error
            self.cancel.set()
        finally:
            blob.close()

    def note(self, fd: int, journal: DownloadJournal) -> None:
        """Put down what has arrived since the last time, once it is on the disk."""
        with self._lock:
            arrived, self._arrived = self._arrived, []
        if arrived:
            os.fdatasync(fd)
            journal.note(arrived)


def fetch(
    pieces: Iterable[Piece],
    open_source: OpenSource,
    writer: DiskWriter,
    fd: int,
    journal: DownloadJournal,
    *,
    connections: int,
    etag: str,
) -> Fetched:
    """Fetch all pieces into the writer's file, whose descriptor is `fd`, and note them in the journal.

    The first failure stops all connections and is raised: UploadError, or DiskError when the file cannot be
    written. What has arrived by then is in the journal.
    """
    started = time.monotonic()
    work = _Work(pieces, writer, etag)
    blobs = [open_source(work.cancel) for _number in range(connections)]
    threads = [threading.Thread(target=work.run, args=(blob,), daemon=True) for blob in blobs]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_NOTE_EVERY)
                if thread.is_alive():
                    work.note(fd, journal)
    except BaseException:
        # Interrupted: nothing may go on writing when the caller cleans up.
        work.cancel.set()
        for blob in blobs:
            blob.abort()
        for thread in threads:
            if thread.is_alive():
                thread.join(5)
        work.note(fd, journal)
        raise
    work.note(fd, journal)
    if work.error is not None:
        raise work.error
    return Fetched(work.bytes_received, work.requests, time.monotonic() - started)
