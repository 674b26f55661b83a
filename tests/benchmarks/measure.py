# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""One program, from its start to its end: time, processor, memory, and what others did meanwhile."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


class Measured(NamedTuple):
    """One run. Seconds of wall clock and processor (user and system), MiB of memory at its peak.

    `others`: which share of all processors something else than the program and its server used.
    """

    wall: float
    cpu: float
    memory: float
    others: float


class ProgramFailedError(Exception):
    """It ended with an error or took too long; the message has its last words."""


def busy_seconds() -> float:
    """Processor time of the whole machine since its start, all processors together."""
    user, nice, system, _idle, _wait, irq, soft, steal = map(
        int, Path("/proc/stat").read_text(encoding="ascii").split()[1:9]
    )
    return (user + nice + system + irq + soft + steal) / _TICKS


def process_seconds(pid: int) -> float:
    """Processor time of a process that runs."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def measure(command: Sequence[str], environ: Mapping[str, str], server: int, limit: float) -> Measured:
    """Run a program to its end.

    :param server: the process that it talks to
    :param limit: seconds after which it is killed
    """
    busy, served = busy_seconds(), process_seconds(server)
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        child = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        timer = threading.Timer(limit, child.kill)
        timer.start()
        try:
            _pid, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
        finally:
            timer.cancel()
        wall = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            output.seek(0)
            words = output.read().decode(errors="replace").strip()[-600:]
            raise ProgramFailedError(f"ended with {child.returncode} after {wall:.0f} s: {words}")
    cpu = usage.ru_utime + usage.ru_stime
    others = busy_seconds() - busy - cpu - (process_seconds(server) - served)
    share = max(0.0, others) / (wall * (os.cpu_count() or 1))
    return Measured(wall, cpu, usage.ru_maxrss / 1024, min(share, 1.0))
