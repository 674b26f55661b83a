# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Guests that booted once: frozen with their memory when all is settled, thawed as often as one is needed.

Each thawed guest has overlays of its own and maps the frozen memory privately, so that many can run side
by side and none changes what the next one gets.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from tests.guests.lab import machine as machine_module
from tests.guests.lab import seed as seed_module
from tests.guests.lab.accelerator import accelerator
from tests.guests.lab.cache import cached, code_digest, locked
from tests.guests.lab.debian import build_debian
from tests.guests.lab.disk_layout import build_data_disk
from tests.guests.lab.machine import Disk, Forward, Machine, MachineError, free_port, make_overlay
from tests.guests.lab.programs import run_program
from tests.guests.lab.seed import write_nocloud_seed
from tests.guests.lab.ssh import SshGuest, make_key, wait_for_ssh

_BOOT_SECONDS = 420
_THAW_SECONDS = 180
_PORT_ATTEMPTS = 5
_CODE = code_digest(__file__, machine_module.__file__, seed_module.__file__)
_SETTLE = "cloud-init status --wait > /dev/null; systemctl is-system-running --wait; true"
# Read what the first task of a play reads, so that it is in memory when a guest is thawed.
_WARM_UP = "sudo -n true; python3 -c 'import json, platform, subprocess, tempfile, zipfile, apt'; sync"
# RNDRESEEDCRNG (random(4)): without it, guests thawed from one state would draw the same random numbers.
_RESEED = (
    'cat > /dev/urandom; python3 -S -c \'import fcntl; fcntl.ioctl(open("/dev/urandom", "wb"), 0x5207)\''
)


class DataDisk(NamedTuple):
    """A data disk to be made: one ext4 partition with `label`, holding `files` (relative path, content)."""

    lun: int
    label: str
    size_mib: int = 1024
    files: tuple[tuple[str, bytes], ...] = ()


class GuestRecipe(NamedTuple):
    """What a frozen guest is: the image, what its seed says, and what root's shell runs before freezing."""

    suite: str = "bookworm"
    packages: tuple[str, ...] = ()
    hostname: str = "guest"
    user: str = "runner"
    firmware: Literal["bios", "uefi"] = "bios"
    memory_mib: int = 768
    data_disks: tuple[DataDisk, ...] = ()
    prepare: tuple[str, ...] = ()


DEFAULT_RECIPE = GuestRecipe()


class ThawedGuest(NamedTuple):
    """A running guest of its own; `disks` are its overlays, the OS disk first."""

    machine: Machine
    ssh: SshGuest
    disks: tuple[Disk, ...]

    def stop(self) -> None:
        """Pull the plug; the overlays stay."""
        self.ssh.close()
        self.machine.kill()


class FrozenGuest:
    """A frozen guest in `directory` that `freeze_guest` made."""

    def __init__(self, directory: Path, recipe: GuestRecipe, key: Path) -> None:
        self.directory = directory
        self.recipe = recipe
        self.key = key

    def thaw(self, work_dir: Path, name: str = "guest", host_ip: str = "127.0.0.1") -> ThawedGuest:
        """A fresh copy, logged in to, with today's time and random numbers of its own.

        Its files are in `work_dir`; SSH is forwarded from a free port of `host_ip`. Raises MachineError or
        SshError; nothing is left running then.
        """
        work_dir.mkdir(parents=True, exist_ok=True)
        disks = [make_overlay(work_dir / f"{name}.os.qcow2", self.directory / "os.qcow2", "qcow2")]
        for disk in self.recipe.data_disks:
            path = work_dir / f"{name}.data{disk.lun}.qcow2"
            backing = self.directory / f"data{disk.lun}.raw"
            disks.append(make_overlay(path, backing)._replace(lun=disk.lun))
        machine, port = self._start(work_dir, name, host_ip, disks)
        ssh = SshGuest(host_ip, port, self.recipe.user, self.key)
        guest = ThawedGuest(machine, ssh, tuple(disks))
        try:
            wait_for_ssh(ssh, _THAW_SECONDS, is_running=machine.is_running, interval=0.2)
            ssh.set_clock()
            ssh.sudo(_RESEED, stdin=os.urandom(64).hex())
        except BaseException:
            guest.stop()
            raise
        return guest

    def _start(self, work_dir: Path, name: str, host_ip: str, disks: list[Disk]) -> tuple[Machine, int]:
        for attempt in range(_PORT_ATTEMPTS):
            port = free_port(host_ip)
            machine = Machine(
                name,
                work_dir,
                disks,
                seed=self.directory / "seed.img",
                forwards=[Forward(host_ip, port)],
                memory_mib=self.recipe.memory_mib,
                firmware=self.recipe.firmware,
                thaw_from=self.directory / "state",
            )
            try:
                machine.start()
            except MachineError as error:
                # Somebody else took the port between our look and QEMU's start.
                if "host forwarding" not in str(error) or attempt == _PORT_ATTEMPTS - 1:
                    raise
            else:
                return machine, port
        raise AssertionError("unreachable: the last attempt returns or raises")


