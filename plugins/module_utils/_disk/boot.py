# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""How a disk boots, and for which processor: by boot loaders on an EFI system partition or in sector 0."""

import stat
from functools import partial
from typing import Callable, List, NamedTuple, Optional, Tuple, TypeVar

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.ext4 import Ext4, has_ext_signature
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.fat import Fat
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import (
    BIOS_BOOT,
    EFI_SYSTEM,
    Partition,
    PartitionTable,
    bootable_generations,
    read_partition_table,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.programs import (
    ARM64,
    X64,
    efi_architecture,
    elf_architecture,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    DiskReader,
)

#: Where firmware looks on a machine without boot entries, as every new one is (UEFI, 3.5.1.1).
REMOVABLE_LOADERS = {"efi/boot/bootx64.efi": X64, "efi/boot/bootaa64.efi": ARM64}
_MBR_EFI = "0xef"
_BOOT_CODE = 440
_MOST_LOADERS = 100
_DEEPEST = 4
_HEADER = 4096
# Texts in the boot sectors that installers write.
_BIOS_LOADERS = (
    (b"GRUB", "grub"),
    (b"LILO", "lilo"),
    (b"TCPA", "windows"),
    (b"Error loading operating system", "windows"),
    (b"Operating system load error", "syslinux"),
)

Found = TypeVar("Found")


class EfiLoader(NamedTuple):
    """A program on an EFI system partition. `architecture`: x64, Arm64, x86, Arm; empty for no program."""

    partition: int
    path: str
    size: int
    architecture: str


class BootFacts(NamedTuple):
    """`generations`: "V1" (BIOS), "V2" (UEFI); `bios_code`: whose code is in the boot sector, "" for none.

    `architecture` is "x64", "Arm64" or None, and `architecture_from` says where it was seen. `problems` are
    sentences about parts that could not be read, or that will hinder booting.
    """

    generations: List[str]
    efi_partitions: List[int]
    loaders: List[EfiLoader]
    bios_code: str
    bios_boot_partition: Optional[int]
    architecture: Optional[str]
    architecture_from: str
    problems: List[str]


def read_boot_facts(reader: DiskReader) -> BootFacts:
    """Look at everything on the disk that boots it. A broken partition table raises :class:`DiskError`;
    a broken file system becomes one of `problems`."""
    table = read_partition_table(reader)
    problems: List[str] = []
    efi = [part for part in table.partitions if part.type_id in {EFI_SYSTEM, _MBR_EFI}]
    loaders: List[EfiLoader] = []
    for part in efi:
        where = "EFI system partition {0}".format(part.number)
        loaders.extend(_attempt(partial(_efi_loaders, reader, part), where, problems) or [])
    if efi and not any(loader.path.lower() in REMOVABLE_LOADERS for loader in loaders):
        problems.append(
            "the EFI system partition has neither EFI/BOOT/BOOTX64.EFI nor EFI/BOOT/BOOTAA64.EFI, which is "
            "what a new virtual machine boots: install the boot loader with --removable"
        )
    generations = sorted(bootable_generations(reader))
    architecture, source = _architecture(reader, table, generations, loaders, problems)
    bios_boot = [part.number for part in table.partitions if part.type_id == BIOS_BOOT]
    return BootFacts(
        generations=generations,
        efi_partitions=[part.number for part in efi],
        loaders=loaders,
        bios_code=_bios_code(reader, table),
        bios_boot_partition=bios_boot[0] if bios_boot else None,
        architecture=architecture,
        architecture_from=source,
        problems=problems,
    )


def _attempt(work: Callable[[], Optional[Found]], where: str, problems: List[str]) -> Optional[Found]:
    try:
        return work()
    except DiskError as error:
        problems.append("{0} cannot be read: {1}".format(where, error))
        return None


def _efi_loaders(reader: DiskReader, partition: Partition) -> List[EfiLoader]:
    fat = Fat(reader, partition.offset, partition.length)
    found: List[EfiLoader] = []
    folders = ["EFI"]
    while folders:
        folder = folders.pop(0)
        for entry in fat.entries(folder):
            path = folder + "/" + entry.name
            if entry.is_directory and path.count("/") < _DEEPEST:
                folders.append(path)
            elif entry.name.lower().endswith(".efi") and len(found) < _MOST_LOADERS:
                program = efi_architecture(fat.read(entry, _HEADER))
                found.append(EfiLoader(partition.number, path, entry.size, program))
    return found


def _bios_code(reader: DiskReader, table: PartitionTable) -> str:
    if reader.virtual_size < SECTOR or table.scheme == "none":
        return ""
    code = reader.read(0, _BOOT_CODE)
    if not any(code):
        return ""
    return next((name for text, name in _BIOS_LOADERS if text in code), "unknown")


def _architecture(
    reader: DiskReader,
    table: PartitionTable,
    generations: List[str],
    loaders: List[EfiLoader],
    problems: List[str],
) -> Tuple[Optional[str], str]:
    fallback = [loader for loader in loaders if loader.path.lower() in REMOVABLE_LOADERS]
    for programs in (fallback, loaders):
        seen = {program.architecture for program in programs} & {X64, ARM64}
        if len(seen) == 1:
            kind = seen.pop()
            return kind, next(program.path for program in programs if program.architecture == kind)
    places = [("partition {0}".format(p.number), p.offset, p.length) for p in table.partitions]
    for where, offset, length in places or [("the disk itself", 0, reader.virtual_size)]:
        found = _attempt(partial(_of_programs, reader, offset, length), where, problems)
        if found is not None:
            return found
    if generations == ["V1"]:
        return X64, "BIOS boot loader"
    return None, ""


# Programs that every Linux has, by the paths they have without symbolic links on the way.
_PROGRAMS = (
    "usr/lib/systemd/systemd",
    "lib/systemd/systemd",
    "usr/bin/bash",
    "bin/bash",
    "usr/bin/dash",
    "bin/dash",
    "usr/bin/busybox",
    "bin/busybox",
    "usr/sbin/init",
    "sbin/init",
)


def _of_programs(reader: DiskReader, offset: int, length: int) -> Optional[Tuple[str, str]]:
    """The architecture of the programs in an ext2, ext3 or ext4 file system, and which of them shows it."""
    if not has_ext_signature(reader, offset, length):
        return None
    files = Ext4(reader, offset, length)
    for path in _PROGRAMS:
        inode = files.root()
        for name in path.split("/"):
            number = files.lookup(inode, name) if stat.S_ISDIR(inode.mode) else 0
            if not number:
                break
            inode = files.inode(number)
        else:
            if stat.S_ISREG(inode.mode):
                found = elf_architecture(files.read(inode, 0, 64))
                if found:
                    return found, "/" + path
    return None
