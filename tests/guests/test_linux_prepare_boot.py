# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What linux_prepare does to initramfs, boot loader and mount tables, by the real programs on real disks.

Debian's disk is booted afterwards. The other one is a stand-in: a tree in the layout of Red Hat's family with
Debian's builds of dracut and GRUB, which is not booted.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from tests.guests.lab.disk_layout import bootable_layout
from tests.guests.lab.disk_tree import copy_disk, make_disk, open_disk
from tests.guests.lab.machine import Disk, Machine
from tests.guests.lab.programs import run_program
from tests.guests.lab.root_tree import RootTree, TreeRecipe, build_tree
from tests.guests.prepared import Preparer, changed

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="disks are mounted as root")

BOOT_PARTS = ("fstab", "initramfs", "kernel_line", "fallback_loader", "selinux")
ARGUMENTS = "console=tty1 console=ttyS0,115200n8 earlyprintk=ttyS0,115200 nvme_core.io_timeout=240"
DRIVERS = ("hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils", "pci-hyperv")
ROLE = "goldenimage.azure.linux_prepare : "
MADE = [
    ROLE + "Name disks by id where they are mounted at boot",
    ROLE + "Have the drivers of Azure's disks and networks in every initramfs",
    ROLE + "Give every boot entry the kernel line for Azure",
]

STAND_IN_PACKAGES = (
    *("systemd-sysv", "udev", "python3", "dracut", "linux-image-cloud-amd64", "grub2-common", "kmod", "zstd"),
)
# Names and places of Red Hat's family for what Debian has under others.
STAND_IN_SCRIPT = r"""
set -eu
rm "$1"/etc/os-release "$1"/etc/debian_version
cat > "$1"/etc/os-release << 'END'
NAME="Rocky Linux"
VERSION="9.4 (stand-in)"
ID="rocky"
ID_LIKE="rhel centos fedora"
VERSION_ID="9.4"
PRETTY_NAME="Rocky Linux 9.4 (stand-in)"
END
echo "Rocky Linux release 9.4 (stand-in)" > "$1"/etc/redhat-release
ln -s redhat-release "$1"/etc/system-release
ln -s grub-mkconfig "$1"/usr/sbin/grub2-mkconfig
ln -s grub-editenv "$1"/usr/bin/grub2-editenv
mkdir -p "$1"/boot/grub "$1"/boot/grub2
version=$(ls "$1"/lib/modules)
mv "$1"/boot/initrd.img-"$version" "$1"/boot/initramfs-"$version".img
"""
# What this one machine needs and no more, as the family does it, and nothing that only takes time.
STAND_IN_DRACUT = """\
hostonly="yes"
dracutmodules="base kernel-modules rootfs-block udev-rules fs-lib"
compress="cat"
do_strip="no"
"""
STAND_IN_SETTINGS = """\
GRUB_TIMEOUT=5
GRUB_DISTRIBUTOR="$(sed 's, release .*$,,g' /etc/system-release)"
GRUB_DEFAULT=saved
GRUB_TERMINAL_OUTPUT="console"
GRUB_CMDLINE_LINUX="crashkernel=auto rhgb quiet"
GRUB_DISABLE_RECOVERY="true"
"""


@pytest.fixture
def stand_in(guests_cache: Path, tmp_path: Path) -> RootTree:
    """A tree in the layout of Red Hat's family, on a disk."""
    base = build_tree(guests_cache, TreeRecipe("bookworm", STAND_IN_PACKAGES, script=STAND_IN_SCRIPT))
    tree = open_disk(make_disk(base, tmp_path / "disk.raw"), tmp_path / "view")
    tree.write("/etc/default/grub", STAND_IN_SETTINGS)
    tree.write("/etc/dracut.conf.d/01-dist.conf", STAND_IN_DRACUT)
    tree.write("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n")
    tree.run("grub2-mkconfig -o /boot/grub2/grub.cfg")
    return tree


def kernel_lines(tree: RootTree, menu: str) -> set[str]:
    """The arguments of every kernel in a menu, without the root's."""
    found = re.findall(r"^\s*linux\s+\S+ root=UUID=\S+ ro (.*)$", tree.read(menu), re.MULTILINE)
    return {line.strip() for line in found}


