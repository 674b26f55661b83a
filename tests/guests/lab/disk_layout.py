# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Partition layouts of guest disks, numbered and ordered as Debian's cloud images are: the root file system
is number 1 and last, so that it can grow; the boot loader's partitions are 14 (BIOS) and 15 (UEFI).
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.guests.lab.programs import run_program

SECTOR = 512
MEBIBYTE = 1 << 20

# Partition type GUIDs (UEFI specification, table 5.6, and the Discoverable Partitions Specification).
_BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
_EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
_LINUX_DATA = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
_LINUX_ROOT = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"


class Part(NamedTuple):
    """One partition: offset and length in bytes."""

    number: int
    offset: int
    length: int
    type_id: str
    name: str


class BootableLayout(NamedTuple):
    """The partitions of an OS disk of `size` bytes."""

    size: int
    bios: Part
    esp: Part
    root: Part


def bootable_layout(size_mib: int) -> BootableLayout:
    """1 MiB for the BIOS boot loader, 32 MiB EFI system partition, the rest for root."""
    bios = Part(14, MEBIBYTE, MEBIBYTE, _BIOS_BOOT, "bios")
    esp = Part(15, 2 * MEBIBYTE, 32 * MEBIBYTE, _EFI_SYSTEM, "esp")
    # The last MiB holds the second partition table.
    root = Part(1, 34 * MEBIBYTE, (size_mib - 35) * MEBIBYTE, _LINUX_ROOT, "root")
    return BootableLayout(size_mib * MEBIBYTE, bios, esp, root)


def write_partitions(disk: Path, size: int, parts: Sequence[Part]) -> None:
    """Make `disk` a sparse raw file of `size` bytes with these partitions in a GPT."""
    disk.unlink(missing_ok=True)
    disk.touch()
    os.truncate(disk, size)
    lines = ["label: gpt"]
    for part in parts:
        place = f"start={part.offset // SECTOR}, size={part.length // SECTOR}"
        lines.append(f"{disk.name}{part.number} : {place}, type={part.type_id}, name={part.name}")
    run_program(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(disk)], stdin="\n".join(lines))


def make_ext4_command(disk: str, part: Part, label: str, volume_id: str, tree: str) -> list[str]:
    """The command that makes an ext4 file system in a disk file's partition and fills it from a directory.

    The newest on-disk features stay off: boot loaders and e2fsck of older suites do not know them.
    """
    features = "^metadata_csum_seed,^orphan_file"
    extended = f"offset={part.offset},lazy_itable_init=1,lazy_journal_init=1"
    return [
        *("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", features, "-E", extended),
        *("-L", label, "-U", volume_id, "-d", tree, disk, f"{part.length // 1024}k"),
    ]


def build_data_disk(path: Path, size_mib: int, label: str, files: Mapping[str, bytes]) -> None:
    """A raw sparse disk with one partition: ext4, labelled, holding `files` (relative path to content)."""
    size = size_mib * MEBIBYTE
    part = Part(1, MEBIBYTE, size - 2 * MEBIBYTE, _LINUX_DATA, label)
    write_partitions(path, size, [part])
    with tempfile.TemporaryDirectory(prefix="data-disk-") as directory:
        tree = Path(directory)
        tree.chmod(0o755)
        for name, content in files.items():
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        run_program(make_ext4_command(str(path), part, label, str(uuid.uuid4()), directory))
