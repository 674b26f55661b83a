# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Deploys a template's resources: each as soon as what it needs is there, through the front door."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.local_azure.call import Call, Reply
from tests.local_azure.clock import now, storage_time
from tests.local_azure.errors import ArmError
from tests.local_azure.identity.directory import Principal
from tests.local_azure.providers.resources.deployment_content import Content, target, template_fault
from tests.local_azure.providers.resources.deployment_errors import resource_failed, status_name
from tests.local_azure.store import Json
from tests.local_azure.templates.errors import TemplateError
from tests.local_azure.templates.evaluation import LIST_FUNCTION, Evaluator
from tests.local_azure.templates.plan import PlannedResource, matching
from tests.local_azure.templates.text_functions import TemplateFunction

Dispatch = Callable[[Call], Awaitable[Reply]]
_POLL_SECONDS = 0.05
_log = logging.getLogger("local_azure")
_RUNNING = frozenset({"inprogress", "running", "accepted", "updating", "creating", "deleting"})


class Requests:
    """Requests to Resource Manager in the name of the one who deploys."""

    def __init__(self, dispatch: Dispatch, principal: Principal) -> None:
        self._dispatch = dispatch
        self._principal = principal

    async def send(self, method: str, path: str, version: str, body: Any = None) -> Reply:
        """One request; raises the ArmError it is answered with."""
        query = {"api-version": version}
        # A body of its own, as if it had come over the wire.
        fresh = None if body is None else json.loads(json.dumps(body))
        try:
            return await self._dispatch(Call(method, path, query, fresh, principal=self._principal))
        except ArmError:
            raise
        except Exception:  # noqa: BLE001 - as at the front door: whoever asks gets an answer
            _log.exception("%s %s of a deployment broke", method, path)
            raise ArmError(500, "InternalServerError", "See the server's log.") from None

    async def finish(self, reply: Reply) -> Json | None:
        """Waits for the operation that an answer names; gives the error it ended with."""
        status_url = reply.headers.get("Azure-AsyncOperation")
        url = status_url or reply.headers.get("Location")
        while url:
            await asyncio.sleep(_POLL_SECONDS)
            parts = urlsplit(url)
            poll = Call("GET", parts.path, dict(parse_qsl(parts.query)), None, principal=self._principal)
            try:
                answer = await self._dispatch(poll)
            except ArmError as fault:
                return fault.error()
            if not status_url:
                if answer.status != 202:
                    return None
                continue
            status = str(answer.body["status"])
            if status.lower() in _RUNNING:
                continue
            if status == "Succeeded":
                return None
            error: Json = answer.body.get("error") or {"code": status, "message": f"The operation {status}."}
            return error
        return None


