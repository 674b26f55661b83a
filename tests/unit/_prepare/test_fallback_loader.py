# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Firmware without boot entries finds a loader, whole and of this system."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.fallback_loader import (
    Plan,
    make_copies,
    plan_fallback,
)


def system(top: Path, *files: str) -> LiveRoot:
    for file in files:
        path = top / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"MZ" + path.name.encode())
    return LiveRoot(str(top))


def loader(top: Path, root: LiveRoot, distribution: str = "debian") -> dict[str, bytes]:
    """What is in the fallback's directory after the copies; a second run has none."""
    plan = plan_fallback(root, distribution)
    make_copies(root, plan)
    assert plan_fallback(root, distribution) == Plan(plan.loader, [])
    directory = Path(str(top) + str(plan.loader)).parent
    return {path.name: path.read_bytes()[2:] for path in directory.iterdir()}


def test_shim_comes_with_what_it_starts(tmp_path: Path) -> None:
    names = ("shimx64.efi", "grubx64.efi", "mmx64.efi", "fbx64.efi", "grub.cfg", "BOOTX64.CSV")
    root = system(tmp_path, *(f"boot/efi/EFI/debian/{name}" for name in names))
    assert loader(tmp_path, root) == {
        "BOOTX64.EFI": b"shimx64.efi",
        "grubx64.efi": b"grubx64.efi",
        "mmx64.efi": b"mmx64.efi",
    }


def test_names_of_suse_are_known(tmp_path: Path) -> None:
    names = ("shim.efi", "grub.efi", "MokManager.efi", "grubx64.efi")
    root = system(tmp_path, *(f"boot/efi/EFI/opensuse/{name}" for name in names))
    assert loader(tmp_path, root, "opensuse-leap")["BOOTX64.EFI"] == b"shim.efi"


def test_grub_alone_is_enough(tmp_path: Path) -> None:
    root = system(tmp_path, "boot/efi/EFI/rocky/grubaa64.efi")
    assert loader(tmp_path, root) == {"BOOTAA64.EFI": b"grubaa64.efi"}


def test_systemd_boot_is_taken_from_wherever_the_partition_is(tmp_path: Path) -> None:
    root = system(tmp_path, "efi/EFI/systemd/systemd-bootx64.efi", "efi/EFI/Linux/kernel.efi")
    assert loader(tmp_path, root) == {"BOOTX64.EFI": b"systemd-bootx64.efi"}


def test_loader_that_is_there_stays_in_whatever_case(tmp_path: Path) -> None:
    root = system(tmp_path, "boot/efi/EFI/Boot/bootx64.efi", "boot/efi/EFI/debian/shimx64.efi")
    assert plan_fallback(root, "debian") == Plan("/boot/efi/EFI/Boot/bootx64.efi", [])


def test_own_loader_is_taken_of_several(tmp_path: Path) -> None:
    root = system(tmp_path, "boot/efi/EFI/redhat/grubx64.efi", "boot/efi/EFI/ubuntu/shimx64.efi")
    system(tmp_path, "boot/efi/EFI/ubuntu/grubx64.efi")
    assert loader(tmp_path, root, "rhel") == {"BOOTX64.EFI": b"grubx64.efi"}


def test_loaders_of_several_strangers_are_refused(tmp_path: Path) -> None:
    root = system(tmp_path, "boot/efi/EFI/a/grubx64.efi", "boot/efi/EFI/b/grubx64.efi")
    with pytest.raises(GuestError, match=r"several vendors' loaders .*\(a, b\)"):
        plan_fallback(root, "debian")


def test_machine_without_the_partition_is_left_alone(tmp_path: Path) -> None:
    root = system(tmp_path, "boot/vmlinuz")
    (tmp_path / "boot/efi").mkdir()
    assert plan_fallback(root, "debian") == Plan(None, [])


def test_partition_without_any_loader_is_refused(tmp_path: Path) -> None:
    root = system(tmp_path, "boot/efi/EFI/debian/grub.cfg")
    with pytest.raises(GuestError, match="holds no loader"):
        plan_fallback(root, "debian")


def test_damaged_loader_is_not_copied(tmp_path: Path) -> None:
    root = system(tmp_path, "boot/efi/EFI/debian/grubx64.efi")
    (tmp_path / "boot/efi/EFI/debian/grubx64.efi").write_bytes(b"")
    with pytest.raises(GuestError, match="is no program for UEFI"):
        make_copies(root, plan_fallback(root, "debian"))
    assert not (tmp_path / "boot/efi/EFI/BOOT").exists()
