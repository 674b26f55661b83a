# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Starting the local Azure in the background, stopping it, and seeing whether it runs."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tests.local_azure.settings import Settings

_START_SECONDS = 60
_STOP_SECONDS = 120


class ControlError(Exception):
    """The server did not start or stop; the message says why."""


def process_start_time(pid: int) -> str | None:
    """When the process started (/proc/PID/stat, field 22): tells it from a later one with its id."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def pid_file(state_dir: Path) -> Path:
    return state_dir / "server.pid"


def _running(state_dir: Path) -> tuple[int, str] | None:
    """Process id and start time of the server, if that process is still the one which wrote them."""
    try:
        record = json.loads(pid_file(state_dir).read_text(encoding="utf-8"))
        pid, started = int(record["pid"]), str(record["started"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return (pid, started) if process_start_time(pid) == started else None


def running_pid(state_dir: Path) -> int | None:
    """The server's process id; None when it does not run."""
    running = _running(state_dir)
    return running[0] if running else None


def _answers(settings: Settings) -> bool:
    try:
        context = ssl.create_default_context(cafile=str(settings.state_dir / "ca.pem"))
        url = f"{settings.url}/metadata/endpoints?api-version=2022-09-01"
        with urllib.request.urlopen(url, timeout=2, context=context) as answer:  # noqa: S310 - https, loopback
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def start(settings: Settings, options: Sequence[str]) -> bool:
    """Starts the server in the background and waits until it answers; False when it ran already."""
    if running_pid(settings.state_dir) is not None:
        return False
    log = settings.state_dir / "server.log"
    command = [sys.executable, "-m", "tests.local_azure", "run", *options]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as stream:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            cwd=Path(__file__).resolve().parents[2],
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ControlError(f"The local Azure ended at once: {_last_line(log)} ({log} says more)")
        if _answers(settings):
            return True
        time.sleep(0.1)
    process.terminate()
    raise ControlError(f"The local Azure does not answer after {_START_SECONDS} s; {log} says why.")


def stop(state_dir: Path) -> bool:
    """Ends the server and all it started; False when it did not run."""
    running = _running(state_dir)
    if running is None:
        return False
    pid, started = running
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while process_start_time(pid) == started:
        if time.monotonic() > deadline:
            raise ControlError(f"The local Azure (process {pid}) did not end within {_STOP_SECONDS} s.")
        time.sleep(0.05)
    return True
