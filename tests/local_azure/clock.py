# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Times as Azure writes them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_EPOCH_OF_TICKS = datetime(1, 1, 1, tzinfo=timezone.utc)


def now() -> datetime:
    return datetime.now(timezone.utc)


def wire_time(moment: datetime) -> str:
    """Up to seven digits of a second without trailing zeros, and a numeric offset instead of Z."""
    fraction = f"{moment.microsecond:06d}0".rstrip("0")
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction}+00:00" if fraction else f"{text}+00:00"


def storage_time(moment: datetime) -> str:
    """The storage provider's form: always seven digits and Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def ticks(moment: datetime) -> int:
    """100 ns steps since the year 1."""
    return (moment - _EPOCH_OF_TICKS) // timedelta(microseconds=1) * 10
