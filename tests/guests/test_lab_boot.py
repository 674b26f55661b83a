# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The lab's disks: what is in them, that they boot by UEFI, and that data disks are at their LUNs.

By BIOS boot the guests that are frozen (test_lab_frozen.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guests.lab.debian import Account, PlantedFile, direct_boot
from tests.guests.lab.disk_layout import bootable_layout, build_data_disk
from tests.guests.lab.machine import AZURE_CHASSIS_ASSET_TAG, Disk, Forward, Machine, free_port, make_overlay
from tests.guests.lab.programs import run_program
from tests.guests.lab.seed import write_nocloud_seed
from tests.guests.lab.ssh import connected, make_key, wait_for_ssh


def test_disk_is_small_clean_and_has_no_identity(build_debian_disk: Callable[..., Path]) -> None:
    disk = build_debian_disk()
    assert disk.stat().st_blocks * 512 <= 450 << 20
    root = f"{disk}?offset={bootable_layout(2048).root.offset}"
    run_program(["e2fsck", "-f", "-n", root])
    assert run_program(["debugfs", "-R", "cat /etc/machine-id", root]) == ""
    assert "ssh_host_" not in run_program(["debugfs", "-R", "ls -p /etc/ssh", root])
    kernel, initrd, command_line = direct_boot(disk)
    assert kernel.stat().st_size > 1 << 20
    assert initrd.stat().st_size > 1 << 20
    assert "root=UUID=" in command_line


@pytest.mark.thorough
def test_disk_boots_by_uefi_with_its_account_and_its_data_disk_at_the_requested_lun(
    build_debian_disk: Callable[..., Path], guests_cache: Path, tmp_path: Path
) -> None:
    # A key of the cache's, not of the test's: the disk is cached by its recipe, and the key is part of that.
    key = guests_cache / "image-key"
    account = Account("imager", (make_key(key),))
    planted = PlantedFile("/opt/made/here.txt", b"planted\n", 0o640, uid=1000, gid=1000)
    disk = build_debian_disk(accounts=[account], files=[planted])
    seed = tmp_path / "seed.img"
    write_nocloud_seed(seed, instance_id="boot-1", hostname="fresh")
    data = tmp_path / "data.raw"
    build_data_disk(data, 64, "data", {"hello/world.txt": b"kept\n"})
    disks = [make_overlay(tmp_path / "os.qcow2", disk), Disk(data, "raw", lun=5)]
    port = free_port()
    machine = Machine(
        "boot",
        tmp_path,
        disks,
        seed=seed,
        forwards=[Forward("127.0.0.1", port)],
        firmware="uefi",
        chassis_asset_tag=AZURE_CHASSIS_ASSET_TAG,
    )
    try:
        machine.start()
        with connected("127.0.0.1", port, "imager", key) as guest:
            wait_for_ssh(guest, 600, is_running=machine.is_running)
            listing = json.loads(guest.run("lsblk --json --bytes --output HCTL,TYPE,SIZE"))
            # By their LUNs: the kernel names disks in the order in which it happens to find them.
            sizes = {
                (entry["hctl"] or "").split(":")[-1]: entry["size"]
                for entry in listing["blockdevices"]
                if entry["type"] == "disk"
            }
            assert sizes["0"] == disk.stat().st_size
            assert sizes["5"] == data.stat().st_size
            assert guest.run("hostname") == "fresh\n"
            assert guest.run("cat /opt/made/here.txt; stat -c %U:%a /opt/made/here.txt") == (
                "planted\nimager:640\n"
            )
            assert guest.sudo("mount LABEL=data /mnt && cat /mnt/hello/world.txt") == "kept\n"
            assert guest.run("ls /sys/firmware/efi > /dev/null && echo uefi") == "uefi\n"
            assert guest.run("cat /sys/class/dmi/id/chassis_asset_tag") == f"{AZURE_CHASSIS_ASSET_TAG}\n"
        assert machine.power_off(180)
    finally:
        machine.kill()
    assert "Power down" in machine.console.read_text(errors="replace")
