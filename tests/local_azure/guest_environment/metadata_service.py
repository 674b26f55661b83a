# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The instance metadata service at 169.254.169.254 (Microsoft Learn, "Azure Instance Metadata Service")."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.local_azure.guest_environment.metadata_attested import attested_document
from tests.local_azure.guest_environment.metadata_versions import VERSIONS, document_at
from tests.local_azure.guest_environment.record import Environment, load_instance

_MORE = "For more information refer to aka.ms/azureimds"
_EVENTS_SINCE, _IDENTITY_SINCE, _ATTESTED_SINCE = "2017-08-01", "2018-02-01", "2018-10-01"

Handler = Callable[[web.Request, str], Awaitable[web.Response]]


class MetadataService:
    """What it says of the machine is read from the guest's directory each time: the host keeps it current."""

    def __init__(self, directory: Path, environment: Environment) -> None:
        self._directory = directory
        self._environment = environment

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes(self.routes())
        return application

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/metadata/versions", self._versions),
            web.get("/metadata/instance{path:.*}", self._checked(self._instance, VERSIONS[0])),
            web.get("/metadata/scheduledevents", self._checked(self._scheduled_events, _EVENTS_SINCE)),
            web.get("/metadata/attested/document", self._checked(self._attested, _ATTESTED_SINCE)),
            web.get("/metadata/identity/oauth2/token", self._checked(self._token, _IDENTITY_SINCE)),
            web.get("/metadata/identity/info", self._checked(self._identity, _IDENTITY_SINCE)),
            web.route("*", "/metadata{path:.*}", self._elsewhere),
        ]

    def _checked(self, handler: Handler, since: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def checked(request: web.Request) -> web.Response:
            refused = _refuse(request)
            if refused is not None:
                return refused
            version = request.query.get("api-version")
            if version is None:
                return _version_error("api-version was not specified in the request.")
            if version not in VERSIONS or version < since:
                return _version_error("api-version is invalid.")
            return await handler(request, version)

        return checked

    async def _versions(self, request: web.Request) -> web.Response:
        return _refuse(request) or web.json_response({"apiVersions": list(VERSIONS)})

    async def _elsewhere(self, request: web.Request) -> web.Response:
        if request.method != "GET":
            return _error(405, "Method not allowed.")
        return _refuse(request) or _error(404, "Not found")

    async def _instance(self, request: web.Request, version: str) -> web.Response:
        found: Any = document_at(
            load_instance(self._directory),
            version,
            extended=request.query.get("extended", "").lower() == "true",
        )
        for name in request.match_info["path"].strip("/").split("/"):
            if name:
                found = _child(found, name)
            if found is None:
                return _error(404, "Not found")
        as_text = request.query.get("format", "json").lower() == "text"
        if isinstance(found, (dict, list)):
            if as_text:
                return web.Response(text="\n".join(_names(found)))
            return web.json_response(found, dumps=_compact)
        if not as_text:
            return _error(400, "Bad request. A leaf of the document is only available with format=text.")
        return web.Response(text=str(found))

    async def _scheduled_events(self, _request: web.Request, _version: str) -> web.Response:
        return web.json_response({"DocumentIncarnation": 1, "Events": []})

    async def _attested(self, request: web.Request, _version: str) -> web.Response:
        compute = load_instance(self._directory).get("compute", {})
        return web.json_response(attested_document(compute, request.query.get("nonce")))

    async def _identity(self, _request: web.Request, _version: str) -> web.Response:
        return await self._ask_server("/info", {})

    async def _token(self, request: web.Request, _version: str) -> web.Response:
        wanted = {
            name: request.query[name]
            for name in ("resource", "client_id", "object_id", "mi_res_id", "msi_res_id")
            if name in request.query
        }
        if not wanted.get("resource"):
            return _token_error("Required query variable 'resource' is missing")
        return await self._ask_server("/token", wanted)

    async def _ask_server(self, path: str, wanted: dict[str, str]) -> web.Response:
        """Tokens are the local Azure's to give; while it is stopped, there are none."""
        connector = aiohttp.UnixConnector(self._environment.identity_socket)
        query = {**wanted, "vm_id": self._environment.vm_id}
        try:
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.get(f"http://local-azure{path}", params=query) as answer,
            ):
                return web.Response(
                    body=await answer.read(), status=answer.status, content_type="application/json"
                )
        except (OSError, aiohttp.ClientError):
            return web.json_response(
                {"error": "server_error", "error_description": "Service unavailable"}, status=503
            )


def _refuse(request: web.Request) -> web.Response | None:
    """Requests that a redirection or a proxy may have sent."""
    if request.headers.get("Metadata", "").lower() != "true":
        return _error(400, "Bad request. Required metadata header not specified")
    if "X-Forwarded-For" in request.headers:
        return _error(400, "Bad request. Requests with the header X-Forwarded-For are not served")
    return None


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _version_error(problem: str) -> web.Response:
    newest = list(reversed(VERSIONS[-3:]))
    body = {"error": f"Bad request. {problem} {_MORE}", "newest-versions": newest}
    return web.json_response(body, status=400)


def _token_error(description: str) -> web.Response:
    return web.json_response({"error": "invalid_request", "error_description": description}, status=400)


def _child(node: Any, name: str) -> Any:
    if isinstance(node, dict):
        return {key.lower(): value for key, value in node.items()}.get(name.lower())
    if isinstance(node, list) and name.isdecimal() and int(name) < len(node):
        return node[int(name)]
    return None


def _names(node: dict[str, Any] | list[Any]) -> list[str]:
    children = node.items() if isinstance(node, dict) else ((str(i), v) for i, v in enumerate(node))
    return [f"{name}/" if isinstance(value, (dict, list)) else str(name) for name, value in children]


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
