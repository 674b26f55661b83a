# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import check_system
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.source_facts import source_facts

from tests.unit._disk.boot_samples import EFI_SYSTEM, fat_image, pe_program, put
from tests.unit._disk.samples import MIB, add_boot_code, gpt_disk

X64 = pe_program(0x8664)
REMOVABLE = {"EFI/BOOT/BOOTX64.EFI": X64}


def efi_disk(folder: Path, files: dict[str, bytes]) -> Path:
    disk = gpt_disk(folder / "disk.raw", script=f"size=32MiB, type={EFI_SYSTEM}\nsize=8MiB, type=linux\n")
    put(disk, fat_image(folder / "esp", 32 * MIB, files), MIB)
    return disk


@pytest.mark.parametrize(
    ("files", "system"),
    [
        ({"EFI/Microsoft/Boot/bootmgfw.efi": X64}, "Windows"),
        ({"EFI/debian/shimx64.efi": X64}, "Linux"),
        ({"EFI/systemd/systemd-bootx64.efi": X64}, "Linux"),
        ({"EFI/Microsoft/Boot/bootmgfw.efi": X64, "EFI/debian/grubx64.efi": X64}, None),
        ({}, None),
    ],
)
def test_the_boot_loader_tells_the_system(
    tmp_path: Path, files: dict[str, bytes], system: str | None
) -> None:
    with open_disk(str(efi_disk(tmp_path, {**REMOVABLE, **files}))) as reader:
        assert source_facts(reader, True).system == system
        unasked = source_facts(reader, False)
    assert (unasked.system, unasked.generations) == (None, [])


def test_a_system_that_the_disk_does_not_boot_is_refused(tmp_path: Path) -> None:
    with open_disk(str(efi_disk(tmp_path, {"EFI/Microsoft/Boot/bootmgfw.efi": X64}))) as reader:
        facts = source_facts(reader, True)
    check_system(facts, "Windows")
    check_system(facts, None)
    with pytest.raises(InvalidInput, match=r"os_type is Linux, but the disk boots Windows \(EFI/Microsoft"):
        check_system(facts, "Linux")


def test_grub_in_the_boot_sector_is_of_linux(tmp_path: Path) -> None:
    disk = add_boot_code(gpt_disk(tmp_path / "disk.raw", script="size=8MiB, type=linux\n"))
    with disk.open("r+b") as file:
        file.seek(100)
        file.write(b"GRUB")
    with open_disk(str(disk)) as reader:
        assert source_facts(reader, True).system == "Linux"
