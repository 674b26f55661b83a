# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Which program sets up the network of a machine at boot."""

import re
from typing import List

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import expand
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

RENDERERS = ("netplan", "networkmanager", "networkd", "wicked", "ifupdown")
DHCP_CLIENTS = ("dhclient", "dhcpcd", "udhcpc")
INTERFACES_FILES = ("/etc/network/interfaces", "/etc/network/interfaces.d/*")

_PHYSICAL = re.compile(r"^(e(th|m|n)|bond|team|ib)")
_STANZA = re.compile(r"^\s*iface\s+(\S+)")


def is_physical(name: str) -> bool:
    """Whether an interface, by its name, is a network card or made of them, and no bridge, tunnel or the
    like of programs on the machine."""
    return bool(_PHYSICAL.match(name))


def renderer_of(guest: Guest) -> str:
    """One of :data:`RENDERERS`. Raises GuestError when none is installed and enabled.

    Where several are, the one counts that has something to set up: Debian's desktops leave to NetworkManager
    what ifupdown does not name, and netplan hands its work on to another of these.
    """
    found = _candidates(guest)
    if not found:
        raise GuestError(
            "nothing is enabled that would set up a network: neither netplan, NetworkManager, "
            "systemd-networkd, wicked nor ifupdown; install and enable one"
        )
    return found[0]


def has_dhcp_client(guest: Guest) -> bool:
    """Whether there is a DHCP client for those who have none in themselves: ifupdown and cloud-init."""
    return any(guest.has_program(client) for client in DHCP_CLIENTS)


def netplan_backend(guest: Guest) -> str:
    """Who does netplan's work, as its files name it."""
    for path in guest.root.glob("/etc/netplan/*.yaml") + guest.root.glob("/usr/lib/netplan/*.yaml"):
        if any(re.match(r"^\s+renderer:\s*[\"']?NetworkManager", line) for line in guest.lines(path)):
            return "NetworkManager"
    manager = is_enabled(guest, "NetworkManager.service")
    return "NetworkManager" if manager and not is_enabled(guest, "systemd-networkd.service") else "networkd"


def is_enabled(guest: Guest, unit: str) -> bool:
    """Whether systemd starts a unit at boot: it is linked from what another one wants, or under an alias."""
    root = guest.root
    if root.readlink("/etc/systemd/system/" + unit) == "/dev/null":
        return False
    wanting = "/{etc,usr/lib,lib}/systemd/system/*.{wants,requires}/" + unit
    if any(root.glob(pattern) for pattern in expand(wanting)):
        return True
    links = (root.readlink(path) for path in root.glob("/etc/systemd/system/*.service"))
    return any(link.rpartition("/")[2] == unit for link in links)


def _candidates(guest: Guest) -> List[str]:
    root = guest.root
    has_netplan = guest.has_program("netplan")
    has_ifupdown = guest.has_program("ifup") and is_enabled(guest, "networking.service")
    found = []
    if has_netplan and root.glob("/etc/netplan/*.yaml"):
        found.append("netplan")
    if has_ifupdown and _names_cards(guest):
        found.append("ifupdown")
    if is_enabled(guest, "wicked.service"):
        found.append("wicked")
    if is_enabled(guest, "NetworkManager.service"):
        found.append("networkmanager")
    if is_enabled(guest, "systemd-networkd.service"):
        found.append("networkd")
    if has_netplan:
        found.append("netplan")
    if has_ifupdown:
        found.append("ifupdown")
    return found


def _names_cards(guest: Guest) -> bool:
    for pattern in INTERFACES_FILES:
        for path in guest.root.glob(pattern):
            stanzas = (_STANZA.match(line) for line in guest.lines(path))
            if any(found is not None and is_physical(found.group(1)) for found in stanzas):
                return True
    return False
