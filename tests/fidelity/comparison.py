# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Holds an answer of the local Azure to the recorded one: status, operation headers, shape, error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.fidelity.recording import ASYNC, LOCATION, RETRY_AFTER, Recorded
from tests.fidelity.shape import ABSENT, differences, json_type, shape

# Status URLs got them in 2023; older recordings are without.
_SIGNED = frozenset({"p", "t", "c", "s", "h"})
# Members that say how something is. A client decides by their values.
_STATES = frozenset(
    {
        "aggregatedState",
        "code",
        "createOption",
        "displayStatus",
        "diskState",
        "hyperVGeneration",
        "level",
        "osState",
        "osType",
        "powerState",
        "provisioningState",
        "state",
        "status",
        "type",
    }
)
# An operation at work is called the one or the other, depending on when it is asked for.
_AT_WORK = frozenset({"accepted", "running"})
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|https?://\S+|/subscriptions/\S+")


class Patience(IntEnum):
    """How Retry-After is compared: not at all where the recorder dropped it; in polls it is an estimate."""

    UNKNOWN = 0
    PRESENT = 1
    SAME = 2


class Answer(NamedTuple):
    """What the local Azure said; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Difference:
    place: str
    recorded: str
    ours: str

    def __str__(self) -> str:
        return f"{self.place}: recorded {self.recorded}, ours {self.ours}"


def compare(
    recorded: Recorded,
    ours: Answer,
    plain: Callable[[str], str] = str,
    patience: Patience = Patience.UNKNOWN,
) -> list[Difference]:
    """All that is not as recorded. `plain` makes names comparable."""
    found = [*_status_urls(recorded, ours, plain), *_retry_after(recorded, ours, patience)]
    if recorded.status != ours.status:
        found.insert(0, Difference("status", str(recorded.status), f"{ours.status}{_reason(ours.body)}"))
        return found
    for place, theirs, here in differences(shape(recorded.body, plain), shape(ours.body, plain)):
        unexpected = place.endswith("error") and theirs == ABSENT
        found.append(Difference(place, theirs, here + (_reason(ours.body) if unexpected else "")))
    found += _states(recorded.body, ours.body, "$")
    found += _error(_error_of(recorded.body), _error_of(ours.body))
    return found


def _states(recorded: Any, ours: Any, path: str) -> Iterator[Difference]:
    """States that are told at the same place by another word. Errors are compared by themselves."""
    if isinstance(recorded, Mapping) and isinstance(ours, Mapping):
        for name in recorded.keys() & ours.keys() - {"error"}:
            theirs, here, place = recorded[name], ours[name], f"{path}.{name}"
            if name in _STATES and isinstance(theirs, str) and isinstance(here, str):
                if _word(theirs) != _word(here):
                    yield Difference(place, theirs, here)
            else:
                yield from _states(theirs, here, place)
    elif isinstance(recorded, list) and isinstance(ours, list) and len(recorded) == len(ours):
        for theirs, here in zip(recorded, ours, strict=True):
            yield from _states(theirs, here, f"{path}[]")


def _word(text: str) -> str:
    return "at work" if text.lower() in _AT_WORK else text.lower()


def _reason(body: Any) -> str:
    error = _error_of(body)
    details = "".join(f"; {_reason({'error': detail})}" for detail in error.get("details") or ())
    return f" ({error.get('code')}: {error.get('message')}{details})" if error else ""


def _status_urls(recorded: Recorded, ours: Answer, plain: Callable[[str], str]) -> Iterator[Difference]:
    for name in (ASYNC, LOCATION):
        theirs, here = recorded.headers.get(name), ours.headers.get(name)
        if not theirs or not here:
            if theirs or here:
                yield Difference(name, _place(theirs, plain), _place(here, plain))
            continue
        yield from _status_url(name, theirs, here, plain)


def _retry_after(recorded: Recorded, ours: Answer, patience: Patience) -> Iterator[Difference]:
    theirs, here = (headers.get(RETRY_AFTER, ABSENT) for headers in (recorded.headers, ours.headers))
    alike = theirs == here or (patience is Patience.PRESENT and ABSENT not in (theirs, here))
    if patience is not Patience.UNKNOWN and not alike:
        yield Difference(RETRY_AFTER, theirs, here)


def _place(url: str | None, plain: Callable[[str], str]) -> str:
    return _collection(url, plain) if url else ABSENT


def _collection(url: str, plain: Callable[[str], str]) -> str:
    """A status URL's path without the operation's own id."""
    return plain(urlsplit(url).path.rpartition("/")[0])


def _status_url(name: str, theirs: str, here: str, plain: Callable[[str], str]) -> Iterator[Difference]:
    if _collection(theirs, plain) != _collection(here, plain):
        yield Difference(f"{name}, collection", _collection(theirs, plain), _collection(here, plain))
    asked, sent = (dict(parse_qsl(urlsplit(url).query, keep_blank_values=True)) for url in (theirs, here))
    unsigned = "t" not in asked
    names = [sorted(n for n in query if not (unsigned and n in _SIGNED)) for query in (asked, sent)]
    if names[0] != names[1]:
        yield Difference(f"{name}, query", ",".join(names[0]), ",".join(names[1]))
    if asked.get("api-version") != sent.get("api-version"):
        versions = [str(query.get("api-version")) for query in (asked, sent)]
        yield Difference(f"{name}, api-version", *versions)


def _error_of(body: Any) -> Mapping[str, Any]:
    """The error in an answer, or in a status or resource that tells of one."""
    if not isinstance(body, Mapping):
        return {}
    error = body.get("error") or _error_of(body.get("properties"))
    return error if isinstance(error, Mapping) else {}


def _error(recorded: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[Difference]:
    for member in ("code", "message", "target"):
        theirs, here = recorded.get(member), ours.get(member)
        if json_type(theirs) == json_type(here) == "string" and template(theirs) != template(here):
            yield Difference(f"error.{member}", repr(theirs), repr(here))


def template(text: Any) -> str:
    """An error's text without the names in it, which are quoted, in brackets, or URLs."""
    return _QUOTED.sub("*", str(text))
