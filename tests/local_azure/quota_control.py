# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The endpoint by which tests and people change what a subscription may have: POST local-azure/quotas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.local_azure.azure import LocalAzure
from tests.local_azure.faults.control import check_controller, control_key
from tests.local_azure.locations import find_location
from tests.local_azure.providers.compute.usage import quotas, set_limit

PATH = "/local-azure/quotas"


class QuotaControl:
    """Takes `{"subscription", "location", "name", "limit"}`, `name` as in the list of usages.

    Answers 200 with the same, 400 with what is wrong, 403 to strangers.
    """

    def __init__(self, state_dir: Path, azure: LocalAzure) -> None:
        self._key = control_key(state_dir)
        self._azure = azure

    def routes(self) -> list[web.RouteDef]:
        """They stand before those of Resource Manager."""
        return [web.post(PATH, self._set)]

    async def _set(self, request: web.Request) -> web.Response:
        check_controller(request, self._key)
        try:
            given = json.loads(await request.read())
        except (ValueError, RecursionError) as error:
            return web.json_response({"error": f"this is not JSON: {error}"}, status=400)
        wrong = self._wrong(given)
        if wrong is not None:
            return web.json_response({"error": wrong}, status=400)
        place = find_location(given["location"])
        assert place is not None
        set_limit(self._azure, given["subscription"], place.name, str(given["name"]), given["limit"])
        return web.json_response(given)

    def _wrong(self, given: Any) -> str | None:
        if not isinstance(given, dict) or set(given) != {"subscription", "location", "name", "limit"}:
            return "an object with subscription, location, name and limit is needed"
        if not isinstance(given["location"], str) or find_location(given["location"]) is None:
            return f"{given['location']} is not a region"
        if self._azure.settings.identity.tenant_of(str(given["subscription"])) is None:
            return f"{given['subscription']} is not a subscription"
        if str(given["name"]) not in quotas():
            return f"{given['name']} is not a quota; there are {', '.join(quotas())}"
        if not isinstance(given["limit"], int) or isinstance(given["limit"], bool) or given["limit"] < 0:
            return "limit has to be a whole number"
        return None
