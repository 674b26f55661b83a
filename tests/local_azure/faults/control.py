# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The endpoint by which tests and people put faults into force: GET, POST and DELETE local-azure/faults."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import secrets
from pathlib import Path

from aiohttp import web

from tests.local_azure.faults.board import FaultBoard
from tests.local_azure.faults.middleware import FaultyWay
from tests.local_azure.faults.rules import ProfileError
from tests.local_azure.settings import private_file

PATH = "/local-azure/faults"
KEY_HEADER = "x-local-azure-control-key"


def control_key(state_dir: Path) -> str:
    """What whoever controls the local Azure has to send: control-key in its state directory."""
    file = state_dir / "control-key"
    if not file.exists():
        private_file(file, secrets.token_urlsafe(32) + "\n")
    return file.read_text(encoding="utf-8").strip()


def check_controller(request: web.Request, key: str) -> None:
    """403 for whoever is not on this machine or does not know the key."""
    remote = request.remote or ""
    if not (remote and ipaddress.ip_address(remote).is_loopback):
        raise web.HTTPForbidden(text="The local Azure is controlled from the machine itself only.\n")
    if not hmac.compare_digest(request.headers.get(KEY_HEADER, "").encode(), key.encode()):
        raise web.HTTPForbidden(
            text=f"The header {KEY_HEADER} has to hold LOCAL_AZURE_CONTROL_KEY of the env file.\n"
        )


class FaultControl:
    """Answers 200 with the rules in force, 400 with what is wrong with a profile, 403 to strangers."""

    def __init__(self, state_dir: Path, board: FaultBoard, way: FaultyWay) -> None:
        self._key = control_key(state_dir)
        self._board = board
        self._way = way

    def routes(self) -> list[web.RouteDef]:
        """They stand before those of Resource Manager."""
        return [
            web.get(PATH, self._show, allow_head=False),
            web.post(PATH, self._add),
            web.delete(PATH, self._clear),
        ]

    async def _show(self, request: web.Request) -> web.Response:
        check_controller(request, self._key)
        return web.json_response(await asyncio.to_thread(self._board.report))

    async def _add(self, request: web.Request) -> web.Response:
        check_controller(request, self._key)
        try:
            profile = self._board.parse(json.loads(await request.read()))
        except ProfileError as error:
            return web.json_response({"error": str(error)}, status=400)
        except (ValueError, RecursionError) as error:
            return web.json_response({"error": f"this is not JSON: {error}"}, status=400)
        self._board.add(profile)
        await asyncio.to_thread(self._board.publish)
        return await self._show(request)

    async def _clear(self, request: web.Request) -> web.Response:
        check_controller(request, self._key)
        self._board.clear()
        self._way.clear()
        await asyncio.to_thread(self._board.publish)
        return await self._show(request)
