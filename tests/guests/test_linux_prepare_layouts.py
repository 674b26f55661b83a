# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Parts of linux_prepare on stand-ins for Rocky Linux and SLES, with real dnf, zypper and firewalld."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.guests.lab.root_tree import RootTree, build_tree, open_tree
from tests.guests.lab.rpm_layout import as_distribution, rpm_recipe
from tests.guests.prepared import PROVED, Preparer, changed

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a root tree is entered as root")

# What belongs to the initramfs and the boot loader is proved where there is one.
PARTS = ("foreign_tools", "agent", "network", "clock", "ssh", "firewall", "sudoers")
ROCKY = {"NAME": "Rocky Linux", "ID": "rocky", "ID_LIKE": "rhel centos fedora", "VERSION_ID": "9.4"}
SLES = {"NAME": "SLES", "ID": "sles", "ID_LIKE": "suse", "VERSION": "15-SP6", "VERSION_ID": "15.6"}
ROCKY_FILES = {
    "/etc/redhat-release": "Rocky Linux release 9.4 (Blue Onyx)\n",
    "/etc/sysconfig/network-scripts/ifcfg-ens192": "DEVICE=ens192\nBOOTPROTO=none\nIPADDR=192.0.2.17\n",
    "/etc/systemd/system/multi-user.target.wants/NetworkManager.service": "",
}
SLES_SUDOERS = (
    "Defaults env_reset\nDefaults targetpw   # ask for root's\nALL ALL=(ALL) ALL\nroot ALL=(ALL:ALL) ALL\n"
)
SLES_FILES = {
    "/etc/sysconfig/network/ifcfg-eth0": "BOOTPROTO='static'\nIPADDR='192.0.2.17/24'\n",
    "/etc/sysconfig/network/routes": "default 192.0.2.1 - -\n",
    "/etc/sysconfig/network/dhcp": 'DHCLIENT_SET_HOSTNAME="yes"\n',
    "/etc/systemd/system/multi-user.target.wants/wicked.service": "",
    "/etc/sudoers": SLES_SUDOERS,
    # As of before sshd read further files.
    "/etc/ssh/sshd_config": (
        "PermitRootLogin no\n#ClientAliveInterval 0\nMatch User guest\n  X11Forwarding no\n"
    ),
}
NFTABLES = """\
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    ct state established accept
  }
}
"""

OpenTree = Callable[[dict[str, str], dict[str, str]], RootTree]


@pytest.fixture
def open_layout(guests_cache: Path, tmp_path: Path) -> OpenTree:
    """A function (os-release, files) that gives a tree of a distribution's layout."""

    def open_distribution(release: dict[str, str], files: dict[str, str]) -> RootTree:
        tree = open_tree(build_tree(guests_cache, rpm_recipe()), tmp_path / "tree")
        for path, text in files.items():
            tree.write(path, text)
        tree.run(as_distribution(release))
        # Debian's sshd, which stands in for theirs, wants this even for a check of its settings.
        tree.run("mkdir -p /run/sshd")
        return tree

    return open_distribution


def enabled(tree: RootTree) -> set[str]:
    """The services that systemd starts at boot."""
    shown = tree.run("systemctl list-unit-files --plain --no-legend --state=enabled --type=service")
    return {line.split()[0] for line in shown.splitlines()}


def test_rocky_is_prepared_with_dnf_networkmanager_and_firewalld(
    open_layout: OpenTree, tmp_path: Path
) -> None:
    tree = open_layout(ROCKY, ROCKY_FILES)
    tree.run("sed -i 's/^DefaultZone=.*/DefaultZone=drop/' /etc/firewalld/firewalld.conf")
    tree.run("! firewall-offline-cmd --query-service=ssh")
    prepare = Preparer(tree.inventory_line, tmp_path)
    made = changed(prepare(*PARTS))
    assert any("Open the port of SSH in firewalld" in task for task in made)
    assert changed(prepare(*PARTS)) == []

    assert PROVED & prepare.audit() == set()
    packages = set(tree.run("rpm -qa --qf '%{NAME}\\n'").split())
    assert {
        "WALinuxAgent",
        "cloud-init",
        "cloud-utils-growpart",
        "gdisk",
        "chrony",
        "hyperv-daemons",
    } <= packages
    assert "open-vm-tools" not in packages
    assert "Provisioning.Agent=cloud-init\nResourceDisk.Format=n\n" in tree.read("/etc/waagent.conf")
    assert tree.run("ls /etc/sysconfig/network-scripts /etc/NetworkManager/system-connections").split() == [
        *("/etc/NetworkManager/system-connections:", "azure-dhcp.nmconnection"),
        "/etc/sysconfig/network-scripts:",
    ]
    assert tree.run("firewall-offline-cmd --query-port=22/tcp").strip() == "yes"
    assert {"waagent.service", "cloud-init.service", "chronyd.service", "sshd.service"} <= enabled(tree)
    assert "OPTIONS=$$OPTIONS -f /etc/chrony-azure.conf" in tree.read(
        "/etc/systemd/system/chronyd.service.d/azure-clock.conf"
    )


