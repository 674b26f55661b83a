# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A Debian machine of the local Azure is generalized, something fails then, and it is brought back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.guests.conftest import DebianGuest
from tests.guests.lab.programs import run_program
from tests.guests.lab.ssh import connected, wait_for_ssh
from tests.integration.cloud import CHECKOUT, LocalAzure
from tests.integration.plays import Player
from tests.integration.watched_cloud import watched_cloud

GROUP = "drill"
VM = "Microsoft.Compute/virtualMachines"
BOOT_SECONDS = 240
# The machine comes to the local Azure from elsewhere: other interfaces, and no new setting up there.
MOVE_OUT = """
printf '[Match]\\nName=eth*\\n[Network]\\nDHCP=yes\\n' > /etc/systemd/network/10-any.network
rm -f /etc/netplan/50-cloud-init.yaml
echo 'manual_cache_clean: true' > /etc/cloud/cloud.cfg.d/99-stay.cfg
sync
"""
IDENTITY = (
    "cat /etc/machine-id; hostname; ls /home; getent passwd runner carol; cat /etc/ssh/ssh_host_*_key.pub"
)


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[LocalAzure]:
    with watched_cloud(tmp_path / "azure", "--guests", "--guest-timeout", str(BOOT_SECONDS)) as cloud:
        cloud.group(GROUP)
        yield cloud


def moved_in(azure: LocalAzure, player: Player, guest: DebianGuest, directory: Path) -> str:
    """The guest's disk becomes a machine, which boots with the guest's identity; its public address."""
    guest.ssh.sudo(MOVE_OUT)
    guest.ssh.sudo("systemd-run --on-active=1 systemctl poweroff")
    guest.ssh.close()
    assert guest.thawed.machine.wait_off(60)
    disk = directory / "disk.raw"
    run_program(["qemu-img", "convert", "-O", "raw", str(guest.thawed.disks[0].path), str(disk)])
    upload = {"path": str(disk), "resource_group": GROUP, "disk_name": "os", "os_type": "Linux"}
    player.module("disk_upload", {**upload, "hyper_v_generation": "V1"}).succeeded()
    network = azure.id(GROUP, "Microsoft.Network/virtualNetworks", "net")
    subnet = {"name": "default", "properties": {"addressPrefix": "10.9.0.0/24"}}
    space = {"addressSpace": {"addressPrefixes": ["10.9.0.0/16"]}, "subnets": [subnet]}
    azure.put(network, {"location": "eastus", "properties": space})
    public = azure.id(GROUP, "Microsoft.Network/publicIPAddresses", "front")
    static = {"publicIPAllocationMethod": "Static"}
    azure.put(public, {"location": "eastus", "sku": {"name": "Standard"}, "properties": static})
    nic = azure.id(GROUP, "Microsoft.Network/networkInterfaces", "nic")
    inner = {"subnet": {"id": f"{network}/subnets/default"}, "publicIPAddress": {"id": public}}
    configuration = {"name": "ip", "properties": inner}
    azure.put(nic, {"location": "eastus", "properties": {"ipConfigurations": [configuration]}})
    os_disk = azure.id(GROUP, "Microsoft.Compute/disks", "os")
    attached = {"createOption": "Attach", "osType": "Linux", "managedDisk": {"id": os_disk}}
    wanted: dict[str, Any] = {
        "hardwareProfile": {"vmSize": "Standard_B1s"},
        "storageProfile": {"osDisk": attached},
        "networkProfile": {"networkInterfaces": [{"id": nic}]},
    }
    azure.put(azure.id(GROUP, VM, "worker"), {"location": "eastus", "properties": wanted})
    return str(azure.get(public)["properties"]["ipAddress"])


def test_machine_that_was_generalized_is_brought_back_with_its_identity_when_a_later_task_fails(
    azure: LocalAzure, debian_guest: DebianGuest, tmp_path: Path
) -> None:
    debian_guest.ssh.sudo("useradd -m -s /bin/bash carol")
    identity = debian_guest.ssh.sudo(IDENTITY)
    player = Player(tmp_path, azure.env)
    address = moved_in(azure, player, debian_guest, tmp_path)
    port = int(azure.env["LOCAL_AZURE_GUEST_SSH_PORT"])
    key = debian_guest.ssh.key
    with connected(address, port, "runner", key) as ssh:
        wait_for_ssh(ssh, BOOT_SECONDS)
        assert ssh.sudo(IDENTITY) == identity
        line = ssh.inventory_line("worker")

    vm = azure.id(GROUP, VM, "worker")
    later = tmp_path / "later.yml"
    later.write_text(
        "- name: Fail after the machine was generalized\n"
        "  ansible.builtin.fail:\n"
        "    msg: the image could not be made\n"
    )
    inventory = tmp_path / "inventory"
    inventory.write_text(f"{line} ansible_python_interpreter=/usr/bin/python3\n")
    failed = player(
        CHECKOUT / "playbooks" / "generalize_linux.yml",
        env={"ANSIBLE_INVENTORY": str(inventory), "ANSIBLE_PIPELINING": "1"},
        timeout=600,
        generalize_linux_hosts="worker",
        linux_generalize_confirm="guest",
        linux_generalize_accounts=["carol"],
        linux_generalize_vm_id=vm,
        linux_generalize_rescue=True,
        linux_generalize_post_tasks_file=str(later),
    )
    message = failed.failed_with("the image could not be made", "brought back").msg
    restored = failed.tasks["goldenimage.azure.linux_generalize : Bring the machine back"]
    assert restored["running"] and not restored["recreated"], message
    # The disk that was generalized is still there, and is another one.
    (kept,) = restored["kept_disks"]
    assert kept.endswith("/os") and azure.get(kept)["tags"]["goldenimage_replaced"]
    assert "goldenimage_generalized" not in azure.get(vm).get("tags", {})
    with connected(address, port, "runner", key) as ssh:
        wait_for_ssh(ssh, BOOT_SECONDS)
        assert ssh.sudo(IDENTITY) == identity
