# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Long-running operations: the work behind them, the URLs that report them, surviving a restart."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlencode

from tests.local_azure.call import Call, Reply
from tests.local_azure.clock import now, ticks, wire_time
from tests.local_azure.errors import ArmError
from tests.local_azure.settings import Settings
from tests.local_azure.store import Json, Store

Work = Callable[[Json], Awaitable[Any]]

IN_PROGRESS, SUCCEEDED, FAILED = "InProgress", "Succeeded", "Failed"
# What Compute needs at least to look again whether work without content is done (images: 5.1 s).
TYPICAL_SECONDS = 5.0
_log = logging.getLogger("local_azure")


@dataclass
class Operation:
    """`kind` and `arguments` are enough to run the work again after a restart.

    `retry_after` is what Azure sends with the first answer; `shows_output`: the status has the result.
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

    def status_body(self) -> Json:
        body: Json = {"startTime": self.started}
        if self.ended:
            body["endTime"] = self.ended
        body["status"] = self.status
        if self.status == SUCCEEDED and self.shows_output and self.output is not None:
            body["properties"] = {"output": self.output}
        if self.error is not None:
            body["error"] = self.error
        body["name"] = self.id
        return body


class Operations:
    """Runs operations as tasks of the server's event loop."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        #: How an operation spends its time; a replay of recordings steps through them instead.
        self.waits: Callable[[Operation], Awaitable[None]] = _sleep
        self._key = base64.b64decode(settings.operation_key)
        self._works: dict[str, Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._operations = {o["id"]: Operation(**o) for o in store.operations()}
        # Azure's URLs carry a certificate of this size, and clients must cope with it.
        self._filler = (
            base64.urlsafe_b64encode(hashlib.shake_256(self._key).digest(1500)).decode().rstrip("=")
        )

    def define(self, kind: str, work: Work) -> None:
        self._works[kind] = work

    def resume(self) -> None:
        """Starts what a stop of the server interrupted over again; the works are written to bear that."""
        for operation in self._operations.values():
            if operation.status == IN_PROGRESS:
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
    ) -> Operation:
        """Runs the work in the background. `azure_seconds` is how long Azure itself typically takes."""
        operation = Operation(
            id=str(uuid.uuid4()),
            kind=kind,
            arguments=arguments,
            collection=collection,
            api_version=call.api_version,
            resource_id=resource_id,
            started=wire_time(now()),
            seconds=self._settings.pace.seconds(azure_seconds),
            retry_after=retry_after,
            shows_output=shows_output,
        )
        self._operations[operation.id] = operation
        self._store.save_operation(operation.id, asdict(operation))
        self._run(operation)
        return operation

    def busy(self, resource_id: str) -> bool:
        """Whether an operation on the resource is in progress."""
        return any(
            o.status == IN_PROGRESS and o.resource_id.lower() == resource_id.lower()
            for o in self._operations.values()
        )

    async def others_done(self, resource_id: str, but: str) -> None:
        """Waits until no operation of another kind than `but` is in progress on the resource."""
        key = resource_id.lower()
        while any(
            o.status == IN_PROGRESS and o.kind != but and o.resource_id.lower() == key
            for o in self._operations.values()
        ):
            await asyncio.sleep(0.05)

    def _run(self, operation: Operation) -> None:
        task = asyncio.get_running_loop().create_task(self._execute(operation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _execute(self, operation: Operation) -> None:
        await self.waits(operation)
        try:
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
        self._store.save_operation(operation.id, asdict(operation))

    # What clients see of it.

    def url(self, operation: Operation, *, monitor: bool, collection: str | None = None) -> str:
        """The status URL. Its query is signed and must come back whole."""
        query = {"p": str(uuid.uuid5(uuid.NAMESPACE_URL, operation.collection))}
        if monitor:
            query["monitor"] = "true"
        query["api-version"] = operation.api_version
        query["t"] = str(ticks(now()))
        query["c"] = self._filler
        query["h"] = secrets.token_urlsafe(32)
        signed = {**query, "s": self._signature(operation.id, query)}
        path = (collection or operation.collection) + "/" + operation.id
        return f"{self._settings.url}{path}?{urlencode(signed)}"

    def _signature(self, operation_id: str, query: Json) -> str:
        parts = [
            operation_id.lower(),
            *(query.get(k, "") for k in ("p", "monitor", "api-version", "t", "c", "h")),
        ]
        digest = hmac.new(self._key, "\n".join(parts).encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def headers(
        self, operation: Operation, *, aao: bool, location: bool, location_collection: str | None = None
    ) -> dict[str, str]:
        headers = {}
        if aao:
            headers["Azure-AsyncOperation"] = self.url(operation, monitor=False)
        if location:
            headers["Location"] = self.url(operation, monitor=True, collection=location_collection)
        retry_after = self._settings.pace.retry_after(operation.retry_after)
        if retry_after is not None:
            headers["Retry-After"] = retry_after
        return headers

    def report(self, call: Call, operation_id: str) -> Reply:
        """Answers a GET on a status URL."""
        operation = self._operations.get(operation_id.lower())
        if operation is None or call.path.lower().rpartition("/")[0] not in _collections(operation):
            raise ArmError(404, "NotFound", "The entity was not found in this Azure location.")
        if not hmac.compare_digest(call.query.get("s", ""), self._signature(operation.id, dict(call.query))):
            raise ArmError(
                403,
                "AuthorizationFailed",
                "The signature of the operation URL is not valid. Send its query as it was received.",
            )
        if call.query.get("monitor") == "true":
            return self._monitor(operation)
        return Reply(200, operation.status_body(), self._patience(operation))

    def _patience(self, operation: Operation) -> dict[str, str]:
        """Azure mostly leaves clients alone with their 30 s; here SDKs read of less in a header."""
        if operation.status != IN_PROGRESS or self._settings.pace.azure_retry_after:
            return {}
        return {"x-ms-retry-after-ms": str(max(50, int(operation.seconds * 500)))}

    def _monitor(self, operation: Operation) -> Reply:
        if operation.status == IN_PROGRESS:
            headers = self.headers(
                operation, aao=False, location=True, location_collection=_monitored(operation)
            )
            return Reply(202, None, {**headers, **self._patience(operation)})
        if operation.error is not None:
            raise ArmError(409, operation.error["code"], operation.error["message"])
        return Reply(200, operation.output)


async def _sleep(operation: Operation) -> None:
    await asyncio.sleep(operation.seconds)


def _monitored(operation: Operation) -> str:
    """Network has a collection of its own for Location."""
    if "/providers/microsoft.network/" in operation.collection.lower():
        return operation.collection.rpartition("/")[0] + "/operationResults"
    return operation.collection


def _collections(operation: Operation) -> set[str]:
    return {operation.collection.lower(), _monitored(operation).lower()}
