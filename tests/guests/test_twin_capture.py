# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A Debian machine that goes on running is captured by a twin, and a machine is born from the image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests.conftest import DebianGuest
from tests.guests.lab.ssh import connected, make_key, wait_for_ssh
from tests.guests.moving_in import COMPUTE, labelled_disk, move_in
from tests.integration.cloud import CHECKOUT, LocalAzure
from tests.integration.plays import Player
from tests.integration.watched_cloud import watched_cloud

GROUP = "shop"
BOOT_SECONDS = 240
LABELS = {0: "first", 5: "sixth"}
BOOT = "cat /proc/sys/kernel/random/boot_id"
IDENTITY = "cat /etc/machine-id; getent passwd runner; cat /etc/ssh/ssh_host_ed25519_key.pub"
# LUN and content of every data disk.
DISKS = """
for disk in $(lsblk -dnro NAME,HCTL,LABEL | awk '$3 == "first" || $3 == "sixth" {print $1 "," $2}'); do
    mount -o ro "/dev/${disk%,*}" /mnt && echo "${disk##*:} $(cat /mnt/label)" && umount /mnt
done
"""


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[LocalAzure]:
    with watched_cloud(tmp_path / "azure", "--guests", "--guest-timeout", str(BOOT_SECONDS)) as cloud:
        cloud.group(GROUP)
        yield cloud


def test_machine_runs_on_untouched_while_its_twin_is_generalized_and_captured_with_all_disks(
    azure: LocalAzure, debian_guest: DebianGuest, tmp_path: Path
) -> None:
    player = Player(tmp_path, azure.env)
    disks = {lun: labelled_disk(tmp_path / f"{label}.raw", label, tmp_path) for lun, label in LABELS.items()}
    address = move_in(azure, player, debian_guest, GROUP, disks)
    port = int(azure.env["LOCAL_AZURE_GUEST_SSH_PORT"])
    key = debian_guest.ssh.key
    machine = azure.id(GROUP, f"{COMPUTE}/virtualMachines", "worker")
    with connected(address, port, "runner", key) as ssh:
        wait_for_ssh(ssh, BOOT_SECONDS)
        boot, identity = ssh.run(BOOT), ssh.sudo(IDENTITY)
        line = ssh.inventory_line("worker.example.com")
        inventory = tmp_path / "inventory"
        inventory.write_text(f"{line} ansible_python_interpreter=/usr/bin/python3\n", encoding="utf-8")
        before = azure.get(machine)
        mark = azure.mark()
        captured = player(
            CHECKOUT / "playbooks" / "capture_vm.yml",
            env={"ANSIBLE_INVENTORY": str(inventory), "ANSIBLE_PIPELINING": "1"},
            timeout=900,
            capture_vm_strategy="twin",
            capture_vm_resource_group=GROUP,
            capture_vm_name="worker",
            capture_vm_host="worker.example.com",
            capture_vm_image="golden",
            capture_vm_twin_public_ip=True,
            linux_generalize_confirm="guest",
        )
        assert captured.rc == 0, captured.output
        assert (ssh.run(BOOT), ssh.sudo(IDENTITY)) == (boot, identity)
    assert azure.get(machine) == before
    outside = [write for write in azure.writes(mark) if "/goldenimage-twin-" not in write]
    assert outside == [f"PUT {azure.id(GROUP, f'{COMPUTE}/images', 'golden')}"]
    groups = azure.get(f"/subscriptions/{azure.subscription_id}/resourcegroups")["value"]
    assert [group["name"] for group in groups] == [GROUP]

    own = tmp_path / "own-key"
    born = {
        "resource_group": GROUP,
        "name": "born",
        "image": "golden",
        "size": "Standard_B1s",
        "admin_username": "ops",
        "ssh_public_keys": [make_key(own)],
        "public_ip": True,
        "open_ports": [22],
    }
    vm = player.module("vm", born, timeout=600).succeeded().last["vm"]
    assert [disk["lun"] for disk in vm["data_disks"]] == list(LABELS)
    with connected(vm["public_ip_addresses"][0], port, "ops", own) as ssh:
        wait_for_ssh(ssh, BOOT_SECONDS)
        assert sorted(ssh.sudo(DISKS).splitlines()) == [f"{lun} {label}" for lun, label in LABELS.items()]
        assert not set(ssh.sudo(IDENTITY + "; true").splitlines()) & set(identity.splitlines())
