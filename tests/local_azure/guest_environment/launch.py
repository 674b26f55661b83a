# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Starts guests' environments, each a process in a new network namespace, and ends them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.guests.lab.processes import identify, load_identity, save_identity
from tests.guests.lab.programs import SEARCH_PATH
from tests.local_azure.guest_environment.record import Environment, save_environment

_CHECKOUT = Path(__file__).resolve().parents[3]
_START_SECONDS = 60
_END_SECONDS = 10


class LaunchError(Exception):
    """A guest's environment did not start; the message ends with its own last words."""


def launch(directory: Path, environment: Environment, addresses: Sequence[tuple[str, int]]) -> None:
    """Start the environment of the guest in `directory`; returns when QEMU may be plugged in.

    `addresses` are the host's (address, port) that lead to `environment.forwards`. It ends with the guest,
    not with this process. Raises LaunchError; nothing is left running then.
    """
    save_environment(directory, environment)
    with contextlib.ExitStack() as opened:
        listeners = [opened.enter_context(_listen(*address)) for address in addresses]
        descriptors = [listener.fileno() for listener in listeners]
        log = opened.enter_context((directory / "environment.log").open("wb"))
        process = subprocess.Popen(
            [*_new_namespace(), sys.executable, "-m", __package__, str(directory), *map(str, descriptors)],
            cwd=_CHECKOUT,
            env={**os.environ, "PATH": SEARCH_PATH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=descriptors,
            start_new_session=True,
        )
    assert process.stdout is not None
    with process.stdout as said:
        ready, _unused, _unused = select.select([said], [], [], _START_SECONDS)
        if ready and said.readline() == b"ready\n":
            identity = identify(process.pid)
            if identity is not None:
                save_identity(_pid_file(directory), identity)
            with _children_lock:
                _children.append(process)
            return
    process.kill()
    process.wait()
    words = (directory / "environment.log").read_text(errors="replace").strip()[-1000:]
    raise LaunchError(f"The environment of guest {environment.vm_name} did not start: {words}")


def end(directory: Path, *, at_once: bool = False) -> None:
    """Wait until the environment has ended with its guest; one that does not is made to."""
    identity = load_identity(_pid_file(directory))
    if identity is not None and not identity.wait(0 if at_once else _END_SECONDS):
        identity.send(signal.SIGKILL)
        identity.wait(_END_SECONDS)
    with _children_lock:
        _children[:] = [process for process in _children if process.poll() is None]
    _pid_file(directory).unlink(missing_ok=True)


# Our own children, until their end has been taken note of.
_children: list[subprocess.Popen[bytes]] = []
_children_lock = threading.Lock()


def _pid_file(directory: Path) -> Path:
    return directory / "environment.pid"


def _new_namespace() -> list[str]:
    """Root has the right to make network namespaces; others have it in a user namespace of their own."""
    return ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]


def _listen(address: str, port: int) -> socket.socket:
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise LaunchError(f"Nothing can listen at {address}:{port}: {error}") from error
    return listener
