# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the machine itself allows, beside which the uploaders' figures are to be read."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests

from tests.benchmarks.targets import sink

_BODY = 4 << 20
_BODIES = 200


def md5_rate() -> float:
    """Bytes per second that one core computes MD5 at."""
    data = os.urandom(_BODY)
    started = time.thread_time()
    for _number in range(_BODIES // 4):
        hashlib.md5(data, usedforsecurity=False).digest()
    return _BODY * (_BODIES // 4) / (time.thread_time() - started)


def sink_rate(build: Path) -> float:
    """Bytes per second that the sink takes from senders that do nothing else, one for each core."""
    with sink(build, paced=False) as where:
        url = where.blob_url("ceiling.vhd")
        created = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(_BODY)}
        requests.put(url, headers=created, timeout=30).raise_for_status()
        senders = [threading.Thread(target=_send, args=(url,)) for _number in range(os.cpu_count() or 1)]
        started = time.monotonic()
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        seconds = time.monotonic() - started
        return where.counts().put_bytes / seconds


def _send(url: str) -> None:
    address = urlsplit(url)
    head = (
        f"PUT {address.path}?{address.query}&comp=page HTTP/1.1\r\nHost: sink\r\n"
        f"x-ms-range: bytes=0-{_BODY - 1}\r\nContent-Length: {_BODY}\r\n\r\n"
    ).encode()
    body = bytes(_BODY)
    with socket.create_connection((address.hostname or "", address.port or 0)) as connection:
        for _number in range(_BODIES):
            connection.sendall(head)
            connection.sendall(body)
            answer = connection.recv(65536)
            if not answer.startswith(b"HTTP/1.1 201"):
                raise RuntimeError(answer.decode(errors="replace"))
