# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Machines of several makes are prepared and generalized, and two that are born of each disk are two others.

Made by a NoCloud seed; births from Azure's own description are in test_capture.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.audit import audit
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.disk_root import open_disk_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import audited

from tests.guests.lab.debian import direct_boot
from tests.guests.lab.disk_layout import bootable_layout
from tests.guests.lab.disk_tree import copy_disk
from tests.guests.lab.machine import DirectBoot, Disk, Forward, Machine, free_port
from tests.guests.lab.programs import run_program
from tests.guests.lab.seed import write_nocloud_seed
from tests.guests.lab.ssh import SshGuest, connected, make_key, wait_for_ssh
from tests.guests.prepared import Preparer, changed
from tests.integration.plays import CHECKOUT, Player
from tests.unit._disk.lvm_samples import EXTENT, MIB, Logical, Part, fill, make_group, pieces

# Several boots, and a role of many tasks twice, on a machine without KVM that may be busy.
pytestmark = [pytest.mark.thorough, pytest.mark.timeout(14400)]

SIZE_MIB = {"bookworm": 2048, "trixie": 2048, "noble": 3072}
BOOT_SECONDS = 1500
IDENTITY = "cat /etc/machine-id; cut -d' ' -f2 /etc/ssh/ssh_host_*_key.pub; hostname"
NAMES = ("first", "second")
# What linux_prepare installs: a guest here reaches no mirror.
PREPARED_PACKAGES = {
    "bookworm": ("gdisk", "hyperv-daemons", "chrony"),
    "trixie": ("gdisk", "hyperv-daemons", "chrony"),
    "noble": ("gdisk", "chrony"),
}
ARGUMENTS = "console=tty1 console=ttyS0,115200n8 earlyprintk=ttyS0,115200 nvme_core.io_timeout=240"
UNITS = "chrony.service {ssh} walinuxagent.service azure-temporary-swap.service cloud-init-local.service"
# What starts the SSH server.
SSH_UNITS = {"bookworm": "ssh.service", "trixie": "ssh.service", "noble": "ssh.socket"}
ROLE = "goldenimage.azure.linux_prepare : "


class Make(NamedTuple):
    """What a machine is like; one with its root on a logical volume is booted without a boot loader."""

    suite: str
    firmware: Literal["bios", "uefi"] = "bios"
    nvme: bool = False
    lvm: bool = False
    prepared: bool = False


MAKES = {
    "Debian 12, prepared, UEFI": Make("bookworm", "uefi", prepared=True),
    "Debian 13, prepared": Make("trixie", prepared=True),
    "Ubuntu 24.04, prepared, UEFI": Make("noble", "uefi", prepared=True),
    "Debian 13, UEFI, NVMe": Make("trixie", "uefi", nvme=True),
    "Debian 12, BIOS, NVMe": Make("bookworm", nvme=True),
    "Debian 12, LVM": Make("bookworm", lvm=True),
}


class Lab:
    """Boots machines of one make from one disk, or from copies of it."""

    def __init__(self, make: Make, work_dir: Path, kernel: DirectBoot | None) -> None:
        self.make = make
        self.work_dir = work_dir
        self.kernel = kernel
        self.key = work_dir / "key"
        self.public_key = make_key(self.key)

    @contextmanager
    def boot(self, disk: Path, name: str) -> Iterator[tuple[Machine, SshGuest]]:
        """A machine with an account of its own name that can be logged in to."""
        seed = self.work_dir / f"{name}.seed"
        write_nocloud_seed(
            seed, instance_id=f"i-{name}", hostname=name, user=name, ssh_public_keys=[self.public_key]
        )
        port = free_port()
        machine = Machine(
            name,
            self.work_dir,
            [Disk(disk, nvme=self.make.nvme)],
            seed=seed,
            forwards=[Forward("127.0.0.1", port)],
            firmware=self.make.firmware,
            direct_boot=self.kernel,
        )
        try:
            machine.start()
            with connected("127.0.0.1", port, name, self.key) as guest:
                wait_for_ssh(guest, BOOT_SECONDS, is_running=machine.is_running)
                guest.run("cloud-init status --wait > /dev/null; true", timeout=BOOT_SECONDS)
                yield machine, guest
        finally:
            machine.kill()

    def identity(self, guest: SshGuest) -> list[str]:
        """The machine's id, keys and name, which differ between any two machines."""
        return guest.run(IDENTITY).split()


