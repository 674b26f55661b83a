# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The network namespace that a guest's interface is plugged into: Azure's addresses, and nothing else.

A pair of virtual Ethernet devices: the kernel's network stack, with the gateway's and Azure's addresses, has
one end, and the guest's frames come and go at the other through a packet socket. Unlike a tap device that
needs no /dev/net/tun, which ordinary users often may not open.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import ipaddress
import socket
import struct

from tests.guests.lab.programs import run_program
from tests.local_azure.guest_environment.record import Environment

WIRE_SERVER = "168.63.129.16"
METADATA_SERVICE = "169.254.169.254"
#: The kernel's end.
HOST_SIDE = "host0"
_GUEST_SIDE = "wire0"
# Every gateway of an Azure virtual network has this address.
_GATEWAY_MAC = "12:34:56:78:9a:bc"

_SIOCETHTOOL = 0x8946
_ETHTOOL_SET_TX_CHECKSUM = 0x17
_ETH_P_ALL = 3
_SOL_PACKET = 263
_PACKET_IGNORE_OUTGOING = 23


def gateway_of(prefix: str) -> str:
    """The first address of a subnet is Azure's gateway."""
    return str(ipaddress.ip_network(prefix)[1])


def enter(environment: Environment) -> None:
    """Set up the devices and addresses in this process's namespace, which has to be a new one.

    Raises ProgramError with iproute2's own words.
    """
    length = ipaddress.ip_network(environment.prefix).prefixlen
    commands = [
        "link set lo up",
        f"link add {HOST_SIDE} address {_GATEWAY_MAC} type veth peer name {_GUEST_SIDE}",
        # The kernel is not to answer at the guest's end.
        f"link set {_GUEST_SIDE} addrgenmode none arp off up",
        f"link set {HOST_SIDE} addrgenmode none up",
        f"addr add {gateway_of(environment.prefix)}/{length} dev {HOST_SIDE}",
        f"addr add {WIRE_SERVER}/32 dev {HOST_SIDE}",
        f"addr add {METADATA_SERVICE}/32 dev {HOST_SIDE}",
    ]
    run_program(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n")
    _send_whole_frames(HOST_SIDE)


def open_guest_side() -> socket.socket:
    """A socket that receives and sends the frames of the guest's end."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    end.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    end.bind((_GUEST_SIDE, 0))
    end.setblocking(False)
    return end


def send_frame(end: socket.socket, frame: bytes) -> None:
    """Put a frame on the wire; one that does not fit or finds the queue full is lost, as on any wire."""
    try:
        end.send(frame)
    except OSError as error:
        with contextlib.suppress(BlockingIOError):
            if error.errno not in (errno.ENOBUFS, errno.EMSGSIZE, errno.ENETDOWN, errno.EINVAL):
                raise


def _send_whole_frames(device: str) -> None:
    """Have the kernel compute checksums and cut segments itself: no hardware comes after it to do that."""
    value = array.array("I", [_ETHTOOL_SET_TX_CHECKSUM, 0])
    request = struct.pack("16sP16x", device.encode(), value.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request)