class DeploymentRun:
    """One run of one deployment.

    `changed` is called with its operations whenever they have changed. `busy` tells whether something
    of an earlier run, which the server's end interrupted, is still at work on the resource of an id.
    """

    def __init__(
        self,
        content: Content,
        requests: Requests,
        changed: Callable[[list[Json]], None],
        busy: Callable[[str], bool],
    ) -> None:
        self._content = content
        self._requests = requests
        self._changed = changed
        self._busy = busy
        self._tasks: dict[asyncio.Task[Json | None], PlannedResource] = {}
        self.operations: list[Json] = []
        self.errors: list[Json] = []
        self.cancelled = False

    async def deploy(self) -> None:
        """Ends when nothing is left that can be deployed; `errors` has what went wrong."""
        waiting = {resource.id.lower(): resource for resource in self._content.deployed}
        open_ids = set(waiting)
        try:
            while waiting or self._tasks:
                for key, resource in list(waiting.items()):
                    if not self.cancelled and not open_ids.intersection(n.lower() for n in resource.needs):
                        del waiting[key]
                        self._tasks[asyncio.create_task(self._one(resource))] = resource
                if not self._tasks:
                    return
                done, _pending = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    resource = self._tasks.pop(task)
                    error = task.result()
                    if error is None:
                        open_ids.discard(resource.id.lower())
                    else:
                        self.errors.append(error)
        finally:
            for task in self._tasks:
                task.cancel()

    async def _one(self, resource: PlannedResource) -> Json | None:
        started = now()
        record = self._record(resource, started)
        try:
            evaluator = self.runtime(resource.evaluator)
            body = await asyncio.to_thread(resource.body, evaluator)
            while self._busy(resource.id):
                await asyncio.sleep(_POLL_SECONDS)
            reply = await self._requests.send("PUT", resource.id, resource.api_version, body)
            record["properties"]["statusCode"] = status_name(reply.status)
            failure = await self._requests.finish(reply)
        except (ArmError, TemplateError) as fault:
            arm = template_fault(fault) if isinstance(fault, TemplateError) else fault
            return self._end(record, started, status_name(arm.status), {"error": arm.error()}, arm.error())
        if failure is None:
            return self._end(record, started, record["properties"]["statusCode"], None, None)
        error = resource_failed(resource.id, failure)
        return self._end(record, started, "Conflict", {"status": "Failed", "error": error}, error)

    def _record(self, resource: PlannedResource, started: datetime) -> Json:
        operation_id = uuid.uuid4().hex[:16].upper()
        record: Json = {
            "operationId": operation_id,
            "properties": {
                "provisioningOperation": "Create",
                "provisioningState": "Running",
                "timestamp": storage_time(started),
                "duration": "PT0S",
                "trackingId": str(uuid.uuid4()),
                "statusCode": "Accepted",
                "targetResource": target(resource),
            },
        }
        self.operations.append(record)
        self._changed(self.operations)
        return record

    def _end(
        self, record: Json, started: datetime, code: str, message: Json | None, error: Json | None
    ) -> Json | None:
        moment = now()
        record["properties"] |= {
            "provisioningState": "Failed" if error else "Succeeded",
            "timestamp": storage_time(moment),
            "duration": iso_duration((moment - started).total_seconds()),
            "statusCode": code,
            **({"statusMessage": message} if message else {}),
        }
        self._changed(self.operations)
        return error

    # Reading what is deployed, from within expressions. They are evaluated in a thread, the requests are
    # made in the server's event loop.

    def runtime(self, evaluator: Evaluator) -> Evaluator:
        """The same, with reference() and list...() at work."""
        loop = asyncio.get_running_loop()

        def ask(method: str, path: str, version: str, body: Any = None) -> Any:
            sent = self._requests.send(method, path, version, body)
            try:
                return asyncio.run_coroutine_threadsafe(sent, loop).result().body
            except ArmError as fault:
                raise TemplateError(f"{fault.code}: {fault.message}") from None

        def reference(name: str, version: str = "", full: str = "") -> Any:
            path, known = self._target(name)
            body = ask("GET", path, version or known)
            if full.lower() != "full":
                return (body or {}).get("properties", {})
            return {**{k: v for k, v in body.items() if k not in ("id", "name", "type")}, "resourceId": path}

        def listing(function: str, name: str, version: str, body: Any = None) -> Any:
            path, _known = self._target(name)
            return ask("POST", f"{path}/{function}", version, body)

        at_work: dict[str, TemplateFunction] = {"reference": reference, LIST_FUNCTION: listing}
        return replace(evaluator, place={**evaluator.place, **at_work}, known={})

    def _target(self, name: str) -> tuple[str, str]:
        """Id and api-version of a resource of the template, or the id as given."""
        found = matching(name, self._content.resources)
        if found:
            return found[0].id, found[0].api_version
        if name.startswith("/"):
            return name, ""
        raise TemplateError(
            f"The resource '{name}' is not defined in the template. "
            "Please see https://aka.ms/arm-syntax for usage details."
        )


def iso_duration(seconds: float) -> str:
    """100.78 as "PT1M40.78S"."""
    minutes, rest = divmod(max(seconds, 0.0), 60)
    hours, minutes = divmod(int(minutes), 60)
    text = "PT" + (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    return f"{text}{f'{rest:.7f}'.rstrip('0').rstrip('.')}S"
