# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Sends the requests of a recording to a fresh local Azure, in order, and compares the answers.

Operations are stepped: one is in progress as long as the recording's polls found it so.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import requests

from tests.fidelity.blob_replay import BlobReplay
from tests.fidelity.comparison import Answer, Difference, Patience, compare
from tests.fidelity.exclusions import Exclusions, changed_since
from tests.fidelity.names import Names
from tests.fidelity.policies import with_own_extensions
from tests.fidelity.presuppositions import Presuppositions
from tests.fidelity.recording import ARM_HOSTS, RETRY_AFTER, Recorded, operation_key
from tests.fidelity.seeding import group_names, seed
from tests.local_azure.operations import Operation
from tests.local_azure.settings import Pace, load_or_create
from tests.unit.local_azure.arm_server import Arm, ServerThread

_PATIENCE = 60.0
# Fast enough that nothing waits: what is in progress is held by the replay.
_SPEED = 1e6
_RUNNING = frozenset({"InProgress", "Running", "Accepted", "Updating", "Creating", "Deleting"})
Key = tuple[str, bool]


@dataclass(frozen=True)
class Result:
    """`reason`: why the exchange does not count."""

    exchange: Recorded
    differences: tuple[Difference, ...] = ()
    reason: str | None = None


class Steps:
    """Holds operations back until the replay lets them end."""

    def __init__(self) -> None:
        self.undecided = False
        self.held: set[str] = set()

    async def wait(self, operation: Operation) -> None:
        while self.undecided or operation.id.lower() in self.held:
            await asyncio.sleep(0.002)


@contextmanager
def local_azure() -> Iterator[ServerThread]:
    """A local Azure of its own for one recording; gone afterwards."""
    state_dir = Path(tempfile.mkdtemp(prefix="fidelity-"))
    thread = ServerThread(load_or_create(state_dir, pace=Pace(_SPEED, azure_retry_after=True)))
    try:
        yield thread
    finally:
        thread.stop()
        shutil.rmtree(state_dir, ignore_errors=True)


def replay(exchanges: Sequence[Recorded]) -> Iterator[Result]:
    """Yield what came of each exchange."""
    with local_azure() as thread:
        recording = Replay(thread, list(with_own_extensions(exchanges)))
        try:
            yield from recording.run()
        finally:
            recording.close()


