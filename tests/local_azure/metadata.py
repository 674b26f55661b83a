# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The cloud description at /metadata/endpoints, in the shapes of its api-versions."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.local_azure.settings import Settings

_LIST_FROM, _OBJECT_FROM = "2019-05-01", "2022-09-01"


class Metadata:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/metadata/endpoints", self._endpoints)]

    async def _endpoints(self, request: web.Request) -> web.Response:
        version = request.query.get("api-version", "")
        if not version:
            error = {
                "code": "MissingApiVersionParameter",
                "message": "The api-version query parameter (?api-version=) is required for all requests.",
            }
            return web.json_response({"error": error}, status=400)
        if version < "2018-05-01":
            return web.json_response(self._first_shape())
        if version < _LIST_FROM:
            return web.json_response({**self._first_shape(), **self._cloud()})
        cloud = self._cloud()
        return web.json_response(cloud if version >= _OBJECT_FROM else [cloud])

    def _first_shape(self) -> dict[str, Any]:
        return {
            "galleryEndpoint": self._settings.url,
            "graphEndpoint": self._settings.url,
            "portalEndpoint": self._settings.url,
            "authentication": {"loginEndpoint": f"{self._settings.url}/", "audiences": self._audiences()},
        }

    def _audiences(self) -> list[str]:
        return [f"{self._settings.url}/", "https://management.azure.com/"]

    def _cloud(self) -> dict[str, Any]:
        url, storage = self._settings.url, f"localhost:{self._settings.ports.blob}"
        return {
            "portal": url,
            "authentication": {
                "loginEndpoint": f"{url}/",
                "audiences": self._audiences(),
                "tenant": self._settings.identity.tenant_id,
                "identityProvider": "AAD",
            },
            "media": url,
            "graphAudience": f"{url}/",
            "graph": f"{url}/",
            "microsoftGraphResourceId": f"{url}/",
            "name": "LocalAzure",
            "suffixes": {
                "storage": storage,
                "keyVaultDns": "vault.localhost",
                "acrLoginServer": "azurecr.localhost",
                "sqlServerHostname": "database.localhost",
                "azureDataLakeStoreFileSystem": "azuredatalakestore.localhost",
                "azureDataLakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.localhost",
                "azureFrontDoorEndpointSuffix": "azurefd.localhost",
            },
            "batch": url,
            "resourceManager": f"{url}/",
            "vmImageAliasDoc": f"{url}/vm-image-aliases.json",
            "activeDirectoryDataLake": url,
            "sqlManagement": url,
            "gallery": url,
        }
