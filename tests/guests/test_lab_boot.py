# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The lab's disks boot by UEFI, and data disks are where Azure would have them.

By BIOS boot the guests that are frozen (test_lab_frozen.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.guests.lab.disk_layout import build_data_disk
from tests.guests.lab.machine import AZURE_CHASSIS_ASSET_TAG, Disk, Forward, Machine, free_port, make_overlay
from tests.guests.lab.seed import write_nocloud_seed
from tests.guests.lab.ssh import connected, make_key, wait_for_ssh


def test_disk_boots_by_uefi_with_its_data_disk_at_the_requested_lun(
    build_debian_disk: Callable[..., Path], tmp_path: Path
) -> None:
    key = tmp_path / "key"
    seed = tmp_path / "seed.img"
    public_key = make_key(key)
    write_nocloud_seed(
        seed, instance_id="boot-1", hostname="fresh", user="tester", ssh_public_keys=[public_key]
    )
    data = tmp_path / "data.raw"
    build_data_disk(data, 64, "data", {"hello/world.txt": b"kept\n"})
    disks = [make_overlay(tmp_path / "os.qcow2", build_debian_disk()), Disk(data, "raw", lun=5)]
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
        with connected("127.0.0.1", port, "tester", key) as guest:
            wait_for_ssh(guest, 420, is_running=machine.is_running)
            listing = json.loads(guest.run("lsblk --json --paths --output NAME,HCTL,LABEL,TYPE"))
            luns = {entry["name"]: (entry["hctl"] or "").split(":")[-1] for entry in listing["blockdevices"]}
            assert luns["/dev/sda"] == "0"
            assert luns["/dev/sdb"] == "5"
            assert guest.run("hostname") == "fresh\n"
            assert guest.sudo("mount LABEL=data /mnt && cat /mnt/hello/world.txt") == "kept\n"
            assert guest.run("ls /sys/firmware/efi/runtime >/dev/null && echo uefi") == "uefi\n"
            assert guest.run("cat /sys/class/dmi/id/chassis_asset_tag") == f"{AZURE_CHASSIS_ASSET_TAG}\n"
            # The partition and the file system reach the end of the disk.
            assert int(guest.run("df --output=size -B1M / | tail -1")) > 1850
        assert machine.power_off(120)
    finally:
        machine.kill()
    assert "Power down" in machine.console.read_text(errors="replace")
