# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What is told of disks with real file systems and boot loaders on them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.filesystems import identify
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.inspection import inspect_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk

from tests.unit._disk.boot_samples import (
    BIOS_BOOT,
    EFI_SYSTEM,
    elf_program,
    ext_image,
    fat_image,
    grub_program,
    pe_program,
    put,
)
from tests.unit._disk.samples import MIB, add_boot_code, gpt_disk, partition, qemu_img, write_sparse

ARM64, X86_64 = 0xAA64, 62
ELF_ARM64 = 183


def inspected(path: Path) -> dict[str, Any]:
    with open_disk(str(path), allow_unpartitioned=True) as reader:
        return inspect_disk(reader)


def uefi_disk(folder: Path, files: dict[str, bytes], root: dict[str, bytes] | None = None) -> Path:
    script = f'size=8MiB, type={EFI_SYSTEM}, name="esp"\nsize=16MiB, type=linux, name="root"\n'
    disk = gpt_disk(folder / "disk.raw", script=script)
    put(disk, fat_image(folder / "esp", 8 * MIB, files, "-n", "ESP"), MIB)
    if root is not None:
        put(disk, ext_image(folder / "root", "ext4", root), 9 * MIB)
    return disk


def test_a_disk_that_boots_by_uefi_is_told_whole(tmp_path: Path) -> None:
    program = grub_program(tmp_path / "grub.efi")
    disk = uefi_disk(tmp_path, {"EFI/BOOT/BOOTX64.EFI": program, "EFI/debian/grub.cfg": b"x"}, {"etc/x": b""})
    told = inspected(disk)
    assert (told["format"], told["virtual_size"], told["partition_table"]) == ("raw", 64 * MIB, "gpt")
    esp, root = told["partitions"]
    assert (esp["number"], esp["offset"], esp["size"]) == (1, MIB, 8 * MIB)
    assert (esp["type"], esp["type_name"], esp["name"]) == (EFI_SYSTEM, "EFI system", "esp")
    assert (esp["file_system"]["type"], esp["file_system"]["label"]) == ("fat12", "ESP")
    assert (root["file_system"]["type"], root["file_system"]["label"]) == ("ext4", "root")
    assert len(root["unique_id"]) == len(root["file_system"]["uuid"]) == 36
    assert told["boot"]["efi_loaders"] == [
        {"partition": 1, "path": "EFI/BOOT/BOOTX64.EFI", "size": len(program), "architecture": "x64"}
    ]
    assert (told["hyper_v_generation"], told["architecture"]) == ("V2", "x64")
    assert told["boot"]["architecture_from"] == "EFI/BOOT/BOOTX64.EFI"
    assert told["problems"] == [] and told["footer"] is None and told["file_system"] is None


def test_the_format_changes_nothing_but_the_sizes(tmp_path: Path) -> None:
    disk = uefi_disk(tmp_path, {"EFI/BOOT/BOOTX64.EFI": grub_program(tmp_path / "g")}, {"etc/x": b""})
    raw = inspected(disk)
    for name, driver, options in [
        ("qcow2", "qcow2", ["-c"]), ("vhdx", "vhdx", []), ("vmdk", "vmdk", []),
        ("vhd", "vpc", ["-o", "subformat=dynamic,force_size=on"]),
    ]:  # fmt: skip
        path = tmp_path / f"disk.{name}"
        qemu_img("convert", "-f", "raw", "-O", driver, *options, disk, path)
        told = inspected(path)
        assert told["format"] == name
        for key in ("virtual_size", "partitions", "boot", "hyper_v_generation", "architecture"):
            assert told[key] == raw[key], (name, key)
        assert told["files"][0]["size"] == path.stat().st_size
    assert told["footer"]["type"] == "dynamic" and told["footer"]["size"] == 64 * MIB


def test_the_files_of_a_chain_are_named(tmp_path: Path) -> None:
    base = gpt_disk(tmp_path / "base.raw")
    top = tmp_path / "top.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", base, "-F", "raw", top)
    told = inspected(top)
    assert [file["path"] for file in told["files"]] == [str(top), str(base)]
    assert told["allocated_size"] == sum(file["allocated_size"] for file in told["files"])
    assert 0 < told["data_size"] < told["virtual_size"]


@pytest.mark.parametrize("machine", [ARM64, 0x014C])
def test_the_architecture_comes_from_the_efi_program(tmp_path: Path, machine: int) -> None:
    name = "BOOTAA64.EFI" if machine == ARM64 else "BOOTIA32.EFI"
    told = inspected(uefi_disk(tmp_path, {f"EFI/BOOT/{name}": pe_program(machine)}))
    assert told["architecture"] == ("Arm64" if machine == ARM64 else None)
    assert told["hyper_v_generation"] == "V2"
    assert bool(told["problems"]) == (machine != ARM64)


def test_without_a_telling_efi_program_the_programs_of_the_system_tell(tmp_path: Path) -> None:
    both = {"EFI/BOOT/BOOTX64.EFI": pe_program(0x8664), "EFI/BOOT/BOOTAA64.EFI": pe_program(ARM64)}
    told = inspected(uefi_disk(tmp_path, both, {"usr/bin/bash": elf_program(ELF_ARM64)}))
    assert (told["architecture"], told["boot"]["architecture_from"]) == ("Arm64", "/usr/bin/bash")


