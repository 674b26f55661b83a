# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Virtual machines in QEMU, shaped like Azure's: OS disk and data disks on SCSI controllers of their own."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.guests.lab.accelerator import accelerator
from tests.guests.lab.processes import ProcessIdentity, identify, load_identity, save_identity
from tests.guests.lab.programs import run_program
from tests.guests.lab.qmp import Qmp, QmpError

AZURE_CHASSIS_ASSET_TAG = "7783-7084-3265-9085-8269-3286-77"
"""The chassis asset tag by which cloud-init and the Azure Linux Agent know that they run on Azure."""

MEDIA_DRIVE = "media"
"""The CD-ROM drive's name in QMP."""

_HYPERV = "manufacturer=Microsoft Corporation"
# By this systemd knows Hyper-V when the processor does not name another hypervisor.
_HYPERV_FIRMWARE = "Hyper-V UEFI Release v4.1"
_OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
_OVMF_VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
_START_SECONDS = 30.0
_FREEZE_SECONDS = 120.0
_QUIT_SECONDS = 15.0

# One thread starts every QEMU and lives as long as this process does: the death signal that setpriv asks for
# comes when the thread that started a process ends, so machines die with this process and never earlier.
_launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="machine-launcher")


class MachineError(Exception):
    """A machine could not be started or did not do what was asked; QEMU's own words are in the message."""


class Disk(NamedTuple):
    """A disk file: `lun` None is the OS disk, a number (0 to 63) a data disk at that SCSI LUN.

    `nvme` is for the OS disk, which then is a namespace of a controller of its own.
    """

    path: Path
    format: Literal["raw", "qcow2"] = "raw"
    lun: int | None = None
    read_only: bool = False
    nvme: bool = False


class Forward(NamedTuple):
    """Connections to host_ip:host_port reach guest_port in the guest."""

    host_ip: str
    host_port: int
    guest_port: int = 22


class Cdrom(NamedTuple):
    """A CD-ROM drive, `MEDIA_DRIVE` to QMP; `image` is what is in it at the start."""

    image: Path | None = None


class DirectBoot(NamedTuple):
    """A kernel and an initramfs that QEMU starts itself, without firmware's boot and boot loader."""

    kernel: Path
    initrd: Path
    command_line: str


