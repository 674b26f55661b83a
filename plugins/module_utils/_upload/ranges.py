# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Page ranges: which bytes of a page blob were ever written."""

from array import array
from bisect import bisect_right
from typing import Iterable, Iterator, Optional, Tuple

Range = Tuple[int, int]


class Ranges:
    """Ascending (start, end) ranges, end exclusive, neighbours joined; 16 bytes of memory each.

    The service joins neighbours itself or not, as it likes, but names them in ascending order (REST
    reference, "Get Page Ranges").
    """

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._starts = array("Q")
        self._ends = array("Q")
        for start, end in ranges:
            self.append(start, end)

    def append(self, start: int, end: int) -> None:
        """Add a range that begins at or after the beginning of the last one."""
        if self._ends and start <= self._ends[-1]:
            self._ends[-1] = max(end, self._ends[-1])
        else:
            self._starts.append(start)
            self._ends.append(end)

    def followed_by(self, start: int, end: int) -> "Ranges":
        """A copy with one more range at its end."""
        copy = Ranges()
        copy._starts, copy._ends = self._starts[:], self._ends[:]
        copy.append(start, end)
        return copy

    def __iter__(self) -> Iterator[Range]:
        return zip(self._starts, self._ends)  # noqa: B905 - Python 3.6 has no strict

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and (self._starts, self._ends) == (other._starts, other._ends)

    __hash__ = None  # type: ignore[assignment]

    def cover(self, start: int, end: int) -> bool:
        """Whether all bytes from start to end are in one of the ranges."""
        found = bisect_right(self._starts, start) - 1
        return found >= 0 and end <= self._ends[found]

    def overlapping(self, start: int, end: int) -> Iterator[Tuple[int, int, int]]:
        """(number, start, end) of the ranges that have bytes from start to end, numbered from 0, whole."""
        number = max(0, bisect_right(self._starts, start) - 1)
        while number < len(self._starts) and self._starts[number] < end:
            if self._ends[number] > start:
                yield number, self._starts[number], self._ends[number]
            number += 1

    def without(self, others: "Ranges") -> Iterator[Range]:
        """What is in these ranges and in none of the others."""
        number = 0
        for start, end in self:
            while number < len(others) and others._ends[number] <= start:
                number += 1
            position, at = start, number
            while at < len(others) and others._starts[at] < end:
                if others._starts[at] > position:
                    yield position, others._starts[at]
                position = others._ends[at]
                at += 1
            if position < end:
                yield position, end


def first_difference(expected: Ranges, found: Ranges) -> Optional[str]:
    """Say where two sets of ranges differ first; None when they cover the same bytes."""
    for mine, other in zip(expected, found):  # noqa: B905 - Python 3.6 has no strict
        if mine != other:
            return "bytes {0} to {1} were to be written, but bytes {2} to {3} are".format(*(mine + other))
    if len(expected) > len(found):
        start = list(expected)[len(found)][0]
        return "nothing is written from byte {0} on, where bytes were to be written".format(start)
    if len(found) > len(expected):
        start = list(found)[len(expected)][0]
        return "bytes from {0} on are written, where nothing was to be written".format(start)
    return None
