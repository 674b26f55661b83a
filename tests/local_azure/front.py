# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The front door of Azure Resource Manager: authentication, api-version, routing, headers, log."""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from tests.local_azure.azure import LOCATIONS, LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.clock import now
from tests.local_azure.errors import ArmError, invalid_content
from tests.local_azure.exchange_log import ExchangeLog
from tests.local_azure.kinds import ResourceKind, Verb, method_not_allowed
from tests.local_azure.rate_limits import rate_limit
from tests.local_azure.tokens import Tokens

_log = logging.getLogger("local_azure")
_API_VERSION = re.compile(r"^20\d\d-\d\d-\d\d(-(preview|alpha|beta|privatepreview))?$")
_FIRST_VERSION = "2015-06-15"
_OPERATION_COLLECTIONS = {
    "operations",
    "diskoperations",
    "capsoperations",
    "operationresults",
    "asyncoperations",
}


class Front:
    """`resources` answers what lies outside provider namespaces: subscriptions, groups, provider lists."""

    def __init__(
        self,
        azure: LocalAzure,
        tokens: Tokens,
        *,
        kinds: Sequence[ResourceKind],
        resources: Mapping[tuple[str, str], Verb],
        subscription_verbs: Mapping[str, Verb],
        log: ExchangeLog,
    ) -> None:
        self._azure = azure
        self._tokens = tokens
        self._kinds = {kind.type.lower(): kind for kind in kinds}
        self._namespaces = {kind.namespace.lower(): kind.namespace for kind in kinds}
        self._resources = resources
        self._subscription_verbs = subscription_verbs
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
            path = request.path.rstrip("/")
            call = Call(request.method, path, dict(request.query), body, principal=principal)
            self._check_version(call)
            reply = await self._dispatch(call)
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

    async def _dispatch(self, call: Call) -> Reply:
        parts = call.path.strip("/").split("/")
        if parts[0].lower() == "subscriptions" and len(parts) > 1:
            parts[1] = self._subscription(call, parts[1])
        lowered = [p.lower() for p in parts]
        if len(parts) > 4 and lowered[2] == "resourcegroups" and lowered[4] == "providers":
            if len(parts) < 7:
                raise _bad_path(call)
            return await self._in_provider(_placed(call, parts[1], parts[3], parts[5], parts[6:]))
        if len(parts) > 4 and lowered[0] == "subscriptions" and lowered[2] == "providers":
            if lowered[4] == "locations" and len(parts) == 8 and lowered[6] in _OPERATION_COLLECTIONS:
                return self._azure.operations.report(call, parts[7])
            verb = self._subscription_verb(lowered[3:])
            if verb is not None:
                return await verb(_placed(call, parts[1], "", parts[3], parts[4:]))
            if lowered[4] not in ("register", "unregister"):
                return await self._in_provider(_placed(call, parts[1], "", parts[3], parts[4:]))
        return await self._outside_providers(call, lowered, parts)

    def _subscription(self, call: Call, text: str) -> str:
        """The subscription's id in its usual form; it has to be one of the caller's own tenant."""
        tenant = self._azure.settings.identity.tenant_of(text)
        if tenant is None:
            raise _unknown_subscription(text)
        if tenant.id != call.principal.tenant_id:
            raise self._tokens.wrong_tenant(call.principal, tenant)
        return text.lower()

    def _subscription_verb(self, lowered: Sequence[str]) -> Verb | None:
        text = "/".join(lowered)
        return next((v for k, v in self._subscription_verbs.items() if re.fullmatch(k, text)), None)

    async def _outside_providers(self, call: Call, lowered: Sequence[str], parts: Sequence[str]) -> Reply:
        pattern = [p if i % 2 == 0 else "*" for i, p in enumerate(lowered)]
        if lowered[0] in ("tenants", "providers"):
            pattern = [lowered[0]] + ["*"] * (len(parts) - 1)
        handler = self._resources.get((call.method, "/".join(pattern)))
        if handler is None:
            if any(path == "/".join(pattern) for _unused, path in self._resources):
                raise method_not_allowed(call)
            raise _bad_path(call)
        subscription = parts[1] if lowered[0] == "subscriptions" and len(parts) > 1 else ""
        group = parts[3] if len(parts) > 3 else ""
        placed = _placed(call, subscription, group, "", [])
        return await handler(placed)

    async def _in_provider(self, call: Call) -> Reply:
        namespace = self._namespaces.get(call.provider.lower())
        if namespace is None:
            raise ArmError(
                404,
                "InvalidResourceNamespace",
                f"The resource namespace '{call.provider}' is invalid.",
                gateway=True,
            )
        kind = self._kinds.get("/".join([call.provider, *call.types]).lower())
        if kind is None and len(call.types) > len(call.names):
            owner = self._kinds.get("/".join([call.provider, *call.types[:-1]]).lower())
            if owner is not None and call.names:
                return await self._verb(owner, call)
        if kind is None:
            raise ArmError(
                404,
                "InvalidResourceType",
                f"The resource type '{'/'.join(call.types)}' could not be found in the namespace "
                f"'{namespace}' "
                f"for api version '{call.api_version}'. The supported types are "
                f"'{','.join(sorted(k.type.partition('/')[2] for k in self._kinds.values()))}'.",
                gateway=True,
            )
        check_version_of(kind, call.api_version)
        if len(call.types) > len(call.names):
            if call.method != "GET":
                raise method_not_allowed(call)
            return await kind.list(call)
        if not call.resource_group:
            raise _bad_path(call)
        handlers = {
            "GET": kind.get,
            "HEAD": kind.get,
            "PUT": kind.put,
            "PATCH": kind.patch,
            "DELETE": kind.delete,
        }
        if call.method not in handlers:
            raise method_not_allowed(call)
        return await handlers[call.method](call)

    async def _verb(self, kind: ResourceKind, call: Call) -> Reply:
        name = call.types[-1].lower()
        verb = kind.verbs().get(("get " if call.method == "GET" else "") + name)
        if verb is None or call.method not in ("GET", "POST"):
            raise ArmError(
                404,
                "InvalidResourceType",
                f"The resource type '{'/'.join(call.types)}' could not be found in the namespace "
                f"'{kind.namespace}' for api version '{call.api_version}'.",
                gateway=True,
            )
        return await verb(replace(call, types=call.types[:-1]))

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


