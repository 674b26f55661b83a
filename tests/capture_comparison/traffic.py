# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a client said to Azure, counted: its calls, and how late it learned of the end of each operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

# Where Azure asks for no pause, ours never makes a longer one, in seconds.
LONGEST_PAUSE = 5.0
# For the request itself and for a machine that is busy, in seconds.
ROUND_TRIP = 0.5

_FOLLOWED = ("azure-asyncoperation", "location")
_ENDED = frozenset({"succeeded", "failed", "canceled"})

#: One line of the local Azure's exchanges.jsonl.
Exchange = Mapping[str, Any]


class Operation(NamedTuple):
    """A long-running operation as its client saw it; all times in seconds.

    `seconds`: how long Azure worked. `late`: from its end to the answer that told the client. `retry_after`:
    the last one that Azure had sent for it, None without any.
    """

    what: str
    seconds: float
    late: float
    retry_after: float | None
    polls: int

    @property
    def allowed(self) -> float:
        """How late a client may be that heeds what Azure asks for."""
        return LONGEST_PAUSE if self.retry_after is None else self.retry_after

    @property
    def in_time(self) -> bool:
        return self.late <= self.allowed + ROUND_TRIP


class Traffic(NamedTuple):
    """`polls` are requests to the status URLs of operations, `reads` all others without a body of their own,
    `writes` those that could change something."""

    reads: int
    writes: int
    polls: int
    operations: tuple[Operation, ...]

    @property
    def calls(self) -> int:
        return self.reads + self.writes + self.polls

    @property
    def azure_seconds(self) -> float:
        """How long Azure worked; operations of one client's capture follow one another."""
        return sum(operation.seconds for operation in self.operations)

    @property
    def late(self) -> float:
        """How long Azure had been done while the client still waited."""
        return sum(operation.late for operation in self.operations)


class _Followed:
    """An operation while its exchanges come in."""

    def __init__(self, first: Exchange) -> None:
        self._what = _what(first)
        self._began = _answered(first)
        self._retry_after = _retry_after(first)
        self._ended: datetime | None = None
        self._seen: datetime | None = None
        self._polls = 0

    def take(self, poll: Exchange) -> None:
        """One answer about the operation, in the order of their times."""
        self._polls += 1
        body = poll["liveResponse"]["body"]
        status = str(body.get("status", "")) if isinstance(body, Mapping) else ""
        if self._ended is not None:
            return
        if status.lower() in _ENDED and isinstance(body, Mapping) and body.get("endTime"):
            self._ended = _moment(str(body["endTime"]))
            self._seen = _answered(poll)
        else:
            asked = _retry_after(poll)
            self._retry_after = self._retry_after if asked is None else asked

    def operation(self) -> Operation:
        if self._ended is None or self._seen is None:
            raise ValueError(f"{self._what}: its client did not follow it to its end.")
        return Operation(
            what=self._what,
            seconds=(self._ended - self._began).total_seconds(),
            late=(self._seen - self._ended).total_seconds(),
            retry_after=self._retry_after,
            polls=self._polls,
        )


def traffic_of(exchanges: Sequence[Exchange]) -> Traffic:
    """Count one client's exchanges. ValueError: an operation began whose end it did not see in its status."""
    reads = writes = polls = 0
    followed: dict[str, _Followed] = {}
    for exchange in exchanges:
        request = exchange["liveRequest"]
        operation = followed.get(_last_part(request["url"]))
        if operation is not None and request["method"] == "GET":
            polls += 1
            operation.take(exchange)
        elif request["method"] in ("GET", "HEAD"):
            reads += 1
        else:
            writes += 1
            headers = _headers(exchange)
            address = next((headers[name] for name in _FOLLOWED if name in headers), None)
            if address is not None:
                followed[_last_part(address)] = _Followed(exchange)
    return Traffic(reads, writes, polls, tuple(each.operation() for each in followed.values()))


def _headers(exchange: Exchange) -> dict[str, str]:
    return {name.lower(): str(text) for name, text in exchange["liveResponse"]["headers"].items()}


def _retry_after(exchange: Exchange) -> float | None:
    text = _headers(exchange).get("retry-after")
    return None if text is None else float(text)


def _answered(exchange: Exchange) -> datetime:
    return _moment(str(exchange["answered"]))


def _moment(text: str) -> datetime:
    """Azure writes up to six digits of a second; datetime.fromisoformat takes any number only since 3.11."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z" if "." in text else "%Y-%m-%dT%H:%M:%S%z")


def _last_part(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2].lower()


def _what(exchange: Exchange) -> str:
    """`deallocate` for an action, `PUT images` for a resource's own."""
    request = exchange["liveRequest"]
    parts = urlsplit(request["url"]).path.strip("/").split("/")
    return parts[-1] if request["method"] == "POST" else f"{request['method']} {parts[-2]}"
