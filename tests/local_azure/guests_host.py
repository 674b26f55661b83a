# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Real guests behind the local Azure's virtual machines: QEMU on copies of the VMs' disk blobs.

A guest writes to qcow2 overlays over a read-only export of its blobs, which VMs born from one image share.
Its blobs see its writes when ``sync_back`` says so, which is when Azure deallocates a VM.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from tests.guests.lab.machine import Disk, Forward, make_overlay
from tests.guests.lab.programs import run_program
from tests.guests.lab.seed import write_nocloud_seed
from tests.guests.lab.ssh import has_ssh_banner
from tests.local_azure.blobs import BlobAddress, BlobStore
from tests.local_azure.guests_machine import LastingMachine

SSH_PORT = 22
POWER_OFF_SECONDS = 60


class GuestSpec(NamedTuple):
    """What the platform knows about a VM when it starts it.

    ``key`` identifies the VM for its whole life and is its instance id. ``custom_data`` is plain text (ARM
    carries it in base64). ``address`` is a loopback address that nothing else of the host uses. ``provision``
    is False for a specialized disk, whose guest is told nothing.
    """

    key: str
    name: str
    computer_name: str
    admin_username: str
    ssh_public_keys: tuple[str, ...]
    custom_data: str | None
    admin_password: str | None
    os_disk: BlobAddress
    data_disks: tuple[tuple[int, BlobAddress], ...]
    generation: Literal["V1", "V2"]
    address: str
    ssh_port: int
    provision: bool


class GuestError(Exception):
    """A guest is not there, or not in the state that the request needs."""


class _GuestDisk(NamedTuple):
    lun: int | None
    address: BlobAddress
    base: str  # fingerprint of the content under the overlay
    content: str  # fingerprint that the blob has as long as the overlay continues it
    synced: int = 0  # the overlay's time of last change, in nanoseconds, when it was last written back

    @property
    def overlay(self) -> str:
        return "os.qcow2" if self.lun is None else f"data{self.lun}.qcow2"


class _Guest(NamedTuple):
    """What is kept on disk about a guest; no secrets."""

    key: str
    name: str
    address: str
    ssh_port: int
    firmware: Literal["bios", "uefi"]
    seeded: bool
    disks: tuple[_GuestDisk, ...]


def choose_ssh_port(state_dir: Path) -> int:
    """The port at which guests' SSH is reached on their own addresses; chosen once for a state directory.

    22 as on Azure, unless only root may have it or an SSH server of the host listens on all addresses.
    """
    kept = state_dir / "ssh-port"
    if kept.exists():
        return int(kept.read_text())
    with socket.socket() as probe:
        try:
            probe.bind(("127.64.0.1", SSH_PORT))
            port = SSH_PORT
        except OSError:
            probe.bind(("127.64.0.1", 0))
            port = int(probe.getsockname()[1])
    kept.write_text(f"{port}\n")
    return port


