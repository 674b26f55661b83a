# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A machine on loopback that Ansible's psrp connection takes for Windows.

It runs no PowerShell. Ansible's modules are answered by a Machine, which knows what each would say.
"""

from __future__ import annotations

import enum
import json
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, cast

from tests.windows.double import wsman
from tests.windows.double.manifest import ModuleCall, find_call
from tests.windows.double.shell import Output, Shell

# Below pypsrp's own limit of 20 seconds, after which it asks again.
_LONGEST_WAIT = 15.0


class Ending(enum.Enum):
    """How a connection ends: each request closes it, as when the machine goes down in good order;
    connecting is refused, too; or nothing is heard any more, as behind a firewall or without power."""

    CLOSED = "closed"
    REFUSED = "refused"
    SILENT = "silent"


class ConnectionLostError(Exception):
    """Raised by a machine in the middle of a module: from now on nothing answers. One that `comes_back`
    leaves a single request without an answer, that of the session in which it went away."""

    def __init__(self, ending: Ending = Ending.CLOSED, comes_back: bool = False) -> None:
        super().__init__(ending.value)
        self.ending = ending
        self.comes_back = comes_back


class Machine(Protocol):
    """What the double is of."""

    def module(self, call: ModuleCall) -> dict[str, Any]:
        """The result of a module. Raises ConnectionLostError where the machine goes away."""

    def command(self, script: str) -> Output:
        """The output of a script that is no module."""


class WindowsDouble(ThreadingHTTPServer):
    """The server. `variables` are those with which a host of the inventory reaches it."""

    daemon_threads = True

    def __init__(self, machine: Machine) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.machine = machine
        self.shells: dict[str, Shell] = {}
        self.lost = threading.Event()
        self.ending = Ending.CLOSED
        self._comes_back = False
        self._left = threading.Event()
        self.errors: list[Exception] = []
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self) -> WindowsDouble:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.lost.set()
        self._left.set()
        self._stop_listening()
        self._thread.join()

    def _stop_listening(self) -> None:
        self.shutdown()
        self.server_close()

    def leave(self) -> None:
        """Do not answer a request: at once, or where the machine is silent, for good."""
        if self._comes_back:
            self.lost.clear()
        if self.ending is Ending.SILENT:
            self._left.wait()

    @property
    def variables(self) -> dict[str, Any]:
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.server_address[1],
            "ansible_connection": "psrp",
            "ansible_shell_type": "powershell",
            "ansible_user": "builder",
            "ansible_password": "not-a-secret",
            "ansible_psrp_protocol": "http",
            "ansible_psrp_auth": "basic",
            "ansible_psrp_message_encryption": "never",
            "ansible_psrp_connection_timeout": 5,
            "ansible_psrp_read_timeout": 20,
        }

    def run(self, script: str, given: list[str]) -> Output:
        """What a pipeline of Ansible's does."""
        try:
            call = find_call(script, given)
            if call is None:
                return self.machine.command(script)
            return Output((json.dumps(self.machine.module(call)),))
        except ConnectionLostError as end:
            self.ending, self._comes_back = end.ending, end.comes_back
            self.lost.set()
            if self.ending is Ending.REFUSED:
                self._stop_listening()
            for shell in self.shells.values():
                shell.wake()
            return Output()
        except (AssertionError, KeyError, ValueError) as error:
            # The thread of a pipeline: the test reads it here.
            self.errors.append(error)
            return Output((json.dumps({"failed": True, "msg": f"The double: {error!r}"}),), rc=1)

    def answer(self, request: wsman.Request) -> str | None:
        """The body of the answer; None when the connection is lost."""
        if self.lost.is_set():
            return None
        if request.verb == "Create":
            name = request.shell or str(uuid.uuid4()).upper()
            self.shells[name] = Shell(self.run)
            self.shells[name].feed(request.data)
            return wsman.created(name)
        if request.verb == "Get":
            return wsman.configuration()
        return self._of_shell(self.shells[request.shell or ""], request)

    def _of_shell(self, shell: Shell, request: wsman.Request) -> str | None:
        if request.verb == "Command" and request.command:
            shell.begin(request.command, request.data)
            return wsman.begun(request.command)
        if request.verb == "Send":
            shell.feed(request.data, request.command)
            return "<rsp:SendResponse/>"
        if request.verb == "Receive":
            fragments, done = shell.receive(request.command, _LONGEST_WAIT, self.lost.is_set)
            return None if self.lost.is_set() else wsman.received(fragments, request.command, done)
        return "<rsp:SignalResponse/>" if request.verb == "Signal" else ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet."""

    def do_POST(self) -> None:
        double = cast("WindowsDouble", self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.headers.get("Authorization", "").startswith("Basic "):
            self._send(401, b"", ("WWW-Authenticate", 'Basic realm="WSMAN"'))
            return
        request = wsman.read(body)
        answered = double.answer(request)
        if answered is None:
            double.leave()
            self.close_connection = True
            return
        self._send(
            200, wsman.answer(request, answered), ("Content-Type", "application/soap+xml;charset=UTF-8")
        )

    def _send(self, status: int, body: bytes, header: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header(*header)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
