# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Long-running operations: the work behind them, what clients see of it, surviving a restart."""

from __future__ import annotations

import asyncio
import base64
import logging
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from tests.local_azure.call import Call, Reply
from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import ArmError
from tests.local_azure.faults.fate import operation_fate
from tests.local_azure.operation_urls import StatusUrls, asks_for_result, results_collection
from tests.local_azure.settings import Settings
from tests.local_azure.store import Json, Store

Work = Callable[[Json], Awaitable[Any]]

IN_PROGRESS, SUCCEEDED, FAILED = "InProgress", "Succeeded", "Failed"
# What Compute needs at least to look again whether work without content is done (images: 5.1 s).
TYPICAL_SECONDS = 5.0
# Azure forgets how operations ended after a while; here the oldest make room.
_KEPT = 5000
# Compute asks for it with the first poll of what it asked to wait 10 s for (machines).
_MACHINE_SECONDS, _FIRST_POLL_SECONDS = 10, 30
_log = logging.getLogger("local_azure")


@dataclass
class Operation:
    """`kind` and `arguments` are enough to run the work again after a restart.

    `retry_after` is what Azure sends with the first answer; `shows_output`: the status has the result.
    `fails_with` is the error of an operation that a fault lets fail: its work is never done.
    """

    id: str
    kind: str
    arguments: Json
    collection: str
    api_version: str
    resource_id: str
    started: str
    seconds: float
    retry_after: int | None = None
    shows_output: bool = False
    status: str = IN_PROGRESS
    ended: str | None = None
    output: Any = None
    error: Json | None = None
    polled: bool = False
    fails_with: Json | None = None

    def status_body(self) -> Json:
        """As the operation's provider tells it: Network says no more than the status."""
        state: Json = {"status": self.status}
        error = {} if self.error is None else {"error": self.error}
        if "/providers/microsoft.network/" in self.collection.lower():
            return {**state, **error}
        times = {"startTime": self.started, **({"endTime": self.ended} if self.ended else {})}
        shown = self.status == SUCCEEDED and self.shows_output and self.output is not None
        output = {"properties": {"output": self.output}} if shown else {}
        return {**times, **state, **output, **error, "name": self.id}


