# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Whatever writes is stopped before logs go, and what the way in needs is not."""

from __future__ import annotations

import subprocess

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest import services
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

WRITERS = ["rsyslog.service", "systemd-journald.socket", "apt-daily.timer", "auditd.service"]
NEEDED = ["sshd.service", "network.service", "wickedd.service", "NetworkManager.service", services.UNIT]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What systemctl was told, by a host where auditd refuses to be stopped."""
    running = [*WRITERS, *NEEDED]
    told: list[tuple[str, ...]] = []

    def systemctl(*arguments: str) -> None:
        told.append(arguments)
        if arguments[0] == "stop":
            running[:] = [unit for unit in running if unit not in arguments or unit == "auditd.service"]

    monkeypatch.setattr(services, "has_systemd", lambda: True)
    monkeypatch.setattr(services, "_active_units", lambda: list(running))
    monkeypatch.setattr(services, "_systemctl", systemctl)
    monkeypatch.setattr(services, "processes_of", lambda _uids: set())
    return told


def test_writers_are_stopped_and_the_way_in_is_not(calls: list[tuple[str, ...]]) -> None:
    services.quiet(set())
    stopped = {unit for call in calls if call[0] == "stop" for unit in call[1:]}
    assert set(WRITERS) <= stopped
    assert not stopped & set(NEEDED)


def test_service_that_refuses_to_be_stopped_gets_a_signal_and_no_other_does(
    calls: list[tuple[str, ...]],
) -> None:
    services.quiet(set())
    assert calls[-1] == ("kill", "--signal=TERM", "auditd.service")


def test_way_in_is_closed_with_everything_that_writes_leases(calls: list[tuple[str, ...]]) -> None:
    services.close_the_way_in()
    stopped = {unit for call in calls for unit in call[1:]}
    assert {"ssh.service", "ssh.socket", "sshd.service", "NetworkManager.service"} <= stopped
    assert "wickedd-dhcp4.service" in stopped


@pytest.mark.parametrize("hangs", [True, False])
def test_host_is_switched_off_also_where_systemd_does_not_do_it(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[str]] = []

    def run(command: list[str], timeout: float, **_rest: object) -> subprocess.CompletedProcess[bytes]:
        told.append(command)
        if len(told) == 1 and hangs:
            raise subprocess.TimeoutExpired(command, timeout)
        return subprocess.CompletedProcess(command, int(len(told) == 1), b"", b"no bus")

    monkeypatch.setattr(services, "has_systemd", lambda: True)
    monkeypatch.setattr(subprocess, "run", run)
    services.switch_off()
    assert told == [["systemctl", "poweroff", "--force"], ["systemctl", "poweroff", "--force", "--force"]]


def test_host_that_nothing_switches_off_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "has_systemd", lambda: False)
    failed = subprocess.CompletedProcess([], 1, b"", b"not permitted\n")
    monkeypatch.setattr(subprocess, "run", lambda *_command, **_rest: failed)
    with pytest.raises(GuestError, match=r"cannot be switched off: poweroff -f failed: not permitted$"):
        services.switch_off()
