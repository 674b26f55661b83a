# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Unpacking a stream piece by piece, whatever it is packed with: gzip, bzip2, xz, lzma, zstd or lz4.

The standard library has neither zstd nor lz4. Whoever makes such an initramfs has the libraries, so they are
called where they are; lz4 is simple enough to be unpacked here when they are not.
"""

import bz2
import ctypes
import lzma
import struct
import zlib
from typing import Callable, Iterator, Tuple, Union

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.zstd import (
    ZstdError,
    find_library,
    unpack_stream,
)

_PIECE = 1 << 20
_LZ4_BLOCK = 8 << 20
_LZ4_MAGIC = b"\x02\x21\x4c\x18"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

Read = Callable[[int], bytes]
"""Gives the next bytes of the packed stream, at most as many as asked for; none at its end."""


class UnpackError(Exception):
    """A stream that cannot be unpacked: the text says why."""


def packing_of(head: bytes) -> str:
    """What a stream is packed with, by its first bytes; empty for something else."""
    for magic, name in (
        (b"\x1f\x8b", "gzip"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x5d\0\0", "lzma"),
        (_ZSTD_MAGIC, "zstd"),
        (_LZ4_MAGIC, "lz4"),
    ):
        if head.startswith(magic):
            return name
    return ""


def unpacked(packing: str, read: Read) -> Iterator[bytes]:
    """The content of a packed stream in pieces.

    :raises UnpackError: damage, or no library for it on this host
    """
    if packing == "zstd":
        return _zstd(read)
    if packing == "lz4":
        return _lz4(read)
    return _standard(packing, read)


def _standard(packing: str, read: Read) -> Iterator[bytes]:
    unpacker: Union[bz2.BZ2Decompressor, lzma.LZMADecompressor, "zlib._Decompress"]
    if packing == "gzip":
        unpacker = zlib.decompressobj(31)
    elif packing == "bzip2":
        unpacker = bz2.BZ2Decompressor()
    else:
        unpacker = lzma.LZMADecompressor()
    while not unpacker.eof:
        packed = read(_PIECE)
        if not packed:
            return
        try:
            yield unpacker.decompress(packed)
        except (zlib.error, OSError, EOFError, lzma.LZMAError) as error:
            raise UnpackError("its {0} stream is damaged: {1}".format(packing, error)) from None


def _zstd(read: Read) -> Iterator[bytes]:
    try:
        yield from unpack_stream(read)
    except ZstdError as error:
        raise UnpackError("it is packed with zstd, and {0}".format(error)) from None


def _lz4(read: Read) -> Iterator[bytes]:
    """The "legacy" frame of the kernel's tools: the magic number, then blocks with their packed sizes."""
    library = find_library("lz4", "liblz4.so.1")
    _exactly(read, 4)
    while True:
        head = _exactly(read, 4)
        if head == _LZ4_MAGIC:
            continue
        size = struct.unpack("<I", head)[0] if len(head) == 4 else 0
        if not size:
            return
        packed = _exactly(read, size) if size <= _LZ4_BLOCK + _LZ4_BLOCK // 128 else b""
        if len(packed) < size:
            raise UnpackError("its lz4 stream is damaged")
        yield unpack_lz4_block(packed) if library is None else _lz4_block(library, packed)


def _exactly(read: Read, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = read(count - len(data))
        if not more:
            break
        data += more
    return data


def _lz4_block(library: ctypes.CDLL, packed: bytes) -> bytes:
    space = ctypes.create_string_buffer(_LZ4_BLOCK)
    size = library.LZ4_decompress_safe(packed, space, len(packed), _LZ4_BLOCK)
    if size < 0:
        raise UnpackError("its lz4 stream is damaged")
    return space.raw[:size]


def unpack_lz4_block(packed: bytes) -> bytes:
    """One block (lz4_Block_format.md): literals, then a copy of earlier output, again and again."""
    output = bytearray()
    position = 0
    try:
        while True:
            token = packed[position]
            position += 1
            length, position = _lz4_length(packed, position, token >> 4)
            output += packed[position : position + length]
            position += length
            if position >= len(packed):
                return bytes(output)
            distance = packed[position] | packed[position + 1] << 8
            length, position = _lz4_length(packed, position + 2, token & 15)
            start = len(output) - distance
            if not distance or start < 0 or len(output) + length > _LZ4_BLOCK:
                raise UnpackError("its lz4 stream is damaged")
            pattern = output[start : start + length + 4]
            # A copy may overlap what it makes: then the pattern repeats.
            output += (pattern * (-(-(length + 4) // len(pattern))))[: length + 4]
    except IndexError:
        raise UnpackError("its lz4 stream is damaged") from None


def _lz4_length(packed: bytes, position: int, start: int) -> Tuple[int, int]:
    length = start
    more = 255 if start == 15 else 0
    while more == 255:
        more = packed[position]
        position += 1
        length += more
    return length, position
