# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""disk_info, run as users run it, and disk_upload holding the user's word against the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player, PlayResult
from tests.integration.uploads import EFI_SYSTEM, MIB, converted, raw_disk, refused
from tests.unit._disk.boot_samples import fat_image, pe_program, put

ARM64 = 0xAA64


@pytest.fixture(scope="module")
def arm_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk that boots by UEFI on Arm64."""
    folder = tmp_path_factory.mktemp("disks")
    disk = raw_disk(folder / "arm.raw", boot=EFI_SYSTEM)
    program = {"EFI/BOOT/BOOTAA64.EFI": pe_program(ARM64)}
    put(disk, fat_image(folder / "esp", MIB, program), MIB)
    return disk


@pytest.fixture(scope="module")
def looked(play: Player, arm_disk: Path, group: str) -> PlayResult:
    """One run: a loop, the same in check mode, a file that is no disk, and refused uploads."""
    qcow2 = converted(arm_disk, arm_disk.with_name("arm.qcow2"), "-O", "qcow2")
    text = arm_disk.with_name("notes.txt")
    text.write_text("no disk\n" * 100)
    info = "goldenimage.azure.disk_info"
    upload = {"path": str(arm_disk), "resource_group": group, "disk_name": "arm", "os_type": "Linux"}
    tasks: list[dict[str, object]] = [
        {"name": "loop", info: {"path": "{{ item }}"}, "loop": [str(arm_disk), str(qcow2)]},
        {"name": "check", info: {"path": str(arm_disk)}, "check_mode": True},
        {"name": "text", info: {"path": str(text)}},
        {"name": "wrong", "goldenimage.azure.disk_upload": {**upload, "architecture": "x64"}},
        {"name": "right", "goldenimage.azure.disk_upload": upload},
    ]
    return play([{**task, "ignore_errors": True} for task in tasks])


def test_every_format_is_told_alike(looked: PlayResult, arm_disk: Path) -> None:
    raw, qcow2 = looked.tasks["loop"]["results"]
    assert (raw["disk"]["format"], qcow2["disk"]["format"]) == ("raw", "qcow2")
    assert raw["disk"]["partitions"] == qcow2["disk"]["partitions"]
    assert raw["disk"]["boot"] == qcow2["disk"]["boot"]
    assert raw["disk"]["path"] == str(arm_disk) and not raw["changed"]
    assert (raw["disk"]["hyper_v_generation"], raw["disk"]["architecture"]) == ("V2", "Arm64")
    assert raw["azure"]["accepted"] and "os_disk" in raw["azure"]["accepted_as"]
    assert raw["azure"]["upload_size"] == 24 * MIB == raw["azure"]["vhd_size"] - 512


def test_check_mode_is_the_same(looked: PlayResult) -> None:
    first = looked.tasks["loop"]["results"][0]
    assert looked.tasks["check"]["disk"] == first["disk"] and looked.tasks["check"]["azure"] == first["azure"]


def test_what_is_no_disk_is_named(looked: PlayResult) -> None:
    refused(looked, "text", "notes.txt", "text file")


def test_an_architecture_that_the_disk_contradicts_is_refused(looked: PlayResult) -> None:
    refused(looked, "wrong", "architecture is x64", "Arm64", "EFI/BOOT/BOOTAA64.EFI")


def test_arm64_is_seen_and_asked_for(looked: PlayResult, azure: LocalAzure, group: str) -> None:
    assert looked.tasks["right"]["disk"]["architecture"] == "Arm64"
    disk = azure.get(azure.id(group, "Microsoft.Compute/disks", "arm"))
    assert disk["properties"]["supportedCapabilities"]["architecture"] == "Arm64"
