# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Role windows_prepare under the real Ansible, with a machine that keeps what modules set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.plays import PlayResult
from tests.integration.windows import HOST, WindowsPlayer, script_of, windows_player

_ROLE = "windows_prepare"
_AUTOMATIC = ("BFE", "Dhcp", "Dnscache", "IKEEXT", "iphlpsvc", "nsi", "mpssvc", "RemoteRegistry")
_MANUAL = ("Netlogon", "Netman", "TermService")
_AGENT = ("RdAgent", "WindowsAzureGuestAgent")
_PARTS = {
    "foreign_tools",
    "agent",
    "services",
    "rdp",
    "firewall",
    "bcd",
    "san_policy",
    "power",
    "clock",
    "proxy",
    "temp",
    "dumps",
    "cdrom",
    "page_file",
}


class _Scripts:
    """The two scripts of the role, which keep what they have set."""

    def __init__(self) -> None:
        self.boot: dict[tuple[str, str], str] = {}
        self.firewall: dict[str, Any] | None = None

    def set_boot(self, parameters: Mapping[str, Any], check_mode: bool) -> tuple[bool, list[str]]:
        place, value = (parameters["Entry"], parameters["Name"]), str(parameters["Value"])
        changed = self.boot.get(place) != value
        if not check_mode:
            self.boot[place] = value
        return changed, []

    def set_firewall(self, parameters: Mapping[str, Any], check_mode: bool) -> tuple[bool, list[str]]:
        changed = self.firewall != dict(parameters)
        if not check_mode:
            self.firewall = dict(parameters)
        return changed, []


@pytest.fixture
def scripts() -> _Scripts:
    return _Scripts()


@pytest.fixture
def windows(tmp_path: Path, scripts: _Scripts) -> Iterator[WindowsPlayer]:
    known = {
        script_of(_ROLE, "boot_configuration.ps1"): scripts.set_boot,
        script_of(_ROLE, "firewall.ps1"): scripts.set_firewall,
    }
    with windows_player(tmp_path, known) as player:
        services = (*_AUTOMATIC, *_MANUAL, *_AGENT, "W32Time", "WerSvc")
        player.machine.services = {name: {"start_mode": "disabled", "state": "stopped"} for name in services}
        yield player


def _place(path: str, name: str) -> tuple[str, str]:
    return (f"hklm:\\{path}".casefold(), name.casefold())


def _changed(done: PlayResult) -> int:
    return done.stats[HOST]["changed"]


def test_a_machine_is_prepared_and_a_second_run_changes_nothing(
    windows: WindowsPlayer, scripts: _Scripts
) -> None:
    cdrom_policy = _place("SOFTWARE\\Policies\\Microsoft\\Windows\\RemovableStorageDevices", "Deny_All")
    windows.machine.registry[cdrom_policy] = ("dword", 1)
    first = windows.role(_ROLE, windows_prepare_page_file=True).succeeded()
    machine = windows.machine
    assert _changed(first) > 10
    assert {name: machine.services[name]["start_mode"] for name in _AUTOMATIC} == dict.fromkeys(
        _AUTOMATIC, "auto"
    )
    assert {name: machine.services[name]["start_mode"] for name in _MANUAL} == dict.fromkeys(
        _MANUAL, "manual"
    )
    assert {name: machine.services[name]["state"] for name in _AGENT} == dict.fromkeys(_AGENT, "started")
    server = "SYSTEM\\CurrentControlSet\\Control\\Terminal Server"
    assert machine.registry[_place(server, "fDenyTSConnections")] == ("dword", 0)
    assert machine.registry[_place(f"{server}\\WinStations\\RDP-Tcp", "PortNumber")] == ("dword", 3389)
    assert machine.registry[_place("SYSTEM\\CurrentControlSet\\Services\\cdrom", "Start")] == ("dword", 1)
    assert cdrom_policy not in machine.registry
    memory = "SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Memory Management"
    assert machine.registry[_place(memory, "PagingFiles")] == ("multistring", ["D:\\pagefile.sys"])
    # As plain text, Windows would look for a folder of that very name.
    environment = "SYSTEM\\CurrentControlSet\\Control\\Session Manager\\Environment"
    for name in ("TEMP", "TMP"):
        assert machine.registry[_place(environment, name)] == ("expandstring", "%SystemRoot%\\TEMP")
    assert scripts.boot["{bootmgr}", "bootems"] == "yes"
    assert scripts.boot["{default}", "recoveryenabled"] == "no"
    for element in ("device", "osdevice"):
        assert scripts.boot["{default}", element] == "partition=%SystemDrive%"
    assert scripts.firewall is not None
    # As text before ansible-core 2.19; PowerShell takes it for a number either way.
    assert {**scripts.firewall, "RemoteDesktopPort": int(scripts.firewall["RemoteDesktopPort"])} == {
        "PlatformAddress": "168.63.129.16",
        "RemoteDesktopPort": 3389,
        "RemoteDesktopRule": "RemoteDesktop-3389-In",
    }
    # A firewall that is switched on before anything may pass would shut Ansible out.
    opened = [call.name for call in machine.calls].index("win_firewall") - 1
    assert "RemoteDesktopPort" in machine.calls[opened].arguments.get("parameters", {})

    machine.calls.clear()
    second = windows.role(_ROLE, windows_prepare_page_file=True).succeeded()
    assert _changed(second) == 0, [result.task for result in second.results if result.changed]
    assert len(machine.calls) > 30


