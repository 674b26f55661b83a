# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Holds an answer of the local Azure to the recorded one: status, operation headers, shape, error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.fidelity.recording import ASYNC, LOCATION, RETRY_AFTER, Recorded
from tests.fidelity.shape import ABSENT, differences, json_type, shape

# Status URLs got them in 2023; older recordings are without.
_SIGNED = frozenset({"p", "t", "c", "s", "h"})
# The one parameter of a signed query that not all providers send.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|https?://\S+|/subscriptions/\S+")


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
    recorded: Recorded, ours: Answer, plain: Callable[[str], str] = str, *, keeps_retry_after: bool = False
) -> list[Difference]:
    """All that is not as recorded. `plain` makes names comparable; `keeps_retry_after`: the recorder did."""
    found = list(_headers(recorded, ours, plain, keeps_retry_after=keeps_retry_after))
    if recorded.status != ours.status:
        found.insert(0, Difference("status", str(recorded.status), f"{ours.status}{_reason(ours.body)}"))
        return found
    for place, theirs, here in differences(shape(recorded.body, plain), shape(ours.body, plain)):
        unexpected = place.endswith("error") and theirs == ABSENT
        found.append(Difference(place, theirs, here + (_reason(ours.body) if unexpected else "")))
    found += _error(_error_of(recorded.body), _error_of(ours.body))
    return found


def _reason(body: Any) -> str:
    error = _error_of(body)
    details = "".join(f"; {_reason({'error': detail})}" for detail in error.get("details") or ())
    return f" ({error.get('code')}: {error.get('message')}{details})" if error else ""


def _headers(
    recorded: Recorded, ours: Answer, plain: Callable[[str], str], *, keeps_retry_after: bool
) -> Iterator[Difference]:
    for name in (ASYNC, LOCATION):
        theirs, here = recorded.headers.get(name), ours.headers.get(name)
        if not theirs or not here:
            if theirs or here:
                yield Difference(name, _place(theirs, plain), _place(here, plain))
            continue
        yield from _status_url(name, theirs, here, plain)
    if keeps_retry_after and recorded.headers.get(RETRY_AFTER) != ours.headers.get(RETRY_AFTER):
        yield Difference(
            RETRY_AFTER, recorded.headers.get(RETRY_AFTER, ABSENT), ours.headers.get(RETRY_AFTER, ABSENT)
        )


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
