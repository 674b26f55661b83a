# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""DHCP on every network card, in the files of the program that sets up the network, and nothing of the
machine's present network besides.

The first card on Azure is eth0, as devices of Hyper-V have no place on a bus to be named after. Its routes
are preferred to those of further cards. A virtual function (accelerated networking) belongs to its synthetic
card and is not set up at all. Facts: netplan(5), systemd.network(5), nm-settings-keyfile(5), interfaces(5),
ifcfg(5) of wicked, and Azure's articles on accelerated networking and on RHEL and SLES images.
"""

import re
from typing import Callable, Dict, List, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.changes import (
    FileChange,
    change_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.renderers import (
    DHCP_CLIENTS,
    INTERFACES_FILES,
    has_dhcp_client,
    is_physical,
    netplan_backend,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._prepare.settings import (
    joined,
    read_settings,
    with_settings,
)

Files = Dict[str, Optional[str]]

FIRST_CARD = "eth0"
# networkd takes the first file that matches: 01 is before what netplan (10-) and administrators write.
_VIRTUAL_FUNCTIONS_RULE = "/etc/udev/rules.d/68-azure-sriov-nm-unmanaged.rules"
_VIRTUAL_FUNCTIONS_LINK = "/etc/systemd/network/01-azure-virtual-functions.network"
_NETPLAN = "/etc/netplan/90-azure.yaml"
_NETWORKD = "/etc/systemd/network/{0}.network"
_NETWORKD_CARDS = (("10-azure-first", FIRST_CARD, 100), ("11-azure-others", "e*", 200))
_NM_DIR = "/etc/NetworkManager/system-connections/"
_NM = _NM_DIR + "azure-dhcp.nmconnection"
_IFUPDOWN = "/etc/network/interfaces.d/azure"
_SYSCONFIG = "/etc/sysconfig/network/"
_WICKED = _SYSCONFIG + "ifcfg-" + FIRST_CARD
_RH_SCRIPTS = "/etc/sysconfig/network-scripts/"
_HEADER = "# Written by the Ansible role goldenimage.azure.linux_prepare.\n"
_CARD_TYPES = ("ethernet", "802-3-ethernet", "bond", "team", "vlan", "infiniband")
_SOURCE = re.compile(r"^\s*source(-directory)?\s+(/etc/network/)?interfaces\.d")
_RH_GATEWAYS = re.compile(r"^\s*(GATEWAY|GATEWAYDEV|IPV6_DEFAULTGW|HOSTNAME)\s*=")

# Interfaces on the virtual PCI bus of Hyper-V are virtual functions.
_RULE = (
    _HEADER + 'SUBSYSTEM=="net", DRIVERS=="hv_pci", ACTION!="remove", ENV{NM_UNMANAGED}="1", '
    'ENV{AZURE_UNMANAGED_SRIOV}="1"\n'
)
_UNMANAGED = (
    # systemd before 243 does not know Property=, and would take the section for one that matches everything.
    _HEADER + "[Match]\nProperty=AZURE_UNMANAGED_SRIOV=1\nDriver=mlx4_en mlx5_core mana\n\n"
    "[Link]\nUnmanaged=yes\nRequiredForOnline=no\n"
)


def plan_virtual_functions(guest: Guest, renderer: str) -> List[FileChange]:
    """Leave virtual functions to their synthetic cards; ifupdown and wicked do so by themselves."""
    wanted: Files = {_VIRTUAL_FUNCTIONS_RULE: _RULE}
    if renderer in {"netplan", "networkd"}:
        wanted[_VIRTUAL_FUNCTIONS_LINK] = _UNMANAGED
    return _changes(guest, wanted)


def plan_network(guest: Guest, renderer: str, by_cloud_init: bool) -> List[FileChange]:
    """DHCP in the files of a renderer, or none when cloud-init writes them on each machine; and the files
    away that were made for the present network. Raises GuestError when the renderer has no DHCP client.

    What cloud-init has written stays when it is to write again: it does so on a new machine only, and this
    one may be started once more before.
    """
    stale, wanted = _PLANS[renderer](guest)
    if by_cloud_init:
        return _changes(
            guest, {path: text for path, text in stale.items() if not _by_cloud_init(guest, path)}
        )
    stale.update(wanted)
    return _changes(guest, stale)


def _by_cloud_init(guest: Guest, path: str) -> bool:
    return "cloud-init" in path or any("cloud-init" in line for line in guest.lines(path)[:5])


def _changes(guest: Guest, files: Files) -> List[FileChange]:
    changes = []
    for path, text in files.items():
        secret = path.startswith((_NM_DIR, _RH_SCRIPTS, "/etc/netplan/"))
        mode = 0o600 if text is not None and path in {_NM, _NETPLAN} else None
        changes.extend(change_of(guest.tree, path, text, mode, secret))
    return changes


def _netplan(guest: Guest) -> Tuple[Files, Files]:
    stale: Files = dict.fromkeys(guest.root.glob("/etc/netplan/*.yaml"))
    backend = netplan_backend(guest)
    card = "      dhcp4: true\n      dhcp4-overrides: {{route-metric: {0}}}\n"
    text = (
        _HEADER + "network:\n  version: 2\n  renderer: " + backend + "\n  ethernets:\n"
        '    azure-first:\n      match: {name: "'
        + FIRST_CARD
        + '"}\n'
        + card.format(100)
        + '    azure-others:\n      match: {name: "e*"}\n'
        + card.format(200)
    )
    return stale, {_NETPLAN: text}


def _networkd(guest: Guest) -> Tuple[Files, Files]:
    stale: Files = {}
    for path in guest.root.glob("/etc/systemd/network/*.network"):
        if path != _VIRTUAL_FUNCTIONS_LINK and _matches_cards(guest.lines(path)):
            stale[path] = None
    for path in guest.root.glob("/etc/systemd/network/*.link"):
        if any(
            re.match(r"^\s*(MACAddress|PermanentMACAddress|Path)\s*=", line) for line in guest.lines(path)
        ):
            stale[path] = None
    wanted: Files = {}
    for name, pattern, metric in _NETWORKD_CARDS:
        wanted[_NETWORKD.format(name)] = (
            _HEADER
            + "[Match]\nType=ether\nName={0}\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nRouteMetric={1}\n".format(
                pattern, metric
            )
        )
    return stale, wanted


def _matches_cards(lines: List[str]) -> bool:
    """Whether a .network file is meant for network cards: by name, by address or by kind."""
    section = ""
    for line in lines:
        text = line.strip()
        if text.startswith("["):
            section = text
        key, _equals, value = (part.strip() for part in text.partition("="))
        if section != "[Match]":
            continue
        if key in {"MACAddress", "PermanentMACAddress", "Path", "Driver"} or (key, value) == (
            "Type",
            "ether",
        ):
            return True
        if key in {"Name", "OriginalName"} and any(
            is_physical(word) or word in {"*", "e*"} for word in value.split()
        ):
            return True
    return False


def _networkmanager(guest: Guest) -> Tuple[Files, Files]:
    stale: Files = {}
    for path in guest.root.glob(_NM_DIR + "*"):
        kinds = [read_settings([line]).get("type", "") for line in guest.lines(path)]
        if any(kind in _CARD_TYPES for kind in kinds):
            stale[path] = None
    for path in guest.root.glob(_RH_SCRIPTS + "*-*"):
        kind, _dash, name = path.rpartition("/")[2].partition("-")
        cards = ("ifcfg", "route", "route6", "rule", "rule6", "keys")
        if kind in cards and (is_physical(name) or _is_card(guest.lines(path))):
            stale[path] = None
    lines = guest.lines("/etc/sysconfig/network")
    kept = [line for line in lines if not _RH_GATEWAYS.match(line)]
    if kept != lines:
        stale["/etc/sysconfig/network"] = joined(kept)
    text = (
        _HEADER + "[connection]\nid=azure-dhcp\ntype=ethernet\nmulti-connect=3\n\n"
        "[match]\ninterface-name=e*;\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n"
    )
    return stale, {_NM: text}


def _is_card(lines: List[str]) -> bool:
    values = read_settings(lines)
    return is_physical(values.get("DEVICE", "")) or values.get("TYPE", "").lower() in {"ethernet", "bond"}


def _wicked(guest: Guest) -> Tuple[Files, Files]:
    stale: Files = {}
    for path in guest.root.glob(_SYSCONFIG + "if*-*"):
        kind, _dash, name = path.rpartition("/")[2].partition("-")
        if kind in {"ifcfg", "ifroute", "ifrule", "ifsysctl"} and is_physical(name):
            stale[path] = None
    if guest.root.stat(_SYSCONFIG + "routes") is not None:
        stale[_SYSCONFIG + "routes"] = None
    wanted: Files = {_WICKED: _HEADER + "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n"}
    # The platform names the machine; a name from DHCP would come in between.
    defaults = _SYSCONFIG + "dhcp"
    own = {"DHCLIENT_SET_HOSTNAME": "no"}
    wanted[defaults] = joined(with_settings(guest.lines(defaults), own, quote='"'))
    return stale, wanted


def _ifupdown(guest: Guest) -> Tuple[Files, Files]:
    if not has_dhcp_client(guest):
        raise GuestError(
            "ifupdown has no DHCP client to call: none of {0} is installed; install one".format(
                ", ".join(DHCP_CLIENTS)
            )
        )
    stale: Files = {}
    for pattern in INTERFACES_FILES:
        for path in guest.root.glob(pattern):
            lines = guest.lines(path)
            kept = _without_cards(lines)
            if kept != lines:
                says_more = any(line.strip() and not line.lstrip().startswith("#") for line in kept)
                stale[path] = joined(kept) if says_more else None
    main = _without_cards(guest.lines(INTERFACES_FILES[0]))
    if not any(_SOURCE.match(line) for line in main):
        main.append("source /etc/network/interfaces.d/*")
    stale[INTERFACES_FILES[0]] = joined(main)
    text = "allow-hotplug {0}\niface {0} inet dhcp\n".format(FIRST_CARD)
    return stale, {_IFUPDOWN: _HEADER + text}


_STARTS = ("iface", "auto", "mapping", "source", "source-directory", "rename", "template", "no-auto-down")


def _without_cards(lines: List[str]) -> List[str]:
    """The lines of interfaces(5) without what is about network cards."""
    kept = []
    dropping = False
    for line in lines:
        words = line.split()
        if words and (words[0] in _STARTS or words[0].startswith(("allow-", "no-"))):
            if words[0] == "auto" or words[0].startswith(("allow-", "no-")):
                others = [word for word in words[1:] if not is_physical(word)]
                dropping = not others
                if others and others != words[1:]:
                    kept.append(" ".join([words[0], *others]))
                    continue
            else:
                dropping = words[0] in {"iface", "mapping"} and len(words) > 1 and is_physical(words[1])
        if not dropping or (words and words[0].startswith("#")):
            kept.append(line)
    return kept


_PLANS: Dict[str, Callable[[Guest], Tuple[Files, Files]]] = {
    "netplan": _netplan,
    "networkd": _networkd,
    "networkmanager": _networkmanager,
    "wicked": _wicked,
    "ifupdown": _ifupdown,
}
