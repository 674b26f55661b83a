# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What of a disk has arrived, in a file that outlives a killed upload.

The file begins with a header, which says what was uploaded into what, and grows by one record for every
window whose pieces the service has acknowledged. A record that was cut off is left out, and so is everything
after it. The lock on the file ends with the process that holds it.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import struct
import threading
import time
import zlib
from array import array
from typing import Any, Dict, Iterator, List, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import DIGEST_HEADER
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import Ranges
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import WINDOW, Piece, Window

_MAGIC = b"goldenimage upload journal 1\n"
_FRAME = struct.Struct(">II")  # length of what follows, its CRC-32
_NUMBER = struct.Struct(">Q")
_PIECE = struct.Struct(">QI16s")
_LONGEST_RECORD = 1 << 20
_SYNC_EVERY = 2.0
_MARKS_IN_BLOCK = 512  # 4 KiB for 2 GiB of the disk


class Header:
    """What an upload is: of which files, into which target, under which id.

    `target`: names and ids that tell the target from every other one, also from a later one of the same name.
    """

    def __init__(self, reader: DiskReader, upload: str, target: Dict[str, Any]) -> None:
        self.upload = upload
        self.fields = {"upload": upload, "target": target}
        self.fields.update(source_identity(reader))


def source_identity(reader: DiskReader) -> Dict[str, Any]:
    """What changes when somebody writes to the disk's files or replaces them, and how they are read."""
    states = [file.opened_state for file in reader.files()]
    return {
        "digest": DIGEST_HEADER.decode().strip(),
        "format": reader.format,
        "virtual_size": reader.virtual_size,
        # Not the device: its number may be another after the machine was started anew.
        "files": [[state.inode, state.size, state.modified_ns] for state in states],
    }


