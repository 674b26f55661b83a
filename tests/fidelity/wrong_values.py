# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Requests that are right but for one place of their bodies."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

Path = tuple[str | int, ...]

#: What may stand where something else is expected.
WRONG_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**70,
    float("1e300"),
    "",
    "x",
    " \u0000\ud7ff\U0001f600",
    "a" * 5000,
    "/subscriptions/x",
    "/subscriptions/x/resourceGroups/y/providers/Microsoft.Compute/disks",
    "https://[::1/no:port",
    [],
    [None],
    [{}],
    [[]],
    ["x", "x"],
    {},
    {"": None},
    {"id": 7},
    {"id": "x"},
    {"id": "/"},
    {"name": []},
    {"properties": None},
)


class Request(NamedTuple):
    """`path` is below the subscription."""

    method: str
    path: str
    body: Any


def places(body: Any, here: Path = ()) -> Iterator[Path]:
    """The way to every value in a body, the body itself first."""
    yield here
    if isinstance(body, dict):
        for key, value in body.items():
            yield from places(value, (*here, key))
    elif isinstance(body, list):
        for index, value in enumerate(body):
            yield from places(value, (*here, index))


def changed(body: Any, place: Path, value: Any) -> Any:
    """A copy with another value at the place."""
    if not place:
        return value
    changed_body = copy.deepcopy(body)
    inner = changed_body
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    return changed_body


def without(body: Any, place: Path) -> Any:
    """A copy that lacks the value at the place."""
    lacking = copy.deepcopy(body)
    inner = lacking
    for part in place[:-1]:
        inner = inner[part]
    del inner[place[-1]]
    return lacking


def broken(request: Request) -> Iterator[Request]:
    """Every request that differs in one place: another value, a value missing, a member too many."""
    for place in places(request.body):
        for value in WRONG_VALUES:
            yield request._replace(body=changed(request.body, place, value))
        if place:
            yield request._replace(body=without(request.body, place))
