# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""File systems and boot loaders put into disk files, by dosfstools, mtools, e2fsprogs and GRUB."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.unit._disk.samples import MIB

EFI_SYSTEM = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
BIOS_BOOT = "21686148-6449-6e6f-744e-656564454649"


def run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def put(disk: Path, part: Path, offset: int) -> None:
    """Copy a file system into a disk."""
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(part.read_bytes())


def fat_image(path: Path, size: int, files: dict[str, bytes], *options: str) -> Path:
    """A FAT file system with these files in it, by path."""
    with path.open("wb") as file:
        file.truncate(size)
    run("/sbin/mkfs.vfat", *options, path)
    made: set[str] = set()
    for name, content in files.items():
        folders = name.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            folder = "/".join(folders[:depth])
            if folder not in made:
                run("mmd", "-i", path, f"::/{folder}")
                made.add(folder)
        source = path.with_name("content")
        source.write_bytes(content)
        run("mcopy", "-i", path, source, f"::/{name}")
    return path


def ext_image(path: Path, kind: str, files: dict[str, bytes], label: str = "root") -> Path:
    """An ext2, ext3 or ext4 file system of 16 MiB with these files in it."""
    tree = path.with_name(f"{path.name}-tree")
    tree.mkdir()
    for name, content in files.items():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    with path.open("wb") as file:
        file.truncate(16 * MIB)
    run(f"/sbin/mkfs.{kind}", "-q", "-L", label, "-d", tree, path)
    return path


def grub_program(path: Path) -> bytes:
    """A real EFI program for x64."""
    run("grub-mkimage", "-O", "x86_64-efi", "-p", "/boot/grub", "-o", path, "part_gpt", "fat")
    return path.read_bytes()


def pe_program(machine: int) -> bytes:
    """The head of an EFI program for another processor, for which GRUB is not installed."""
    return (
        b"MZ"
        + bytes(58)
        + (64).to_bytes(4, "little")
        + b"PE\0\0"
        + machine.to_bytes(2, "little")
        + bytes(500)
    )


def elf_program(machine: int) -> bytes:
    """The head of a Linux program of 64 bits."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0" + machine.to_bytes(2, "little") + bytes(200)