class Journal:
    """One open journal, locked against other processes; see :func:`open_journal`."""

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self.acknowledged_windows = 0
        self._fd = fd
        self._lock = threading.Lock()
        self._synced = 0.0
        self._broken = False
        self._end = 0
        self.fields: Optional[Dict[str, Any]] = None
        self._read_header()

    def is_of(self, reader: DiskReader) -> bool:
        """Whether it was written for these very files, unchanged since."""
        identity = source_identity(reader)
        return self.fields is not None and all(self.fields.get(k) == v for k, v in identity.items())

    @property
    def upload(self) -> Optional[str]:
        """The id of the upload it was written by; None when it is new."""
        return None if self.fields is None else str(self.fields.get("upload"))

    @property
    def target(self) -> Dict[str, Any]:
        """What that upload wrote to."""
        found = (self.fields or {}).get("target")
        return found if isinstance(found, dict) else {}

    def begin(self, header: Header) -> None:
        """Forget what stands in it and begin anew."""
        self.fields = header.fields
        self.acknowledged_windows = 0
        os.ftruncate(self._fd, 0)
        content = _MAGIC + _framed(json.dumps(header.fields, sort_keys=True).encode())
        os.pwrite(self._fd, content, 0)
        self._end = len(content)
        os.fsync(self._fd)
        folder = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def acknowledge(self, window: Window, pieces: List[Piece]) -> None:
        """The service has taken all pieces of a window.

        A full file system ends the journal, not the upload.
        """
        if not pieces:
            return
        record = _framed(_NUMBER.pack(window.number) + b"".join(_PIECE.pack(*piece) for piece in pieces))
        with self._lock:
            if self._broken or self._fd < 0:
                return
            try:
                written = os.pwrite(self._fd, record, self._end)
                if time.monotonic() - self._synced > _SYNC_EVERY:
                    os.fsync(self._fd)
                    self._synced = time.monotonic()
            except OSError:
                self._broken = True
                return
            self._broken = written < len(record)
            self._end += written
            self.acknowledged_windows += 1

    def marks(self) -> "Marks":
        """For every window of the disk the mark of its pieces, 0 where the journal has none."""
        virtual_size = int((self.fields or {}).get("virtual_size", 0))
        found = Marks(-(-virtual_size // WINDOW))
        for payload, end in self._records(self._end):
            number = _NUMBER.unpack_from(payload)[0] if len(payload) >= _NUMBER.size else len(found)
            if number >= len(found):
                break
            found[number] = _mark(payload[_NUMBER.size :])
            self.acknowledged_windows += 1
            self._end = end
        # What was cut off is overwritten by the next record.
        os.ftruncate(self._fd, self._end)
        return found

    def _read_header(self) -> None:
        if os.pread(self._fd, len(_MAGIC), 0) != _MAGIC:
            return
        for payload, end in self._records(len(_MAGIC)):
            try:
                fields = json.loads(payload.decode())
            except ValueError:
                return
            if isinstance(fields, dict):
                self.fields, self._end = fields, end
            return

    def _records(self, position: int) -> Iterator[Tuple[bytes, int]]:
        """(payload, where the next record begins) of the whole records from a place on."""
        while True:
            frame = os.pread(self._fd, _FRAME.size, position)
            if len(frame) < _FRAME.size:
                return
            length, check = _FRAME.unpack(frame)
            payload = os.pread(self._fd, length, position + _FRAME.size) if length <= _LONGEST_RECORD else b""
            if len(payload) != length or zlib.crc32(payload) & 0xFFFFFFFF != check:
                return
            position += _FRAME.size + length
            yield payload, position

    def remove(self) -> None:
        """Delete the file: there is nothing to go on with."""
        if self._fd >= 0:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            self.close()

    def close(self) -> None:
        """Close the file and give the lock back; a second call does nothing."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1


def open_journal(path: str) -> Optional[Journal]:
    """Open or create a journal of mode 0600 and lock it; None where no file can be written.

    One that another process holds raises :class:`UploadError`.
    """
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(fd, path):
                return Journal(path, fd)
        except OSError as error:
            os.close(fd)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise UploadError(
                    "Another upload of this disk to the same target is under way on this host "
                    "(it holds {0})".format(path)
                ) from None
            return None
        # The upload that held it has just ended and removed it.
        os.close(fd)


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


class Marks:
    """64 bits for each of so many windows, at first 0; where all are 0, they need no memory."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._blocks: Dict[int, "array[int]"] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> int:
        block = self._blocks.get(number // _MARKS_IN_BLOCK)
        return 0 if block is None else block[number % _MARKS_IN_BLOCK]

    def __setitem__(self, number: int, mark: int) -> None:
        block = self._blocks.setdefault(number // _MARKS_IN_BLOCK, array("Q"))
        if not block:
            block.extend([0] * _MARKS_IN_BLOCK)
        block[number % _MARKS_IN_BLOCK] = mark


class Held:
    """What an earlier run has sent: windows that are in the journal and, by its own word, at the service.

    :param ranges: what the service says is written; None believes the journal alone
    """

    def __init__(self, marks: Marks, ranges: Optional[Ranges]) -> None:
        self._marks = marks
        self._ranges = ranges

    def __call__(self, window: Window, pieces: List[Piece]) -> bool:
        """Whether the target has these pieces."""
        known = self._marks[window.number]
        if not pieces or known != _mark(b"".join(_PIECE.pack(*piece) for piece in pieces)):
            return False
        ranges = self._ranges
        return ranges is None or all(
            ranges.cover(piece.offset, piece.offset + piece.length) for piece in pieces
        )


def _framed(payload: bytes) -> bytes:
    return _FRAME.pack(len(payload), zlib.crc32(payload) & 0xFFFFFFFF) + payload


def _mark(pieces: bytes) -> int:
    """64 bits in place of a window's pieces, so that a disk of any size needs little memory; never 0."""
    return int.from_bytes(hashlib.sha256(pieces).digest()[:8], "big") or 1
