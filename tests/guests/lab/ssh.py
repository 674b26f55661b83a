# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Guests over SSH: waiting for one to answer, and running commands on it through one kept connection."""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


class SshError(Exception):
    """A guest did not answer in time, or a command on it failed."""


class CommandError(SshError):
    """A command on a guest ended with another status than 0; what it wrote is in `stdout` and `stderr`."""

    def __init__(self, command: str, status: int, stdout: str, stderr: str) -> None:
        super().__init__(f"{command!r} ended with status {status}: {(stderr or stdout).strip()[-2000:]}")
        self.status = status
        self.stdout = stdout
        self.stderr = stderr


def make_key(path: Path, comment: str = "guest lab") -> str:
    """Make an Ed25519 key pair without passphrase at `path` unless it is there; the public key line."""
    public = path.with_name(path.name + ".pub")
    if not (path.exists() and public.exists()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return public.read_text().strip()


class SshGuest:
    """A guest reached by SSH with a key. Host keys are not checked: throw-away guests change them."""

    def __init__(self, host: str, port: int, user: str, key: Path) -> None:
        self.host = host
        self.port = port
        self.user = user
        self.key = key
        self._sockets = tempfile.TemporaryDirectory(prefix="ssh-")

    def options(self, *, shared: bool = True) -> list[str]:
        """Options for ssh and scp; `shared` ones keep one connection open for the commands that follow."""
        options = [
            *("-i", str(self.key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
            *("-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15"),
        ]
        if shared:
            options += ["-o", "ControlMaster=auto", "-o", f"ControlPath={self._sockets.name}/c"]
            options += ["-o", "ControlPersist=60"]
        return options

    def run(self, command: str, *, stdin: str | None = None, timeout: float = 120, check: bool = True) -> str:
        """Run a shell command line on the guest and return its standard output.

        Raises CommandError when it ends with another status than 0 (unless `check` is off), SshError when it
        is not done after `timeout` seconds.
        """
        arguments = ["ssh", *self.options(), "-p", str(self.port), f"{self.user}@{self.host}", command]
        # Answers go to files: the kept connection inherits standard error and would hold a pipe open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            try:
                done = subprocess.run(
                    arguments,
                    input=stdin if stdin is not None else "",
                    stdout=out,
                    stderr=err,
                    text=True,
                    timeout=timeout,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise SshError(f"{command!r} was not done after {timeout:.0f} s") from None
            out.seek(0)
            err.seek(0)
            stdout, stderr = out.read(), err.read()
        if check and done.returncode:
            raise CommandError(command, done.returncode, stdout, stderr)
        return stdout

    def sudo(
        self, command: str, *, stdin: str | None = None, timeout: float = 120, check: bool = True
    ) -> str:
        """`run` as root (the account needs sudo without a password)."""
        wrapped = f"sudo -n sh -c {shlex.quote(command)}"
        return self.run(wrapped, stdin=stdin, timeout=timeout, check=check)

    def write(self, path: str, content: str, *, mode: str = "644") -> None:
        """Write a file on the guest as root."""
        target = shlex.quote(path)
        self.sudo(f"cat > {target} && chmod {mode} {target}", stdin=content)

    def set_clock(self) -> None:
        """Give the guest the host's time: one that was frozen still lives in the past, and TLS minds."""
        self.sudo(f"date -u -s @{time.time():.3f}")

    def inventory_line(self, name: str = "guest") -> str:
        """The guest as one line of an Ansible INI inventory."""
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
        return (
            f"{name} ansible_host={self.host} ansible_port={self.port} ansible_user={self.user} "
            f"ansible_ssh_private_key_file={shlex.quote(str(self.key))} ansible_ssh_common_args='{options}'"
        )

    def close(self) -> None:
        """End the kept connection."""
        if Path(self._sockets.name, "c").exists():
            end = ["ssh", *self.options(), "-p", str(self.port), "-O", "exit", f"{self.user}@{self.host}"]
            subprocess.run(end, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        self._sockets.cleanup()


def has_ssh_banner(host: str, port: int, timeout: float = 3.0) -> bool:
    """True when an SSH server greets at that address; QEMU's forward alone accepts connections earlier."""
    try:
        with socket.create_connection((host, port), timeout) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def wait_for_ssh(
    guest: SshGuest, timeout: float, *, is_running: Callable[[], bool] = lambda: True, interval: float = 0.5
) -> float:
    """Wait until a login works and return the seconds it took.

    Raises SshError after `timeout` seconds, or at once when `is_running` says that the machine is gone.
    """
    start = time.monotonic()
    last = "no answer"
    while time.monotonic() - start < timeout:
        if not is_running():
            raise SshError(f"The machine ended before SSH answered at {guest.host}:{guest.port}")
        if has_ssh_banner(guest.host, guest.port):
            try:
                guest.run("true", timeout=30)
            except SshError as error:
                last = str(error)
            else:
                return time.monotonic() - start
        time.sleep(interval)
    raise SshError(f"No SSH login at {guest.user}@{guest.host}:{guest.port} after {timeout:.0f} s: {last}")


@contextmanager
def connected(host: str, port: int, user: str, key: Path) -> Iterator[SshGuest]:
    """An SshGuest that is closed at the end of the block."""
    guest = SshGuest(host, port, user, key)
    try:
        yield guest
    finally:
        guest.close()
