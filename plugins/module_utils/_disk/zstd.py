# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Unpacking zstd, which the standard library has since Python 3.14 only: by libzstd otherwise, which package
managers and systemd bring along."""

import ctypes
import ctypes.util
import importlib
from typing import Any, Callable, Iterator, Optional

_PIECE = 1 << 20

Read = Callable[[int], bytes]


class ZstdError(Exception):
    """Something that cannot be unpacked: the text says why."""


class _Buffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer, which have the same members (zstd.h)."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("position", ctypes.c_size_t)]


def find_library(name: str, soname: str) -> Optional[ctypes.CDLL]:
    """A library of this host; None when it is not installed."""
    for candidate in (soname, ctypes.util.find_library(name)):
        try:
            if candidate:
                return ctypes.CDLL(candidate)
        except OSError:
            continue
    return None


def _standard_module() -> Any:
    """The module of the standard library; None where it is older than Python 3.14, or was built without."""
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        return None


def _libzstd() -> ctypes.CDLL:
    library = find_library("zstd", "libzstd.so.1")
    if library is None:
        raise ZstdError("this host has no libzstd to unpack it; install its package (libzstd or libzstd1)")
    library.ZSTD_createDStream.restype = ctypes.c_void_p
    library.ZSTD_decompressStream.restype = ctypes.c_size_t
    library.ZSTD_decompressStream.argtypes = [
        ctypes.c_void_p,
        ctypes.POINTER(_Buffer),
        ctypes.POINTER(_Buffer),
    ]
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    library.ZSTD_freeDStream.argtypes = [ctypes.c_void_p]
    return library


def unpack_stream(read: Read) -> Iterator[bytes]:
    """The content of frames that follow one another, in pieces.

    :param read: gives at most as many bytes as asked for; none at the end
    :raises ZstdError: damage, or no library for it on this host
    """
    return _pieces(read, _PIECE, False)


def unpack_frame(packed: bytes, limit: int) -> bytes:
    """The content of the frame that `packed` begins with, cut after `limit` bytes; what follows it is left
    alone.

    :raises ZstdError: damage, or no library for it on this host
    """
    standard = _standard_module()
    if standard is not None:
        try:
            return bytes(standard.ZstdDecompressor().decompress(packed, limit))
        except standard.ZstdError as error:
            raise ZstdError("the zstd stream is damaged: {0}".format(error)) from None
    waiting = [packed]
    found = b""
    for piece in _pieces(lambda _limit: waiting.pop() if waiting else b"", limit, True):
        found += piece
        if len(found) >= limit:
            break
    return found[:limit]


def _pieces(read: Read, size: int, single: bool) -> Iterator[bytes]:
    library = _libzstd()
    stream = library.ZSTD_createDStream()
    space = ctypes.create_string_buffer(size)
    try:
        while True:
            packed = read(_PIECE)
            if not packed:
                return
            source = _Buffer(ctypes.cast(ctypes.c_char_p(packed), ctypes.c_void_p), len(packed), 0)
            while source.position < source.size:
                target = _Buffer(ctypes.cast(space, ctypes.c_void_p), size, 0)
                state = library.ZSTD_decompressStream(stream, ctypes.byref(target), ctypes.byref(source))
                if library.ZSTD_isError(state):
                    raise ZstdError("the zstd stream is damaged")
                yield ctypes.string_at(space, target.position)
                if single and not state:
                    return
    finally:
        library.ZSTD_freeDStream(stream)
