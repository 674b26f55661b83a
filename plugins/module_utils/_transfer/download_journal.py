# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What of a download has arrived, in a file beside it, so that a killed one is gone on with.

A header says of what the download is; behind it each piece has a place for its MD5, zeros until it has
arrived. An MD5 is believed only as far as the partial file's own content has it, so that a torn one does no
harm.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_pieces import Pieces

_MAGIC = b"goldenimage download journal 1\n\0"
_DIGEST = 32
_HEADER = len(_MAGIC) + 2 * _DIGEST
_MD5 = 16
_NOTHING = bytes(_MD5)


def subject_digest(subject: Mapping[str, Any]) -> bytes:
    """32 bytes that tell a download from every other one."""
    return hashlib.sha256(json.dumps(subject, sort_keys=True).encode()).digest()


def is_journal_of(path: str, subject: Mapping[str, Any]) -> bool:
    """Whether the file at `path` is the journal of a download of this."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_HEADER - _DIGEST) == _MAGIC + subject_digest(subject)
    except OSError:
        return False


class DownloadJournal:
    """The journal of one download, open; to be closed. Safe to be asked by several threads.

    A file that cannot be written raises :class:`DiskError`.

    :param subject: what tells the download from every other one
    """

    def __init__(self, path: str, subject: Mapping[str, Any], pieces: Pieces) -> None:
        self._path = path
        header = _MAGIC + subject_digest(subject) + pieces.digest()
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._failed(error) from None
        try:
            #: Whether an earlier run of the same download has left it.
            self.resumed = os.pread(self._fd, _HEADER, 0) == header
            if not self.resumed:
                os.ftruncate(self._fd, 0)
                self._write(header, 0)
                self._sync()
        except BaseException:
            self.close()
            raise

    def md5_of(self, number: int) -> bytes | None:
        """With which MD5 the piece has arrived; None when it has not."""
        found = os.pread(self._fd, _MD5, _HEADER + _MD5 * number)
        return found if len(found) == _MD5 and found != _NOTHING else None

    def note(self, arrived: Iterable[tuple[int, bytes]]) -> None:
        """Put down numbers and MD5s of pieces; the caller has synchronised the partial file before."""
        for number, check in arrived:
            self._write(check, _HEADER + _MD5 * number)
        self._sync()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: bytes, place: int) -> None:
        try:
            os.pwrite(self._fd, data, place)
        except OSError as error:
            raise self._failed(error) from None

    def _sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> DiskError:
        return DiskError(f"{self._path}: cannot be written: {error.strerror}")
