# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Byte ranges of page blobs, as ``(offset, length)`` in ascending order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

Range = tuple[int, int]

_MARKER = re.compile(rb"<NextMarker>([^<]+)</NextMarker>")
_ENTRY = re.compile(rb"<PageRange>\s*<Start>(\d+)</Start>\s*<End>(\d+)</End>\s*</PageRange>")


def parse_page_list(xml: bytes) -> list[Range]:
    """The written ranges named by a Get Page Ranges response body (its ``End`` is inclusive)."""
    return [(int(start), int(end) - int(start) + 1) for start, end in _ENTRY.findall(xml)]


def next_marker(xml: bytes) -> str | None:
    """Where the next page of a Get Page Ranges response begins; None on the last one."""
    found = _MARKER.search(xml)
    return found.group(1).decode() if found else None


def coalesced(ranges: Iterable[Range], gap: int = 0) -> Iterator[Range]:
    """Merge ranges that touch, or that at most ``gap`` bytes part."""
    current: Range | None = None
    for offset, length in ranges:
        if current is not None and offset <= current[0] + current[1] + gap:
            current = (current[0], max(current[1], offset + length - current[0]))
            continue
        if current is not None:
            yield current
        current = (offset, length)
    if current is not None:
        yield current


def pieces(ranges: Iterable[Range], size: int) -> Iterator[Range]:
    """Cut ranges into pieces of at most ``size`` bytes."""
    for offset, length in ranges:
        for start in range(0, length, size):
            yield offset + start, min(size, length - start)


def clipped(ranges: Iterable[Range], end: int) -> Iterator[Range]:
    """The parts of the ranges that lie before ``end``."""
    for offset, length in ranges:
        if offset < end:
            yield offset, min(length, end - offset)
