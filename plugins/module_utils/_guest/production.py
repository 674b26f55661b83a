# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Signs that a host is in use, named by who knows his own production: whoever confirms the wrong host is
stopped by them."""

import fnmatch
import os
from typing import Iterator, List, NamedTuple, Set, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

_HOUR = 3600.0
# States in /proc/net: a listening TCP socket, and a UDP socket that is bound, see proc(5).
_SOCKETS = (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07"))


class Signs(NamedTuple):
    """What a host that may be generalized does not have.

    `processes` are names, `ports` numbers that something listens on, `mounts` mount points (when they begin
    with "/") or types of file systems; names, mount points and types may hold `*`, `?` and `[]`.
    `uptime` is the longest time since the boot, in hours; 0 allows any.
    """

    processes: Tuple[str, ...] = ()
    ports: Tuple[int, ...] = ()
    mounts: Tuple[str, ...] = ()
    uptime: int = 0


def check_signs(signs: Signs) -> None:
    """Refuse signs that could never be seen."""
    for port in signs.ports:
        if not 0 < port < 1 << 16:
            raise GuestError("refuse_ports: {0} is no port; give numbers from 1 to 65535".format(port))
    if signs.uptime < 0:
        raise GuestError("refuse_uptime: {0} is no number of hours".format(signs.uptime))


def check_not_in_production(signs: Signs, hostname: str, proc: str = "/proc") -> None:
    """Refuse a host with one of the signs, and say all that were seen.

    :param proc: where proc(5) is mounted
    """
    check_signs(signs)
    seen = list(_seen(signs, proc))
    if seen:
        raise GuestError(
            "{0} looks like a host in use: {1}; nothing was changed. If it is the right host, stop that "
            "first, or take the sign out of what is refused".format(hostname, "; ".join(seen))
        )


def _seen(signs: Signs, proc: str) -> Iterator[str]:
    if signs.processes:
        running = _process_names(proc)
        for pattern in signs.processes:
            for name in sorted(fnmatch.filter(running, pattern)):
                yield "process {0} runs".format(name)
    if signs.ports:
        listening = _listening_ports(proc)
        for port in signs.ports:
            if port in listening:
                yield "something listens on port {0}".format(port)
    for pattern in signs.mounts:
        for point, kind in _mounts(proc):
            if fnmatch.fnmatch(point if pattern.startswith("/") else kind, pattern.rstrip("/") or "/"):
                yield "{0} ({1}) is mounted".format(point, kind)
    if signs.uptime:
        hours = float(_read(proc + "/uptime").split()[0]) / _HOUR
        if hours > signs.uptime:
            yield "it has been up for {0:.0f} hours, more than {1}".format(hours, signs.uptime)


def _process_names(proc: str) -> Set[str]:
    """The names of all programs that run, as ps shows them and by the file that was started."""
    names = set()
    for entry in os.listdir(proc):
        if entry.isdigit():
            names.add(_read("{0}/{1}/comm".format(proc, entry)).strip())
            started = _read("{0}/{1}/cmdline".format(proc, entry)).partition("\0")[0]
            names.add(started.partition(" ")[0].rpartition("/")[2].rstrip(":"))
    return names - {""}


def _listening_ports(proc: str) -> Set[int]:
    ports = set()
    for table, state in _SOCKETS:
        for line in _read("{0}/net/{1}".format(proc, table)).splitlines()[1:]:
            fields = line.split()
            if len(fields) > 3 and fields[3] == state:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


def _mounts(proc: str) -> List[Tuple[str, str]]:
    """Mount points and the types of what is mounted there."""
    found = []
    for line in _read(proc + "/self/mounts").splitlines():
        fields = line.split(" ")
        if len(fields) > 2:
            found.append((fields[1].replace("\\040", " "), fields[2]))
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:  # a process that has ended, or a kernel without IPv6
        return ""