class Replay:
    """One recording against one local Azure."""

    def __init__(self, thread: ServerThread, exchanges: Sequence[Recorded]) -> None:
        assert thread.server is not None
        self._exchanges = exchanges
        self._exclusions = Exclusions(exchanges)
        self._arm = Arm(thread)
        self._steps = Steps()
        thread.server.operations.waits = self._steps.wait
        groups = group_names(exchanges)
        self._names = Names(
            {"{sub}": thread.settings.identity.subscription_id, **groups}, thread.server.blobs.endpoint
        )
        self._operations = thread.server.operations
        #: Our status URL for each of the recording's, and the operations that are behind it.
        self._urls: dict[Key, str] = {}
        self._behind: dict[str, set[str]] = {}
        #: What was last answered at each path, in the recording and here.
        self._seen: dict[str, tuple[Any, Any]] = {}
        kept = any(e.headers.get(RETRY_AFTER) for e in exchanges)
        self._patience = Patience.SAME if kept else Patience.UNKNOWN
        self._blobs = BlobReplay(thread.server.blobs, thread.server.certificates, thread.settings.ports.blob)
        seed(exchanges, groups, self._arm)
        self._presupposed = Presuppositions(exchanges, self._arm, thread.server.blobs, self._names)

    def close(self) -> None:
        self._blobs.close()

    def run(self) -> Iterator[Result]:
        for position, exchange in enumerate(self._exchanges):
            reason = self._exclusions.reason(position, exchange)
            if reason is not None:
                yield Result(exchange, reason=reason)
                continue
            self._presupposed.before(position)
            yield Result(exchange, tuple(self._one(position, exchange)))

    def _one(self, position: int, exchange: Recorded) -> list[Difference]:
        if exchange.host not in ARM_HOSTS:
            return self._blobs.run(exchange)
        polled = self._polled(exchange, position)
        if polled is not None:
            return self._poll(exchange, polled)
        self._steps.undecided = exchange.method != "GET"
        before = self._active()
        try:
            answer = self._send(exchange)
            self._match(exchange, answer, position, self._active() - before)
        finally:
            self._steps.undecided = False
        self._settle(exchange, answer, position)
        return self._judge(exchange, answer)

    def _judge(self, exchange: Recorded, answer: Answer, *, poll: bool = False) -> list[Difference]:
        patience = self._patience if not poll else min(self._patience, Patience.PRESENT)
        found = compare(exchange, answer, self._names.theirs, patience)
        found = [d for d in found if not changed_since(exchange, d.place)]
        if exchange.status == answer.status:
            self._names.learn(exchange.body, answer.body)
            self._seen[exchange.path.lower()] = exchange.body, answer.body
        return found

    # Sending.

    def _url(self, exchange: Recorded) -> str:
        query = {name: self._names.ours(value) for name, value in exchange.query.items()}
        return f"{quote(self._names.ours(exchange.path))}?{urlencode(query)}"

    def _send(self, exchange: Recorded) -> Answer:
        url = f"{self._arm.settings.url}{self._url(exchange)}"
        seen = self._seen.get(exchange.path.lower(), (None, None))
        body = None if exchange.request is None else self._names.request(exchange.request, *seen)
        return _answer(self._arm.send(exchange.method, url, body))

    # Operations.

    def _future(self, key: str, position: int) -> Iterator[Recorded]:
        """The polls of the operation from `position` on."""
        for exchange in self._exchanges[position:]:
            if exchange.method == "GET" and operation_key(exchange.path)[0] == key:
                yield exchange

    def _polled(self, exchange: Recorded, position: int) -> Key | None:
        """The status URL that the exchange asks; None when it is no poll."""
        if exchange.method != "GET":
            return None
        key = _asked(exchange)
        given = {operation_key(u) for e in self._exchanges[:position] for u in e.operation_urls()}
        return key if key in given else None

    def _active(self) -> set[str]:
        return {operation.id.lower() for operation in self._operations.in_progress()}

    def _match(self, exchange: Recorded, answer: Answer, position: int, begun: set[str]) -> None:
        """Notes which of our operations is which, and holds what has begun if it is to be seen at work."""
        for name in ("azure-asyncoperation", "location"):
            theirs, ours = exchange.headers.get(name), answer.headers.get(name)
            if not theirs or not ours:
                continue
            key = operation_key(theirs)
            self._urls[key] = ours
            self._behind.setdefault(key[0], set()).update(begun)
            future = self._future(key[0], position + 1)
            if any(_in_progress(e.status, e.body) for e in future):
                self._steps.held |= begun

    def _release(self, key: Key) -> None:
        self._steps.held -= self._behind.get(key[0], set())

    def _settle(self, exchange: Recorded, answer: Answer, position: int) -> None:
        """An operation that nobody polls any more is done before the next exchange."""
        for url in exchange.operation_urls():
            ours = self._urls.get(operation_key(url))
            if ours and not any(True for _unused in self._future(operation_key(url)[0], position + 1)):
                self._release(operation_key(url))
                self._wait(ours)
        if not exchange.operation_urls():
            for name in ("azure-asyncoperation", "location"):
                if answer.headers.get(name):
                    self._wait(answer.headers[name])

    def _poll(self, exchange: Recorded, key: Key) -> list[Difference]:
        url = self._urls.get(key)
        if url is None:
            return [Difference("poll", "a status URL", "none was given")]
        if _in_progress(exchange.status, exchange.body):
            answer = _answer(self._arm.send("GET", url))
        else:
            self._release(key)
            answer = self._wait(url)
        position = self._exchanges.index(exchange)
        self._match(exchange, answer, position, set())
        if not any(True for _unused in self._future(key[0], position + 1)):
            self._release(key)
            self._wait(self._urls[key])
        return self._judge(exchange, answer, poll=True)

    def _wait(self, url: str) -> Answer:
        """The last answer of an operation."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            answer = _answer(self._arm.send("GET", url))
            if not _in_progress(answer.status, answer.body) or time.monotonic() > deadline:
                return answer
            time.sleep(0.005)


def _asked(exchange: Recorded) -> Key:
    return operation_key(f"{exchange.path}?{urlencode(dict(exchange.query))}")


def _in_progress(status: int, body: Any) -> bool:
    if status == 202:
        return True
    return status == 200 and isinstance(body, Mapping) and body.get("status") in _RUNNING


def _answer(answer: requests.Response) -> Answer:
    body = answer.json() if answer.content.strip() else None
    return Answer(answer.status_code, {n.lower(): v for n, v in answer.headers.items()}, body)
