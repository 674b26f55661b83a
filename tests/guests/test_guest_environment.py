# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A guest's network on Azure, without a guest: the test is what is plugged into the cable, or runs inside."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.guests.environment_inside import run_inside
from tests.guests.lab.machine import free_port
from tests.guests.lab.processes import load_identity
from tests.local_azure.guest_environment import launch, record

ADDRESS = "127.64.0.12"
MAC = bytes.fromhex("000d3a010203")
MAGIC_COOKIE = bytes.fromhex("63825363")
DISCOVER = b"\x35\x01\x01\xff"
READY = """
import urllib.request
goal = urllib.request.Request("http://168.63.129.16/machine/?comp=goalstate")
goal.add_header("x-ms-version", "2012-11-30")
print(b"<GoalState" in urllib.request.urlopen(goal).read())
meta = urllib.request.Request("http://169.254.169.254/metadata/instance/compute/name?api-version=2021-08-01&format=text")
meta.add_header("Metadata", "true")
print(urllib.request.urlopen(meta).read().decode())
print(urllib.request.urlopen("http://168.63.129.16:32526/versions").status)
"""


class Plugged:
    """An environment, and the cable that QEMU would have."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port(ADDRESS)
        self.environment = record.Environment(
            vm_id="0b6b4a52-6d3c-4c2c-8f0f-9d0d7f3a1c11",
            vm_name="web-1",
            computer_name="web1",
            location="westeurope",
            mac=MAC.hex(":"),
            address="10.1.0.4",
            prefix="10.1.0.0/24",
            forwards=(22,),
            identity_socket="../identity",
        )
        record.save_instance(directory, {"compute": {"name": "web-1"}})
        launch.launch(directory, self.environment, [(ADDRESS, self.port)])
        self.cable = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.cable.settimeout(20)
        folder = os.open(directory, os.O_PATH)
        self.cable.connect(f"/proc/self/fd/{folder}/{record.CABLE}")
        os.close(folder)

    def send(self, frame: bytes) -> None:
        self.cable.sendall(len(frame).to_bytes(4, "big") + frame)

    def receive(self, wanted: Callable[[bytes], bool]) -> bytes:
        """The next frame that is wanted."""
        while True:
            length = int.from_bytes(self._exactly(4), "big")
            frame = self._exactly(length)
            if wanted(frame):
                return frame

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            more = self.cable.recv(length - len(data))
            assert more, "the environment has ended"
            data += more
        return data

    def close(self) -> None:
        self.cable.close()
        launch.end(self.directory)


@pytest.fixture
def plugged(tmp_path: Path) -> Iterator[Plugged]:
    made = Plugged(tmp_path)
    yield made
    made.close()


def test_dhcp_offers_what_azure_does(plugged: Plugged) -> None:
    plugged.send(dhcp_discover())
    offer = plugged.receive(lambda frame: frame[:6] in (MAC, b"\xff" * 6) and MAGIC_COOKIE in frame)
    options = dhcp_options(offer)
    reply = offer[14 + 20 + 8 :]
    assert socket.inet_ntoa(reply[16:20]) == "10.1.0.4"
    assert socket.inet_ntoa(options[245]) == "168.63.129.16"
    assert socket.inet_ntoa(options[3]) == "10.1.0.1"
    assert socket.inet_ntoa(options[6]) == "168.63.129.16"
    assert options[51] == b"\xff" * 4
    assert options[15].endswith(b".internal.cloudapp.net")
    gateway = socket.inet_aton("10.1.0.1")
    assert options[121] == b"".join(
        [
            b"\x00" + gateway,
            b"\x20" + socket.inet_aton("168.63.129.16") + gateway,
            b"\x20" + socket.inet_aton("169.254.169.254") + gateway,
        ]
    )


def test_wire_server_host_plugin_and_metadata_service_answer_inside(plugged: Plugged) -> None:
    assert run_inside(plugged.directory, READY) == ["True", "web-1", "200"]
    for address in ("168.63.129.16", "169.254.169.254"):
        # The host itself has no part in it.
        with socket.socket() as probe, pytest.raises(OSError, match="Cannot assign"):
            probe.bind((address, 0))


def test_host_connects_to_the_guest_with_whole_checksums(plugged: Plugged) -> None:
    def knock() -> None:
        with socket.create_connection((ADDRESS, plugged.port), 5):
            pass

    thread = threading.Thread(target=knock)
    thread.start()
    asked = plugged.receive(lambda frame: frame[12:14] == b"\x08\x06" and frame[38:42] == b"\x0a\x01\x00\x04")
    plugged.send(arp_reply(asked))
    synchronize = plugged.receive(lambda frame: frame[12:14] == b"\x08\x00" and frame[23] == 6)
    thread.join()
    segment = synchronize[34:]
    assert int.from_bytes(segment[2:4], "big") == 22
    pseudo_header = synchronize[26:34] + b"\x00\x06" + len(segment).to_bytes(2, "big")
    assert internet_checksum(pseudo_header + segment) == 0


def test_environment_ends_when_its_guest_does(plugged: Plugged) -> None:
    identity = load_identity(plugged.directory / "environment.pid")
    assert identity is not None
    plugged.cable.close()
    assert identity.wait(20)
    socket.create_server((ADDRESS, plugged.port)).close()


def test_environment_that_cannot_start_says_why(tmp_path: Path) -> None:
    wrong = record.Environment(
        *("0b6b4a52-6d3c-4c2c-8f0f-9d0d7f3a1c11", "vm", "vm", "westeurope", MAC.hex(":"), "10.1.0.4"),
        *("nowhere/24", (), "../identity"),
    )
    with pytest.raises(launch.LaunchError, match="nowhere/24"):
        launch.launch(tmp_path, wrong, [])
    assert not list(tmp_path.glob("*.pid"))


# Frames.


def internet_checksum(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def dhcp_discover() -> bytes:
    request = b"\x01\x01\x06\x00" + secrets.token_bytes(4) + b"\0\0\x80\0" + bytes(16) + MAC.ljust(16, b"\0")
    body = request + bytes(192) + MAGIC_COOKIE + b"\x37\x06\x01\x03\x06\x0f\x33\x79" + DISCOVER
    datagram = (68).to_bytes(2, "big") + (67).to_bytes(2, "big") + (8 + len(body)).to_bytes(2, "big")
    datagram += b"\0\0" + body
    header = b"\x45\0" + (20 + len(datagram)).to_bytes(2, "big") + b"\0\0\0\0\x40\x11"
    addresses = bytes(4) + b"\xff" * 4
    checksum = internet_checksum(header + b"\0\0" + addresses).to_bytes(2, "big")
    return b"\xff" * 6 + MAC + b"\x08\x00" + header + checksum + addresses + datagram


def dhcp_options(frame: bytes) -> dict[int, bytes]:
    data = frame[frame.index(MAGIC_COOKIE) + 4 :]
    options, at = {}, 0
    while data[at] != 255:
        if data[at] == 0:
            at += 1
            continue
        options[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
        at += 2 + data[at + 1]
    return options


def arp_reply(request: bytes) -> bytes:
    asker = request[22:32]
    return asker[:6] + MAC + request[12:20] + b"\x00\x02" + MAC + request[38:42] + asker
