# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The wire server at 168.63.129.16, port 80: goal state, configuration, reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from tests.guests.lab.programs import ProgramError
from tests.local_azure.guest_environment import wire_documents as documents
from tests.local_azure.guest_environment.record import Environment
from tests.local_azure.guest_environment.reports import Reports
from tests.local_azure.guest_environment.wire_certificates import CertificateError, encrypted_certificates

_MAX_BODY = 4 << 20


class WireServer:
    def __init__(self, environment: Environment, reports: Reports) -> None:
        self._environment = environment
        self._reports = reports
        self._configurations: dict[str, Callable[[Environment], str]] = {
            "hostingenvironmentconfig": documents.hosting_environment,
            "sharedconfig": documents.shared_configuration,
            "extensionsconfig": documents.extensions_configuration,
        }

    def application(self, metadata: list[web.RouteDef]) -> web.Application:
        """`metadata`: routes of the metadata service, which answers at this address as well."""
        application = web.Application(client_max_size=_MAX_BODY)
        application.add_routes(
            [
                *metadata,
                web.get("/", self._root),
                web.get("/machine", self._machine),
                web.get("/machine/", self._machine),
                web.post("/machine", self._report),
                web.post("/machine/", self._report),
                web.get("/machine/{container}/{instance}", self._configuration),
                # Observations on the host's plugin, which the agent makes.
                web.post("/HealthService", self._taken),
            ]
        )
        return application

    async def _root(self, request: web.Request) -> web.Response:
        if request.query.get("comp", "").lower() != "versions":
            return web.Response(status=404)
        return _xml(documents.versions())

    async def _machine(self, request: web.Request) -> web.Response:
        version = request.headers.get("x-ms-version", "")
        if request.query.get("comp", "").lower() != "goalstate":
            return web.Response(status=404)
        if version not in documents.PROTOCOL_VERSIONS:
            return web.Response(status=400)
        self._reports.goal_state_fetched(_reporter(request))
        return _xml(documents.goal_state(self._environment, version))

    async def _configuration(self, request: web.Request) -> web.Response:
        if not self._is_ours(request.match_info["container"]):
            return web.Response(status=410)
        component = request.query.get("comp", "").lower()
        if component == "certificates":
            return await _certificates(request)
        make = self._configurations.get(request.query.get("type", "").lower())
        if component != "config" or make is None:
            return web.Response(status=404)
        return _xml(make(self._environment))

    async def _report(self, request: web.Request) -> web.Response:
        component = request.query.get("comp", "").lower()
        content = await request.read()
        if component == "health":
            return self._health(documents.parse_health_report(content), _reporter(request))
        if component == "roleproperties":
            return web.Response(status=202)
        return await self._taken(request) if component == "telemetrydata" else web.Response(status=404)

    def _health(self, report: documents.HealthReport | None, reporter: str) -> web.Response:
        if report is None or report.incarnation != documents.INCARNATION:
            return web.Response(status=400)
        if not self._is_ours(report.container_id):
            return web.Response(status=410)
        self._reports.health(report.state, report.substatus, report.description, reporter)
        return web.Response(status=200)

    async def _taken(self, _request: web.Request) -> web.Response:
        return web.Response(status=200)

    def _is_ours(self, container: str) -> bool:
        """A guest that asks for another container goes by the goal state of another machine."""
        return container.lower() == self._environment.container_id


async def _certificates(request: web.Request) -> web.Response:
    recipient = request.headers.get("x-ms-guest-agent-public-x509-cert", "")
    cipher = request.headers.get("x-ms-cipher-name", "")
    try:
        encrypted = await asyncio.to_thread(encrypted_certificates, recipient, cipher)
    except (CertificateError, ProgramError):
        return web.Response(status=400)
    return _xml(documents.certificates(encrypted))


def _xml(document: str) -> web.Response:
    return web.Response(text=document, content_type="text/xml", charset="utf-8")


def _reporter(request: web.Request) -> str:
    return request.headers.get("User-Agent", "")
