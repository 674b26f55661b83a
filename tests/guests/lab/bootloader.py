# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""GRUB on a guest's disk for both kinds of firmware, written without mounting or grub-install.

Layout facts: GRUB's own sources, grub-core/boot/i386/pc/{boot,diskboot}.S and include/grub/i386/pc/boot.h.
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.guests.lab.disk_layout import SECTOR, BootableLayout
from tests.guests.lab.programs import run_program

_GRUB = Path("/usr/lib/grub")
_PLATFORMS = ("i386-pc", "x86_64-efi")
# What a configuration made by update-grub loads on such a disk, so that no module file is needed to boot.
_MODULES = (
    *("part_gpt", "part_msdos", "ext2", "fat", "search", "search_fs_uuid", "search_fs_file", "search_label"),
    *("normal", "configfile", "linux", "gzio", "xzio", "lzopio", "serial", "terminal", "echo", "test"),
    *("minicmd", "loadenv", "halt", "reboot"),
)

# boot.img: where the sector number of the core image stands, and the drive check that is skipped.
_KERNEL_SECTOR = 0x5C
_DRIVE_CHECK = 0x66
_DISK_SIGNATURE = 440
# diskboot.img, the core image's first sector, ends with the list of blocks that hold the rest of it.
_BLOCK_LIST = SECTOR - 12
_LOAD_SEGMENT = 0x820

_BLOCK = 64 * 1024


class GrubFile(NamedTuple):
    """A file that belongs into the guest's /boot/grub."""

    path: str
    source: Path


def module_files() -> list[GrubFile]:
    """GRUB's module files of both platforms, where grub-install puts them."""
    return [
        GrubFile(f"/boot/grub/{platform}/{source.name}", source)
        for platform in _PLATFORMS
        for pattern in ("*.mod", "*.lst")
        for source in sorted((_GRUB / platform).glob(pattern))
    ]


def default_grub(command_line: str) -> str:
    """/etc/default/grub: what update-grub in the guest reads."""
    return (
        "GRUB_DEFAULT=0\n"
        "GRUB_TIMEOUT=0\n"
        "GRUB_DISTRIBUTOR=Debian\n"
        'GRUB_CMDLINE_LINUX_DEFAULT=""\n'
        f'GRUB_CMDLINE_LINUX="{command_line}"\n'
        "GRUB_TERMINAL=serial\n"
        'GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"\n'
    )


def install_bootloader(disk: Path, layout: BootableLayout, root_uuid: str) -> None:
    """Put GRUB on `disk` for BIOS and for UEFI; both read /boot/grub/grub.cfg of the root file system."""
    with tempfile.TemporaryDirectory(prefix="grub-") as directory:
        early = Path(directory) / "early.cfg"
        early.write_text(f"search.fs_uuid {root_uuid} root\nset prefix=($root)/boot/grub\n")
        core = Path(directory) / "core.img"
        _make_image("i386-pc", early, core, "biosdisk")
        _write_bios(disk, layout, core.read_bytes())
        efi = Path(directory) / "bootx64.efi"
        _make_image("x86_64-efi", early, efi)
        _write_esp(disk, layout, efi)


def _make_image(platform: str, early: Path, target: Path, *more: str) -> None:
    command = ["grub-mkimage", "-d", str(_GRUB / platform), "-O", platform, "-c", str(early)]
    run_program([*command, "-p", "/boot/grub", "-o", str(target), *_MODULES, *more])


def _write_bios(disk: Path, layout: BootableLayout, core: bytes) -> None:
    if len(core) > layout.bios.length:
        raise ValueError(f"GRUB's core image has {len(core)} bytes, its partition {layout.bios.length}")
    start = layout.bios.offset // SECTOR
    boot = bytearray((_GRUB / "i386-pc" / "boot.img").read_bytes())
    struct.pack_into("<Q", boot, _KERNEL_SECTOR, start)
    boot[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    image = bytearray(core)
    sectors = -(-len(core) // SECTOR) - 1
    struct.pack_into("<QHH", image, _BLOCK_LIST, start + 1, sectors, _LOAD_SEGMENT)
    with disk.open("r+b") as file:
        table = file.read(SECTOR)
        file.seek(0)
        # The disk signature and the protective partition table stay.
        file.write(boot[:_DISK_SIGNATURE] + table[_DISK_SIGNATURE:])
        file.seek(layout.bios.offset)
        file.write(image)


def _write_esp(disk: Path, layout: BootableLayout, efi: Path) -> None:
    volume = efi.with_name("esp")
    run_program(["mkfs.vfat", "-C", "-n", "ESP", str(volume), str(layout.esp.length // 1024)])
    run_program(["mmd", "-i", str(volume), "::/EFI", "::/EFI/BOOT"])
    run_program(["mcopy", "-i", str(volume), str(efi), "::/EFI/BOOT/BOOTX64.EFI"])
    with volume.open("rb") as source, disk.open("r+b") as target:
        for offset in range(0, layout.esp.length, _BLOCK):
            block = source.read(_BLOCK)
            if block.count(0) != len(block):
                target.seek(layout.esp.offset + offset)
                target.write(block)
