# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Tokens for guests: what the instance metadata services, each in its guest's namespace, ask the server for.

A UNIX socket in the guests' directory, which only its owner may enter. A virtual machine with an identity, be
it the system's or a user's, gets tokens of the local Azure's one managed identity.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from aiohttp import web

from tests.local_azure.azure import LocalAzure
from tests.local_azure.identity.tokens import LIFETIME, Tokens
from tests.local_azure.providers.compute.images import VIRTUAL_MACHINE
from tests.local_azure.store import Resource


class GuestIdentity:
    def __init__(self, azure: LocalAzure, tokens: Tokens) -> None:
        self._azure = azure
        self._tokens = tokens
        self._runner: web.AppRunner | None = None

    async def start(self, path: Path) -> None:
        """Serve at `path`, which a server that was killed may have left behind."""
        application = web.Application()
        application.add_routes([web.get("/token", self._token), web.get("/info", self._info)])
        path.unlink(missing_ok=True)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.SockSite(self._runner, _listen(path)).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _token(self, request: web.Request) -> web.Response:
        managed = self._azure.settings.identity.managed
        named = {name: request.query.get(name, "").lower() for name in ("client_id", "object_id")}
        if not self._has_identity(request):
            return _refused("Identity not found")
        if named["client_id"] not in ("", managed.client_id) or named["object_id"] not in (
            "",
            managed.object_id,
        ):
            return _refused("Identity not found")
        resource = request.query["resource"]
        issued = int(time.time())
        return web.json_response(
            {
                "access_token": self._tokens.issue(resource, principal=managed),
                "client_id": managed.client_id,
                "expires_in": str(LIFETIME),
                "expires_on": str(issued + LIFETIME),
                "ext_expires_in": str(LIFETIME),
                "not_before": str(issued - 5),
                "resource": resource,
                "token_type": "Bearer",
            }
        )

    async def _info(self, request: web.Request) -> web.Response:
        if not self._has_identity(request):
            return _refused("Identity not found")
        return web.json_response({"tenantId": self._azure.settings.identity.managed.tenant_id})

    def _has_identity(self, request: web.Request) -> bool:
        machine = self._machine(request.query.get("vm_id", ""))
        kind = (machine.body.get("identity") or {}).get("type", "None") if machine else "None"
        return str(kind) != "None"

    def _machine(self, vm_id: str) -> Resource | None:
        machines = self._azure.store.of_type(VIRTUAL_MACHINE)
        return next((m for m in machines if m.properties.get("vmId") == vm_id), None)


def _listen(path: Path) -> socket.socket:
    """A listening socket, through the directory's descriptor: a UNIX socket's address is short."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")
    except OSError:
        listener.close()
        raise
    finally:
        os.close(directory)
    listener.listen()
    return listener


def _refused(description: str) -> web.Response:
    body = {"error": "invalid_request", "error_description": description}
    return web.json_response(body, status=400)
