# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The shape of a JSON value: which paths there are and which types stand there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

ABSENT = "absent"


def json_type(value: Any) -> str:
    """JSON's own name of a value's type; whole numbers and fractions are one."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def shape(value: Any, plain: Callable[[str], str] = str) -> dict[str, frozenset[str]]:
    """The types at each key path: `$.properties.osDisk`, and `$.value[]` for all items of a list together.

    `plain` makes keys that are names or ids comparable.
    """
    found: dict[str, set[str]] = {}
    for path, kind in _walk(value, "$", plain):
        found.setdefault(path, set()).add(kind)
    return {path: frozenset(kinds) for path, kinds in found.items()}


def _walk(value: Any, path: str, plain: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    yield path, json_type(value)
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _walk(item, f"{path}.{plain(key)}", plain)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, f"{path}[]", plain)


def differences(
    recorded: Mapping[str, frozenset[str]], ours: Mapping[str, frozenset[str]]
) -> Iterator[tuple[str, str, str]]:
    """Path, recorded type, our type. What is below a path that one side lacks is not told again."""
    told: list[str] = []
    for path in sorted({*recorded, *ours}, key=lambda p: (p.count(".") + p.count("["), p)):
        theirs, here = _kinds(recorded.get(path)), _kinds(ours.get(path))
        if theirs == here or any(path.startswith((f"{t}.", f"{t}[")) for t in told):
            continue
        told.append(path)
        yield path, theirs, here


def _kinds(kinds: frozenset[str] | None) -> str:
    return ABSENT if kinds is None else " or ".join(sorted(kinds))