def freeze_guest(
    cache_dir: Path, recipe: GuestRecipe = DEFAULT_RECIPE, progress: Callable[[str], None] = lambda _: None
) -> FrozenGuest:
    """The frozen guest of that recipe; built, booted and frozen when it is not in `cache_dir` yet."""
    key = cache_dir / "key"
    cache_dir.mkdir(parents=True, exist_ok=True)
    with locked(cache_dir / "key.lock"):
        public_key = make_key(key)
    progress(f"Looking for a {recipe.suite} disk; building one takes about a minute")
    disk = build_debian(cache_dir, recipe.suite, packages=recipe.packages)

    def build(work: Path) -> None:
        progress(f"Booting a {recipe.suite} guest once, to freeze it")
        _freeze(work, recipe, disk, key, public_key)

    target = cached(cache_dir, f"frozen-{_digest(recipe, disk, public_key)}", build)
    return FrozenGuest(target, recipe, key)


def _freeze(work: Path, recipe: GuestRecipe, disk: Path, key: Path, public_key: str) -> None:
    write_nocloud_seed(
        work / "seed.img",
        instance_id=f"frozen-{recipe.hostname}",
        hostname=recipe.hostname,
        user=recipe.user,
        ssh_public_keys=[public_key],
    )
    disks = [make_overlay(work / "os.qcow2", disk)]
    for data in recipe.data_disks:
        path = work / f"data{data.lun}.raw"
        build_data_disk(path, data.size_mib, data.label, dict(data.files))
        disks.append(Disk(path, "raw", data.lun))
    port = free_port()
    machine = Machine(
        "booting",
        work,
        disks,
        seed=work / "seed.img",
        forwards=[Forward("127.0.0.1", port)],
        memory_mib=recipe.memory_mib,
        firmware=recipe.firmware,
        freezable=True,
    )
    ssh = SshGuest("127.0.0.1", port, recipe.user, key)
    try:
        machine.start()
        wait_for_ssh(ssh, _BOOT_SECONDS, is_running=machine.is_running)
        ssh.run(_SETTLE, timeout=_BOOT_SECONDS)
        for command in recipe.prepare:
            ssh.sudo(command, timeout=_BOOT_SECONDS)
        ssh.run(_WARM_UP, timeout=_BOOT_SECONDS)
        ssh.close()
        machine.freeze(work / "state")
    finally:
        ssh.close()
        machine.kill()
    # Pages of zeros need no blocks.
    run_program(["fallocate", "--dig-holes", str(work / "state" / "memory")])


def _digest(recipe: GuestRecipe, disk: Path, public_key: str) -> str:
    """Changes with all that a frozen state depends on, QEMU and the machine's make-up included."""
    version = run_program(["qemu-system-x86_64", "--version"])
    parts = repr((tuple(recipe), disk.parent.name, public_key, version, accelerator(), _CODE))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