def check_version_of(kind: ResourceKind, version: str) -> None:
    """Providers know versions from their own beginning to today; which ones exactly is not checked."""
    if _FIRST_VERSION <= version[:10] <= f"{now():%Y-%m-%d}":
        return
    raise ArmError(
        400,
        "NoRegisteredProviderFound",
        f"No registered resource provider found for location '{LOCATIONS[0].name}' and API version "
        f"'{version}' "
        f"for type '{kind.type.partition('/')[2]}'. The supported api-versions are the released ones from "
        f"'{_FIRST_VERSION}' on. The supported locations are '{', '.join(p.name for p in LOCATIONS)}'.",
        gateway=True,
    )


def _placed(call: Call, subscription: str, group: str, provider: str, tail: Sequence[str]) -> Call:
    return replace(
        call,
        subscription=subscription,
        resource_group=group,
        provider=provider,
        types=tuple(tail[0::2]),
        names=tuple(tail[1::2]),
    )


def _parse(raw: bytes) -> Any:
    if not raw.strip():
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        raise invalid_content(
            f"After parsing a value an unexpected character was encountered: {error}"
        ) from None


def _fault_reply(fault: ArmError) -> Reply:
    headers = dict(fault.headers)
    if fault.gateway:
        headers["x-ms-failure-cause"] = "gateway"
    return Reply(fault.status, {"error": fault.error()}, headers, compact=fault.gateway)


def _unknown_subscription(text: str) -> ArmError:
    try:
        uuid.UUID(text)
    except ValueError:
        return ArmError(
            400,
            "InvalidSubscriptionId",
            f"The provided subscription identifier '{text}' is malformed or invalid.",
            gateway=True,
        )
    return ArmError(
        404, "SubscriptionNotFound", f"The subscription '{text}' could not be found.", gateway=True
    )


def _bad_path(call: Call) -> ArmError:
    return ArmError(
        404,
        "NotFound",
        f"No route of the local Azure answers {call.method} {call.path}.",
        gateway=True,
    )


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
