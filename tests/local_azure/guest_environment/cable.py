# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The cable between QEMU and the namespace.

QEMU's stream backend (QEMU documentation, "-netdev stream") puts the length of each Ethernet frame before it,
as four bytes in network order.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

from tests.local_azure.guest_environment.network_namespace import send_frame

_LENGTH = 4
_LARGEST_FRAME = 65550
_FRAMES_AT_ONCE = 64
# What the guest does not take is lost beyond this, in bytes, as with a switch whose buffer is full.
_BUFFER = 4 << 20


class Cable(asyncio.Protocol):
    """One plugged-in guest. `unplugged` is set when QEMU has gone."""

    def __init__(self, guest_side: socket.socket) -> None:
        self.plugged = asyncio.Event()
        self.unplugged = asyncio.Event()
        self._end = guest_side
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self.plugged.set()
        asyncio.get_running_loop().add_reader(self._end, self._to_guest)

    def connection_lost(self, _error: Exception | None) -> None:
        asyncio.get_running_loop().remove_reader(self._end)
        self.unplugged.set()

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        start = 0
        while len(received) - start >= _LENGTH:
            end = start + _LENGTH + int.from_bytes(received[start : start + _LENGTH], "big")
            if end > len(received):
                break
            send_frame(self._end, bytes(received[start + _LENGTH : end]))
            start = end
        del received[:start]

    def _to_guest(self) -> None:
        assert self._transport is not None
        frames = []
        with contextlib.suppress(BlockingIOError):
            for _unused in range(_FRAMES_AT_ONCE):
                frame = self._end.recv(_LARGEST_FRAME)
                frames += [len(frame).to_bytes(_LENGTH, "big"), frame]
        if self._transport.get_write_buffer_size() < _BUFFER:
            self._transport.write(b"".join(frames))


async def lay_cable(path: Path, guest_side: socket.socket) -> Cable:
    """Wait for QEMU at `path`, a relative one: a UNIX socket's address is short."""
    cable = Cable(guest_side)
    path.unlink(missing_ok=True)
    await asyncio.get_running_loop().create_unix_server(lambda: cable, str(path))
    return cable
