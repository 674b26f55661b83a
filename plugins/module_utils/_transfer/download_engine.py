# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Fetch the pieces of a disk by several connections at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers import DiskWriter
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_blob import SourceBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_journal import (
    DownloadJournal,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_pieces import (
    Pieces,
    RemotePiece,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.checksum import md5
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Progress, Report
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.throttle import Throttle
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.workers import Workers

_NOTE_EVERY = 1.0

OpenSource = Callable[[threading.Event], SourceBlob]


class Fetched(NamedTuple):
    """What came: bytes of content, number of requests, seconds it took.

    `bytes_resumed` did not come: they were in the partial file of an earlier run. Of `bytes_checked` of those
    that came the service told the MD5.
    """

    bytes_received: int = 0
    requests: int = 0
    seconds: float = 0.0
    bytes_resumed: int = 0
    bytes_checked: int = 0


class _Work:
    """What the threads share."""

    def __init__(
        self,
        pieces: Pieces,
        writer: DiskWriter,
        journal: DownloadJournal,
        *,
        throttle: Throttle | None,
        etag: str,
        cancelled: threading.Event,
    ) -> None:
        self.bytes_received = self.requests = self.bytes_resumed = self.bytes_checked = 0
        self._pieces = iter(pieces)
        self._writer = writer
        self._journal = journal
        self._throttle = throttle
        self._etag = etag
        self._cancelled = cancelled
        self._arrived: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()

    def _next(self) -> RemotePiece | None:
        with self._lock:
            return None if self._cancelled.is_set() else next(self._pieces, None)

    def run(self, blob: SourceBlob) -> None:
        """Take one piece after the other until none is left."""
        piece = self._next()
        while piece is not None:
            if not self._is_held(piece):
                self._get(piece, blob)
            piece = self._next()

    def _is_held(self, piece: RemotePiece) -> bool:
        """Whether the partial file of an earlier run has the piece, by its own content."""
        known = self._journal.md5_of(piece.number) if self._journal.resumed else None
        if known is None or md5(self._writer.read(piece.offset, piece.length)) != known:
            return False
        with self._lock:
            self.bytes_resumed += piece.length
        return True

    def _get(self, piece: RemotePiece, blob: SourceBlob) -> None:
        if self._throttle is not None:
            self._throttle.wait(piece.length, self._cancelled)
        came = blob.fetch(piece.offset, piece.length, self._etag)
        self._writer.write(piece.offset, came.data)
        with self._lock:
            self._arrived.append((piece.number, came.md5))
            self.bytes_received += piece.length
            self.bytes_checked += piece.length if came.checked else 0
            self.requests += 1

    def note(self) -> None:
        """Put down what has arrived since the last time, once it is on the disk."""
        with self._lock:
            arrived, self._arrived = self._arrived, []
        if arrived:
            self._writer.sync()
            self._journal.note(arrived)


def fetch(
    pieces: Pieces,
    open_source: OpenSource,
    writer: DiskWriter,
    journal: DownloadJournal,
    progress: Report,
    *,
    connections: int,
    throttle: Throttle | None,
    etag: str,
) -> Fetched:
    """Fetch all pieces that the writer's file does not have, and note them in the journal.

    The first failure stops all connections and is raised: UploadError, or DiskError when the file cannot be
    written. What has arrived by then is in the journal. Memory stays at one piece per connection.

    :param progress: called every second
    """
    started = time.monotonic()
    workers = Workers(open_source, max(1, min(connections, pieces.count)), "fetch")
    work = _Work(pieces, writer, journal, throttle=throttle, etag=etag, cancelled=workers.cancelled)

    def report() -> None:
        done = work.bytes_received + work.bytes_resumed
        seconds = time.monotonic() - started
        progress(Progress(done, pieces.total, work.bytes_received, work.bytes_resumed, seconds))

    def tick() -> None:
        report()
        work.note()

    try:
        workers.run(work.run, tick, _NOTE_EVERY)
    except BaseException:
        # What went wrong is to be told, not that it could not be noted.
        with suppress(DiskError):
            work.note()
        raise
    work.note()
    report()
    return Fetched(
        work.bytes_received,
        work.requests,
        time.monotonic() - started,
        work.bytes_resumed,
        work.bytes_checked,
    )
