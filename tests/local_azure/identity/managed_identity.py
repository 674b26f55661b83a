# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The token endpoint that a managed identity finds in its environment (the protocol of App Service)."""

from __future__ import annotations

import hmac
import time

from aiohttp import web

from tests.local_azure.identity.tokens import LIFETIME, Tokens
from tests.local_azure.settings import Settings

PATH = "/msi/token"


class ManagedIdentity:
    """IDENTITY_ENDPOINT and IDENTITY_HEADER, as they are set on App Service: the header proves the caller."""

    def __init__(self, settings: Settings, tokens: Tokens) -> None:
        self._settings = settings
        self._tokens = tokens

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH, self._token)]

    async def _token(self, request: web.Request) -> web.Response:
        identity = self._settings.identity
        given = request.headers.get("X-IDENTITY-HEADER", "")
        if not hmac.compare_digest(given.encode(), identity.identity_header.encode()):
            return web.json_response({"statusCode": 401, "message": "Missing or wrong header."}, status=401)
        resource = request.query.get("resource")
        wanted = request.query.get("client_id", identity.managed.client_id)
        if not resource or wanted.lower() != identity.managed.client_id:
            message = (
                "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId."
            )
            return web.json_response({"statusCode": 400, "message": message}, status=400)
        return web.json_response(
            {
                "access_token": self._tokens.issue(resource, principal=identity.managed),
                "expires_on": str(int(time.time()) + LIFETIME),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": identity.managed.client_id.upper(),
            }
        )
