# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A Debian machine of the local Azure is generalized, something fails then, and it is brought back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guests.conftest import DebianGuest
from tests.guests.lab.ssh import connected, wait_for_ssh
from tests.guests.moving_in import labelled_disk, move_in
from tests.integration.cloud import CHECKOUT, LocalAzure
from tests.integration.plays import Player
from tests.integration.watched_cloud import watched_cloud

GROUP = "drill"
VM = "Microsoft.Compute/virtualMachines"
BOOT_SECONDS = 240
IDENTITY = (
    "cat /etc/machine-id; hostname; ls /home; getent passwd runner carol; cat /etc/ssh/ssh_host_*_key.pub"
)


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[LocalAzure]:
    with watched_cloud(tmp_path / "azure", "--guests", "--guest-timeout", str(BOOT_SECONDS)) as cloud:
        cloud.group(GROUP)
        yield cloud


def test_machine_that_was_generalized_is_brought_back_with_its_identity_when_a_later_task_fails(
    azure: LocalAzure, debian_guest: DebianGuest, tmp_path: Path
) -> None:
    debian_guest.ssh.sudo("useradd -m -s /bin/bash carol")
    identity = debian_guest.ssh.sudo(IDENTITY)
    player = Player(tmp_path, azure.env)
    data = labelled_disk(tmp_path / "data.raw", "numbers", tmp_path)
    address = move_in(azure, player, debian_guest, GROUP, {5: data})
    port = int(azure.env["LOCAL_AZURE_GUEST_SSH_PORT"])
    key = debian_guest.ssh.key
    with connected(address, port, "runner", key) as ssh:
        wait_for_ssh(ssh, BOOT_SECONDS)
        assert ssh.sudo(IDENTITY) == identity
        assert ssh.sudo("mount -L numbers /mnt; cat /mnt/label; umount /mnt") == "numbers\n"
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
    kept = sorted(restored["kept_disks"])
    assert [each.rpartition("/")[2] for each in kept] == ["data-5", "os"]
    assert all(azure.get(each)["tags"]["goldenimage_replaced"] for each in kept)
    assert "goldenimage_generalized" not in azure.get(vm).get("tags", {})
    with connected(address, port, "runner", key) as ssh:
        wait_for_ssh(ssh, BOOT_SECONDS)
        assert ssh.sudo(IDENTITY) == identity
        assert ssh.sudo("mount -L numbers /mnt; cat /mnt/label; umount /mnt") == "numbers\n"