def test_check_mode_tells_of_changes_and_makes_none(windows: WindowsPlayer, scripts: _Scripts) -> None:
    before = {name: dict(service) for name, service in windows.machine.services.items()}
    done = windows.role(_ROLE, check=True).succeeded()
    assert _changed(done) > 10
    assert windows.machine.changing == []
    assert (windows.machine.services, windows.machine.registry, scripts.boot) == (before, {}, {})


def test_every_part_has_a_tag_and_a_switch(windows: WindowsPlayer) -> None:
    all_off: dict[str, Any] = {f"windows_prepare_{part}": False for part in _PARTS}
    windows.role(_ROLE, **all_off).succeeded()
    assert windows.machine.calls == []
    windows.role(_ROLE, tags=["temp"]).succeeded()
    assert [call.name for call in windows.machine.calls] == ["win_regedit"] * 2
    windows.role(_ROLE, **{**all_off, "windows_prepare_clock": True}).succeeded()
    assert [call.name for call in windows.machine.calls[2:]] == ["win_regedit", "win_service"]


def test_a_machine_without_the_agent_is_refused_unless_there_is_a_package(windows: WindowsPlayer) -> None:
    for name in _AGENT:
        del windows.machine.services[name]
    windows.role(_ROLE, tags=["agent"]).failed_with("Set windows_prepare_agent_package to its MSI package")
    assert windows.machine.changing == []
    package = "C:\\Install\\agent.msi"
    done = windows.role(_ROLE, check=True, tags=["agent"], windows_prepare_agent_package=package).succeeded()
    assert _changed(done) == 1
    windows.role(_ROLE, tags=["agent"], windows_prepare_agent_package=package).succeeded()
    assert {windows.machine.services[name]["state"] for name in _AGENT} == {"started"}


def test_services_that_are_as_they_should_be_are_left_alone_and_foreign_tools_only_told(
    windows: WindowsPlayer,
) -> None:
    # Some services may not be set, even by administrators.
    windows.machine.services["BFE"]["start_mode"] = "auto"
    windows.machine.services["Dnscache"]["start_mode"] = "delayed"
    del windows.machine.services["RemoteRegistry"]
    for name in ("VMTools", "VGAuthService", "QEMU-GA"):
        windows.machine.services[name] = {"start_mode": "auto", "state": "started"}
    done = windows.role(_ROLE, tags=["services", "foreign_tools"]).succeeded()
    touched = {call.arguments["name"] for call in windows.machine.changing}
    assert touched == {*_AUTOMATIC, *_MANUAL} - {"BFE", "Dnscache", "RemoteRegistry"}
    told = done.tasks[f"goldenimage.azure.{_ROLE} : Tell which tools are there"].msg
    assert "VMware Tools, QEMU guest agent" in told


def test_the_proxy_never_stands_between_the_machine_and_azure(windows: WindowsPlayer) -> None:
    windows.role(
        _ROLE,
        tags=["proxy"],
        windows_prepare_proxy_server="proxy:3128",
        windows_prepare_proxy_bypass=["<local>"],
    ).succeeded()
    assert windows.machine.settings["win_http_proxy"] == {
        "proxy": "proxy:3128",
        "bypass": ["<local>", "168.63.129.16"],
    }
    windows.role(_ROLE, tags=["proxy"]).succeeded()
    assert windows.machine.settings["win_http_proxy"] == {}


def test_a_machine_that_is_no_windows_is_refused(windows: WindowsPlayer) -> None:
    connection = {"ansible_connection": "local", "ansible_shell_type": "sh"}
    windows.role(_ROLE, connection=connection).failed_with("so it is no Windows machine")
    assert windows.machine.calls == []


def test_wrong_variables_are_told_before_the_machine_is_asked(windows: WindowsPlayer) -> None:
    done = windows.role(_ROLE, windows_prepare_rdp_port="many")
    assert done.rc != 0
    assert "windows_prepare_rdp_port" in done.output
    assert windows.machine.calls == []
