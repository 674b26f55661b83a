# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Time that making an image takes: by the clock, and of processors."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import NamedTuple


class Spent(NamedTuple):
    """Wall time and processor time in seconds, and round trips over SSH (None: not done over SSH)."""

    wall: float
    processor: float
    trips: int | None


class Watch:
    """Time from its making on. Processor time is that of all programs that are started and have ended, and of
    a machine that ran before: `machine` is the process id of its QEMU, which must have ended too."""

    def __init__(self, machine: int | None = None) -> None:
        self._begun = time.monotonic()
        self._before = _of_children() + (0.0 if machine is None else _of_process(machine))

    def spent(self, trips: int | None) -> Spent:
        """What was spent until now."""
        return Spent(time.monotonic() - self._begun, _of_children() - self._before, trips)


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _of_process(pid: int) -> float:
    """User and system time: fields 14 and 15 of proc_pid_stat(5); the second may hold blanks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
