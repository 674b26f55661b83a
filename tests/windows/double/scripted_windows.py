# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A Windows machine as Ansible's modules see it: registry, services, and scripts known by their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from tests.windows.double.manifest import ModuleCall
from tests.windows.double.server import ConnectionLostError, Ending
from tests.windows.double.shell import Output

Result = dict[str, Any]
# The parameters of a script, and whether this is check mode: whether it changes anything, and what it prints.
Script = Callable[[Mapping[str, Any], bool], tuple[bool, list[str]]]

_NO_SERVICE = 1060


def digest(script: str) -> str:
    """By which a script is known; blank lines around it do not count."""
    return hashlib.sha256(script.strip().encode()).hexdigest()


class ScriptedWindows:
    """Answers modules from its state, which they change unless in check mode. `calls` notes every one.

    A script is never interpreted: one whose digest is not known fails the test. The connection is lost in the
    middle of the call with the number `ends_at`, from 1 on, in the way of `ending`.
    """

    def __init__(self, scripts: Mapping[str, Script]) -> None:
        self.scripts = dict(scripts)
        self.registry: dict[tuple[str, str], Any] = {}
        self.services: dict[str, dict[str, str]] = {}
        self.settings: dict[str, Any] = {}
        self.calls: list[ModuleCall] = []
        self.ends_at: int | None = None
        self.ending = Ending.CLOSED

    def command(self, script: str) -> Output:
        """No script comes but those of modules."""
        raise AssertionError(f"A command that is no module: {script[:200]}")

    def module(self, call: ModuleCall) -> Result:
        """What the module returns. KeyError for one that the double does not know."""
        self.calls.append(call)
        if self.ends_at == len(self.calls):
            raise ConnectionLostError(self.ending)
        known = {
            "win_powershell": self._powershell,
            "win_regedit": self._regedit,
            "win_reg_stat": self._reg_stat,
            "win_service": self._service,
            "win_service_info": self._service_info,
            "win_firewall": self._setting,
            "win_http_proxy": self._setting,
            "win_command": self._command,
            "win_package": self._package,
        }
        return known[call.name](call)

    @property
    def changing(self) -> list[ModuleCall]:
        """The calls that were neither in check mode nor of a module that only looks."""
        return [
            call for call in self.calls if not call.check_mode and not call.name.endswith(("_info", "_stat"))
        ]

    def _powershell(self, call: ModuleCall) -> Result:
        script = call.arguments["script"]
        known = self.scripts.get(digest(script))
        assert known is not None, f"No fixture knows this script: {script[:400]}"
        assert call.arguments["error_action"] == "stop"
        changed, output = known(call.arguments.get("parameters") or {}, call.check_mode)
        return {
            "changed": changed,
            "output": output,
            "error": [],
            "host_out": "",
            "host_err": "",
            "result": {},
        }

    def _regedit(self, call: ModuleCall) -> Result:
        place = (call.arguments["path"].casefold(), call.arguments["name"].casefold())
        if call.arguments.get("state") == "absent":
            changed = place in self.registry
            if changed and not call.check_mode:
                del self.registry[place]
            return {"changed": changed}
        kind, data = call.arguments["type"], call.arguments["data"]
        # Before ansible-core 2.19 templates of numbers come as text, which the module makes numbers again.
        wanted = (kind, int(data) if kind in {"dword", "qword"} else data)
        changed = self.registry.get(place) != wanted
        if not call.check_mode:
            self.registry[place] = wanted
        return {"changed": changed}

    def _reg_stat(self, call: ModuleCall) -> Result:
        place = (call.arguments["path"].casefold(), call.arguments["name"].casefold())
        if place not in self.registry:
            return {"changed": False, "exists": False}
        _kind, value = self.registry[place]
        return {"changed": False, "exists": True, "value": value}

    def _service_info(self, call: ModuleCall) -> Result:
        wanted = call.arguments.get("name")
        found = [
            {"name": name, **service} for name, service in self.services.items() if wanted in (None, name)
        ]
        return {"changed": False, "exists": bool(found), "services": found}

    def _service(self, call: ModuleCall) -> Result:
        service = self.services.get(call.arguments["name"])
        if service is None:
            return {"failed": True, "msg": f"Service is not there ({_NO_SERVICE})."}
        wanted = {key: call.arguments[key] for key in ("start_mode", "state") if call.arguments.get(key)}
        changed = any(service[key] != value for key, value in wanted.items())
        if not call.check_mode:
            service.update(wanted)
        return {"changed": changed}

    def _setting(self, call: ModuleCall) -> Result:
        changed = self.settings.get(call.name) != call.arguments
        if not call.check_mode:
            self.settings[call.name] = call.arguments
        return {"changed": changed}

    def _command(self, call: ModuleCall) -> Result:
        if call.check_mode:
            return {"changed": False, "skipped": True, "msg": "the module does not support check mode"}
        program, *words = call.arguments["argv"]
        assert program == "powercfg.exe", program
        plans = "hklm:\\system\\currentcontrolset\\control\\power\\user\\powerschemes"
        if words[0] == "/setactive":
            self.registry[plans, "activepowerscheme"] = ("string", words[1])
        else:
            self.registry["\\".join([plans, *words[1:4]]).casefold(), "acsettingindex"] = (
                "dword",
                int(words[4]),
            )
        return {"changed": True, "rc": 0, "stdout": "", "stderr": ""}

    def _package(self, call: ModuleCall) -> Result:
        changed = call.arguments["creates_service"] not in self.services
        if changed and not call.check_mode:
            for name in ("RdAgent", "WindowsAzureGuestAgent"):
                self.services[name] = {"start_mode": "auto", "state": "stopped"}
        return {"changed": changed, "rc": 0}
