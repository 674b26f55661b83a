# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A running Debian machine with data disks is generalized and captured in place; what is born of it boots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests.conftest import DebianGuest
from tests.guests.lab.ssh import connected, make_key, wait_for_ssh
from tests.guests.moving_in import labelled_disk, move_in
from tests.integration.captures import definition, image, version
from tests.integration.cloud import CHECKOUT, LocalAzure
from tests.integration.machines import COMPUTE
from tests.integration.plays import Player
from tests.integration.watched_cloud import watched_cloud

GROUP = "capture"
SOURCE = "worker"
LABELS = {0: "first", 5: "sixth"}
BOOT_SECONDS = 300
MOUNTED_AT_BOOT = "".join(
    f"mkdir /{label}; echo 'LABEL={label} /{label} ext4 defaults,nofail 0 2' >> /etc/fstab\n"
    for label in LABELS.values()
)
# LUN, mount point and content of every data disk.
LOOK = """
for label in first sixth; do
    disk=$(findmnt -no SOURCE /$label) && echo "$(lsblk -dno HCTL $disk | sed 's/.*://') $(cat /$label/label)"
done
"""


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[LocalAzure]:
    with watched_cloud(tmp_path / "azure", "--guests", "--guest-timeout", str(BOOT_SECONDS)) as cloud:
        cloud.group(GROUP)
        yield cloud


def test_what_is_born_of_a_machine_captured_in_place_boots_with_its_data_at_the_same_luns(
    azure: LocalAzure, debian_guest: DebianGuest, tmp_path: Path
) -> None:
    player = Player(tmp_path, azure.env)
    disks = {lun: labelled_disk(tmp_path / f"{label}.raw", label, tmp_path) for lun, label in LABELS.items()}
    debian_guest.ssh.sudo(MOUNTED_AT_BOOT)
    address = move_in(azure, player, debian_guest, GROUP, disks)
    definition(azure, GROUP, "debian")
    port = int(azure.env["LOCAL_AZURE_GUEST_SSH_PORT"])
    with connected(address, port, "runner", debian_guest.ssh.key) as ssh:
        wait_for_ssh(ssh, BOOT_SECONDS)
        before = ssh.sudo("cat /etc/machine-id")
        line = ssh.inventory_line(SOURCE)

    inventory = tmp_path / "inventory"
    inventory.write_text(f"{line} ansible_python_interpreter=/usr/bin/python3\n", encoding="utf-8")
    player(
        CHECKOUT / "playbooks" / "generalize_linux.yml",
        env={"ANSIBLE_INVENTORY": str(inventory), "ANSIBLE_PIPELINING": "1", "ANSIBLE_TIMEOUT": "60"},
        timeout=600,
        generalize_linux_hosts=SOURCE,
        linux_generalize_confirm="guest",
        linux_generalize_vm_id=azure.id(GROUP, f"{COMPUTE}/virtualMachines", SOURCE),
    ).succeeded()
    options = {"resource_group": GROUP, "source_vm": SOURCE, "targets": [image("debian"), version("debian")]}
    done = player.module("vm_capture", options).succeeded().last
    assert done["evidence"] == "tag"

    key = tmp_path / "key"
    for name, target in zip(("of-image", "of-version"), done["targets"], strict=True):
        born = player.module(
            "vm",
            {
                "resource_group": GROUP,
                "name": name,
                "image": target["id"],
                "admin_username": "ops",
                "ssh_public_keys": [make_key(key)],
                "public_ip": True,
                "size": "Standard_B1s",
            },
            timeout=600,
        ).succeeded()
        with connected(born.last["vm"]["public_ip_addresses"][0], port, "ops", key) as ssh:
            wait_for_ssh(ssh, BOOT_SECONDS)
            assert ssh.run("hostname").strip() == name
            assert ssh.run("cat /etc/machine-id") != before
            assert ssh.sudo(LOOK).splitlines() == [f"{lun} {label}" for lun, label in LABELS.items()]
        azure.do("POST", f"{azure.id(GROUP, f'{COMPUTE}/virtualMachines', name)}/deallocate")
