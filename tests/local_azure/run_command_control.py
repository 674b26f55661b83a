# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The endpoint that says what scripts answer where no guest is: POST local-azure/run-command-answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.local_azure.azure import LocalAzure
from tests.local_azure.faults.control import check_controller, control_key
from tests.local_azure.providers.compute.run_command_answers import ScriptAnswer, say

PATH = "/local-azure/run-command-answers"
_TYPES = {"machine": str, "contains": str, "output": str, "error": str, "exitCode": int}


class RunCommandControl:
    """Takes `{"machine", "contains", "output", "error", "exitCode"}`, all of them optional.

    `machine` is a name, "*" every machine; the answer is that of scripts with the text `contains` in them.
    Answers 200 with the same, 400 with what is wrong, 403 to strangers.
    """

    def __init__(self, state_dir: Path, azure: LocalAzure) -> None:
        self._key = control_key(state_dir)
        self._azure = azure

    def routes(self) -> list[web.RouteDef]:
        """They stand before those of Resource Manager."""
        return [web.post(PATH, self._say)]

    async def _say(self, request: web.Request) -> web.Response:
        check_controller(request, self._key)
        try:
            given = json.loads(await request.read())
        except ValueError as error:
            return web.json_response({"error": f"this is not JSON: {error}"}, status=400)
        wrong = _wrong(given)
        if wrong is not None:
            return web.json_response({"error": wrong}, status=400)
        answer = ScriptAnswer(given.get("output", ""), given.get("error", ""), given.get("exitCode", 0))
        say(self._azure, given.get("machine", "*"), given.get("contains", ""), answer)
        return web.json_response(given)


def _wrong(given: Any) -> str | None:
    if not isinstance(given, dict) or not set(given) <= set(_TYPES):
        return f"an object with some of {', '.join(_TYPES)} is needed"
    for key, value in given.items():
        if not isinstance(value, _TYPES[key]) or isinstance(value, bool):
            return f"{key} has to be a {'whole number' if _TYPES[key] is int else 'text'}"
    return None
