# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Page ranges: which bytes of a page blob were ever written."""

from typing import Iterable, List, Optional, Tuple

Range = Tuple[int, int]


def coalesced(ranges: Iterable[Range]) -> List[Range]:
    """(start, end) ranges, end exclusive, in order, with neighbours and overlaps joined.

    The service joins neighbours itself or not, as it likes.
    """
    joined: List[Range] = []
    for start, end in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def first_difference(expected: Iterable[Range], found: Iterable[Range]) -> Optional[str]:
    """Say where two sets of ranges differ first; None when they cover the same bytes."""
    ours, theirs = coalesced(expected), coalesced(found)
    for mine, other in zip(ours, theirs):  # noqa: B905 - Python 3.6 has no strict
        if mine != other:
            return "bytes {0} to {1} were to be written, but bytes {2} to {3} are".format(*(mine + other))
    if len(ours) > len(theirs):
        return "nothing is written from byte {0} on, where bytes were to be written".format(
            ours[len(theirs)][0]
        )
    if len(theirs) > len(ours):
        return "bytes from {0} on are written, where nothing was to be written".format(theirs[len(ours)][0])
    return None
