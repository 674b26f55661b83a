# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The commands that the service knows beside free scripts: locations/{region}/runCommands."""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import Verb, method_not_allowed
from tests.local_azure.providers.marketplace.marketplace_images import place_of
from tests.local_azure.store import Json

_SCHEMA = "http://schema.management.azure.com/schemas/2016-11-17/runcommands.json"
# Id, system, label, description, script.
_COMMANDS = (
    (
        "RunPowerShellScript",
        "Windows",
        "Executes a PowerShell script",
        "Runs the lines of PowerShell given as script.",
        "param([string]$arg1, [string]$arg2)\r\nWrite-Host A sample script with parameters $arg1 $arg2",
    ),
    (
        "EnableRemotePS",
        "Windows",
        "Enable remote PowerShell",
        "Lets PowerShell sessions in from other machines.",
        "Enable-PSRemoting -Force",
    ),
    (
        "IPConfig",
        "Windows",
        "List IP configuration",
        "Shows the addresses of every network adapter.",
        "ipconfig /all",
    ),
    (
        "RunShellScript",
        "Linux",
        "Executes a Linux shell script",
        "Runs the lines of shell given as script.",
        'echo "This is a sample script with parameters $1 $2"',
    ),
    (
        "ifconfig",
        "Linux",
        "List network configuration",
        "Shows the addresses of every network interface.",
        "ifconfig",
    ),
)


def document(name: str) -> Json | None:
    """The command with that id, in any case."""
    for entry in _COMMANDS:
        if entry[0].lower() == name.lower():
            return _body(entry)
    return None


def _summary(entry: tuple[str, str, str, str, str]) -> Json:
    name, system, label, description, _script = entry
    return {
        "$schema": _SCHEMA,
        "id": name,
        "osType": system,
        "label": label,
        "description": description,
    }


def _body(entry: tuple[str, str, str, str, str]) -> Json:
    parameters = (
        [{"name": name, "type": "string", "required": False} for name in ("arg1", "arg2")]
        if entry[0].startswith("Run")
        else []
    )
    return {"script": [entry[4]], "parameters": parameters, **_summary(entry)}


class RunCommandDocuments:
    def verbs(self) -> Mapping[str, Verb]:
        return {
            r"microsoft\.compute/locations/[^/]+/runcommands": self._list,
            r"microsoft\.compute/locations/[^/]+/runcommands/[^/]+": self._get,
        }

    async def _list(self, call: Call) -> Reply:
        _reading(call)
        return Reply(200, {"value": [_summary(entry) for entry in _COMMANDS]})

    async def _get(self, call: Call) -> Reply:
        _reading(call)
        name = call.path.rpartition("/")[2]
        found = document(name)
        if found is None:
            raise ArmError(404, "NotFound", f"The entity '{name}' was not found in this Azure location.")
        return Reply(200, found)


def _reading(call: Call) -> None:
    if call.method != "GET":
        raise method_not_allowed(call)
    place_of(call, "locations/runCommands")