def free_port(host_ip: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((host_ip, 0))
        port: int = probe.getsockname()[1]
    return port


def make_overlay(path: Path, backing: Path, backing_format: Literal["raw", "qcow2"] = "raw") -> Disk:
    """A new qcow2 file at `path`, returned as OS disk: reads through to `backing`, keeps all writes."""
    path.unlink(missing_ok=True)
    backing_options = ["-F", backing_format, "-b", str(backing.resolve())]
    run_program(["qemu-img", "create", "-q", "-f", "qcow2", *backing_options, str(path)])
    return Disk(path, "qcow2")


def cpu_model(kind: Literal["kvm", "tcg"]) -> str:
    """The CPU model guests get under that accelerator."""
    # Emulated, a plain x86-64-v2 model boots in four fifths of the time that "max" takes.
    return "host" if kind == "kvm" else "Nehalem"


class Machine:
    """One virtual machine and its files `<name>.*` in `work_dir`.

    One processor is the default: an emulated second one spends more on waiting for the first than it gives.

    Everything about a running machine is in those files, so another process that makes the same object sees
    whether it runs and controls it. A machine ends with the process that started it, unless it is `lasting`:
    then it goes on, and `kill` keeps every write that reached its disks.

    `cable` is a UNIX socket, relative to `work_dir`, where another program takes the guest's Ethernet frames
    (QEMU's stream format); without it the guest is behind QEMU's own network with its `forwards`.

    `freezable` keeps the guest's memory in a file so that `freeze` can save it; `thaw_from` is what `freeze`
    wrote, and wants the same disks' number and places, memory, CPUs, firmware and seed as the frozen machine.
    """

    def __init__(
        self,
        name: str,
        work_dir: Path,
        disks: Sequence[Disk],
        *,
        seed: Path | None = None,
        cdrom: Cdrom | None = None,
        forwards: Sequence[Forward] = (),
        cable: str | None = None,
        mac: str | None = None,
        memory_mib: int = 768,
        vcpus: int = 1,
        firmware: Literal["bios", "uefi"] = "bios",
        chassis_asset_tag: str | None = None,
        system_uuid: str | None = None,
        direct_boot: DirectBoot | None = None,
        freezable: bool = False,
        thaw_from: Path | None = None,
        lasting: bool = False,
    ) -> None:
        self.name = name
        self.work_dir = work_dir
        self.disks = tuple(disks)
        self.seed = seed
        self.cdrom = cdrom
        self.forwards = tuple(forwards)
        self.cable = cable
        self.mac = mac
        self.memory_mib = memory_mib
        self.vcpus = vcpus
        self.firmware = firmware
        self.chassis_asset_tag = chassis_asset_tag
        self.system_uuid = system_uuid
        self.direct_boot = direct_boot
        self.freezable = freezable
        self.thaw_from = thaw_from
        self.lasting = lasting
        self.console = self._file("console")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the running machine, None when it is off."""
        identity = self._identity()
        return identity.pid if identity else None

    def is_running(self) -> bool:
        return self._identity() is not None

    def start(self) -> None:
        """Start the machine and return as soon as its processors run (a thawed one: as soon as it goes on).

        Raises MachineError with QEMU's message when it does not start; nothing is left running then.
        """
        if self.is_running():
            raise MachineError(f"Machine {self.name} is running already, with process id {self.pid}")
        self._check_files()
        self.work_dir.mkdir(parents=True, exist_ok=True)
        for kind in ("qmp", "pid", "console"):
            self._file(kind).unlink(missing_ok=True)
        if self.firmware == "uefi":
            variables = self.thaw_from / "variables" if self.thaw_from else _OVMF_VARIABLES
            shutil.copyfile(variables, self._file("variables"))
        command = self._command()
        if not self.lasting:
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with self._file("log").open("wb") as log:
            self._process = _launcher.submit(self._spawn, command, log.fileno()).result()
        identity = identify(self._process.pid)
        if identity is not None:
            save_identity(self._file("pid"), identity)
        try:
            with self._connect(time.monotonic() + _START_SECONDS) as qmp:
                if self.thaw_from is not None:
                    self._thaw(qmp, self.thaw_from)
        except (OSError, QmpError) as error:
            self.kill()
            raise MachineError(f"Machine {self.name} did not start: {self._log_tail() or error}") from error

    def qmp(self, command: str, **arguments: Any) -> Any:
        """Run one QMP command, e.g. `qmp("query-status")`, and return its answer."""
        with Qmp(self._file("qmp")) as connection:
            return connection.execute(command, **arguments)

    def power_off(self, timeout: float = 60) -> bool:
        """Press the power button, wait, pull the plug after `timeout` s. True when it went off by itself."""
        with contextlib.suppress(OSError, QmpError):
            self.qmp("system_powerdown")
        if self.wait_off(timeout):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """Pull the plug; nothing happens when the machine is off."""
        if self.lasting and self.is_running():
            # The guest's plug, not QEMU's: killed, it would lose writes that the guest has seen done.
            with contextlib.suppress(OSError, QmpError):
                self.qmp("quit")
            self.wait_off(_QUIT_SECONDS)
        identity = self._identity()
        if identity is not None:
            identity.send(signal.SIGKILL)
        self.wait_off(_START_SECONDS)

    def wait_off(self, timeout: float) -> bool:
        """Wait up to `timeout` s until the machine is off and its disks plain files; True when it is."""
        identity = self._identity()
        ended = identity is None or identity.wait(timeout)
        if ended:
            if self._process is not None:
                self._process.wait()
            for kind in ("qmp", "pid", "memory"):
                self._file(kind).unlink(missing_ok=True)
        return ended

    def freeze(self, state: Path) -> None:
        """Stop the machine as it stands, write memory and devices into the directory `state`, and end it.

        The disk files go on to belong to the state: a thawed machine needs an overlay of each.
        """
        if not self.freezable:
            raise MachineError(f"Machine {self.name} was not started as freezable")
        state.mkdir(parents=True, exist_ok=True)
        with Qmp(self._file("qmp"), _FREEZE_SECONDS) as qmp:
            qmp.execute("stop")
            _leave_memory_where_it_is(qmp)
            target = shlex.quote(str((state / "devices").resolve()))
            qmp.execute("migrate", uri=f"exec:cat > {target}")
            qmp.wait_for_migration(_FREEZE_SECONDS)
            self._file("memory").replace(state / "memory")
            with contextlib.suppress(QmpError):
                qmp.execute("quit")
        if self.firmware == "uefi":
            shutil.copyfile(self._file("variables"), state / "variables")
        if not self.wait_off(_START_SECONDS):
            self.kill()

    def _thaw(self, qmp: Qmp, state: Path) -> None:
        _leave_memory_where_it_is(qmp)
        source = shlex.quote(str((state / "devices").resolve()))
        qmp.execute("migrate-incoming", uri=f"exec:cat {source}")
        qmp.wait_for_migration(_FREEZE_SECONDS)
        qmp.execute("cont")

    def _check_files(self) -> None:
        if sum(disk.lun is None for disk in self.disks) != 1:
            raise MachineError(f"Machine {self.name} needs exactly one OS disk (a Disk without LUN)")
        luns = [disk.lun for disk in self.disks if disk.lun is not None]
        if len(set(luns)) != len(luns) or not all(0 <= lun <= 63 for lun in luns):
            raise MachineError(f"Machine {self.name}: data disk LUNs must differ and be 0 to 63, not {luns}")
        wanted = [disk.path for disk in self.disks] + ([self.seed] if self.seed else [])
        wanted += [self.cdrom.image] if self.cdrom and self.cdrom.image else []
        wanted += [*self.direct_boot[:2]] if self.direct_boot else []
        wanted += [_OVMF_CODE, _OVMF_VARIABLES] if self.firmware == "uefi" else []
        wanted += [self.thaw_from / "devices", self.thaw_from / "memory"] if self.thaw_from else []
        missing = [str(path) for path in wanted if not path.exists()]
        if missing:
            raise MachineError(f"Machine {self.name} cannot start without {', '.join(missing)}")

    def _command(self) -> list[str]:
        kind = accelerator()
        command = ["qemu-system-x86_64", "-name", self.name, "-machine", self._machine_type()]
        command += ["-accel", "kvm" if kind == "kvm" else "tcg,thread=multi,tb-size=256"]
        command += ["-cpu", self._cpu(kind), "-smp", str(self.vcpus), "-m", f"{self.memory_mib}M"]
        command += ["-nodefaults", "-no-user-config", "-display", "none", "-rtc", "base=utc"]
        command += ["-serial", f"file:{self.console.name}"]
        command += ["-qmp", f"unix:{self.name}.qmp,server=on,wait=off"]
        command += ["-device", "virtio-rng-pci"]
        if self.freezable or self.thaw_from:
            command += ["-object", self._memory_backend()]
        if self.thaw_from:
            command += ["-incoming", "defer"]
        if self.chassis_asset_tag:
            command += ["-smbios", f"type=1,{_HYPERV},product=Virtual Machine,version={_HYPERV_FIRMWARE}"]
            command += ["-smbios", f"type=3,{_HYPERV},asset={self.chassis_asset_tag}"]
        if self.system_uuid:
            command += ["-uuid", self.system_uuid]
        if self.firmware == "uefi":
            command += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_OVMF_CODE}"]
            command += ["-drive", f"if=pflash,unit=1,format=raw,file={self.name}.variables"]
        if self.direct_boot:
            command += ["-kernel", str(self.direct_boot.kernel.resolve())]
            command += ["-initrd", str(self.direct_boot.initrd.resolve())]
            command += ["-append", self.direct_boot.command_line]
        return [*command, *self._disk_arguments(), *self._network_arguments()]

    def _cpu(self, kind: Literal["kvm", "tcg"]) -> str:
        unnamed = "kvm=off" if kind == "kvm" else "tcg-cpuid=off"
        return f"{cpu_model(kind)},{unnamed}" if self.chassis_asset_tag else cpu_model(kind)

    def _machine_type(self) -> str:
        return "q35,memory-backend=ram" if self.freezable or self.thaw_from else "q35"

    def _memory_backend(self) -> str:
        # A thawed guest maps the saved memory privately: what it changes is its own, the rest is shared.
        path = self.thaw_from / "memory" if self.thaw_from else self._file("memory")
        share = "off" if self.thaw_from else "on"
        size = f"{self.memory_mib}M"
        return f"memory-backend-file,id=ram,size={size},mem-path={_escaped(path.resolve())},share={share}"

    def _disk_arguments(self) -> list[str]:
        arguments = ["-device", "virtio-scsi-pci,id=os", "-device", "virtio-scsi-pci,id=data"]
        for index, disk in enumerate(self.disks):
            drive = f"file={_escaped(disk.path.resolve())},format={disk.format},if=none,id=disk{index}"
            drive += ",cache=unsafe,discard=unmap,detect-zeroes=unmap"
            drive += ",readonly=on" if disk.read_only else ""
            place = "bus=os.0,lun=0,bootindex=1" if disk.lun is None else f"bus=data.0,lun={disk.lun}"
            device = f"scsi-hd,drive=disk{index},{place}"
            if disk.nvme:
                device = f"nvme,drive=disk{index},serial=disk{index},bootindex=1"
            arguments += ["-drive", drive, "-device", device]
        if self.seed is not None:
            seed = f"file={_escaped(self.seed.resolve())},format=raw,if=none,id=seed,readonly=on"
            arguments += ["-drive", seed, "-device", "virtio-blk-pci,drive=seed"]
        if self.cdrom is not None:
            drive = f"scsi-cd,id={MEDIA_DRIVE},bus=os.0,scsi-id=1"
            if self.cdrom.image is not None:
                image = f"file={_escaped(self.cdrom.image.resolve())},format=raw,if=none,id=cdrom"
                arguments += ["-drive", f"{image},media=cdrom,readonly=on"]
                drive += ",drive=cdrom"
            arguments += ["-device", drive]
        return arguments

    def _network_arguments(self) -> list[str]:
        network = "user,id=network,ipv6=off"
        for forward in self.forwards:
            network += f",hostfwd=tcp:{forward.host_ip}:{forward.host_port}-:{forward.guest_port}"
        if self.cable is not None:
            network = f"stream,id=network,server=off,addr.type=unix,addr.path={self.cable}"
        card = "virtio-net-pci,netdev=network,romfile=" + (f",mac={self.mac}" if self.mac else "")
        return ["-netdev", network, "-device", card]

    def _spawn(self, command: Sequence[str], log: int) -> subprocess.Popen[bytes]:
        # Own session: an interrupt typed at the terminal is for us, and we decide about the machine.
        return subprocess.Popen(
            command,
            cwd=self.work_dir,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def _connect(self, deadline: float) -> Qmp:
        while True:
            try:
                return Qmp(self._file("qmp"))
            except OSError:
                if not self.is_running() or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _identity(self) -> ProcessIdentity | None:
        identity = load_identity(self._file("pid"))
        return identity if identity and identity.is_alive() else None

    def _log_tail(self) -> str:
        path = self._file("log")
        return path.read_text(errors="replace").strip()[-1000:] if path.exists() else ""

    def _file(self, kind: str) -> Path:
        return self.work_dir / f"{self.name}.{kind}"


def _leave_memory_where_it_is(qmp: Qmp) -> None:
    capability = {"capability": "x-ignore-shared", "state": True}
    qmp.execute("migrate-set-capabilities", capabilities=[capability])


def _escaped(path: Path) -> str:
    # QEMU's option lists end a value at a comma; a doubled one stands for itself.
    return os.fspath(path).replace(",", ",,")
