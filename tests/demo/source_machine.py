# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The demo's source: a Debian 12 machine "that runs elsewhere", used for a while, with a data disk."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from tests.demo.born_machines import Machine, look_at
from tests.guests.lab.frozen import DataDisk, GuestRecipe, ThawedGuest, freeze_guest
from tests.guests.lab.programs import run_program
from tests.guests.lab.ssh import SshError

USER = "builder"
HOSTNAME = "shop-01"
DATA_LUN = 0
DATA_FILE = "/data/orders.csv"
DATA_CONTENT = "order,article,pieces\n1001,lamp,2\n1002,chair,4\n"

_HISTORY = "ssh backup.example.net\nexport DB_PASSWORD=correct-horse-battery\nmysql -u shop -p shop\n"
_ROOT_HISTORY = "journalctl -u ssh\npasswd builder\n"
_KNOWN_HOST = (
    "backup.example.net ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEhGoeSzdDMtnu0ZKrYvFvkVQ7vOWPCkLaYyTcVAFWsW\n"
)
_LOG = "2024-05-02 07:11:09 import of 1042 orders for shop-01 done by builder\n"


def _plant(path: str, content: str, owner: str, mode: str) -> str:
    target = shlex.quote(path)
    folder = shlex.quote(str(Path(path).parent))
    made = f"test -d {folder} || install -d -o {owner} -g {owner} {folder}"
    return (
        f"{made}; printf %s {shlex.quote(content)} > {target}; chown {owner}: {target}; chmod {mode} {target}"
    )


RECIPE = GuestRecipe(
    hostname=HOSTNAME,
    user=USER,
    data_disks=(
        DataDisk(DATA_LUN, "data", 1024, ((DATA_FILE.removeprefix("/data/"), DATA_CONTENT.encode()),)),
    ),
    prepare=(
        _plant(f"/home/{USER}/.bash_history", _HISTORY, USER, "600"),
        _plant(f"/home/{USER}/.ssh/known_hosts", _KNOWN_HOST, USER, "600"),
        _plant("/root/.bash_history", _ROOT_HISTORY, "root", "600"),
        _plant("/var/log/shop/import.log", _LOG, "root", "640"),
        "echo 'LABEL=data /data ext4 defaults,nofail 0 2' >> /etc/fstab",
        "mkdir /data && systemctl daemon-reload && mount /data",
        "logger -t shop 'nightly import done'",
    ),
)


class SourceMachine:
    """The running machine: where SSH answers, and its disks once it is off."""

    hostname = HOSTNAME
    user = USER
    data_file = DATA_FILE
    data_content = DATA_CONTENT

    def __init__(self, thawed: ThawedGuest, work_dir: Path) -> None:
        self._thawed = thawed
        self.guest = thawed.ssh
        self.os_disk = work_dir / "source-os.qcow2"
        self.data_disk = work_dir / "source-data.qcow2"

    def is_running(self) -> bool:
        return self._thawed.machine.is_running()

    def look(self) -> Machine:
        """What the machine says of itself."""
        return look_at(HOSTNAME, self.guest, USER, DATA_FILE)

    def wait_off(self, timeout: float) -> None:
        """Wait for the machine to power itself off; then `os_disk` and `data_disk` are there.

        They are qcow2 files that need no other file. Raises SshError when it still runs after `timeout` s.
        """
        if not self._thawed.machine.wait_off(timeout):
            raise SshError(f"{HOSTNAME} did not power itself off within {timeout:.0f} s")
        for overlay, target in zip(self._thawed.disks, (self.os_disk, self.data_disk), strict=True):
            run_program(["qemu-img", "convert", "-O", "qcow2", str(overlay.path), str(target)])
            overlay.path.unlink()

    def stop(self) -> None:
        """End the machine, however far it is; disks that were taken stay."""
        self._thawed.stop()
        for overlay in self._thawed.disks:
            overlay.path.unlink(missing_ok=True)


def start_source_machine(
    work_dir: Path, progress: Callable[[str], None], cache_dir: Path | None = None
) -> SourceMachine:
    """Start the machine and return when a login works; built and booted on the first call, thawed later.

    Disks and frozen guests are kept in `cache_dir` (the project's .build/guests when not given).
    """
    cache = cache_dir or Path(__file__).resolve().parents[2] / ".build" / "guests"
    frozen = freeze_guest(cache, RECIPE, progress)
    progress(f"Starting {HOSTNAME}")
    return SourceMachine(frozen.thaw(work_dir, "source"), work_dir)
