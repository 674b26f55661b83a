# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What of a download has arrived, in a file beside it, so that a killed one is gone on with.

The first line says of what the download is; each further line one piece that is safely in the partial file. A
line is believed only as far as the partial file's own content has its MD5.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

_VERSION = 1


class Arrived(NamedTuple):
    """A piece of the disk that was written to the partial file."""

    offset: int
    length: int
    md5: str


def read_subject(path: str) -> dict[str, Any] | None:
    """Of what the journal at `path` is; None without a readable one."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            found = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


class DownloadJournal:
    """The journal of one download; a context manager that closes the file.

    :param subject: what tells the download from every other one
    """

    def __init__(self, path: str, subject: Mapping[str, Any]) -> None:
        self._path = path
        self._subject = {**subject, "version": _VERSION}
        self._fd = -1

    def arrived(self) -> list[Arrived]:
        """The pieces that an earlier run of the same download noted; a torn last line is left out."""
        if read_subject(self._path) != self._subject:
            return []
        found = []
        with Path(self._path).open(encoding="utf-8", errors="replace") as file:
            file.readline()
            for line in file:
                try:
                    found.append(Arrived(*json.loads(line)))
                except (ValueError, TypeError):
                    break
        return found

    def begin(self, pieces: Iterable[Arrived]) -> None:
        """Write the journal anew with the pieces that are known to be there."""
        lines = [json.dumps(self._subject), *(json.dumps(piece) for piece in pieces)]
        new = Path(f"{self._path}.new")
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._fd = fd
        os.write(fd, "".join(f"{line}\n" for line in lines).encode())
        os.fsync(fd)
        new.replace(self._path)

    def note(self, pieces: Iterable[Arrived]) -> None:
        """Append pieces; the caller has synchronised the partial file before."""
        os.write(self._fd, "".join(f"{json.dumps(piece)}\n" for piece in pieces).encode())
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
