# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Unpacking LZO1X, which the standard library does not have.

Facts: "LZO stream format as understood by Linux' LZO decompressor" (the kernel's documentation, staging/lzo).
"""

from typing import Tuple

_FIRST_LITERALS = 17
_END_DISTANCE = 16384
_ONLY_LITERALS = 4


class LzoError(Exception):
    """A damaged stream."""


def unpack_lzo(packed: bytes, limit: int) -> bytes:
    """The content of one stream, which is at most `limit` bytes.

    :raises LzoError: it is damaged, or longer
    """
    try:
        return _unpack(packed, limit)
    except IndexError:
        raise LzoError("the stream is cut off") from None


def _unpack(packed: bytes, limit: int) -> bytes:
    output = bytearray()
    position = 0
    # How many literals the instruction before ended with; it gives small instructions their meaning.
    literals = 0
    if packed[0] > _FIRST_LITERALS:
        count = packed[0] - _FIRST_LITERALS
        position = _literals(packed, 1, count, output)
        literals = min(count, _ONLY_LITERALS)
    while True:
        code = packed[position]
        position += 1
        if code < 16 and not literals:
            count, position = _length(packed, position, code, 15)
            position = _literals(packed, position, count + 3, output)
            literals = _ONLY_LITERALS
        else:
            length, distance, literals, position = _copy(packed, position, code, literals)
            if distance == _END_DISTANCE and 16 <= code < 32:
                return bytes(output)
            start = len(output) - distance
            if start < 0:
                raise LzoError("the stream refers to what is in front of it")
            if len(output) + length > limit:
                raise LzoError("the stream is longer than it should be")
            # A copy may overlap what it makes: then the pattern repeats.
            pattern = output[start : start + length]
            output += (pattern * (-(-length // len(pattern))))[:length]
            position = _literals(packed, position, literals, output)
        if len(output) > limit:
            raise LzoError("the stream is longer than it should be")


def _copy(packed: bytes, position: int, code: int, literals: int) -> Tuple[int, int, int, int]:
    """Length and distance of a copy, the number of literals behind it, and where the stream goes on."""
    if code >= 64:
        length = 3 + (code >> 5 & 1) if code < 128 else 5 + (code >> 5 & 3)
        return length, (packed[position] << 3) + (code >> 2 & 7) + 1, code & 3, position + 1
    if code >= 16:
        largest = 31 if code >= 32 else 7
        length, position = _length(packed, position, code & largest, largest)
        word = packed[position] | packed[position + 1] << 8
        distance = (word >> 2) + 1 if code >= 32 else _END_DISTANCE + ((code & 8) << 11) + (word >> 2)
        return length + 2, distance, word & 3, position + 2
    distance = (packed[position] << 2) + (code >> 2) + 1
    if literals == _ONLY_LITERALS:
        return 3, distance + 2048, code & 3, position + 1
    return 2, distance, code & 3, position + 1


def _length(packed: bytes, position: int, start: int, largest: int) -> Tuple[int, int]:
    if start:
        return start, position
    length = largest
    while not packed[position]:
        length += 255
        position += 1
    return length + packed[position], position + 1


def _literals(packed: bytes, position: int, count: int, output: bytearray) -> int:
    end = position + count
    if end > len(packed):
        raise LzoError("the stream is cut off")
    output += packed[position:end]
    return end