def wait_for_console(machine: Machine, pattern: str, seconds: float) -> str:
    """What the machine's console shows once it shows the pattern."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        shown = machine.console.read_text(errors="replace")
        if re.search(pattern, shown):
            return shown
        assert machine.is_running(), shown[-2000:]
        time.sleep(0.5)
    raise AssertionError(f"no {pattern!r} on the console: {shown[-2000:]}")


def drivers_in(listing: str) -> set[str]:
    """Those of our drivers that are in an initramfs."""
    return {name for name in DRIVERS if f"/{name}.ko" in listing}


@pytest.mark.thorough
def test_dracut_and_grub2_get_drivers_and_kernel_line_and_nothing_the_second_time(
    stand_in: RootTree, tmp_path: Path
) -> None:
    assert kernel_lines(stand_in, "/boot/grub2/grub.cfg") == {"crashkernel=auto rhgb quiet"}
    prepare = Preparer(stand_in.inventory_line, tmp_path)
    before = stand_in.run(
        "find / -xdev -newer /etc/fstab -type f | sort; cat /etc/fstab /boot/grub2/grub.cfg"
    )
    assert changed(prepare(*BOOT_PARTS, check=True, diff=True)) == MADE
    after_check = stand_in.run(
        "find / -xdev -newer /etc/fstab -type f | sort; cat /etc/fstab /boot/grub2/grub.cfg"
    )
    assert after_check == before

    assert changed(prepare(*BOOT_PARTS)) == MADE
    assert drivers_in(stand_in.run("lsinitrd /boot/initramfs-*.img")) == set(DRIVERS)
    assert kernel_lines(stand_in, "/boot/grub2/grub.cfg") == {f"{ARGUMENTS} net.ifnames=0"}
    assert "serial --speed=115200" in stand_in.read("/boot/grub2/grub.cfg")
    assert re.fullmatch(r"UUID=[0-9a-f-]{36} / ext4 defaults 0 1\n", stand_in.read("/etc/fstab"))
    stand_in.run("findmnt --verify")
    assert stand_in.run("ls -A /boot /boot/grub2 | grep goldenimage || true") == ""

    assert changed(prepare(*BOOT_PARTS)) == []


@pytest.mark.thorough
def test_entries_and_environment_block_of_red_hat_8_are_changed_as_its_own_tools_read_them(
    stand_in: RootTree, tmp_path: Path
) -> None:
    stand_in.write(
        "/boot/loader/entries/0123-5.14.conf",
        "title Rocky\nversion 5.14\nlinux /vmlinuz-5.14\noptions $kernelopts $tuned_params\n",
    )
    stand_in.run("grub2-editenv /boot/grub2/grubenv create")
    stand_in.run(
        "grub2-editenv /boot/grub2/grubenv set 'kernelopts=root=/dev/sda1 ro rhgb quiet' saved_entry=0"
    )
    prepare = Preparer(stand_in.inventory_line, tmp_path)
    assert changed(prepare("kernel_line")) == MADE[2:]
    told = stand_in.run("grub2-editenv /boot/grub2/grubenv list").splitlines()
    assert "saved_entry=0" in told
    assert re.fullmatch(
        rf"kernelopts=root=UUID=\S+ ro {ARGUMENTS} net\.ifnames=0",
        next(line for line in told if line.startswith("kernelopts")),
    )
    assert changed(prepare("kernel_line")) == []


@pytest.mark.thorough
def test_whole_system_is_labelled_at_the_next_boot_where_the_kernel_has_selinux_off(
    stand_in: RootTree, tmp_path: Path
) -> None:
    stand_in.write("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n")
    prepare = Preparer(stand_in.inventory_line, tmp_path)
    assert changed(prepare("selinux", check=True)) == [ROLE + "Have all files labelled at the next boot"]
    assert changed(prepare("selinux")) == [ROLE + "Have all files labelled at the next boot"]
    assert stand_in.run("stat -c %s /.autorelabel") == "0\n"
    assert changed(prepare("selinux")) == []


@pytest.mark.thorough
def test_disk_that_no_id_is_known_of_stops_the_role_before_it_changes_the_tables(
    stand_in: RootTree, tmp_path: Path
) -> None:
    table = "/dev/sda1 / ext4 defaults 0 1\n/dev/vdb1 /data xfs defaults 0 0\n"
    stand_in.write("/etc/fstab", table)
    played = Preparer(stand_in.inventory_line, tmp_path)("fstab")
    assert played.rc != 0
    assert "/etc/fstab line 2: /dev/vdb1 has no id to replace its name by" in played.output
    assert stand_in.read("/etc/fstab") == table


@pytest.mark.thorough
@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_prepared_debian_boots_with_the_kernel_line_and_the_loader_it_was_given(
    build_debian_disk: Callable[..., Path], tmp_path: Path, firmware: Literal["bios", "uefi"]
) -> None:
    layout = bootable_layout(2048)
    disk = copy_disk(build_debian_disk(), tmp_path / "disk.raw")
    # A machine whose firmware knows the loader by an entry, as Debian's installer makes it.
    partition = f"{disk}@@{layout.esp.offset}"
    loader = tmp_path / "esp" / "EFI" / "debian" / "grubx64.efi"
    loader.parent.mkdir(parents=True)
    run_program(["mcopy", "-n", "-i", partition, "::/EFI/BOOT/BOOTX64.EFI", str(loader)])
    run_program(["mdeltree", "-i", partition, "::/EFI"])
    tree = open_disk(disk, tmp_path / "view", root_offset=layout.root.offset, esp=tmp_path / "esp")
    tree.run(r"sed -i 's,^UUID=[^ ]* ,/dev/sda1 ,' /etc/fstab")
    # Five minutes of every boot; the console below would not show the system in time.
    tree.run("sed -i 's/^GRUB_CMDLINE_LINUX=\"/&rootdelay=900 /' /etc/default/grub")
    prepare = Preparer(tree.inventory_line, tmp_path)
    made = changed(prepare(*BOOT_PARTS))
    assert made[:4] == [*MADE, ROLE + "Be bootable by UEFI without a boot entry"]
    assert drivers_in(tree.run("lsinitramfs /boot/initrd.img-*")) == set(DRIVERS)
    assert kernel_lines(tree, "/boot/grub/grub.cfg") >= {f"net.ifnames=0 mitigations=off {ARGUMENTS}"}
    assert changed(prepare(*BOOT_PARTS)) == []
    run_program(["e2fsck", "-f", "-n", f"{disk}?offset={layout.root.offset}"])

    run_program(["mcopy", "-s", "-i", partition, str(tmp_path / "esp" / "EFI"), "::/"])

    machine = Machine("prepared", tmp_path, [Disk(disk)], firmware=firmware)
    try:
        machine.start()
        console = wait_for_console(machine, r"Welcome to .*Debian GNU/Linux 12", 800)
    finally:
        machine.kill()
    # The kernel came by GRUB's new menu, and the root file system by its id.
    line = next(line for line in console.splitlines() if "Kernel command line: " in line)
    assert line.endswith(f"net.ifnames=0 mitigations=off {ARGUMENTS}")