@pytest.mark.thorough
def test_sles_is_prepared_with_zypper_wicked_and_a_sudo_for_its_own_password(
    open_layout: OpenTree, tmp_path: Path
) -> None:
    tree = open_layout(SLES, SLES_FILES)
    prepare = Preparer(tree.inventory_line, tmp_path)
    foretold = prepare(*PARTS, check=True)
    assert "zypper --non-interactive install --no-recommends" in foretold.stdout
    assert tree.read("/etc/sudoers") == SLES_SUDOERS
    made = changed(prepare(*PARTS))
    assert set(changed(foretold)) - {task for task in changed(foretold) if "Say " in task} <= set(made)
    assert changed(prepare(*PARTS)) == []

    assert PROVED & prepare.audit() == set()
    packages = set(tree.run("rpm -qa --qf '%{NAME}\\n'").split())
    assert {"python-azure-agent", "cloud-init", "growpart", "gptfdisk", "chrony", "hyper-v"} <= packages
    assert "python-azure-agent-config-server" in packages
    assert "open-vm-tools" not in packages
    assert tree.read("/etc/sudoers") == (
        "Defaults env_reset\n# Defaults targetpw   # ask for root's\n# ALL ALL=(ALL) ALL\n"
        "root ALL=(ALL:ALL) ALL\n"
    )
    tree.run("visudo -cf /etc/sudoers")
    assert tree.read("/etc/ssh/sshd_config") == (
        "PermitRootLogin no\nClientAliveInterval 180\nMatch User guest\n  X11Forwarding no\n"
    )
    assert tree.run("ls /etc/sysconfig/network").split() == ["dhcp", "ifcfg-eth0"]
    assert "BOOTPROTO='dhcp'" in tree.read("/etc/sysconfig/network/ifcfg-eth0")
    assert {"waagent.service", "cloud-init.service", "chronyd.service", "sshd.service"} <= enabled(tree)

    # As of SLES 16 the vendor's settings are below /usr/etc.
    assert "include /etc/chrony.conf\n" in tree.read("/etc/chrony-azure.conf")
    tree.run("mkdir -p /usr/etc; mv /etc/chrony.conf /usr/etc")
    assert [task.rpartition(" : ")[2] for task in changed(prepare("clock"))] == [
        "Have a configuration with the host's clock"
    ]
    assert "include /usr/etc/chrony.conf\n" in tree.read("/etc/chrony-azure.conf")


def test_lvm_no_longer_looks_for_disks_by_serial_numbers(open_layout: OpenTree, tmp_path: Path) -> None:
    listed = "IDTYPE=sys_wwid IDNAME=naa.600 DEVNAME=/dev/sda3 PVID=x PART=3\n"
    tree = open_layout(ROCKY, {**ROCKY_FILES, "/etc/lvm/devices/system.devices": listed})
    prepare = Preparer(tree.inventory_line, tmp_path)
    foretold = [task.rpartition(" : ")[2] for task in changed(prepare("fstab", check=True))]
    made = [task.rpartition(" : ")[2] for task in changed(prepare("fstab"))]
    assert foretold == made == ["Have LVM find its disks by what is on them"]
    tree.run("test ! -e /etc/lvm/devices/system.devices")
    assert changed(prepare("fstab")) == []


def test_rules_written_by_hand_are_refused_when_they_keep_ssh_out(
    open_layout: OpenTree, tmp_path: Path
) -> None:
    unit = "[Service]\nExecStart=/usr/sbin/nft\n[Install]\nWantedBy=sysinit.target\n"
    rules = "/etc/sysconfig/nftables.conf"
    tree = open_layout(
        ROCKY, {**ROCKY_FILES, "/usr/lib/systemd/system/nftables.service": unit, rules: NFTABLES}
    )
    tree.run("systemctl disable firewalld.service; systemctl enable nftables.service")
    prepare = Preparer(tree.inventory_line, tmp_path)
    prepare("firewall").failed_with(rules, "does not name port 22", "linux_prepare_firewall")
    tree.write(
        rules, NFTABLES.replace("established accept", "established accept\n    tcp dport { 22, 80 } accept")
    )
    assert changed(prepare("firewall")) == []
    tree.write(rules, 'include "/etc/nftables/*.nft"\n')
    tree.write("/etc/nftables/main.nft", NFTABLES)
    prepare("firewall").failed_with(rules, "does not name port 22")
    tree.write(rules, 'include "nftables/main.nft"\n')
    prepare("firewall").failed_with(rules, "does not name port 22")
