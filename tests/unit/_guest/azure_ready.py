# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Small roots of machines that boot and are set up on Azure."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

from tests.unit._guest.planting import make_root, write

VERSION = "6.1.0-49-cloud-amd64"
EARLY = ("hv/hv_vmbus", "scsi/hv_storvsc", "nvme/host/nvme", "pci/controller/pci-hyperv")
LATER = ("net/hyperv/hv_netvsc", "hv/hv_utils")
ROOT_ID = "11111111-2222-4333-8444-555555555555"
KERNEL_LINE = f"root=UUID={ROOT_ID} ro console=tty1 console=ttyS0,115200"


def cpio(names: Sequence[str], content: bytes = b"x" * 5) -> bytes:
    """An archive of the kind that a kernel unpacks at boot ("newc")."""
    data = b""
    for name in [*names, "TRAILER!!!"]:
        body = b"" if name == "TRAILER!!!" else content
        fields = [1, 0o100644, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(name.encode()) + 1, 0]
        data += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        data += bytes(-len(data) % 4) + body + bytes(-len(body) % 4)
    return data


def initramfs(drivers: Sequence[str], filling: int = 5) -> bytes:
    """An initramfs with these drivers behind one with microcode, as distributions make them.

    :param filling: the size of each file in the first, in bytes
    """
    microcode = cpio(["kernel", "kernel/x86/microcode/GenuineIntel.bin"], bytes(filling))
    paths = [f"usr/lib/modules/{VERSION}/kernel/drivers/{name}.ko.xz" for name in drivers]
    return microcode + bytes(-len(microcode) % 512) + gzip.compress(cpio(["init", *paths]))


def add_kernel(top: Path, version: str = VERSION, drivers: Sequence[str] = EARLY) -> None:
    """A kernel as Debian installs it, with an initramfs that holds these drivers."""
    write(top, f"/boot/vmlinuz-{version}", b"kernel")
    write(top, f"/boot/initrd.img-{version}", initramfs(drivers))
    installed = "".join(f"kernel/drivers/{name}.ko.xz:\n" for name in [*EARLY, *LATER])
    write(top, f"/lib/modules/{version}/modules.dep", installed.encode())
    write(top, f"/lib/modules/{version}/modules.builtin", b"kernel/fs/udf/udf.ko\n")


def enable(top: Path, unit: str, target: str = "multi-user.target") -> None:
    """Have systemd start a unit at boot."""
    link = top / f"etc/systemd/system/{target}.wants/{unit}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(f"/lib/systemd/system/{unit}")


def make_ready(top: Path) -> Path:
    """A Debian without traces and without anything that speaks against Azure."""
    make_root(top)
    add_kernel(top)
    entry = f"menuentry 'Debian' {{\n  linux /vmlinuz {KERNEL_LINE}\n  initrd /initrd.img\n}}\n"
    rescue = f"menuentry 'rescue' {{\n  linux /vmlinuz root=UUID={ROOT_ID} ro single\n}}\n"
    write(top, "/boot/grub/grub.cfg", (entry + rescue).encode())
    write(top, "/boot/efi/EFI/BOOT/BOOTX64.EFI", b"MZ")
    write(top, "/etc/fstab", f"UUID={ROOT_ID} / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n".encode())
    for program in ("/usr/sbin/waagent", "/usr/sbin/sshd"):
        write(top, program, b"#!/bin/sh\n")
    for unit in ("walinuxagent.service", "ssh.service"):
        enable(top, unit)
    enable(top, "cloud-init.service", "cloud-init.target")
    write(top, "/etc/chrony/conf.d/azure.conf", b"refclock PHC /dev/ptp_hyperv poll 3 dpoll -2\n")
    write(top, "/etc/network/interfaces", b"auto lo\niface lo inet loopback\niface eth0 inet dhcp\n")
    for other in ("etc/netplan/99-site.yaml", "etc/sysconfig/network-scripts/ifcfg-eth1"):
        (top / other).unlink()
    return top