def test_a_loader_that_only_boot_entries_find_is_a_problem(tmp_path: Path) -> None:
    told = inspected(uefi_disk(tmp_path, {"EFI/debian/grubx64.efi": grub_program(tmp_path / "g")}))
    assert told["architecture"] == "x64"
    assert any("BOOTX64.EFI" in problem and "--removable" in problem for problem in told["problems"])


def test_an_unreadable_efi_partition_is_a_problem_and_no_failure(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk", script=f"size=8MiB, type={EFI_SYSTEM}\n")
    told = inspected(disk)
    assert told["hyper_v_generation"] == "V2" and told["boot"]["efi_partitions"] == [1]
    assert any("EFI system partition 1 cannot be read" in problem for problem in told["problems"])


def test_a_disk_that_boots_by_bios_is_for_x64(tmp_path: Path) -> None:
    script = f"size=1MiB, type={BIOS_BOOT}, attrs=LegacyBIOSBootable\nsize=16MiB, type=linux\n"
    disk = gpt_disk(tmp_path / "disk", script=script)
    boot = next(Path("/usr/lib/grub/i386-pc").glob("boot.img")).read_bytes()[:440]
    with disk.open("r+b") as file:
        file.write(boot)
    told = inspected(disk)
    assert (told["hyper_v_generation"], told["architecture"]) == ("V1", "x64")
    assert (told["boot"]["bios_code"], told["boot"]["bios_boot_partition"]) == ("grub", 1)
    assert told["partitions"][0]["flags"] == ["legacy_boot"]


def test_an_mbr_is_told(tmp_path: Path) -> None:
    disk = write_sparse(tmp_path / "disk", 64 * MIB, [])
    partition(disk, "label: dos\nsize=16MiB, type=83, bootable\nsize=4MiB, type=82\n")
    put(disk, ext_image(tmp_path / "root", "ext3", {"usr/bin/bash": elf_program(X86_64)}), MIB)
    swap = write_sparse(tmp_path / "swap", 4 * MIB, [])
    subprocess.run(["/sbin/mkswap", "-L", "swp", swap], check=True, capture_output=True)
    put(disk, swap, 17 * MIB)
    told = inspected(add_boot_code(disk))
    root, swapped = told["partitions"]
    assert (told["partition_table"], root["type_name"], root["flags"]) == (
        "mbr",
        "Linux file system",
        ["active"],
    )
    assert root["file_system"]["type"] == "ext3"
    assert (swapped["file_system"]["type"], swapped["file_system"]["label"]) == ("swap", "swp")
    assert (told["hyper_v_generation"], told["architecture"]) == ("V1", "x64")
    assert told["boot"]["architecture_from"] == "/usr/bin/bash"


def test_a_disk_without_partitions_is_its_file_system(tmp_path: Path) -> None:
    told = inspected(ext_image(tmp_path / "data", "ext2", {"usr/bin/bash": elf_program(ELF_ARM64)}, "data"))
    assert (told["partition_table"], told["partitions"]) == ("none", [])
    assert (told["file_system"]["type"], told["file_system"]["label"]) == ("ext2", "data")
    assert told["hyper_v_generation"] is None and told["architecture"] == "Arm64"


UUID = bytes(range(16))
UUID_TEXT = "00010203-0405-0607-0809-0a0b0c0d0e0f"


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(0, b"XFSB"), (32, UUID), (108, b"data")], ("xfs", "data", UUID_TEXT)),
        ([(0x10040, b"_BHRfS_M"), (0x10020, UUID)], ("btrfs", "", UUID_TEXT)),
        ([(3, b"NTFS    "), (72, (0xABCD).to_bytes(8, "little"))], ("ntfs", "", "000000000000ABCD")),
        ([(3, b"-FVE-FS-")], ("bitlocker", "", "")),
        ([(0, b"LUKS\xba\xbe\0\2"), (24, b"crypt"), (168, b"a-uuid")], ("luks2", "crypt", "a-uuid")),
        (
            [(0x200, b"LABELONE"), (0x214, b"\x20\0\0\0"), (0x220, b"abcdefghijklmnopqrstuvwxyz012345")],
            ("lvm2", "", "abcdef-ghij-klmn-opqr-stuv-wxyz-012345"),
        ),
        ([(0x1000, b"\xfc\x4e\x2b\xa9"), (0x1010, UUID), (0x1020, b"h:0")], ("md_raid", "h:0", UUID_TEXT)),
        ([(3, b"EXFAT   "), (100, b"\x34\x12\xcd\xab")], ("exfat", "", "ABCD-1234")),
        ([(0x8001, b"CD001"), (0x8028, b"CDROM   ")], ("iso9660", "CDROM", "")),
        ([(0x36, b"FAT16")], ("fat", "", "")),
        ([(100, b"nothing")], None),
    ],
)
def test_what_a_partition_holds(
    tmp_path: Path, pieces: list[tuple[int, bytes]], expected: tuple[str, str, str] | None
) -> None:
    path = write_sparse(tmp_path / "disk", MIB, pieces)
    with open_disk(str(path), allow_unpartitioned=True) as reader:
        assert identify(reader, 0, MIB) == expected
        assert identify(reader, MIB - 512, 512) is None
