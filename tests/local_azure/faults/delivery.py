# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The ways an answer goes wrong on its way to the client, once it is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from tests.local_azure.faults.rules import Rule

_LINES_PER_SECOND = 10


def cut_connection(request: web.Request) -> web.Response:
    """Ends the connection at once; the answer that is returned never gets there."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def deliver(request: web.Request, answer: web.Response, rule: Rule) -> web.StreamResponse:
    """Sends the service's own answer as the rule's effect has it."""
    body = answer.body if isinstance(answer.body, bytes) else b""
    options = rule.options
    if rule.kind == "drop" and options["when"] == "after":
        return cut_connection(request)
    if rule.kind in ("truncate", "corrupt"):
        return _copy_of(answer, corrupted(body) if rule.kind == "corrupt" else body[: len(body) // 2])
    if rule.kind == "trickle":
        return await _send(request, answer, body, _slowly(body, int(options["bytes_per_second"])))
    if rule.kind in ("stall", "drop"):
        ends = rule.kind == "drop" or options["then"] == "drop"
        pieces = _after_a_pause(body, options.get("seconds", 0), ends)
        return await _send(request, answer, body, pieces)
    return answer


def corrupted(body: bytes) -> bytes:
    """The same length, one byte in the middle changed."""
    middle = len(body) // 2
    return body[:middle] + bytes(b ^ 0x55 for b in body[middle : middle + 1]) + body[middle + 1 :]


def _copy_of(answer: web.Response, body: bytes) -> web.Response:
    headers = {k: v for k, v in answer.headers.items() if k.lower() != "content-length"}
    return web.Response(status=answer.status, headers=headers, body=body)


async def _send(
    request: web.Request, answer: web.Response, body: bytes, pieces: AsyncIterator[bytes | None]
) -> web.StreamResponse:
    """Sends pieces as they come; None among them ends the connection."""
    headers = {k: v for k, v in answer.headers.items() if k.lower() != "content-length"}
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.content_length = len(body)
    await response.prepare(request)
    async for piece in pieces:
        if piece is None:
            return cut_connection(request)
        try:
            await response.write(piece)
        except ConnectionResetError:  # the client had no more patience
            return response
    return response


async def _after_a_pause(body: bytes, seconds: float, ends: bool) -> AsyncIterator[bytes | None]:
    yield body[: len(body) // 2]
    await asyncio.sleep(seconds)
    yield None if ends else body[len(body) // 2 :]


async def _slowly(body: bytes, bytes_per_second: int) -> AsyncIterator[bytes | None]:
    step = max(1, bytes_per_second // _LINES_PER_SECOND)
    for start in range(0, len(body), step):
        yield body[start : start + step]
        await asyncio.sleep(step / bytes_per_second)
