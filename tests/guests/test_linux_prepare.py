# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The role linux_prepare on root trees of Debian and Ubuntu, laid out as machines come from VMware."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.guests.lab.root_tree import RootTree, TreeRecipe, build_tree, open_tree
from tests.guests.prepared import PROVED, Preparer, changed

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a root tree is entered as root")

COMMON_PACKAGES = ("systemd-sysv", "udev", "python3", "python3-apt", "openssh-server", "sudo", "iproute2")
COMMON_FETCHED = ("cloud-init", "cloud-guest-utils", "gdisk", "e2fsprogs", "fdisk", "chrony")
# A hardened machine, and leftovers of an installer.
COMMON_FILES = {
    "/etc/modprobe.d/hardening.conf": "install udf /bin/true\n",
    "/etc/cloud/cloud.cfg.d/99-installer.cfg": "datasource_list: [None]\n",
    "/etc/fstab": "LABEL=root / ext4 defaults 0 1\n",
    # systemd-boot: GRUB's menu would need a disk.
    "/etc/kernel/cmdline": "root=LABEL=root ro quiet\n",
    "/boot/loader/entries/debian.conf": (
        "title Debian\nlinux /vmlinuz\ninitrd /initrd.img\noptions root=LABEL=root ro quiet\n"
    ),
}


class Source(NamedTuple):
    """A machine as it comes from another hypervisor.

    :param fetched: what the role will install, without a mirror
    :param cloud_units: what of cloud-init systemd starts at boot in the end
    """

    packages: tuple[str, ...]
    fetched: tuple[str, ...]
    files: dict[str, str]
    cloud_units: tuple[str, ...]


DEBIAN = Source(
    (
        *COMMON_PACKAGES,
        *("ifupdown", "isc-dhcp-client", "systemd-timesyncd", "open-vm-tools", "initramfs-tools"),
        "linux-image-cloud-amd64",
    ),
    (*COMMON_FETCHED, "waagent", "hyperv-daemons"),
    {
        **COMMON_FILES,
        "/etc/network/interfaces": (
            "auto lo\niface lo inet loopback\n\n# The primary network interface\nallow-hotplug ens192\n"
            "iface ens192 inet static\n    address 192.0.2.17/24\n    gateway 192.0.2.1\n"
            "auto br0\niface br0 inet manual\n    bridge_ports none\n"
        ),
    },
    ("cloud-config.service", "cloud-final.service", "cloud-init-local.service", "cloud-init.service"),
)
NEWER_CLOUD_UNITS = (
    *("cloud-config.service", "cloud-final.service", "cloud-init-local.service", "cloud-init-main.service"),
    "cloud-init-network.service",
)
SOURCES = {
    "bookworm": DEBIAN,
    "trixie": DEBIAN._replace(cloud_units=NEWER_CLOUD_UNITS),
    "noble": Source(
        (
            *COMMON_PACKAGES,
            *("netplan.io", "systemd-resolved", "systemd-timesyncd", "open-vm-tools", "linux-image-virtual"),
            *("initramfs-tools", "cloud-init"),
        ),
        (*COMMON_FETCHED, "walinuxagent", "linux-azure"),
        {
            **COMMON_FILES,
            "/etc/netplan/00-installer-config.yaml": (
                "network:\n  version: 2\n  ethernets:\n    ens192:\n      addresses: [192.0.2.17/24]\n"
                "      routes: [{to: default, via: 192.0.2.1}]\n"
            ),
            "/etc/cloud/cloud.cfg.d/90-installer-network.cfg": "network: {config: disabled}\n",
        },
        DEBIAN.cloud_units,
    ),
}
# All files of cloud-init together, read by itself.
CLOUD_SETTINGS = """
from cloudinit import util
settings = util.read_conf_with_confd("/etc/cloud/cloud.cfg")
print(settings["datasource_list"], settings["network"]["config"])
"""


