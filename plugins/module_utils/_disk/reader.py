# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What every disk format reader offers, and the file below it."""

import os
import stat
from types import TracebackType
from typing import Iterator, List, NamedTuple, Optional, Tuple, Type

SECTOR = 512


class DiskError(Exception):
    """A disk file that cannot be used; the text says which file, what is wrong with it and what to do."""


class FileState(NamedTuple):
    """What changes when somebody writes to a file."""

    device: int
    inode: int
    size: int
    modified_ns: int


class SourceFile:
    """A file or block device opened for reading at given positions, from any number of threads.

    :param path: the file; missing, unreadable, empty and non-regular files raise :class:`DiskError`
    """

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | os.O_NONBLOCK)
        except FileNotFoundError:
            raise DiskError(
                "{0}: there is no such file; give the path of a disk file on the host "
                "this task runs on".format(path)
            ) from None
        except PermissionError:
            raise DiskError(
                "{0}: may not be read by user id {1}; change its permissions or use become".format(
                    path, os.geteuid()
                )
            ) from None
        except OSError as error:
            raise DiskError("{0}: cannot be opened: {1}".format(path, error.strerror)) from None
        try:
            self.size = self._measure()
        except DiskError:
            os.close(self._fd)
            raise
        self.opened_state = self.state()

    def _measure(self) -> int:
        mode = os.fstat(self._fd).st_mode
        if stat.S_ISDIR(mode):
            raise DiskError("{0}: is a directory; give the path of one disk file".format(self.path))
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            raise DiskError("{0}: is neither a regular file nor a block device".format(self.path))
        size = os.lseek(self._fd, 0, os.SEEK_END)
        if size == 0:
            raise DiskError(
                "{0}: is empty (0 bytes): the copy or export that made it failed; make it again".format(
                    self.path
                )
            )
        return size

    def state(self) -> FileState:
        """The file's identity, size and time of change, to notice that somebody writes to it."""
        now = os.fstat(self._fd)
        return FileState(now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill `view` from `offset`; a file that ends before that raises :class:`DiskError`."""
        done = 0
        while done < len(view):
            try:
                count = _pread_into(self._fd, view[done:], offset + done)
            except OSError as error:
                raise DiskError(
                    "{0}: reading at byte {1} failed: {2}".format(self.path, offset + done, error.strerror)
                ) from None
            if count == 0:
                raise DiskError(
                    "{0}: ends at byte {1}, but {2} bytes are needed from byte {3}; the file is truncated "
                    "or was changed while it was read".format(self.path, offset + done, len(view), offset)
                )
            done += count

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`."""
        data = bytearray(length)
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def read_up_to(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer at the end of the file."""
        return self.read(offset, max(0, min(length, self.size - offset)))

    def data_extents(self, end: int) -> Iterator[Tuple[int, int]]:
        """The (offset, length) pieces before `end` that are not holes, ascending.

        Where the file system cannot tell, everything is data (lseek(2), SEEK_DATA).
        """
        seek_data = getattr(os, "SEEK_DATA", None)
        seek_hole = getattr(os, "SEEK_HOLE", None)
        position = 0
        while position < end:
            start, stop = position, end
            if seek_data is not None and seek_hole is not None:
                try:
                    start = os.lseek(self._fd, position, seek_data)
                    stop = min(os.lseek(self._fd, start, seek_hole), end)
                except OSError as error:
                    if error.errno == 6:  # ENXIO: no data after this position
                        return
                    start, stop = position, end
            if start >= end:
                return
            yield start, stop - start
            position = stop

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _pread_into(fd: int, view: memoryview, offset: int) -> int:
    preadv = getattr(os, "preadv", None)
    if preadv is not None:
        return int(preadv(fd, [view], offset))
    # Python 3.6 has no preadv: one copy more.
    data = os.pread(fd, len(view), offset)
    view[: len(data)] = data
    return len(data)


class DiskReader:
    """A disk's content, whatever format its file has. Safe to read from several threads.

    Attributes: `path`; `format` ("raw", "vhd", "vhdx", "qcow2" or "vmdk"); `virtual_size`, the disk's size in
    bytes as the machine sees it.
    """

    format = ""

    def __init__(self, file: SourceFile, virtual_size: int) -> None:
        self.file = file
        self.path = file.path
        self.virtual_size = virtual_size

    def extents(self) -> Iterator[Tuple[int, int]]:
        """(offset, length) of what may hold data, ascending and disjoint; all else reads as zeros."""
        raise NotImplementedError

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill `view` with the disk's content from `offset`; past the end raises :class:`DiskError`."""
        raise NotImplementedError

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes of the disk from `offset`; past the end raises :class:`DiskError`."""
        data = bytearray(length)
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def check_bounds(self, offset: int, length: int) -> None:
        """Refuse to read outside of the disk."""
        if offset < 0 or offset + length > self.virtual_size:
            raise DiskError(
                "{0}: {1} bytes at byte {2} are outside of the disk, which has {3} bytes".format(
                    self.path, length, offset, self.virtual_size
                )
            )

    def files(self) -> List[SourceFile]:
        """All files that the disk is read from, the one that was opened first."""
        return [self.file]

    def changed_files(self) -> List[str]:
        """Paths of the files that somebody has written to since they were opened."""
        return [file.path for file in self.files() if file.state() != file.opened_state]

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def __enter__(self) -> "DiskReader":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()
