# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the collectors on a Windows machine have read, and how a rule looks at it.

A collector's answer is ``{"ok": true, "value": {...}}`` or ``{"ok": false, "error": "..."}``. A value in the
registry is a *reading*: ``{"present": true, "value": ...}``, ``{"present": false}``, or ``{"error": "..."}``
where it could not be read. What is missing, of another type, or was refused raises UnknownFactError: a rule
has to have seen something before it may call it fine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

# A collector's error is quoted in a finding; a whole stack of calls would bury the others.
_LONGEST_ERROR = 200
# Answers of several tasks, each a list of texts.
_DEEPEST_LIST = 3


class UnknownFactError(Exception):
    """A rule cannot say anything. The message says which fact is missing, and why where that is known."""


class Facts:
    """The answers of all collectors. Anything may be given; what is no answer is as good as none."""

    def __init__(self, *documents: object) -> None:
        """``documents``: each the JSON text of a collecting script, what it decodes to, or a list of such."""
        self._answers: dict[str, object] = {}
        for document in _documents(documents):
            self._answers.update(document)

    def of(self, collector: str) -> Node:
        """What that collector has read. Raises UnknownFactError where it has not answered, or has failed."""
        answer = self._answers.get(collector)
        if not isinstance(answer, Mapping):
            raise UnknownFactError(f"there are no facts of collector {collector}")
        if answer.get("ok") is not True:
            raise UnknownFactError(f"collector {collector} failed: {_short(answer.get('error'))}")
        return Node(collector, answer.get("value"))


def _documents(found: object, depth: int = 0) -> Iterator[Mapping[str, object]]:
    if isinstance(found, (str, bytes)):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            return
    if isinstance(found, Mapping):
        yield {str(name): answer for name, answer in found.items()}
    elif isinstance(found, (list, tuple)) and depth < _DEEPEST_LIST:
        for each in found:
            yield from _documents(each, depth + 1)


def _short(error: object) -> str:
    text = " ".join(error.split()) if isinstance(error, str) else ""
    return text[:_LONGEST_ERROR] or "it does not say why"


class Node:
    """An object among the facts. Every look at it gives what has the expected type, or raises
    UnknownFactError."""

    def __init__(self, where: str, value: object) -> None:
        if not isinstance(value, Mapping):
            raise UnknownFactError(f"{where} is not an object")
        self._where = where
        self._value: Mapping[Any, object] = value

    def _get(self, name: str) -> object:
        if name not in self._value:
            raise UnknownFactError(f"{self._where}.{name} is missing")
        return self._value[name]

    def flag(self, name: str) -> bool:
        """A boolean."""
        value = self._get(name)
        if not isinstance(value, bool):
            raise UnknownFactError(f"{self._where}.{name} is neither true nor false")
        return value

    def integer(self, name: str) -> int:
        """A whole number."""
        return _integer(f"{self._where}.{name}", self._get(name))

    def text(self, name: str) -> str:
        """A text, which may be empty."""
        return _text(f"{self._where}.{name}", self._get(name))

    def name(self, name: str) -> str:
        """A text that is not empty."""
        value = self.text(name)
        if not value.strip():
            raise UnknownFactError(f"{self._where}.{name} is empty")
        return value

    def count(self, name: str) -> int:
        """How many or how much of something: 0 or more."""
        value = self.integer(name)
        if value < 0:
            raise UnknownFactError(f"{self._where}.{name} is less than nothing")
        return value

    def node(self, name: str) -> Node:
        """An object."""
        return Node(f"{self._where}.{name}", self._get(name))

    def nodes(self, name: str) -> list[Node]:
        """A list of objects."""
        where = f"{self._where}.{name}"
        return [Node(f"{where}[{number}]", each) for number, each in enumerate(self._list(name))]

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        where = f"{self._where}.{name}"
        return [_text(f"{where}[{number}]", each) for number, each in enumerate(self._list(name))]

    def _list(self, name: str) -> list[object]:
        value = self._get(name)
        if not isinstance(value, list):
            raise UnknownFactError(f"{self._where}.{name} is not a list")
        return value

    def integer_reading(self, name: str) -> int | None:
        """A number in the registry; None where there is no such value."""
        present, value = self._reading(name)
        return _integer(f"{self._where}.{name}", value) if present else None

    def text_reading(self, name: str) -> str | None:
        """A text in the registry; None where there is no such value."""
        present, value = self._reading(name)
        return _text(f"{self._where}.{name}", value) if present else None

    def is_set(self, name: str) -> bool:
        """Whether there is such a value in the registry, whatever it is."""
        present, _value = self._reading(name)
        return present

    def _reading(self, name: str) -> tuple[bool, object]:
        where = f"{self._where}.{name}"
        reading = self.node(name)
        if "error" in reading._value:
            raise UnknownFactError(f"{where} could not be read: {_short(reading._value['error'])}")
        present = reading.flag("present")
        return present, reading._get("value") if present else None


def running_programs(facts: Facts) -> set[str]:
    """The names of all processes, in lower case. Raises UnknownFactError when there are none: that cannot
    be."""
    names = facts.of("session").texts("processes")
    if not names:
        raise UnknownFactError("session.processes is empty")
    return {name.casefold() for name in names}


def _integer(where: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UnknownFactError(f"{where} is not a whole number")
    return value


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise UnknownFactError(f"{where} is not a text")
    return value
