# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Real guests behind the local Azure's virtual machines: QEMU on copies of the VMs' disk blobs.

A guest writes to qcow2 overlays over a read-only export of its blobs, which VMs born from one image share.
Its blobs see its writes when ``sync_back`` says so, which is when Azure deallocates a VM. What it sees of
Azure is its environment, a process of its own (``guest_environment``).
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

from tests.guests.lab.machine import AZURE_CHASSIS_ASSET_TAG, Cdrom, Disk, Machine, make_overlay
from tests.guests.lab.programs import run_program
from tests.local_azure.blob_storage.blobs import BlobAddress, BlobStore
from tests.local_azure.guest_environment import launch, record
from tests.local_azure.guest_environment.provisioning_media import ovf_environment, write_media
from tests.local_azure.guest_environment.record import (
    CABLE,
    MEDIA,
    Environment,
    Heard,
    Json,
    ProvisioningReport,
)

SSH_PORT = 22
POWER_OFF_SECONDS = 60


class GuestSpec(NamedTuple):
    """What the platform knows about a VM when it starts it.

    ``key`` identifies the VM for its whole life: its vmId, a UUID. ``ssh_public_keys`` are (path in the
    guest, OpenSSH line). ``address`` is a loopback address that nothing else of the host uses;
    ``private_address`` is the guest's own, in ``subnet`` (10.0.0.0/24), with ``mac`` (00:0d:3a:..).
    ``instance`` is what the metadata service says. ``provision`` is False for a specialized disk, whose guest
    gets no media.
    """

    key: str
    name: str
    computer_name: str
    admin_username: str
    ssh_public_keys: tuple[tuple[str, str], ...]
    password_authentication: bool
    custom_data: bytes | None
    admin_password: str | None
    os_disk: BlobAddress
    data_disks: tuple[tuple[int, BlobAddress], ...]
    generation: Literal["V1", "V2"]
    address: str
    ssh_port: int
    private_address: str
    subnet: str
    mac: str
    location: str
    instance: Json
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
    mac: str
    firmware: Literal["bios", "uefi"]
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
        self._machines: dict[str, Machine] = {}

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
                mac=spec.mac,
                firmware="uefi" if spec.generation == "V2" else "bios",
                disks=self._prepare_disks(spec),
            )
            # The media is made for the first start and is there until the guest has been provisioned.
            if spec.provision and not self._has_started(spec.key):
                write_media(directory / MEDIA, _ovf_environment(spec))
            self._save(guest)
            record.save_instance(directory, spec.instance)
            # The last one goes when its guest has powered itself off, which may be just now.
            launch.end(directory)
            launch.launch(directory, self._environment(spec), [(spec.address, spec.ssh_port)])
            machine = self._machines[spec.key] = self._machine(guest)
            try:
                machine.start()
            except BaseException:
                launch.end(directory, at_once=True)
                raise

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
            launch.end(self._directory(key))

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
            launch.end(self._directory(key))
            self._machines.pop(key, None)
            shutil.rmtree(self._directory(key), ignore_errors=True)
        self._drop_unused_exports()

    def wait_provisioned(self, key: str, timeout: float) -> ProvisioningReport:
        """Wait until the guest has reported how its provisioning ended, at most ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            # Asked first: what it said before it went off has been heard then.
            running = self.is_running(key)
            heard = self.heard(key)
            if heard.reported is not None:
                return ProvisioningReport(heard.reported, heard.description, heard.agent_seen)
            if not running:
                return ProvisioningReport("stopped", agent_seen=heard.agent_seen)
            if time.monotonic() > deadline:
                return ProvisioningReport("silent", agent_seen=heard.agent_seen)
            time.sleep(0.3)

    def heard(self, key: str) -> Heard:
        """What the guest has told Azure so far: its provisioning, and the status of its agent."""
        return record.load_heard(self._directory(key))

    def tell(self, key: str, instance: Json) -> None:
        """Change what the metadata service says of a guest; unknown guests are told when they start."""
        with self._alone(key):
            if self._load(key) is not None:
                record.save_instance(self._directory(key), instance)

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

    def _machine(self, guest: _Guest) -> Machine:
        directory = self._directory(guest.key)
        media = directory / MEDIA
        return Machine(
            "vm",
            directory,
            [Disk(directory / disk.overlay, "qcow2", disk.lun) for disk in guest.disks],
            cdrom=Cdrom(media if media.exists() else None),
            cable=CABLE,
            mac=guest.mac,
            firmware=guest.firmware,
            chassis_asset_tag=AZURE_CHASSIS_ASSET_TAG,
            system_uuid=guest.key,
            lasting=True,
        )

    def _environment(self, spec: GuestSpec) -> Environment:
        return Environment(
            vm_id=spec.key,
            vm_name=spec.name,
            computer_name=spec.computer_name,
            location=spec.location,
            mac=spec.mac,
            address=spec.private_address,
            prefix=spec.subnet,
            forwards=(SSH_PORT,),
            identity_socket=f"../{self.identity_socket.name}",
        )

    @property
    def identity_socket(self) -> Path:
        """Where the metadata services of all guests ask for tokens."""
        return self._dir / "identity"

    def _has_started(self, key: str) -> bool:
        return (self._directory(key) / "guest.json").exists()

    def _known(self, key: str) -> Machine | None:
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


def _ovf_environment(spec: GuestSpec) -> str:
    return ovf_environment(
        hostname=spec.computer_name,
        user=spec.admin_username,
        password=spec.admin_password,
        disable_password_authentication=not spec.password_authentication,
        ssh_public_keys=spec.ssh_public_keys,
        custom_data=spec.custom_data,
    )
