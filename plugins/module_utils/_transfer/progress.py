# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""How far an upload is, as lines of JSON in a file that somebody may follow."""

from __future__ import annotations

import json
import os
import time

_EVERY = 1.0


class ProgressFile:
    """Appends `{"phase", "done", "total", "seconds"}`, bytes and seconds, at most once a second.

    The file has mode 0600. A file that cannot be written is no reason to stop an upload.
    """

    def __init__(self, path: str | None) -> None:
        self._fd = -1
        self._last = 0.0
        if path:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                self._fd = os.open(path, flags, 0o600)
            except OSError:
                self._fd = -1

    def reading(self, done: int, total: int, seconds: float) -> None:
        """The disk is read to find out what has to be sent."""
        self._write("reading", done, total, seconds)

    def sending(self, done: int, total: int, seconds: float) -> None:
        """The data is sent."""
        self._write("sending", done, total, seconds)

    def _write(self, phase: str, done: int, total: int, seconds: float) -> None:
        now = time.monotonic()
        if self._fd < 0 or (now - self._last < _EVERY and done < total):
            return
        self._last = now
        line = json.dumps({"phase": phase, "done": done, "total": total, "seconds": round(seconds, 1)})
        try:
            os.write(self._fd, line.encode() + b"\n")
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