class Operations:
    """Runs operations as tasks of the server's event loop."""

    def __init__(self, settings: Settings, store: Store, kept: int = _KEPT) -> None:
        """`kept` is how many ended operations are remembered."""
        self._settings = settings
        self._store = store
        #: How an operation spends its time; a replay of recordings steps through them instead.
        self.waits: Callable[[Operation], Awaitable[None]] = _sleep
        self._kept = kept
        self._urls = StatusUrls(settings.url, base64.b64decode(settings.operation_key))
        self._works: dict[str, Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: By id in small letters; the oldest first.
        self._operations: dict[str, Operation] = {}
        #: Of those, the ones in progress, by their resource's id in small letters.
        self._active: defaultdict[str, list[Operation]] = defaultdict(list)
        for record in store.operations():
            self._add(Operation(**record))
        self._forget_oldest()

    def _add(self, operation: Operation) -> None:
        self._operations.pop(operation.id.lower(), None)
        self._operations[operation.id.lower()] = operation
        if operation.status == IN_PROGRESS:
            self._active[operation.resource_id.lower()].append(operation)

    def _forget_oldest(self) -> None:
        surplus = len(self._operations) - self._kept
        if surplus <= 0:
            return
        ended = (o.id for o in self._operations.values() if o.status != IN_PROGRESS)
        for operation_id in list(islice(ended, surplus)):
            del self._operations[operation_id.lower()]
            self._store.delete_operation(operation_id)

    def define(self, kind: str, work: Work) -> None:
        self._works[kind] = work

    def resume(self) -> None:
        """Starts what a stop of the server interrupted over again; the works are written to bear that."""
        for operation in self.in_progress():
            self._run(operation)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(
        self,
        kind: str,
        arguments: Json,
        call: Call,
        *,
        collection: str,
        resource_id: str,
        azure_seconds: float = TYPICAL_SECONDS,
        retry_after: int | None = None,
        shows_output: bool = False,
        operation_id: str | None = None,
    ) -> Operation:
        """Runs the work in the background. `azure_seconds` is how long Azure itself typically takes.

        `operation_id` is for those who name their operations; others get a random one.
        """
        seconds = self._settings.pace.seconds(azure_seconds)
        fate = operation_fate.get()
        operation = Operation(
            id=operation_id or str(uuid.uuid4()),
            kind=kind,
            arguments=arguments,
            collection=collection,
            api_version=call.api_version,
            resource_id=resource_id,
            started=wire_time(now()),
            seconds=fate.seconds if fate and fate.seconds is not None else seconds,
            retry_after=retry_after,
            shows_output=shows_output,
            fails_with=fate.error if fate else None,
        )
        self._add(operation)
        self._forget_oldest()
        self._store.save_operation(operation.id, asdict(operation))
        self._run(operation)
        return operation

    def busy(self, resource_id: str) -> bool:
        """Whether an operation on the resource is in progress."""
        return bool(self._active.get(resource_id.lower()))

    def in_progress(self) -> list[Operation]:
        """All operations that have not ended."""
        return [operation for active in self._active.values() for operation in active]

    async def others_done(self, resource_id: str, but: str) -> None:
        """Waits until no operation of another kind than `but` is in progress on the resource."""
        while any(o.kind != but for o in self._active.get(resource_id.lower(), ())):
            await asyncio.sleep(0.05)

    def _run(self, operation: Operation) -> None:
        task = asyncio.get_running_loop().create_task(self._execute(operation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute(self, operation: Operation) -> None:
        await self.waits(operation)
        try:
            if operation.fails_with is not None:
                self._leave_failed(operation.resource_id)
                raise ArmError(409, operation.fails_with["code"], operation.fails_with["message"])
            operation.output = await self._works[operation.kind](operation.arguments)
            operation.status = SUCCEEDED
        except ArmError as fault:
            operation.status, operation.error = FAILED, fault.error()
        except Exception:  # noqa: BLE001 - whatever goes wrong in the server, its client gets an answer
            _log.exception("operation %s on %s broke", operation.kind, operation.resource_id)
            operation.status = FAILED
            operation.error = {
                "code": "InternalExecutionError",
                "message": "An internal execution error occurred.",
            }
        operation.ended = wire_time(now())
        self._end(operation)
        self._store.save_operation(operation.id, asdict(operation))

    def _end(self, operation: Operation) -> None:
        key = operation.resource_id.lower()
        self._active[key].remove(operation)
        if not self._active[key]:
            del self._active[key]

    def _leave_failed(self, resource_id: str) -> None:
        resource = self._store.get(resource_id)
        if resource is None:
            return
        switched = "power_before" in resource.hidden
        if switched:
            resource.hidden["power"] = resource.hidden.pop("power_before")
        if switched or resource.state.endswith("ing"):
            resource.properties["provisioningState"] = "Failed"
            self._store.put(resource)

    # What clients see of it.

    def url(self, operation: Operation, *, result: bool) -> str:
        """Where the operation's status can be asked for, or its result. The query must come back whole."""
        return self._urls.write(operation.collection, operation.id, operation.api_version, result=result)

    def headers(self, operation: Operation, *, aao: bool, location: bool) -> dict[str, str]:
        """What the first answer carries: Azure-AsyncOperation, Location, Retry-After."""
        headers = {}
        if aao:
            headers["Azure-AsyncOperation"] = self.url(operation, result=False)
        if location:
            headers["Location"] = self.url(operation, result=True)
        retry_after = self._settings.pace.retry_after(operation.retry_after)
        if retry_after is not None:
            headers["Retry-After"] = retry_after
        return headers

    def report(self, call: Call, operation_id: str) -> Reply:
        """Answers a GET on a status URL."""
        operation = self._operations.get(operation_id.lower())
        asked = call.path.lower().rpartition("/")[0]
        if operation is None or asked not in _collections(operation):
            raise ArmError(404, "NotFound", "The entity was not found in this Azure location.")
        if not self._urls.check(operation.collection, operation.id, call.query):
            raise ArmError(
                403,
                "AuthorizationFailed",
                "The signature of the operation URL is not valid. Send its query as it was received.",
            )
        first, operation.polled = not operation.polled, True
        if asks_for_result(operation.collection, call.path, call.query):
            return self._monitor(operation)
        return Reply(200, operation.status_body(), self._patience(operation, first=first))

    def _patience(self, operation: Operation, *, first: bool = False) -> dict[str, str]:
        """Azure mostly leaves clients alone with their 30 s; here SDKs read of less in a header."""
        if operation.status != IN_PROGRESS:
            return {}
        if not self._settings.pace.azure_retry_after:
            return {"x-ms-retry-after-ms": str(min(max(50, int(operation.seconds * 500)), 30000))}
        asks = first and operation.retry_after == _MACHINE_SECONDS
        return {"Retry-After": str(_FIRST_POLL_SECONDS)} if asks else {}

    def _monitor(self, operation: Operation) -> Reply:
        if operation.status == IN_PROGRESS:
            headers = self.headers(operation, aao=False, location=True)
            return Reply(202, None, {**headers, **self._patience(operation)})
        if operation.error is not None:
            raise ArmError(409, operation.error["code"], operation.error["message"])
        return Reply(200, operation.output)


async def _sleep(operation: Operation) -> None:
    await asyncio.sleep(operation.seconds)


def _collections(operation: Operation) -> set[str]:
    return {operation.collection.lower(), results_collection(operation.collection).lower()}
