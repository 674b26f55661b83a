# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Template functions of numbers, truth, lists, objects and dates.

Reference: https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from tests.local_azure.clock import now
from tests.local_azure.templates.errors import TemplateError
from tests.local_azure.templates.text_functions import TemplateFunction

_DURATION_UNITS = {"W": "weeks", "D": "days", "H": "hours", "M": "minutes", "S": "seconds"}
#: .NET's date formats to Python's, the longest first.
_DATE_PARTS = (
    ("yyyy", "%Y"),
    ("MM", "%m"),
    ("dd", "%d"),
    ("HH", "%H"),
    ("mm", "%M"),
    ("ss", "%S"),
    ("yy", "%y"),
)


def same(one: Any, other: Any) -> bool:
    """As equals() compares: text with its case, and never a number with text."""
    return type(one) is type(other) and bool(one == other)


def _integer(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise TemplateError(f"The 'int' function cannot convert the value '{value}'.") from None


def _divided(one: int, other: int) -> int:
    if other == 0:
        raise TemplateError("The template function 'div' attempted to divide by zero.")
    quotient = abs(one) // abs(other)
    return quotient if (one < 0) == (other < 0) else -quotient


def _numbers(values: tuple[Any, ...]) -> Iterable[int]:
    return values[0] if len(values) == 1 and isinstance(values[0], list) else values


def _boolean(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, int):
        return bool(value)
    raise TemplateError(f"The 'bool' function cannot convert the value '{value}'.")


def _contains(container: Any, item: Any) -> bool:
    if isinstance(container, dict):
        return str(item).lower() in {key.lower() for key in container}
    return item in container


def _first(values: Any) -> Any:
    return values[0] if values else ("" if isinstance(values, str) else None)


def _last(values: Any) -> Any:
    return values[-1] if values else ("" if isinstance(values, str) else None)


def _intersection(first: Any, *others: Any) -> Any:
    if isinstance(first, dict):
        return {k: v for k, v in first.items() if all(k in o and same(o[k], v) for o in others)}
    return [item for item in first if all(item in other for other in others)]


def _union(first: Any, *others: Any) -> Any:
    if isinstance(first, dict):
        merged: Any = dict(first)
        for other in others:
            for key, value in other.items():
                both = isinstance(merged.get(key), dict) and isinstance(value, dict)
                merged[key] = _union(merged[key], value) if both else value
        return merged
    merged = []
    for values in (first, *others):
        merged += [item for item in values if item not in merged]
    return merged


def _create_object(*pairs: Any) -> dict[str, Any]:
    return dict(zip(pairs[0::2], pairs[1::2], strict=True))


def _items(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value[key]} for key in sorted(value)]


def _flatten(values: list[list[Any]]) -> list[Any]:
    return [item for inner in values for item in inner]


def _range(start: int, count: int) -> list[int]:
    if not 0 <= count <= 10000:
        raise TemplateError("The second parameter of 'range' must be from '0' to '10000'.")
    return list(range(start, start + count))


def _shallow_merge(values: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for part in values for key, value in part.items()}


# Dates.


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise TemplateError(f"The value '{text}' is not a date and time of ISO 8601.") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _written(moment: datetime, pattern: str | None) -> str:
    if pattern is None:
        return f"{moment:%Y%m%dT%H%M%SZ}"
    if pattern == "u":
        return f"{moment:%Y-%m-%d %H:%M:%SZ}"
    if pattern == "d":
        return f"{moment.month}/{moment.day}/{moment.year}"
    for net, python in _DATE_PARTS:
        pattern = pattern.replace(net, python)
    return moment.strftime(pattern)


def _duration(text: str) -> timedelta:
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text)
    amounts: dict[str, float] = {}
    number, in_time = "", False
    for mark in rest.removeprefix("P"):
        if mark == "T":
            in_time = True
        elif mark.isdigit() or mark == ".":
            number += mark
        elif not number or mark not in "YMWDHS":
            raise TemplateError(f"The value '{text}' is not a duration of ISO 8601.")
        else:
            unit = _DURATION_UNITS.get(mark, "days")
            factor = {"Y": 365, "M": 1 if in_time else 30}.get(mark, 1)
            unit = "days" if mark == "M" and not in_time else unit
            amounts[unit] = amounts.get(unit, 0) + float(number) * factor
            number = ""
    return sign * timedelta(**amounts)


def _add_time(base: str, duration: str, pattern: str | None = None) -> str:
    moment = _moment(base) + _duration(duration)
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if pattern is None else _written(moment, pattern)


def _from_epoch(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


VALUE_FUNCTIONS: Mapping[str, TemplateFunction] = {
    "add": lambda one, other: one + other,
    "sub": lambda one, other: one - other,
    "mul": lambda one, other: one * other,
    "div": _divided,
    "mod": lambda one, other: one - other * _divided(one, other),
    "int": _integer,
    "float": float,
    "min": lambda *values: min(_numbers(values)),
    "max": lambda *values: max(_numbers(values)),
    "range": _range,
    "bool": _boolean,
    "true": lambda: True,
    "false": lambda: False,
    "null": lambda: None,
    "not": lambda value: not value,
    "equals": same,
    "greater": lambda one, other: one > other,
    "greaterorequals": lambda one, other: one >= other,
    "less": lambda one, other: one < other,
    "lessorequals": lambda one, other: one <= other,
    "array": lambda value: value if isinstance(value, list) else [value],
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "contains": _contains,
    "createarray": lambda *values: list(values),
    "createobject": _create_object,
    "empty": lambda value: not value,
    "first": _first,
    "flatten": _flatten,
    "intersection": _intersection,
    "items": _items,
    "last": _last,
    "length": len,
    "objectkeys": sorted,
    "shallowmerge": _shallow_merge,
    "skip": lambda values, count: values[max(0, count) :],
    "take": lambda values, count: values[: max(0, count)],
    "union": _union,
    "utcnow": lambda pattern=None: _written(now(), pattern),
    "datetimeadd": _add_time,
    "datetimetoepoch": lambda text: int(_moment(text).timestamp()),
    "datetimefromepoch": _from_epoch,
}
