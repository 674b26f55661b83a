# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Disk files that are written at any place in any order: raw and fixed VHD here, qcow2 in `writers_qcow2`.

Where data will come is known before it comes, so that everything else of the file can be laid out first. What
is zero is not written: it stays a hole.
"""

import os
from typing import Iterator, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError

BLOCK = 4096
_ZERO_BLOCK = bytes(BLOCK)

Pieces = Iterator[Tuple[int, int, int]]


class DiskWriter:
    """A disk file of format "raw" whose content is still missing. Safe to write to from several threads.

    :param fd: the file, open for reading and writing; it stays the caller's
    :param path: its name, for messages
    :param virtual_size: the disk's size in bytes
    """

    format = "raw"
    #: How many bytes of the file are no content.
    overhead = 0

    def __init__(self, fd: int, path: str, virtual_size: int) -> None:
        self._fd = fd
        self._path = path
        self.virtual_size = virtual_size

    def prepare(self) -> None:
        """Give the file its length and write everything in it that is no content."""
        self._truncate(self.virtual_size)

    def write(self, offset: int, data: bytes) -> None:
        """Write content of the disk; a full file system raises :class:`DiskError`."""
        view = memoryview(data)
        for start, place, length in self._places(offset, len(data)):
            self._write_data(data, view, start, length, place)

    def read(self, offset: int, length: int) -> bytes:
        """Content of the disk, as it was written; fewer bytes where the file ends."""
        try:
            return b"".join(
                os.pread(self._fd, size, place) for _start, place, size in self._places(offset, length)
            )
        except OSError as error:
            raise DiskError("{0}: cannot be read: {1}".format(self._path, error.strerror)) from None

    def sync(self) -> None:
        """Wait until all that was written is on the storage; failing that raises :class:`DiskError`."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise self._failed(error) from None

    def _places(self, offset: int, length: int) -> Pieces:
        """(start within the data, place in the file, length) of the parts of a piece of the disk."""
        yield 0, offset, length

    def _write_data(self, data: bytes, view: memoryview, start: int, length: int, place: int) -> None:
        """Write what is not zero, in runs of whole blocks."""
        end = start + length
        run = start
        for position in range(start, end, BLOCK):
            stop = min(position + BLOCK, end)
            zero = _ZERO_BLOCK if stop - position == BLOCK else bytes(stop - position)
            if data.startswith(zero, position):
                self._write_at(view[run:position], place + run - start)
                run = stop
        self._write_at(view[run:end], place + run - start)

    def _write_at(self, view: memoryview, place: int) -> None:
        done = 0
        while done < len(view):
            try:
                done += os.pwrite(self._fd, view[done:], place + done)
            except OSError as error:
                raise self._failed(error) from None

    def _truncate(self, size: int) -> None:
        try:
            os.ftruncate(self._fd, size)
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> DiskError:
        return DiskError("{0}: cannot be written: {1}".format(self._path, error.strerror))


class FixedVhdWriter(DiskWriter):
    """A fixed VHD.

    :param footer: the 512 bytes behind the disk
    """

    format = "vhd"

    def __init__(self, fd: int, path: str, virtual_size: int, footer: bytes) -> None:
        super().__init__(fd, path, virtual_size)
        self._footer = footer
        self.overhead = len(footer)

    def prepare(self) -> None:
        self._truncate(self.virtual_size + len(self._footer))
        self._write_at(memoryview(self._footer), self.virtual_size)
