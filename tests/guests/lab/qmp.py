# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The QEMU Machine Protocol: JSON commands to a running QEMU (QEMU docs, interop/qmp-spec)."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any


class QmpError(Exception):
    """QEMU refused a command, or closed the connection."""


class Qmp:
    """One connection to the QMP socket at `path`; usable as a context manager.

    The directory is opened first and the socket reached through it, because a UNIX socket's address holds
    107 bytes at most and test directories are often deeper.
    """

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            self._socket.connect(f"/proc/self/fd/{directory}/{path.name}")
            self._lines = self._socket.makefile("rb")
            self._read()
            self.execute("qmp_capabilities")
        except BaseException:
            self._socket.close()
            raise
        finally:
            os.close(directory)

    def execute(self, command: str, **arguments: Any) -> Any:
        """Run `command` and return its answer. Raises QmpError with QEMU's own words when it is refused."""
        request: dict[str, Any] = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self._read()
            if "error" in answer:
                raise QmpError(f"QEMU refused {command}: {answer['error'].get('desc', answer['error'])}")
            if "return" in answer:
                return answer["return"]

    def wait_for_migration(self, timeout: float) -> None:
        """Return when the migration under way is completed; raise QmpError when it failed or is late."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            report = self.execute("query-migrate")
            status = report.get("status")
            if status == "completed":
                return
            if status in ("failed", "cancelled"):
                raise QmpError(f"The migration {status}: {report.get('error-desc', 'QEMU gives no reason')}")
            time.sleep(0.05)
        raise QmpError(f"The migration was not done after {timeout:.0f} s")

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Qmp:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise QmpError("QEMU closed its control connection")
        message: dict[str, Any] = json.loads(line)
        return message
