# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""How far an upload or download is, as lines of JSON in a file that somebody may follow."""

import json
import os
import time
from typing import Any, Dict, Mapping, Optional, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Progress

_EVERY = 1.0


class ProgressFile:
    """Appends a line with `phase` and the members of :class:`Progress`, at most once a second.

    The file has mode 0600. A file that cannot be written is no reason to stop.
    """

    def __init__(self, path: Optional[str]) -> None:
        self._fd = -1
        self._last = 0.0
        if path:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                self._fd = os.open(path, flags, 0o600)
            except OSError:
                self._fd = -1

    def reading(self, progress: Progress) -> None:
        """The disk is read to find out what has to be sent."""
        self._write("reading", progress)

    def sending(self, progress: Progress) -> None:
        """The disk is read and sent."""
        self._write("sending", progress)

    def receiving(self, progress: Progress) -> None:
        """The disk is fetched."""
        self._write("receiving", progress)

    def checking(self, progress: Progress) -> None:
        """What was fetched is read again."""
        self._write("checking", progress)

    def copying(self, progress: Progress) -> None:
        """Azure copies; `sent` is what it has copied since somebody looks."""
        self._write("copying", progress)

    def replicating(self, regions: Sequence[Mapping[str, Any]]) -> None:
        """Azure copies a version of a gallery; each region has `region`, `state`, `progress` in percent."""
        self._append({"phase": "replicating", "regions": [dict(each) for each in regions]})

    def _write(self, phase: str, progress: Progress) -> None:
        now = time.monotonic()
        if self._fd < 0 or (now - self._last < _EVERY and progress.done < progress.total):
            return
        self._last = now
        line: Dict[str, Any] = {"phase": phase}
        line.update(progress._asdict())
        line["seconds"] = round(progress.seconds, 1)
        self._append(line)

    def _append(self, line: Dict[str, Any]) -> None:
        if self._fd < 0:
            return
        try:
            os.write(self._fd, json.dumps(line).encode() + b"\n")
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
