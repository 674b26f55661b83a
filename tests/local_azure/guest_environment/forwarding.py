# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Connections from the host into the namespace: the VM's public address leads to the guest."""

from __future__ import annotations

import asyncio
import contextlib
import socket

_CHUNK = 1 << 18
_CONNECT_SECONDS = 10


async def forward(listener: socket.socket, address: str, port: int) -> asyncio.Server:
    """Lead every connection that `listener`, a socket of the host's namespace, gets to the guest's port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.TimeoutError):
            connecting = asyncio.open_connection(address, port, limit=_CHUNK)
            inner_reader, inner_writer = await asyncio.wait_for(connecting, _CONNECT_SECONDS)
            with contextlib.closing(inner_writer):
                await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))

    return await asyncio.start_server(serve, sock=listener, limit=_CHUNK)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    # The other direction may go on.
    writer.write_eof()
