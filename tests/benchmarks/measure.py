# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""One program, from its start to its end: time, processor, memory, and what others did meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_WATCH_EVERY = 0.02


class Measured(NamedTuple):
    """One run. Seconds of wall clock and processor (user and system), MiB of memory at its peak.

    `others`: which share of all processors something else than the program and its server used.
    """

    wall: float
    cpu: float
    memory: float
    others: float


class ProgramFailedError(Exception):
    """It ended with an error or took too long; the message has its last words, `short` has none."""

    def __init__(self, short: str, words: str) -> None:
        super().__init__(f"{short}: {words}")
        self.short = short


class _Watch(threading.Thread):
    """Notes a process's peak of memory, and kills it after so many seconds.

    What wait4 tells of memory is at least what the parent had when it started the child.
    """

    def __init__(self, pid: int, limit: float) -> None:
        super().__init__(daemon=True)
        self.kib = 0
        self.given_up = False
        self.ended = threading.Event()
        self._pid = pid
        self._limit = limit

    def run(self) -> None:
        deadline = time.monotonic() + self._limit
        while not self.ended.wait(_WATCH_EVERY):
            # A process that has ended, but was not waited for yet, has no such line.
            found = _PEAK.search(Path(f"/proc/{self._pid}/status").read_text(encoding="ascii"))
            self.kib = max(self.kib, int(found.group(1)) if found else 0)
            if time.monotonic() > deadline and not self.given_up:
                self.given_up = True
                os.kill(self._pid, signal.SIGKILL)


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
        watch = _Watch(child.pid, limit)
        watch.start()
        try:
            # Not collected yet, so that the watch cannot meet another process of this number.
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
            wall = time.monotonic() - started
        except BaseException:
            child.kill()
            child.wait()
            raise
        finally:
            watch.ended.set()
            watch.join()
        _pid, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            output.seek(0)
            words = output.read().decode(errors="replace").strip()[-600:]
            short = f"given up after {limit:.0f} s" if watch.given_up else "failed"
            raise ProgramFailedError(short, f"status {child.returncode} after {wall:.0f} s: {words}")
    cpu = usage.ru_utime + usage.ru_stime
    others = busy_seconds() - busy - cpu - (process_seconds(server) - served)
    share = max(0.0, others) / (wall * (os.cpu_count() or 1))
    return Measured(wall, cpu, watch.kib / 1024, min(share, 1.0))
