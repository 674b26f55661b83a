# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Reading a gallery's request bodies: each value as the type it has to be, or Azure's complaint about it.

`path` is always the property as Azure names it in the complaint; an absent or null property gives None or an
empty collection.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter
from tests.local_azure.store import Json


def section(parent: Json, key: str, path: str) -> Json:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_value(path)
    return value


def entries(parent: Json, key: str, path: str) -> list[Json]:
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise invalid_value(path)
    return value


def text(parent: Json, key: str, path: str) -> str | None:
    value = parent.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise invalid_value(path)
    return value


def required_text(parent: Json, key: str, path: str) -> str:
    value = text(parent, key, path)
    if not value:
        raise missing_parameter(path)
    return value


def choice(parent: Json, key: str, path: str, allowed: Sequence[str]) -> str | None:
    """One of `allowed` in their spelling, whatever the case it was sent in."""
    value = text(parent, key, path)
    if value is None:
        return None
    found = next((a for a in allowed if a.lower() == value.lower()), None)
    if found is None:
        raise invalid_value(path)
    return found


def flag(parent: Json, key: str, path: str) -> bool | None:
    value = parent.get(key)
    if value is not None and not isinstance(value, bool):
        raise invalid_value(path)
    return value


def number(parent: Json, key: str, path: str, smallest: int, largest: int) -> int | None:
    value: Any = parent.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid_value(path)
    if not smallest <= value <= largest:
        raise invalid_value(
            path,
            f"The value {value} of parameter {path} is out of range. The value must be between {smallest} "
            f"and {largest}, inclusive.",
        )
    return value


def future_date(parent: Json, key: str, path: str) -> str | None:
    """A date as Azure shows it; one that has passed is refused."""
    value = text(parent, key, path)
    if value is None:
        return None
    moment = moment_of(value)
    if moment is None:
        raise ArmError(
            400,
            "BadRequest",
            f"Could not convert string to DateTimeOffset: {value}. Path 'properties.{key}'.",
            target=path,
        )
    if moment <= now():
        raise invalid_value(path, "EndOfLifeDate must be set to a future date.")
    return wire_time(moment)


def moment_of(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
