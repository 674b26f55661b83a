# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""DHCP in the files of whichever program sets up the network, and nothing of the old network is left."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import diff_of, make_changes
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.dhcp import (
    plan_network,
    plan_virtual_functions,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.renderers import (
    RENDERERS,
    is_physical,
    netplan_backend,
    renderer_of,
)

from tests.unit._prepare.host import Host

SECRET = "s3cr3t-passphrase"
NM = "/etc/NetworkManager/system-connections/"
SCRIPTS = "/etc/sysconfig/network-scripts/"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def enable(host: Host, unit: str) -> None:
    host.write(f"/etc/systemd/system/multi-user.target.wants/{unit}", "")


def program(host: Host, name: str) -> None:
    host.write(f"/usr/sbin/{name}", "")


def set_up(host: Host, renderer: str, *, by_cloud_init: bool = False) -> None:
    """Make the changes; a second look finds nothing to do."""
    guest = Guest(host.root)
    make_changes(host.root, plan_network(guest, renderer, by_cloud_init))
    assert plan_network(guest, renderer, by_cloud_init) == []


def names(host: Host, directory: str) -> list[str]:
    return sorted(path.name for path in (host.top / directory.lstrip("/")).iterdir())


def interfaces(host: Host, text: str) -> None:
    program(host, "ifup")
    program(host, "dhclient")
    enable(host, "networking.service")
    host.write("/etc/network/interfaces", text)


# Who sets up the network


def test_netplan_with_files_comes_before_what_it_hands_its_work_to(host: Host) -> None:
    program(host, "netplan")
    enable(host, "systemd-networkd.service")
    assert renderer_of(Guest(host.root)) == "networkd"
    host.write("/etc/netplan/01-netcfg.yaml", "network: {version: 2}\n")
    assert renderer_of(Guest(host.root)) == "netplan"


def test_ifupdown_counts_only_where_it_names_a_card(host: Host) -> None:
    interfaces(host, "auto lo\niface lo inet loopback\n")
    assert renderer_of(Guest(host.root)) == "ifupdown"
    enable(host, "NetworkManager.service")
    assert renderer_of(Guest(host.root)) == "networkmanager"
    host.write("/etc/network/interfaces.d/lan", "iface enp0s3 inet dhcp\n")
    assert renderer_of(Guest(host.root)) == "ifupdown"


def test_wicked_is_enabled_by_its_alias(host: Host) -> None:
    (host.top / "etc/systemd/system").mkdir(parents=True)
    (host.top / "etc/systemd/system/network.service").symlink_to("/usr/lib/systemd/system/wicked.service")
    assert renderer_of(Guest(host.root)) == "wicked"


def test_masked_program_sets_up_nothing(host: Host) -> None:
    enable(host, "NetworkManager.service")
    (host.top / "etc/systemd/system/NetworkManager.service").symlink_to("/dev/null")
    with pytest.raises(GuestError, match="nothing is enabled that would set up a network"):
        renderer_of(Guest(host.root))


def test_netplan_keeps_who_does_its_work(host: Host) -> None:
    guest = Guest(host.root)
    assert netplan_backend(guest) == "networkd"
    enable(host, "NetworkManager.service")
    assert netplan_backend(guest) == "NetworkManager"
    enable(host, "systemd-networkd.service")
    assert netplan_backend(guest) == "networkd"
    host.write("/etc/netplan/01-desktop.yaml", "network:\n  version: 2\n  renderer: NetworkManager\n")
    assert netplan_backend(guest) == "NetworkManager"


@pytest.mark.parametrize(
    ("name", "physical"),
    [
        *(
            (name, True)
            for name in ("eth0", "eth0.7", "ens192", "enp0s3", "eno1", "em1", "bond0", "team0", "ib0")
        ),
        *(
            (name, False)
            for name in ("lo", "br0", "docker0", "veth1a", "virbr0", "wg0", "tun0", "dummy0", "erspan0")
        ),
    ],
)
def test_cards_are_told_from_what_programs_make(name: str, physical: bool) -> None:
    assert is_physical(name) is physical


# What each of them gets


def test_netplan_has_dhcp_alone(host: Host) -> None:
    host.write("/etc/netplan/00-installer-config.yaml", f"network: {{wifis: {{password: {SECRET}}}}}\n")
    guest = Guest(host.root)
    shown = diff_of(plan_network(guest, "netplan", False))
    assert SECRET not in str(shown)
    set_up(host, "netplan")
    assert names(host, "/etc/netplan") == ["90-azure.yaml"]
    assert (host.top / "etc/netplan/90-azure.yaml").stat().st_mode & 0o777 == 0o600
    network = yaml.safe_load(host.read("/etc/netplan/90-azure.yaml"))["network"]
    assert (network["version"], network["renderer"]) == (2, "networkd")
    cards = network["ethernets"]
    # netplan names networkd's files after these, and the first that matches counts.
    assert sorted(cards) == ["azure-first", "azure-others"]
    assert cards["azure-first"]["match"] == {"name": "eth0"}
    assert all(card["dhcp4"] for card in cards.values())
    metrics = [cards[name]["dhcp4-overrides"]["route-metric"] for name in sorted(cards)]
    assert metrics == sorted(metrics)


def test_networkd_has_dhcp_and_keeps_what_is_for_no_card(host: Host) -> None:
    kept = {
        "br0.netdev": "[NetDev]\nName=br0\nKind=bridge\n",
        "br0.network": "[Match]\nName=br0\n\n[Network]\nAddress=198.51.100.1/24\n",
        "docker.network": "[Match]\nName=veth* docker0\n\n[Link]\nUnmanaged=yes\n",
        "70-policy.link": "[Match]\nOriginalName=*\n\n[Link]\nNamePolicy=keep\n",
    }
    gone = {
        "lan.network": "[Match]\nName=en*\n\n[Network]\nAddress=192.0.2.9/24\n",
        "mac.network": "[Match]\nMACAddress=00:11:22:33:44:55\n[Network]\nDHCP=yes\n",
        "all.network": "[Match]\nType=ether\n[Network]\nDHCP=yes\n",
        "lan.link": "[Match]\nMACAddress=00:11:22:33:44:55\n[Link]\nName=lan0\n",
    }
    for name, text in {**kept, **gone}.items():
        host.write(f"/etc/systemd/network/{name}", text)
    make_changes(host.root, plan_virtual_functions(Guest(host.root), "networkd"))
    set_up(host, "networkd")
    ours = ["01-azure-virtual-functions.network", "10-azure-first.network", "11-azure-others.network"]
    assert names(host, "/etc/systemd/network") == sorted([*kept, *ours])
    first = host.read("/etc/systemd/network/10-azure-first.network")
    assert "Name=eth0\n" in first
    assert "DHCP=ipv4\n" in first


def test_networkmanager_has_one_connection_for_all_cards_and_no_gateway_of_before(host: Host) -> None:
    wired = (
        f"[connection]\nid=lan\ntype=ethernet\n[802-1x]\npassword={SECRET}\n[ipv4]\naddress1=192.0.2.9/24\n"
    )
    host.write(NM + "lan.nmconnection", wired)
    host.write(NM + "docker0.nmconnection", "[connection]\nid=docker0\ntype=bridge\n")
    host.write(SCRIPTS + "ifcfg-ens192", "DEVICE=ens192\nIPADDR=192.0.2.9\n")
    host.write(SCRIPTS + "route-ens192", "default via 192.0.2.1\n")
    host.write(SCRIPTS + "ifcfg-Wired_1", "TYPE=Ethernet\nIPADDR=192.0.2.10\n")
    host.write(SCRIPTS + "ifcfg-lo", "DEVICE=lo\n")
    host.write("/etc/sysconfig/network", "NETWORKING=yes\nGATEWAY=192.0.2.1\n")
    assert SECRET not in str(diff_of(plan_network(Guest(host.root), "networkmanager", False)))
    set_up(host, "networkmanager")
    assert names(host, NM) == ["azure-dhcp.nmconnection", "docker0.nmconnection"]
    assert (host.top / NM[1:] / "azure-dhcp.nmconnection").stat().st_mode & 0o777 == 0o600
    assert "\n[ipv4]\nmethod=auto\n" in host.read(NM + "azure-dhcp.nmconnection")
    assert names(host, SCRIPTS) == ["ifcfg-lo"]
    assert host.read("/etc/sysconfig/network") == "NETWORKING=yes\n"


def test_wicked_has_dhcp_on_the_first_card_and_no_routes_of_before(host: Host) -> None:
    top = "/etc/sysconfig/network/"
    host.write(top + "ifcfg-eth0", "BOOTPROTO='static'\nIPADDR='192.0.2.9/24'\n")
    host.write(top + "ifcfg-eth1", "BOOTPROTO='static'\n")
    host.write(top + "ifroute-eth0", "default 192.0.2.1\n")
    host.write(top + "ifcfg-lo", "STARTMODE='nfsroot'\n")
    host.write(top + "routes", "default 192.0.2.1\n")
    host.write(top + "dhcp", '# the name\nDHCLIENT_SET_HOSTNAME="yes"\nDHCLIENT_DEBUG="no"\n')
    set_up(host, "wicked")
    assert names(host, top) == ["dhcp", "ifcfg-eth0", "ifcfg-lo"]
    assert "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n" in host.read(top + "ifcfg-eth0")
    assert host.read(top + "dhcp") == '# the name\nDHCLIENT_SET_HOSTNAME="no"\nDHCLIENT_DEBUG="no"\n'


def test_ifupdown_keeps_loopback_and_bridges(host: Host) -> None:
    interfaces(
        host,
        "# the loopback\nauto lo ens18\niface lo inet loopback\n\niface ens18 inet static\n"
        "\taddress 192.0.2.9/24\n\tgateway 192.0.2.1\n\n"
        "auto br0\niface br0 inet manual\n\tbridge_ports none\n",
    )
    host.write("/etc/network/interfaces.d/lan", "allow-hotplug ens19\niface ens19 inet dhcp\n")
    set_up(host, "ifupdown")
    assert host.read("/etc/network/interfaces") == (
        "# the loopback\nauto lo\niface lo inet loopback\n\nauto br0\niface br0 inet manual\n"
        "\tbridge_ports none\nsource /etc/network/interfaces.d/*\n"
    )
    assert names(host, "/etc/network/interfaces.d") == ["azure"]
    assert "iface eth0 inet dhcp\n" in host.read("/etc/network/interfaces.d/azure")


def test_ifupdown_without_a_dhcp_client_is_refused(host: Host) -> None:
    interfaces(host, "iface lo inet loopback\n")
    (host.top / "usr/sbin/dhclient").unlink()
    with pytest.raises(GuestError, match=r"no DHCP client.*dhclient, dhcpcd, udhcpc"):
        plan_network(Guest(host.root), "ifupdown", False)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_cloud_init_keeps_its_files_and_ours_go(host: Host, renderer: str) -> None:
    program(host, "dhclient")
    written = {
        "netplan": "/etc/netplan/50-cloud-init.yaml",
        "networkd": "/etc/systemd/network/10-cloud-init-eth0.network",
        "networkmanager": NM + "cloud-init-eth0.nmconnection",
        "wicked": "/etc/sysconfig/network/ifcfg-eth0",
        "ifupdown": "/etc/network/interfaces.d/50-cloud-init",
    }[renderer]
    text = "# Created by cloud-init.\n[Match]\nName=eth0\ntype=ethernet\niface eth0 inet dhcp\n"
    host.write(written, text)
    if renderer != "wicked":
        set_up(host, renderer)
        host.write(written, text)
    set_up(host, renderer, by_cloud_init=True)
    assert host.read(written) == text
    left = [str(path.relative_to(host.top)) for path in host.top.rglob("*azure*")]
    assert left == []


@pytest.mark.parametrize("renderer", RENDERERS)
def test_virtual_functions_are_left_to_their_cards(host: Host, renderer: str) -> None:
    guest = Guest(host.root)
    make_changes(host.root, plan_virtual_functions(guest, renderer))
    assert plan_virtual_functions(guest, renderer) == []
    rule = host.read("/etc/udev/rules.d/68-azure-sriov-nm-unmanaged.rules")
    assert 'DRIVERS=="hv_pci"' in rule
    assert 'ENV{NM_UNMANAGED}="1"' in rule
    has_link = (host.top / "etc/systemd/network/01-azure-virtual-functions.network").exists()
    assert has_link is (renderer in {"netplan", "networkd"})


def test_keys_of_wireless_networks_are_not_shown(host: Host) -> None:
    wireless = "iface wlan0 inet dhcp\n  wpa-psk s3cr3t one\n  wpa-key-mgmt x\n"
    host.write("/usr/sbin/dhclient", "")
    host.write("/etc/network/interfaces", "iface eth0 inet static\n  address 192.0.2.1\n" + wireless)
    changes = plan_network(Guest(host.root), "ifupdown", False)
    host.write("/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='static'\nWPA_EAP_PASSWORD='s3cr3t'\n")
    shown = str(diff_of(changes + plan_network(Guest(host.root), "wicked", False)))
    assert "s3cr3t" not in shown
    assert "wpa-psk (not shown)" in shown
    assert "wpa-key-mgmt x" in shown
    make_changes(host.root, changes)
    assert host.read("/etc/network/interfaces").startswith(wireless)
