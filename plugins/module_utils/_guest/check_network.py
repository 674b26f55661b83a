# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Whether a guest asks for its address by DHCP, on whichever network card it finds."""

import re
from typing import Callable, Iterator, List, NamedTuple, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.check import Check, Problem
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest

_TRUE = ("true", "yes", "on")
_GENERATED = re.compile(r"(?i)^#.*cloud-init", re.MULTILINE)
_KEY = re.compile(r"^(\s*)(?:- )?([\w-]+):\s*(.*)$")


class Seen(NamedTuple):
    """What a file of network configuration says: whether DHCP is asked for, and what is fixed."""

    dhcp: bool
    fixed: List[str]


Lines = List[str]


def _netplan(lines: Lines) -> Seen:
    """The parts of netplan's YAML that matter, by indentation."""
    dhcp, fixed = False, []
    above: List[Tuple[int, str]] = []
    for line in lines:
        match = _KEY.match(line.partition("#")[0].rstrip())
        if match is None:
            continue
        indentation, key, value = len(match.group(1)), match.group(2), match.group(3).strip().lower()
        above = [(depth, name) for depth, name in above if depth < indentation]
        parents = [name for _depth, name in above]
        if key in {"dhcp4", "dhcp6"} and value in _TRUE:
            dhcp = True
        elif key == "addresses" and "nameservers" not in parents and value != "[]":
            fixed.append("a fixed address")
        elif key == "macaddress" and "match" in parents:
            fixed.append("a MAC address")
        above.append((indentation, key))
    return Seen(dhcp, fixed)


def _interfaces(lines: Lines) -> Seen:
    words = [line.split() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    stanzas = [entry for entry in words if entry[0] == "iface" and len(entry) > 3 and entry[1] != "lo"]
    fixed = ["a fixed address" for entry in stanzas if entry[3] == "static"]
    fixed += ["a MAC address" for entry in words if entry[0] == "hwaddress"]
    return Seen(any(entry[3] in {"dhcp", "auto"} for entry in stanzas), fixed)


def _ifcfg(lines: Lines) -> Seen:
    settings = {}
    for line in lines:
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            settings[name] = value.strip("\"' ").lower()
    fixed = []
    if settings.get("IPADDR") and not settings["IPADDR"].startswith("127."):
        fixed.append("a fixed address")
    if settings.get("HWADDR") or settings.get("LLADDR"):
        fixed.append("a MAC address")
    return Seen(settings.get("BOOTPROTO", "").startswith(("dhcp", "auto")), fixed)


def _sections(lines: Lines) -> Iterator[Tuple[str, str, str]]:
    """Section, name and value of each setting of an INI file."""
    section = ""
    for line in lines:
        text = line.strip()
        if text.startswith("["):
            section = text.strip("[]").lower()
        elif "=" in text and not text.startswith(("#", ";")):
            name, _equals, value = text.partition("=")
            yield section, name.strip().lower(), value.strip().lower()


def _keyfile(lines: Lines) -> Seen:
    """A connection of NetworkManager."""
    settings = {(section, name): value for section, name, value in _sections(lines)}
    fixed = ["a fixed address"] if settings.get(("ipv4", "method")) == "manual" else []
    if any(name == "mac-address" and value for (_section, name), value in settings.items()):
        fixed.append("a MAC address")
    return Seen(settings.get(("ipv4", "method")) == "auto", fixed)


def _networkd(lines: Lines) -> Seen:
    fixed = []
    dhcp = False
    for section, name, value in _sections(lines):
        if (section, name) in {("network", "address"), ("address", "address")} and value:
            fixed.append("a fixed address")
        elif (section, name) == ("match", "macaddress"):
            fixed.append("a MAC address")
        elif (section, name) == ("network", "dhcp") and value in (*_TRUE, "ipv4"):
            dhcp = True
    return Seen(dhcp, fixed)


class _Kind(NamedTuple):
    patterns: List[str]
    read: Callable[[Lines], Seen]


_KINDS = (
    _Kind(["/etc/netplan/*.yaml"], _netplan),
    _Kind(["/etc/network/interfaces", "/etc/network/interfaces.d/*"], _interfaces),
    _Kind(["/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*"], _ifcfg),
    _Kind(["/etc/NetworkManager/system-connections/*"], _keyfile),
    _Kind(["/etc/systemd/network/*.network"], _networkd),
)
# Editors and package tools leave these behind; no network program reads them.
_IGNORED = ("ifcfg-lo", ".bak", ".old", ".orig", ".rpmsave", ".rpmnew", ".template", "~")


def _network(guest: Guest) -> Iterator[Problem]:
    dhcp = False
    by_cloud_init = guest.cloud_init_sets_up_network()
    for kind in _KINDS:
        for pattern in kind.patterns:
            for path in guest.root.glob(pattern):
                if path.endswith(_IGNORED):
                    continue
                lines = guest.lines(path)
                # Written for this very machine, and again for the next: a trace, but no hindrance.
                if by_cloud_init and ("cloud-init" in path or _GENERATED.search("\n".join(lines[:5]))):
                    continue
                seen = kind.read(lines)
                dhcp = dhcp or seen.dhcp
                for fixed in sorted(set(seen.fixed)):
                    yield Problem(path, "is tied to {0}".format(fixed))
    # NetworkManager asks by DHCP where nothing else is said; cloud-init writes what Azure tells it.
    if not (dhcp or by_cloud_init or guest.has_program("NetworkManager")):
        yield Problem("/etc", "nothing asks for an address by DHCP")


CHECKS = (
    Check(
        "azure-network",
        "Fixed addresses, MAC addresses, or no DHCP at all",
        "Every network card has another MAC address on Azure, and its address comes by DHCP.",
        "error",
        _network,
    ),
)
