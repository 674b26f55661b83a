# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A relay in front of a guest's SSH server that cuts every connection at a chosen point."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import NamedTuple

_CHUNK = 1 << 14
# Closed with this, a connection is reset: nothing that is on its way arrives.
_RESET = struct.pack("ii", 1, 0)


class Cut(NamedTuple):
    """When: after so many bytes in both directions together, or so many seconds after the first byte of a
    connection."""

    after_bytes: int | None = None
    after_seconds: float | None = None


class CuttingRelay:
    """Listens on a port of its own as long as the block lasts; only the first cut is made, all later
    connections are left alone. `relayed` counts bytes, `active_seconds` is from the first connection to the
    last byte."""

    def __init__(self, target: tuple[str, int], cut: Cut | None = None) -> None:
        self.target = target
        self.cut = cut
        self.relayed = 0
        self.active_seconds = 0.0
        self.was_cut = threading.Event()
        self._listener = socket.create_server((target[0], 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._begun: float | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> CuttingRelay:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.close()
        self._close_all()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return  # it was closed
            try:
                far = socket.create_connection(self.target, 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._open += [near, far]
                if self._begun is None:
                    self._begun = time.monotonic()
                    self._start_clock()
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=pair, daemon=True).start()

    def _start_clock(self) -> None:
        if self.cut is not None and self.cut.after_seconds is not None:
            timer = threading.Timer(self.cut.after_seconds, self._make_cut)
            timer.daemon = True
            timer.start()

    def _relay(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                limit = None if self.cut is None or self.was_cut.is_set() else self.cut.after_bytes
                with self._lock:
                    self.relayed += len(data)
                    self.active_seconds = time.monotonic() - (self._begun or 0.0)
                    due = limit is not None and self.relayed >= limit
                if due:
                    self._make_cut()
                    return
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _make_cut(self) -> None:
        if not self.was_cut.is_set():
            self.was_cut.set()
            self._close_all()

    def _close_all(self) -> None:
        with self._lock:
            sockets, self._open = self._open, []
        for each in sockets:
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                each.shutdown(socket.SHUT_RDWR)
            each.close()
