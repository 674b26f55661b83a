# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The host's plugin for the guest agent at 168.63.129.16, port 32526: extensions, agent status."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from aiohttp import web

from tests.local_azure.clock import now, wire_time
from tests.local_azure.guest_environment.record import AgentStatus, Environment
from tests.local_azure.guest_environment.reports import Reports
from tests.local_azure.guest_environment.wire_documents import status_blob

PORT = 32526
_VERSION = "1.0.8.133"
_ETAG = "1"
_MAX_BODY = 64 << 20


class HostPlugin:
    def __init__(self, environment: Environment, reports: Reports) -> None:
        self._environment = environment
        self._reports = reports

    def application(self) -> web.Application:
        application = web.Application(client_max_size=_MAX_BODY)
        application.add_routes(
            [
                web.get("/versions", self._versions),
                web.get("/health", self._well),
                web.get("/vmSettings", self._settings),
                web.put("/status", self._status),
                web.put("/vmAgentLog", self._log),
            ]
        )
        return application

    async def _versions(self, _request: web.Request) -> web.Response:
        return web.json_response(["2015-09-01"])

    async def _well(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def _log(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    async def _settings(self, request: web.Request) -> web.Response:
        if request.headers.get("If-None-Match") == _ETAG:
            return web.Response(status=304)
        environment = self._environment
        settings = {
            "hostGAPluginVersion": _VERSION,
            "vmSettingsSchemaVersion": "0.0",
            "activityId": environment.deployment_id,
            "correlationId": environment.container_id,
            "inSvdSeqNo": 1,
            "extensionsLastModifiedTickCount": 635855231999999999,
            "extensionGoalStatesSource": "Fabric",
            "statusUploadBlob": {"statusBlobType": "BlockBlob", "value": status_blob(environment)},
            "gaFamilies": [],
            "extensionGoalStates": [],
        }
        return web.json_response(settings, headers={"ETag": _ETAG})

    async def _status(self, request: web.Request) -> web.Response:
        """The agent sends what would go into the status blob; content comes in base64."""
        try:
            wanted: Any = json.loads(await request.read())
            content = wanted.get("content")
            if content is not None:
                self._reports.agent(_agent_status(json.loads(base64.b64decode(content))))
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            return web.Response(status=400)
        return web.Response()


def _agent_status(report: Any) -> AgentStatus:
    agent, system = report["aggregateStatus"]["guestAgentStatus"], report.get("guestOSInfo") or {}
    return AgentStatus(
        version=str(agent["version"]),
        status=str(agent["status"]),
        message=str((agent.get("formattedMessage") or {}).get("message", "")),
        computer_name=str(system.get("computerName", "")),
        os_name=str(system.get("osName", "")),
        os_version=str(system.get("osVersion", "")),
        time=wire_time(now()),
    )