@pytest.fixture(params=list(MAKES))
def lab(request: pytest.FixtureRequest, build_debian_disk: Callable[..., Path], tmp_path: Path) -> Lab:
    make = MAKES[request.param]
    packages = (*(["lvm2"] if make.lvm else []), *(PREPARED_PACKAGES[make.suite] if make.prepared else []))
    size_mib = SIZE_MIB[make.suite]
    built = build_debian_disk(make.suite, packages=packages, size_mib=size_mib)
    disk = tmp_path / "disk.raw"
    if make.lvm:
        move_to_logical_volume(built, disk, size_mib)
    else:
        copy_disk(built, disk)
    return Lab(make, tmp_path, direct_boot(built) if make.lvm else None)


def move_to_logical_volume(source: Path, target: Path, size_mib: int) -> None:
    """A disk of one physical volume, with the root file system of another disk on a logical volume."""
    root = bootable_layout(size_mib).root
    content = target.with_name("root.img")
    place = [f"skip={root.offset // MIB}", f"count={root.length // MIB}"]
    run_program(["dd", f"if={source}", f"of={content}", "bs=1M", "conv=sparse", "status=none", *place])
    with target.open("wb") as file:
        file.truncate((size_mib + 64) * MIB)
    script = f"label: gpt\nstart=1MiB, size={size_mib + 62}MiB, type=E6D6D379-F507-44C2-A23C-238F2A3DF928\n"
    run_program(["sfdisk", "--quiet", str(target)], stdin=script)
    parts = [Part(target, MIB, (size_mib + 62) * MIB)]
    make_group(target.parent, parts, [Logical("root", -(-content.stat().st_size // EXTENT))])
    fill(pieces(target.parent, parts)["root"], content)
    content.unlink()


def prepare(guest: SshGuest, work_dir: Path) -> None:
    """All of linux_prepare, on a machine that runs."""
    line = guest.inventory_line() + " ansible_python_interpreter=/usr/bin/python3"
    run = Preparer(line, work_dir)
    # Those that are born here are described by a NoCloud seed.
    options = {"linux_prepare_datasources": ["NoCloud", "Azure"], "timeout": 2 * BOOT_SECONDS}
    made = changed(run(**options))
    assert ROLE + "Give every boot entry the kernel line for Azure" in made
    assert changed(run(**options)) == []
    assert [found for found in run.findings() if found["severity"] != "info"] == []


def generalize(guest: SshGuest, name: str, work_dir: Path) -> None:
    inventory = work_dir / "inventory"
    inventory.write_text(guest.inventory_line() + " ansible_python_interpreter=/usr/bin/python3\n")
    guest.close()
    play_dir = work_dir / "generalize"
    play_dir.mkdir()
    done = Player(play_dir, {})(
        CHECKOUT / "playbooks" / "generalize_linux.yml",
        env={"ANSIBLE_INVENTORY": str(inventory), "ANSIBLE_PIPELINING": "1", "ANSIBLE_TIMEOUT": "60"},
        timeout=2 * BOOT_SECONDS,
        generalize_linux_hosts="guest",
        linux_generalize_confirm=name,
    )
    assert done.rc == 0, done.output


def test_machines_born_of_a_generalized_disk_are_two_others(lab: Lab) -> None:
    disk = lab.work_dir / "disk.raw"
    with lab.boot(disk, "origin") as (machine, guest):
        root = guest.run("findmnt -no SOURCE /").strip()
        assert ("/dev/mapper/" in root, "nvme" in root) == (lab.make.lvm, lab.make.nvme)
        assert guest.run("ls -d /sys/firmware/efi 2> /dev/null; true") == (
            "/sys/firmware/efi\n" if lab.make.firmware == "uefi" else ""
        )
        origin = lab.identity(guest)
        if lab.make.prepared:
            prepare(guest, lab.work_dir)
        generalize(guest, "origin", lab.work_dir)
        assert machine.wait_off(BOOT_SECONDS)

    with open_disk(str(disk)) as reader:
        findings = audit(Guest(open_disk_root(reader), ["origin"], ["origin"]), audited([], []))
    assert [item for item in findings if item.severity != "info"] == []

    seen = origin
    for name in NAMES:
        with lab.boot(copy_disk(disk, lab.work_dir / f"{name}.raw"), name) as (machine, guest):
            identity = lab.identity(guest)
            assert identity[-1] == name
            assert guest.sudo("ls /home").split() == [name]
            if lab.make.prepared:
                assert set(ARGUMENTS.split()) <= set(guest.run("cat /proc/cmdline").split())
                units = UNITS.format(ssh=SSH_UNITS[lab.make.suite])
                assert guest.run(f"systemctl is-enabled {units}").split() == ["enabled"] * len(units.split())
                assert guest.run("systemctl --failed --plain --no-legend") == ""
        assert len(identity) == len(origin)
        assert not set(identity) & set(seen)
        seen = [*seen, *identity]
