# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Guest disks as sfdisk, e2fsck and debugfs see them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.guests.lab.bootloader import install_bootloader, module_files
from tests.guests.lab.disk_layout import MEBIBYTE, bootable_layout, build_data_disk, write_partitions
from tests.guests.lab.programs import ProgramError, run_program

ROOT_UUID = "0f2d3a5e-6f0c-4a53-9a3a-0c8f6f7f2a11"


def _partitions(disk: Path) -> dict[int, dict[str, Any]]:
    table = json.loads(run_program(["sfdisk", "--json", str(disk)]))["partitiontable"]
    assert table["label"] == "gpt"
    return {int(entry["node"].removeprefix(str(disk))): entry for entry in table["partitions"]}


@pytest.fixture
def bootable_disk(tmp_path: Path) -> Path:
    disk = tmp_path / "disk.raw"
    layout = bootable_layout(256)
    write_partitions(disk, layout.size, [layout.bios, layout.esp, layout.root])
    install_bootloader(disk, layout, ROOT_UUID)
    return disk


def test_root_is_number_one_and_last_so_that_it_can_grow(bootable_disk: Path) -> None:
    partitions = _partitions(bootable_disk)
    assert sorted(partitions) == [1, 14, 15]
    assert max(partitions, key=lambda number: int(partitions[number]["start"])) == 1
    end = (int(partitions[1]["start"]) + int(partitions[1]["size"])) * 512
    assert end == 255 * MEBIBYTE


def test_boot_loader_leaves_the_partition_table_valid_and_the_disk_sparse(bootable_disk: Path) -> None:
    assert "No errors detected" in run_program(["sfdisk", "--verify", str(bootable_disk)])
    sector = bootable_disk.read_bytes()[:512]
    assert sector[510:] == b"\x55\xaa"
    assert sector[450] == 0xEE, "the protective partition entry is gone"
    assert bootable_disk.stat().st_blocks * 512 < 4 * MEBIBYTE


def test_efi_system_partition_holds_the_removable_media_loader(bootable_disk: Path) -> None:
    offset = bootable_layout(256).esp.offset
    loader = bootable_disk.parent / "loader.efi"
    run_program(["mcopy", "-i", f"{bootable_disk}@@{offset}", "::/EFI/BOOT/BOOTX64.EFI", str(loader)])
    assert loader.read_bytes()[:2] == b"MZ"
    assert ROOT_UUID.encode() in loader.read_bytes()


def test_both_platforms_bring_their_modules() -> None:
    folders = {Path(file.path).parent.name for file in module_files()}
    assert folders == {"i386-pc", "x86_64-efi"}
    assert "/boot/grub/i386-pc/normal.mod" in {file.path for file in module_files()}


def test_data_disk_is_a_clean_labelled_file_system_with_its_files(tmp_path: Path) -> None:
    disk = tmp_path / "data.raw"
    build_data_disk(disk, 64, "data", {"deep/er/file.txt": b"content\n"})
    (start,) = (int(entry["start"]) for entry in _partitions(disk).values())
    target = f"{disk}?offset={start * 512}"
    run_program(["e2fsck", "-f", "-n", target])
    assert run_program(["debugfs", "-R", "cat /deep/er/file.txt", target]) == "content\n"
    superblock = run_program(["dumpe2fs", "-h", target])
    assert "Filesystem volume name:   data\n" in superblock
    assert "metadata_csum_seed" not in superblock


def test_missing_program_says_where_the_list_of_packages_is() -> None:
    with pytest.raises(ProgramError, match=r"no-such-program is missing.*system-packages"):
        run_program(["no-such-program"])


def test_failing_program_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"sfdisk ended with status 1: .*cannot open"):
        run_program(["sfdisk", "--json", str(tmp_path / "nothing")])