@pytest.fixture(
    params=["bookworm", *(pytest.param(suite, marks=pytest.mark.thorough) for suite in ("trixie", "noble"))]
)
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def open_source_tree(guests_cache: Path, tmp_path: Path) -> Callable[[str], RootTree]:
    """A function that gives the tree of a machine as it comes from another hypervisor."""

    def open_suite(suite: str) -> RootTree:
        source = SOURCES[suite]
        base = build_tree(guests_cache, TreeRecipe(suite, source.packages, source.fetched))
        tree = open_tree(base, tmp_path / "tree")
        for path, text in source.files.items():
            tree.write(path, text)
        # The lists of packages count as fresh, so that nothing is asked of a mirror.
        tree.run("touch /var/lib/apt/lists /var/lib/apt/periodic/update-success-stamp")
        return tree

    return open_suite


def files_of(tree: RootTree) -> dict[str, bytes]:
    """What a test's layer holds, without traces of Python, Ansible and apt's own diary."""
    passing = re.compile(r"(^|/)(__pycache__|\.ansible|tmp|var/log/apt|var/cache/apt)/")
    files = {str(path.relative_to(tree.layer)): path for path in tree.layer.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not passing.search(name)}


def enabled(tree: RootTree, *units: str) -> list[str]:
    """Those of the units that systemd starts at boot."""
    shown = tree.run(
        f"systemctl list-unit-files --plain --no-legend --state=enabled {' '.join(units)} || true"
    )
    return sorted(line.split()[0] for line in shown.splitlines())


def ifupdown_asks_dhcp(tree: RootTree) -> None:
    interfaces = tree.read("/etc/network/interfaces")
    assert "ens192" not in interfaces
    assert "192.0.2" not in interfaces
    assert "iface br0 inet manual\n    bridge_ports none\n" in interfaces
    assert tree.run("ifquery --list --allow=hotplug").split() == ["eth0"]


def netplan_asks_dhcp(tree: RootTree) -> None:
    assert "192.0.2" not in tree.run("netplan get")
    assert tree.run("netplan get network.ethernets.azure-first.dhcp4") == "true\n"


def test_role_prepares_a_machine_once_and_check_mode_only_says_so(
    open_source_tree: Callable[[str], RootTree], suite: str, tmp_path: Path
) -> None:
    tree = open_source_tree(suite)
    prepare = Preparer(tree.inventory_line, tmp_path)
    assert {"azure-network", "azure-foreign-tools", "azure-clock", "azure-agent"} <= prepare.audit()
    before = files_of(tree)
    foretold = changed(prepare(check=True, diff=True))
    assert files_of(tree) == before

    made = changed(prepare())
    role = "goldenimage.azure.linux_prepare : "
    # apt removes what else sets the clock, which check mode cannot know.
    foretold = [task for task in foretold if task != role + "Start no others for the same"]
    assert set(foretold) <= set(made)
    assert {
        role + "Install packages with apt",
        role + "Remove the packages of other hypervisors' tools",
        role + "Take the network from Azure's DHCP",
        role + "Keep idle connections alive, in a file of their own",
    } <= set(foretold)
    assert changed(prepare()) == []

    # The audit has definitions of its own.
    assert PROVED & prepare.audit() == set()
    # The machine as it is now, read with its own programs.
    if suite == "noble":
        netplan_asks_dhcp(tree)
    else:
        ifupdown_asks_dhcp(tree)
    assert 'DRIVERS=="hv_pci"' in tree.read("/etc/udev/rules.d/68-azure-sriov-nm-unmanaged.rules")
    assert tree.run(f"python3 -c '{CLOUD_SETTINGS}'") == "['Azure'] disabled\n"
    assert "Provisioning.Agent=cloud-init\n" in tree.read("/etc/waagent.conf")
    assert tree.run("sshd -T | grep -i clientaliveinterval") == "clientaliveinterval 180\n"
    assert "refclock PHC /dev/ptp_hyperv " in tree.run("chronyd -p -f /etc/chrony/azure.conf")
    tree.run("systemd-analyze --man=no verify chrony.service azure-temporary-swap.service")
    units = ["azure-temporary-swap.service", "chrony.service", "walinuxagent.service"]
    units.append("ssh.socket" if suite == "noble" else "ssh.service")
    assert enabled(tree, *units, "systemd-timesyncd.service", "ssh.*", "cloud-*.service") == sorted(
        [*units, *SOURCES[suite].cloud_units]
    )
    assert not tree.run("dpkg-query -W -f '${db:Status-Status}' open-vm-tools || true").startswith(
        "installed"
    )