class GuestHost:
    """The host that the guests run on. Methods are thread-safe, one guest's calls run one after the other.

    Guests go on running when this process ends; another ``GuestHost`` with the same state directory finds
    them.
    """

    def __init__(self, state_dir: Path, blobs: BlobStore) -> None:
        self._dir = state_dir / "guests"
        self._cache = self._dir / "cache"
        self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._blobs = blobs
        self._lock = threading.RLock()
        self._locks: dict[str, threading.RLock] = {}
        self._export_lock = threading.Lock()
        self._machines: dict[str, LastingMachine] = {}

    def start(self, spec: GuestSpec) -> None:
        """Boot the VM from its disks' present content; returns as soon as its processors run.

        Nothing happens when it runs already. What the guest wrote earlier and ``sync_back`` has not saved is
        still there, unless its blob has been written to since.
        """
        with self._alone(spec.key):
            if self.is_running(spec.key):
                return
            directory = self._directory(spec.key)
            directory.mkdir(mode=0o700, exist_ok=True)
            guest = _Guest(
                key=spec.key,
                name=spec.name,
                address=spec.address,
                ssh_port=spec.ssh_port,
                firmware="uefi" if spec.generation == "V2" else "bios",
                seeded=spec.provision,
                disks=self._prepare_disks(spec),
            )
            if spec.provision and not (directory / "seed.img").exists():
                _write_seed(directory / "seed.img", spec)
            self._save(guest)
            machine = self._machines[spec.key] = self._machine(guest)
            machine.start()

    def stop(self, key: str, hard: bool = False) -> None:
        """Power the guest off: by its power button, after 60 s (or at once when ``hard``) by its plug."""
        with self._alone(key):
            machine = self._known(key)
            if machine is None or not machine.is_running():
                return
            if hard:
                machine.kill()
            else:
                machine.power_off(POWER_OFF_SECONDS)

    def is_running(self, key: str) -> bool:
        """True while the guest's processors run; False for unknown guests too."""
        machine = self._known(key)
        if machine is None:
            return False
        if machine.is_running():
            return True
        machine.wait_off(0)
        return False

    def delete(self, key: str) -> None:
        """Pull the plug and forget the guest, what it wrote included; its blobs stay."""
        with self._alone(key):
            self.stop(key, hard=True)
            self._machines.pop(key, None)
            shutil.rmtree(self._directory(key), ignore_errors=True)
        self._drop_unused_exports()

    def wait_ready(self, key: str, timeout: float) -> bool:
        """Wait until the guest's SSH server greets, which it does once the guest has been provisioned.

        False after ``timeout`` seconds, and at once when the guest is not running (any more).
        """
        guest = self._load(key)
        if guest is None:
            return False
        deadline = time.monotonic() + timeout
        while self.is_running(key):
            if has_ssh_banner(guest.address, guest.ssh_port):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return False

    def console(self, key: str) -> str:
        """What the guest has written to its serial console since it was started; empty for unknown guests."""
        machine = self._known(key)
        if machine is None or not machine.console.exists():
            return ""
        return machine.console.read_text(errors="replace")

    def sync_back(self, key: str) -> None:
        """Write what the guest has changed into its blobs; an unknown guest has changed nothing.

        GuestError while the guest runs, and when a blob has been written to since the guest started from it.
        """
        with self._alone(key):
            guest = self._load(key)
            if guest is None:
                return
            if self.is_running(key):
                raise GuestError(f"Guest {guest.name} is running: its disks are changing")
            for index in range(len(guest.disks)):
                disks = list(guest.disks)
                disks[index] = self._write_back(key, disks[index])
                guest = guest._replace(disks=tuple(disks))
                self._save(guest)

    def stop_all(self, hard: bool = False) -> None:
        """Power off every guest, side by side."""
        running = [key for key in self.keys() if self.is_running(key)]
        with ThreadPoolExecutor(max(1, len(running))) as pool:
            for _unused in pool.map(lambda key: self.stop(key, hard), running):
                pass

    def keys(self) -> list[str]:
        """Keys of all guests, running or not."""
        states = self._dir.glob("*/guest.json")
        return [str(json.loads(state.read_text())["key"]) for state in states]

    # Disks

    def _prepare_disks(self, spec: GuestSpec) -> tuple[_GuestDisk, ...]:
        earlier = self._load(spec.key)
        known = {(disk.lun, disk.address): disk for disk in earlier.disks} if earlier else {}
        directory = self._directory(spec.key)
        disks = []
        for lun, address in ((None, spec.os_disk), *spec.data_disks):
            content = self._blobs.fingerprint(address)
            disk = known.get((lun, address))
            if disk is None or disk.content != content or not (directory / disk.overlay).exists():
                disk = _GuestDisk(lun, address, base=content, content=content)
                make_overlay(directory / disk.overlay, self._export(address, content))
            disks.append(disk)
        return tuple(disks)

    def _export(self, address: BlobAddress, fingerprint: str) -> Path:
        path = self._exported(fingerprint)
        with self._export_lock:
            if not path.exists():
                self._blobs.export_raw(address, path)
        return path

    def _exported(self, fingerprint: str) -> Path:
        return self._cache / f"{fingerprint}.raw"

    def _write_back(self, key: str, disk: _GuestDisk) -> _GuestDisk:
        """Bring one blob up to date with the guest's overlay."""
        overlay = self._directory(key) / disk.overlay
        changed = overlay.stat().st_mtime_ns
        if changed == disk.synced:
            return disk
        if self._blobs.fingerprint(disk.address) != disk.content:
            raise GuestError(f"{disk.address.path} has been written to since its guest started")
        whole = overlay.with_suffix(".raw")
        try:
            run_program(["qemu-img", "convert", "-O", "raw", str(overlay), str(whole)])
            # Once written back, the blob holds more than the export under the overlay.
            base = self._exported(disk.base) if disk.content == disk.base else None
            self._blobs.import_raw(whole, disk.address, base)
        finally:
            whole.unlink(missing_ok=True)
        return disk._replace(content=self._blobs.fingerprint(disk.address), synced=changed)

    def _drop_unused_exports(self) -> None:
        with self._export_lock:
            guests = [self._load(key) for key in self.keys()]
            used = {disk.base for guest in guests if guest is not None for disk in guest.disks}
            for export in self._cache.glob("*.raw"):
                if export.stem not in used:
                    export.unlink()

    # State

    def _directory(self, key: str) -> Path:
        # Keys are resource ids; sockets' paths may have 107 characters.
        return self._dir / hashlib.sha256(key.encode()).hexdigest()[:12]

    def _machine(self, guest: _Guest) -> LastingMachine:
        directory = self._directory(guest.key)
        return LastingMachine(
            "vm",
            directory,
            [Disk(directory / disk.overlay, "qcow2", disk.lun) for disk in guest.disks],
            seed=directory / "seed.img" if guest.seeded else None,
            forwards=[Forward(guest.address, guest.ssh_port, SSH_PORT)],
            firmware=guest.firmware,
        )

    def _known(self, key: str) -> LastingMachine | None:
        with self._lock:
            if key not in self._machines:
                guest = self._load(key)
                if guest is None:
                    return None
                self._machines[key] = self._machine(guest)
            return self._machines[key]

    def _save(self, guest: _Guest) -> None:
        path = self._directory(guest.key) / "guest.json"
        part = path.with_suffix(".part")
        record = {**guest._asdict(), "disks": [disk._asdict() for disk in guest.disks]}
        part.write_text(json.dumps(record))
        part.replace(path)

    def _load(self, key: str) -> _Guest | None:
        try:
            record = json.loads((self._directory(key) / "guest.json").read_text())
        except FileNotFoundError:
            return None
        disks = tuple(
            _GuestDisk(**{**disk, "address": BlobAddress(*disk["address"])}) for disk in record["disks"]
        )
        return _Guest(**{**record, "disks": disks})

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(key, threading.RLock())
        with lock:
            yield


def _write_seed(path: Path, spec: GuestSpec) -> None:
    part = path.with_suffix(".part")
    write_nocloud_seed(
        part,
        instance_id=spec.key,
        hostname=spec.computer_name,
        user=spec.admin_username,
        ssh_public_keys=spec.ssh_public_keys,
        password_hash=_password_hash(spec.admin_password) if spec.admin_password else None,
        custom_data=spec.custom_data,
    )
    part.chmod(0o600)
    part.replace(path)


def _password_hash(password: str) -> str:
    # On standard input: arguments are readable by every user of the host.
    return run_program(["openssl", "passwd", "-6", "-stdin"], stdin=password).strip()
