# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Quieting a host: stopping what writes, ending sessions, switching off."""

import contextlib
import fnmatch
import os
import signal
import subprocess
import time
from typing import List, Set

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.session import processes_of

UNIT = "goldenimage-generalize.service"
_STOP_SECONDS = 60
_SSH = ("ssh.socket", "ssh.service", "sshd.socket", "sshd.service", "dropbear.service")
# What the way in and the disks need until the end. Everything else that runs may write.
_KEPT = (
    *_SSH,
    UNIT,
    "ssh@*",
    "sshd@*",
    "dbus*",
    "systemd-udevd*",
    "systemd-initctl*",
    "systemd-networkd*",
    "systemd-resolved*",
    "networking*",
    "network.service",
    "NetworkManager*",
    "wpa_supplicant*",
    "ifup@*",
    "dhcpcd*",
    "wicked*",
    "firewalld*",
    "iscsi*",
    "open-iscsi*",
    "multipath*",
    "dm-event*",
    "lvm2-*",
    "mdmon*",
)
# They write leases until the end.
_DHCP_CLIENTS = (
    "NetworkManager.service",
    "dhcpcd.service",
    "wickedd-dhcp4.service",
    "wickedd-dhcp6.service",
)
# They write when they stop at a shutdown, although nothing of them runs until then.
_WRITE_AT_STOP = ("systemd-random-seed.service", "systemd-update-utmp.service")


def has_systemd() -> bool:
    """Whether systemd manages this host: sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")


def quiet(uids: Set[int]) -> None:
    """Stop every service that may write, and end all sessions and the processes of these user ids."""
    if has_systemd():
        _systemctl("kill", "--signal=HUP", "user.slice")
    _end_processes(uids, signal.SIGTERM)
    deadline = time.monotonic() + 3
    while processes_of(uids) and time.monotonic() < deadline:
        time.sleep(0.05)
    if has_systemd():
        _systemctl("kill", "--signal=KILL", "user.slice")
        _systemctl("stop", *_writers(), *_WRITE_AT_STOP)
        # auditd refuses to be stopped by systemctl, but not by a signal.
        if _writers():
            _systemctl("kill", "--signal=TERM", *_writers())
    _end_processes(uids, signal.SIGKILL)


def close_the_way_in() -> None:
    """Stop the SSH server: from here on nobody can log in, and whoever waits sees its port closed."""
    if has_systemd():
        _systemctl("stop", *_SSH)
        _systemctl("stop", *_DHCP_CLIENTS)


def switch_off() -> None:
    """Write everything to the disks and switch off; in a regular shutdown services would write again.

    Where systemd does not do it, systemctl does itself. Raises GuestError when nothing does.
    """
    os.sync()
    off = ["systemctl", "poweroff", "--force"]
    commands = [off, [*off, "--force"]] if has_systemd() else [["poweroff", "-f"]]
    failures = []
    for command in commands:
        try:
            done = subprocess.run(
                command,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_STOP_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            failures.append(str(error))
            continue
        if not done.returncode:
            return
        told = done.stderr.decode("utf-8", "replace").strip()
        failures.append("{0} failed: {1}".format(" ".join(command), told))
    raise GuestError("the host cannot be switched off: {0}".format("; ".join(failures)))


def _writers() -> List[str]:
    return [unit for unit in _active_units() if not any(fnmatch.fnmatch(unit, kept) for kept in _KEPT)]


def _active_units() -> List[str]:
    """Running services, and the timers, paths and sockets that could start them again."""
    units: List[str] = []
    for arguments in (
        ["--type=service", "--state=running"],
        ["--type=timer,path,socket", "--state=active"],
    ):
        shown = subprocess.run(
            ["systemctl", "list-units", "--plain", "--no-legend", "--full", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        units.extend(line.split()[0] for line in shown.stdout.decode("utf-8", "replace").splitlines() if line)
    return units


def _systemctl(*arguments: str) -> None:
    """systemctl, as far as it gets: what did not stop is killed when the host goes down."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            ["systemctl", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_STOP_SECONDS,
            check=False,
        )


def _end_processes(uids: Set[int], number: int) -> None:
    for pid in processes_of(uids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
