# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The role linux_generalize on a real Debian: refusals, then the whole job, proved on the disk it leaves."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.guests.conftest import DebianGuest
from tests.guests.lab.programs import run_program
from tests.integration.plays import CHECKOUT, Player, PlayResult

SECRET = "correct-horse-battery-staple"
PLANTED = f"""
set -e
hostname
echo {SECRET} > ~/.bash_history
mkdir -p ~/.aws ~/.ssh ~/.kube
echo {SECRET} | tee ~/.aws/credentials ~/.kube/config ~/.netrc ~/.viminfo > /dev/null
sudo sh -c '
  echo {SECRET} > /root/.bash_history
  echo {SECRET} > /var/tmp/notes
  mkdir -p /var/spool/cron/atjobs /var/crash /etc/puppetlabs/puppet/ssl
  echo {SECRET} | tee /var/spool/cron/atjobs/a0001 /var/crash/core.1 > /dev/null
  echo {SECRET} > /etc/puppetlabs/puppet/ssl/key
  echo "root:{SECRET}" | chpasswd
  logger {SECRET}
  useradd -m -s /bin/bash packer
  echo "packer ALL=(ALL) NOPASSWD:ALL" > /etc/sudoers.d/packer
  runuser -u packer -- sh -c "sleep 1000 > /dev/null 2>&1 & echo {SECRET} > ~/.profile"
'
"""


class Generalizer:
    """Runs the playbook against one guest."""

    def __init__(self, guest: DebianGuest, work_dir: Path) -> None:
        self.inventory = work_dir / "inventory"
        self.inventory.write_text(guest.inventory_line + " ansible_python_interpreter=/usr/bin/python3\n")
        self.player = Player(work_dir, {})

    def __call__(self, *, pipelining: bool = True, **options: Any) -> PlayResult:
        environ = {"ANSIBLE_INVENTORY": str(self.inventory), "ANSIBLE_PIPELINING": str(int(pipelining))}
        return self.player(
            CHECKOUT / "playbooks" / "generalize_linux.yml",
            env=environ,
            generalize_linux_hosts="guest",
            **options,
        )


@pytest.fixture
def generalize(debian_guest: DebianGuest, tmp_path: Path) -> Generalizer:
    return Generalizer(debian_guest, tmp_path)


def flat_copy(disk: Path, target: Path) -> Path:
    """One raw file of a disk that stands on another."""
    run_program(["qemu-img", "convert", "-O", "raw", str(disk), str(target)])
    return target


def root_offset(disk: Path) -> int:
    """Where the Linux partition begins, in bytes, as sfdisk sees it."""
    lines = run_program(["/sbin/sfdisk", "--dump", str(disk)]).splitlines()
    sizes = {
        int(found.group(2)): int(found.group(1)) * 512
        for line in lines
        if (found := re.search(r"start=\s*(\d+), size=\s*(\d+)", line))
    }
    return sizes[max(sizes)]


def test_guest_is_refused_then_generalized_with_the_account_ansible_uses(
    debian_guest: DebianGuest, generalize: Generalizer, tmp_path: Path
) -> None:
    hostname = debian_guest.ssh.run(PLANTED).splitlines()[0]
    machine_id = debian_guest.ssh.run("cat /etc/machine-id").strip()
    host_key = debian_guest.ssh.run("cat /etc/ssh/ssh_host_ed25519_key.pub").split()[1]

    # The wrong name, and a missing agent: nothing has changed.
    generalize(linux_generalize_confirm="another").failed_with("'another'", repr(hostname), machine_id)
    debian_guest.ssh.sudo("mv /usr/sbin/waagent /usr/sbin/waagent.away")
    generalize(linux_generalize_confirm=hostname).failed_with("waagent", "not installed")
    debian_guest.ssh.sudo("mv /usr/sbin/waagent.away /usr/sbin/waagent")

    # Check mode says what would go.
    checked = generalize(check=True, diff=True, linux_generalize_confirm=hostname)
    assert checked.rc == 0, checked.output
    assert "machine-id: /etc/machine-id" in checked.stdout
    assert SECRET not in checked.output
    assert debian_guest.ssh.run("cat /etc/machine-id ~/.bash_history") == f"{machine_id}\n{SECRET}\n"
    debian_guest.ssh.close()

    # The whole job.
    begun = time.monotonic()
    done = generalize(linux_generalize_confirm=hostname, linux_generalize_accounts=["packer"])
    assert done.rc == 0, done.output
    assert SECRET not in done.output
    assert debian_guest.thawed.machine.wait_off(60)
    assert time.monotonic() - begun < 180
    result = done.tasks["goldenimage.azure.linux_generalize : Remove the traces and start the last step"]
    assert sorted(result["accounts"]) == ["packer", "runner"]
    assert "configuration-agents" in {found["id"] for found in result["removed"]}
    assert "authorized-keys" in {found["id"] for found in result["scheduled"]}

    # Our own look at the disk, and debugfs's.
    disk = flat_copy(debian_guest.thawed.disks[0].path, tmp_path / "disk.raw")
    options = {
        "disk": str(disk),
        "accounts": ["packer", "runner"],
        "hostnames": [hostname],
        "look_for": ["traces"],
        "fail_on": "info",
    }
    audited = generalize.player.module("guest_audit", options).succeeded().last
    assert audited["traces_left"] == 0

    def look(command: str) -> str:
        return run_program(["debugfs", "-R", command, f"{disk}?offset={root_offset(disk)}"])

    assert look("cat /etc/machine-id") == ""
    assert look("cat /etc/hostname") == "localhost\n"
    assert "runner" not in look("cat /etc/passwd") + look("cat /etc/shadow") + look("cat /etc/group")
    assert "packer" not in look("cat /etc/subuid") + look("cat /etc/passwd") + look("ls /etc/sudoers.d")
    assert look("ls -p /home").count("/") == look("ls -p /opt").count("/")
    assert "root:*" in look("cat /etc/shadow")  # waagent writes more behind it
    assert "ssh_host" not in look("ls /etc/ssh")
    assert hostname not in look("cat /etc/hosts")
    assert machine_id not in look("ls /var/log/journal")
    assert host_key not in look("cat /etc/ssh/ssh_host_ed25519_key.pub")


@pytest.mark.thorough
def test_account_can_stay_and_ansible_without_pipelining_works(
    debian_guest: DebianGuest, generalize: Generalizer, tmp_path: Path
) -> None:
    hostname = debian_guest.ssh.run("hostname").strip()
    debian_guest.ssh.close()
    done = generalize(
        pipelining=False,
        linux_generalize_confirm=hostname,
        linux_generalize_remove_own_account=False,
        linux_generalize_extra_traces=["/usr/share/doc/adduser"],
    )
    assert done.rc == 0, done.output
    assert debian_guest.thawed.machine.wait_off(60)
    disk = flat_copy(debian_guest.thawed.disks[0].path, tmp_path / "disk.raw")
    options = {"disk": str(disk), "hostnames": [hostname], "extra_traces": ["/usr/share/doc/adduser"]}
    options["look_for"] = ["traces"]
    audited = generalize.player.module("guest_audit", options).succeeded().last
    assert {found["id"] for found in audited["findings"]} <= {"people-accounts"}
    assert any(found["path"] == "/home/runner" for found in audited["findings"])
