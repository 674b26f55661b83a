# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The session a program runs in, and when it is over. Everything comes from /proc, see proc(5)."""

import os
import time
from typing import Dict, NamedTuple, Optional, Set

_SSHD = ("sshd", "sshd-session", "sshd-auth")
_POLL = 0.1


class Process(NamedTuple):
    """A process; the time it started tells it from a later one with the same number."""

    pid: int
    started: int


class _Stat(NamedTuple):
    name: str
    state: str
    parent: int
    started: int


def process(pid: int) -> Optional[Process]:
    """A process by number; None when it does not run."""
    stat = _stat(pid)
    return None if stat is None else Process(pid, stat.started)


def connection_of(pid: int) -> Optional[Process]:
    """The sshd process that serves the connection a process was started over; None without one."""
    stat = _stat(pid)
    while stat is not None and pid > 1:
        if stat.name in _SSHD:
            return Process(pid, stat.started)
        pid = stat.parent
        stat = _stat(pid)
    return None


def owner(pid: int) -> Optional[int]:
    """The user id a process runs under."""
    try:
        return os.stat("/proc/{0}".format(pid)).st_uid
    except OSError:
        return None


def is_running(who: Process) -> bool:
    """Whether exactly this process still runs."""
    stat = _stat(who.pid)
    return stat is not None and stat.started == who.started and stat.state not in {"Z", "X"}


def wait_for_end(
    caller: Process, connection: Optional[Process], idle_seconds: float, deadline_seconds: float
) -> str:
    """Wait until the caller's answer is home: its connection is closed, or nothing has run in it for
    `idle_seconds` (kept open for reuse), or the deadline is over. Says which: "closed", "idle", "deadline".
    """
    deadline = time.monotonic() + deadline_seconds
    idle_since: Optional[float] = None
    while time.monotonic() < deadline:
        if connection is not None and not is_running(connection):
            return "closed"
        if is_running(caller) or (connection is not None and _has_work(connection)):
            idle_since = None
        elif idle_since is None:
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since >= idle_seconds:
            return "idle"
        time.sleep(_POLL)
    return "deadline"


def descendants(pid: int) -> Set[int]:
    """The numbers of all processes below one."""
    parents: Dict[int, int] = {}
    for name in os.listdir("/proc"):
        stat = _stat(int(name)) if name.isdigit() else None
        if stat is not None:
            parents[int(name)] = stat.parent
    family = {pid}
    grew = True
    while grew:
        grown = family | {child for child, parent in parents.items() if parent in family}
        grew = len(grown) > len(family)
        family = grown
    return family - {pid}


def _has_work(connection: Process) -> bool:
    """Whether the connection has a process that is not part of sshd itself."""
    stats = [_stat(pid) for pid in descendants(connection.pid)]
    return any(stat is not None and stat.name not in _SSHD and stat.state not in {"Z", "X"} for stat in stats)


def processes_of(uids: Set[int]) -> Set[int]:
    """The numbers of all processes that run under these user ids, this one left out."""
    return {
        int(name)
        for name in os.listdir("/proc")
        if name.isdigit() and int(name) != os.getpid() and owner(int(name)) in uids
    }


def _stat(pid: int) -> Optional[_Stat]:
    try:
        with open("/proc/{0}/stat".format(pid), encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    # The name stands in parentheses and may itself contain some.
    name, _parenthesis, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    return _Stat(name, fields[0], int(fields[1]), int(fields[19]))
