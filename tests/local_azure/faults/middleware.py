# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Where faults meet requests for Resource Manager and Entra: before, around and behind the real handling."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tests.local_azure.errors import ArmError
from tests.local_azure.exchange_log import ExchangeLog
from tests.local_azure.faults.answers import FalseAnswer, entra_refusal, refusal
from tests.local_azure.faults.board import FaultBoard
from tests.local_azure.faults.delivery import cut_connection, deliver
from tests.local_azure.faults.effects import NEVER
from tests.local_azure.faults.fate import OperationFate, fated
from tests.local_azure.faults.rules import Rule
from tests.local_azure.faults.visibility import Visibility
from tests.local_azure.identity.tokens import Tokens

_ARM_ROOTS = ("subscriptions", "providers", "tenants")
_REFUSALS = ("throttle", "error")
# Seconds; finite, because operations are stored as JSON.
_YEARS = 1e8


class FaultyWay:
    """What a request passes on its way in and out. `board` says which requests go wrong."""

    def __init__(
        self, url: str, board: FaultBoard, visibility: Visibility, tokens: Tokens, log: ExchangeLog
    ) -> None:
        self._url = url
        self._board = board
        self._visibility = visibility
        self._tokens = tokens
        self._log = log
        self._expired: set[str] = set()

    def middleware(self) -> Middleware:
        """For the web application."""

        @web.middleware
        async def way(request: web.Request, handler: Handler) -> web.StreamResponse:
            service = _service_of(request)
            if service is None:
                return await handler(request)
            return await self._handle(service, request, handler)

        return way

    def clear(self) -> None:
        """Forgets what faults of the past still do: expired tokens, hidden and lingering resources."""
        self._expired.clear()
        self._visibility.clear()

    async def _handle(self, service: str, request: web.Request, handler: Handler) -> web.StreamResponse:
        rule = self._board.next_fault(service, request.method, request.path, dict(request.query))
        if service == "arm":
            early = await self._standing(request, rule)
            if early is not None:
                return early
        if rule is None:
            return await handler(request)
        if rule.kind in _REFUSALS:
            if service == "entra":
                return await self._answer_falsely(request, entra_refusal(rule), rule.kind, log=False)
            answer = refusal(rule, *_places(request.path.split("/")))
            return await self._answer_falsely(request, answer, rule.kind)
        if rule.kind == "drop" and rule.options["when"] == "before":
            return cut_connection(request)
        return await self._handle_then_deliver(request, handler, rule)

    async def _handle_then_deliver(
        self, request: web.Request, handler: Handler, rule: Rule
    ) -> web.StreamResponse:
        path = request.path.rstrip("/")
        if rule.kind == "linger" and request.method == "DELETE":
            self._visibility.linger(path, rule.options["seconds"])
        with fated(
            mark={"rule": rule.name, "kind": rule.kind, "injected": False},
            operation=_fate(rule),
            lifetime=rule.options["seconds"] if rule.kind == "short_tokens" else None,
        ):
            answer = await handler(request)
        if rule.kind == "hide" and request.method == "PUT" and answer.status < 300:
            self._visibility.hide(path, rule.options["seconds"])
        return await deliver(request, answer, rule) if isinstance(answer, web.Response) else answer

    async def _standing(self, request: web.Request, rule: Rule | None) -> web.StreamResponse | None:
        """What earlier faults, and a token that expires now, make of a request."""
        bearer = request.headers.get("Authorization", "")
        token = hashlib.sha256(bearer.encode()).hexdigest()
        if rule is not None and rule.kind == "expire_token":
            self._expired.add(token)
        if token in self._expired:
            return await self._answer_falsely(request, _from_error(self._tokens.expired()), "expire_token")
        view = self._visibility.false_view(request.method, request.path.rstrip("/"))
        if view is None:
            return None
        answer = _from_error(view) if isinstance(view, ArmError) else FalseAnswer(200, {}, view)
        return await self._answer_falsely(request, answer, "visibility")

    async def _answer_falsely(
        self, request: web.Request, answer: FalseAnswer, kind: str, *, log: bool = True
    ) -> web.Response:
        content = json.dumps(answer.body).encode()
        headers = {**answer.headers, "Content-Type": "application/json; charset=utf-8"}
        if log:
            body = _json(await request.read())
            with fated(mark={"kind": kind, "injected": True}):
                self._log.write(
                    request.method,
                    f"{self._url}{request.path_qs}",
                    request_headers=request.headers,
                    request_body=body,
                    status=answer.status,
                    response_headers=headers,
                    response_body=answer.body,
                )
        return web.Response(status=answer.status, headers=headers, body=content)


def _service_of(request: web.Request) -> str | None:
    parts = request.path.strip("/").lower().split("/")
    if parts[0] in _ARM_ROOTS:
        return "arm"
    return "entra" if parts[-1] == "token" and "oauth2" in parts else None


def _places(parts: list[str]) -> tuple[str, str]:
    """Subscription and provider that a path names."""
    lowered = [part.lower() for part in parts]
    subscription = parts[2] if len(parts) > 2 and lowered[1] == "subscriptions" else ""
    if "providers" in lowered[:-1]:
        return subscription, parts[lowered.index("providers") + 1]
    return subscription, "Microsoft.Resources"


def _fate(rule: Rule) -> OperationFate | None:
    if rule.kind == "fail_operation":
        return OperationFate(error={"code": rule.options["code"], "message": rule.options["message"]})
    if rule.kind == "slow_operation":
        seconds = rule.options["seconds"]
        return OperationFate(seconds=_YEARS if seconds == NEVER else float(seconds))
    if rule.kind == "fail_replication":
        return OperationFate(failing_region=(str(rule.options["region"]), str(rule.options["detail"])))
    return None


def _from_error(error: ArmError) -> FalseAnswer:
    return FalseAnswer(error.status, dict(error.headers), {"error": error.error()})


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw.strip() else None
    except ValueError:
        return None
