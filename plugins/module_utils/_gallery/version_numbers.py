# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Numbers of versions that nobody has to think of: the next one, the date's, or the source's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import (
    LARGEST_PART,
    VersionNumber,
    version_number,
)

NEXT_PATCH, NEXT_MINOR, NEXT_MAJOR, DATE, SOURCE = (
    "next_patch",
    "next_minor",
    "next_major",
    "date",
    "source",
)
AUTOMATIC = (NEXT_PATCH, NEXT_MINOR, NEXT_MAJOR, DATE, SOURCE)
FIRST = VersionNumber(1, 0, 0)


def next_number(how: str, taken: Iterable[str], today: date, source_version: str | None = None) -> str:
    """The number for a new version.

    :param how: one of AUTOMATIC
    :param taken: the names of all versions there are, also of deleted ones that Azure keeps
    :param source_version: of the source, where that has one
    """
    numbers = sorted(number for name in taken if (number := version_number(name)) is not None)
    if how == SOURCE:
        return str(_of_source(source_version))
    if how == DATE:
        return str(_of_date(numbers, today))
    if not numbers:
        return str(FIRST)
    last = numbers[-1]
    following = {
        NEXT_PATCH: VersionNumber(last.major, last.minor, last.patch + 1),
        NEXT_MINOR: VersionNumber(last.major, last.minor + 1, 0),
        NEXT_MAJOR: VersionNumber(last.major + 1, 0, 0),
    }[how]
    if max(following) > LARGEST_PART:
        raise InvalidInput(
            f"version: after {last} there is no {how.replace('_', ' ')} version, its numbers end at"
            f" {LARGEST_PART}.",
            remedy="Raise another part, or give the number.",
        )
    return str(following)


def _of_date(numbers: Iterable[VersionNumber], today: date) -> VersionNumber:
    """Year, month and day, and the number of the version on that day: 2026.1121.0."""
    first = VersionNumber(today.year, today.month * 100 + today.day, 0)
    same_day = [number.patch for number in numbers if number[:2] == first[:2]]
    return first._replace(patch=max(same_day, default=-1) + 1)


def _of_source(version: str | None) -> VersionNumber:
    """The source's own version. The Marketplace writes leading zeros, galleries do not take them."""
    parts = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version or "", re.ASCII)
    number = VersionNumber(*map(int, parts.groups())) if parts else None
    if number is None or max(number) > LARGEST_PART:
        raise InvalidInput(
            f"version: the source has {f'version {version}' if version else 'no version'}, which is none for"
            " a gallery.",
            remedy="Give the number, or let it be counted with next_patch.",
        )
    return number
