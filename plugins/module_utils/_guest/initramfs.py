# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The names in an initramfs: cpio archives one after the other, the last of them packed.

Format: "initramfs buffer format" in the Linux kernel documentation.
"""

from typing import Iterator, List, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import RootView
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.unpack import (
    UnpackError,
    packing_of,
    unpacked,
)

_MAGICS = (b"070701", b"070702")
_HEADER = 110
_END = b"TRAILER!!!\0"
_READ = 1 << 20
_LONGEST_NAME = 4096
# More than this unpacked is no initramfs, but a trap.
_MOST = 4 << 30


class InitramfsError(Exception):
    """An initramfs that cannot be read; the text says why."""


def initramfs_names(root: RootView, path: str) -> List[str]:
    """The names of all files in an initramfs, without a leading slash.

    :raises InitramfsError: it is damaged, or packed with what this host cannot unpack
    """
    position = 0
    names: List[str] = []
    try:
        while True:
            head = root.read(path, 512, position)
            padding = len(head) - len(head.lstrip(b"\0"))
            if not head:
                return names
            if padding:
                position += padding
            elif head.startswith(_MAGICS):
                stream = _Stream(_pieces(root, path, position))
                names.extend(_archive(stream))
                position += stream.position
            else:
                packing = packing_of(head)
                if not packing:
                    raise InitramfsError("is no initramfs at byte {0}".format(position))
                packed = _Stream(_pieces(root, path, position))
                unpacking = _Stream(unpacked(packing, packed.some))
                while unpacking.skip_zeros():
                    names.extend(_archive(unpacking))
                if not unpacking.position:
                    raise InitramfsError("ends where its {0} stream begins".format(packing))
                return names
    except UnpackError as error:
        raise InitramfsError(str(error)) from None


def _pieces(root: RootView, path: str, position: int) -> Iterator[bytes]:
    while True:
        data = root.read(path, _READ, position)
        if not data:
            return
        yield data
        position += len(data)


class _Stream:
    """Pieces of bytes read as one stream; `position` is how many were taken."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")
        self.position = 0

    def _fill(self) -> bool:
        while not len(self._left):
            piece: Optional[bytes] = next(self._pieces, None)
            if piece is None:
                return False
            self._left = memoryview(piece)
        return True

    def some(self, count: int) -> bytes:
        """At most `count` bytes; none at the end."""
        if not self._fill():
            return b""
        data = bytes(self._left[:count])
        self._left = self._left[len(data) :]
        self.position += len(data)
        return data

    def exactly(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        data = b""
        while len(data) < count:
            more = self.some(count - len(data))
            if not more:
                raise InitramfsError("ends in the midst of a file")
            data += more
        return data

    def skip(self, count: int) -> None:
        """Leave bytes out."""
        while count:
            if not self._fill():
                raise InitramfsError("ends in the midst of a file")
            step = min(count, len(self._left))
            self._left = self._left[step:]
            self.position += step
            count -= step
        if self.position > _MOST:
            raise InitramfsError("has more than {0} bytes unpacked".format(_MOST))

    def skip_zeros(self) -> bool:
        """Leave out the zeros between archives; False at the end."""
        while self._fill():
            rest = bytes(self._left[:_HEADER])
            zeros = len(rest) - len(rest.lstrip(b"\0"))
            if not zeros:
                return True
            self.skip(zeros)
        return False


def _archive(stream: _Stream) -> Iterator[str]:
    """The names in one cpio archive of the "newc" kind; the stream is left behind it."""
    while True:
        header = stream.exactly(_HEADER)
        try:
            size, name_size = int(header[54:62], 16), int(header[94:102], 16)
        except ValueError:
            name_size = 0
        if not header.startswith(_MAGICS) or not 0 < name_size <= _LONGEST_NAME:
            raise InitramfsError("holds a damaged cpio archive")
        # Header and name together, and the content, are filled up to a multiple of four.
        name = stream.exactly(name_size + -(_HEADER + name_size) % 4)[:name_size]
        if name == _END:
            return
        yield name[:-1].decode("utf-8", "surrogateescape").lstrip("/")
        stream.skip(size + -size % 4)
