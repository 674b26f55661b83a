# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Processes known by more than a number: a process id is reused, together with its start time it is not."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path
from typing import NamedTuple


class ProcessIdentity(NamedTuple):
    """A process id with the process's start time in clock ticks since boot (field 22 of proc(5) stat)."""

    pid: int
    start_time: int

    def is_alive(self) -> bool:
        """True while this very process exists and is not a zombie."""
        return _stat(self.pid) == (self.start_time, True)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process is gone or its id belongs to another one by now."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.is_alive():
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the end of the process; True when it ended."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.is_alive():
                return True
            poller = select.poll()
            poller.register(handle, select.POLLIN)
            return bool(poller.poll(max(0.0, timeout) * 1000))
        finally:
            os.close(handle)


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of the running process `pid`, None when there is none."""
    state = _stat(pid)
    return ProcessIdentity(pid, state[0]) if state else None


def save_identity(path: Path, identity: ProcessIdentity) -> None:
    path.write_text(f"{identity.pid} {identity.start_time}\n")


def load_identity(path: Path) -> ProcessIdentity | None:
    """The identity written by `save_identity`; None when the file is missing or holds something else."""
    try:
        pid, start_time = path.read_text().split()
        return ProcessIdentity(int(pid), int(start_time))
    except (FileNotFoundError, ValueError):
        return None


def _stat(pid: int) -> tuple[int, bool] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name, in parentheses, may itself hold spaces and parentheses.
    fields = text.rpartition(")")[2].split()
    return int(fields[19]), fields[0] not in ("Z", "X")
