# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Guests without a kernel of their own: a root tree booted by systemd-nspawn, up in seconds.

systemd, sshd, sudo and the agent are real. The machine is a process: its mounts are in a mount namespace of
its own, it shares the host's network without the right to change it, and when it switches itself off, the
process ends. Needs root.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.guests.lab.machine import free_port
from tests.guests.lab.programs import ProgramError, run_program
from tests.guests.lab.ssh import SshGuest, wait_for_ssh

ADDRESS = "127.0.0.1"
HOSTNAME = "web1"
_OVERLAY = "mount -t overlay overlay -o lowerdir={base},upperdir={layer},workdir={work} {top}"
_BOOT_SECONDS = 120
_SSHD = "ListenAddress {address}:{port}\nUseDNS no\n"
_AUDIT = """\
import json, sys
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.audit import audit
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import audited
accounts, hostnames = sys.argv[2].split(","), sys.argv[3].split(",")
found = audit(Guest(LiveRoot(sys.argv[1]), accounts, hostnames), audited([], []))
print(json.dumps([list(each) for each in found]))
"""


def is_possible() -> bool:
    """Whether this host and user can boot such a guest."""
    return os.geteuid() == 0 and shutil.which("systemd-nspawn") is not None


class Container:
    """One guest on a layer of its own above a tree that stays as it is.

    :param base: the tree
    :param work_dir: an empty directory, not on an overlay
    :param files: put into the layer before the guest boots
    """

    def __init__(self, base: Path, work_dir: Path, user: str, key: Path, files: dict[str, str]) -> None:
        self.places = {name: work_dir / name for name in ("layer", "work", "top")}
        for place in self.places.values():
            place.mkdir(parents=True)
        self.overlay = _OVERLAY.format(base=base, **self.places)
        self.port = free_port(ADDRESS)
        self.ssh = SshGuest(ADDRESS, self.port, user, key)
        self.log = work_dir / "console.log"
        sshd = {"/etc/ssh/sshd_config.d/01-test.conf": _SSHD.format(address=ADDRESS, port=self.port)}
        for path, text in {**sshd, **files}.items():
            target = self.places["layer"] / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self._process: subprocess.Popen[bytes] | None = None

    def boot(self) -> float:
        """Start the guest; the seconds until a login worked."""
        nspawn = [
            *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--settings=no", "--boot"),
            *(f"--machine={HOSTNAME}", f"--directory={self.places['top']}", "--link-journal=no"),
            *("--resolv-conf=off", "--timezone=off", "--console=pipe"),
        ]
        script = self.overlay + " && exec " + " ".join(nspawn)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        return wait_for_ssh(self.ssh, _BOOT_SECONDS, is_running=self.is_running, interval=0.2)

    def is_running(self) -> bool:
        """Whether the guest is on."""
        return self._process is not None and self._process.poll() is None

    def wait_off(self, seconds: float) -> bool:
        """Wait until the guest has switched itself off; False when it has not."""
        deadline = time.monotonic() + seconds
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.is_running()

    def stop(self) -> None:
        """Take its power away."""
        self.ssh.close()
        if self._process is not None and self._process.poll() is None:
            # nspawn takes the whole guest with it.
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def look(self, command: Sequence[str]) -> str:
        """What a program of the host prints that sees the guest's files below its last argument, while the
        guest is off."""
        if self.is_running():
            raise ProgramError("the guest is on, and its files are not at rest")
        script = self.overlay + ' && exec "$@"'
        enter = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, "look"]
        return run_program([*enter, *command])

    def audit(self, accounts: Sequence[str]) -> list[list[Any]]:
        """The findings of the project's audit on the files of a guest that is off: id, path and so on."""
        with tempfile.NamedTemporaryFile("w", suffix=".py") as program:
            program.write(_AUDIT)
            program.flush()
            top = str(self.places["top"])
            search = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            command = ["env", *(f"{name}={value}" for name, value in search.items()), sys.executable]
            found = self.look([*command, program.name, top, ",".join(accounts), HOSTNAME])
        result: list[list[Any]] = json.loads(found)
        return result
