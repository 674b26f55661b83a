# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""DHCP and DNS as a guest on Azure sees them, by dnsmasq.

The lease never ends, option 245 is the wire server's address and option 121 has the routes that Azure sends
(Microsoft Learn, "What is IP address 168.63.129.16"). Names are only those of the guest itself: there is no
way out of the namespace.
"""

from __future__ import annotations

import ipaddress
import subprocess
import sys
import time
from pathlib import Path

from tests.local_azure.guest_environment.network_namespace import (
    HOST_SIDE,
    METADATA_SERVICE,
    WIRE_SERVER,
    gateway_of,
)
from tests.local_azure.guest_environment.record import Environment

# The DHCP server's port as /proc/net/udp has it, where this process's namespace shows its sockets.
_LISTENS = ":0043 "
_START_SECONDS = 20


class AddressServiceError(Exception):
    """dnsmasq has ended, or does not listen; its own words are on standard error."""


def start_dnsmasq(environment: Environment) -> subprocess.Popen[bytes]:
    """Start it and wait until it answers. It does not outlive this process, however that ends."""
    command = ["setpriv", "--pdeathsig", "KILL", *dnsmasq_command(environment)]
    dnsmasq = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    deadline = time.monotonic() + _START_SECONDS
    while _LISTENS not in Path("/proc/net/udp").read_text():
        if dnsmasq.poll() is not None or time.monotonic() > deadline:
            dnsmasq.kill()
            raise AddressServiceError("dnsmasq did not start")
        time.sleep(0.02)
    return dnsmasq


def dnsmasq_command(environment: Environment) -> list[str]:
    """The command line; it stays in the foreground and writes no file."""
    network = ipaddress.ip_network(environment.prefix)
    gateway = gateway_of(environment.prefix)
    routes = ["0.0.0.0/0", f"{WIRE_SERVER}/32", f"{METADATA_SERVICE}/32"]
    name = environment.computer_name
    return [
        # In the foreground dnsmasq also stays who it is: there is nobody else in a user's namespace.
        *("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--leasefile-ro"),
        *("--bind-interfaces", f"--interface={HOST_SIDE}", "--except-interface=lo"),
        *("--no-resolv", "--no-hosts", "--address=/#/", f"--domain={environment.domain}"),
        f"--host-record={name},{name}.{environment.domain},{environment.address}",
        *("--dhcp-authoritative", "--no-ping"),
        f"--dhcp-range={network.network_address},static,{network.netmask},infinite",
        f"--dhcp-host={environment.mac},{environment.address},infinite",
        f"--dhcp-option=option:router,{gateway}",
        f"--dhcp-option=option:dns-server,{WIRE_SERVER}",
        "--dhcp-option=121," + ",".join(f"{route},{gateway}" for route in routes),
        f"--dhcp-option-force=245,{WIRE_SERVER}",
    ]
