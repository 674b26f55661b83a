# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The front door of Azure Resource Manager: authentication, api-version, headers, log."""

from __future__ import annotations

import json
import logging
import math
import re
import uuid
from collections.abc import Iterable
from typing import Any, NoReturn

from aiohttp import web

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.clock import now
from tests.local_azure.errors import ArmError, invalid_content
from tests.local_azure.exchange_log import ExchangeLog
from tests.local_azure.identity.tokens import Tokens
from tests.local_azure.rate_limits import rate_limit
from tests.local_azure.routing import Router

_log = logging.getLogger("local_azure")
_API_VERSION = re.compile(r"^20\d\d-\d\d-\d\d(-(preview|alpha|beta|privatepreview))?$")

# How deep a body may be nested.
_DEEPEST = 64


class Front:
    """What every request goes through before and behind the router."""

    def __init__(self, azure: LocalAzure, tokens: Tokens, router: Router, log: ExchangeLog) -> None:
        self._azure = azure
        self._tokens = tokens
        self._router = router
        self._log = log

    def routes(self) -> list[web.RouteDef]:
        """Everything that no route before it takes: paths are compared without case, which routes are not."""
        return [web.route("*", "/{path:.*}", self._handle)]

    async def _handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        body: Any = None
        call: Call | None = None
        try:
            principal = self._tokens.check_bearer(request.headers.get("Authorization"))
            body = _parse(raw)
            # Azure takes several slashes for one; azure-cli's look-ups of resources by name have two.
            path = re.sub("/{2,}", "/", request.path).rstrip("/")
            call = Call(request.method, path, dict(request.query), body, principal=principal)
            self._check_version(call)
            reply = await self._router.dispatch(call)
        except ArmError as fault:
            reply = _fault_reply(fault)
        except Exception:  # noqa: BLE001 - the client of a server gets an answer whatever breaks
            _log.exception("%s %s broke", request.method, request.path)
            reply = Reply(500, {"error": {"code": "InternalServerError", "message": "See the server's log."}})
        return self._respond(request, body, reply, call)

    def _check_version(self, call: Call) -> None:
        version = call.api_version
        if not version:
            raise ArmError(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
                gateway=True,
            )
        if not _API_VERSION.match(version):
            raise ArmError(
                400,
                "InvalidApiVersionParameter",
                f"The api-version '{version}' is invalid. It must be a date like '2024-07-01', for previews "
                "followed by '-preview'.",
                gateway=True,
            )

    def _respond(self, request: web.Request, body: Any, reply: Reply, call: Call | None) -> web.Response:
        headers = _standard_headers(request, reply)
        if call is not None and reply.status != 401:
            headers.update(rate_limit(call))
        headers.update(reply.headers)
        content = b""
        if reply.body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
            content = (
                json.dumps(reply.body, separators=(",", ":"))
                if reply.compact
                else json.dumps(reply.body, indent=2).replace("\n", "\r\n")
            ).encode()
        url = f"{self._azure.settings.url}{request.path_qs}"
        self._log.write(
            request.method,
            url,
            request_headers=request.headers,
            request_body=body,
            status=reply.status,
            response_headers=headers,
            response_body=reply.body,
        )
        if request.method == "HEAD":
            content = b""
        return web.Response(status=reply.status, body=content, headers=headers)


def _parse(raw: bytes) -> Any:
    if not raw.strip():
        return None
    try:
        body = json.loads(raw, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise invalid_content(
            f"After parsing a value an unexpected character was encountered: {error}"
        ) from None
    level = [body]
    for _depth in range(_DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return body
    raise _too_deep()


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_number(text)


def _no_number(text: str) -> NoReturn:
    """NaN and the infinities, which JSON does not have."""
    raise ValueError(f"{text} is no number")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> ArmError:
    return invalid_content(f"The reader's MaxDepth of {_DEEPEST} has been exceeded")


def _fault_reply(fault: ArmError) -> Reply:
    headers = dict(fault.headers)
    if fault.gateway:
        headers["x-ms-failure-cause"] = "gateway"
    return Reply(fault.status, {"error": fault.error()}, headers, compact=fault.gateway)


def _standard_headers(request: web.Request, reply: Reply) -> dict[str, str]:
    request_id = str(uuid.uuid4())
    headers = {
        "Cache-Control": "no-cache",
        "Pragma": "no-cache",
        "Expires": "-1",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "x-ms-request-id": request_id,
        "x-ms-correlation-request-id": request.headers.get("x-ms-correlation-request-id", request_id),
        "x-ms-routing-request-id": f"LOCAL:{now():%Y%m%dT%H%M%SZ}:{request_id}",
    }
    if reply.status < 400:
        kind, left = {"GET": ("reads", 11999), "HEAD": ("reads", 11999), "DELETE": ("deletes", 14999)}.get(
            request.method, ("writes", 1199)
        )
        headers[f"x-ms-ratelimit-remaining-subscription-{kind}"] = str(left)
    client = request.headers.get("x-ms-client-request-id")
    if client and request.headers.get("x-ms-return-client-request-id", "").lower() == "true":
        headers["x-ms-client-request-id"] = client
    return headers
