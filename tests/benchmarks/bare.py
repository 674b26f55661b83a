# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What is left when nothing but finding and sending the data is done: tests.benchmarks.bare DISK URL.

Plain sockets, requests that are not checked, no MD5, retry, lease, journal or verification. Nobody should
upload a disk with it; it shows how much our uploader costs beside it.
"""

from __future__ import annotations

import socket
import sys
import threading

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import (
    BlobUrl,
    parse_blob_url,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import rounded_size
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import WINDOW, scan, windows

from tests.benchmarks.ours import leave_md5_out

_FOOTER = 512
_THREADS = 8


class _Writer:
    def __init__(self, url: BlobUrl) -> None:
        self._target = f"{url.path}?{url.query}"
        self._socket = socket.create_connection((url.host, url.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def put(self, query: str, headers: str, body: bytes | memoryview = b"") -> None:
        first = f"PUT {self._target}{query} HTTP/1.1\r\nHost: sink\r\n"
        head = f"{first}Content-Length: {len(body)}\r\n{headers}\r\n"
        self._socket.sendall(head.encode())
        self._socket.sendall(body)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._socket.recv(65536)
        if not answer.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(answer.decode())


def main() -> None:
    leave_md5_out()
    path, address = sys.argv[1:]
    url = parse_blob_url(address)
    reader = open_disk(path, allow_unpartitioned=True)
    size = rounded_size(reader.virtual_size)
    creator = _Writer(url)
    creator.put("", f"x-ms-blob-type: PageBlob\r\nx-ms-blob-content-length: {size + _FOOTER}\r\n")
    lock = threading.Lock()
    work = windows(reader)

    def run() -> None:
        writer = _Writer(url)
        buffer = bytearray(WINDOW)
        view = memoryview(buffer)
        while True:
            with lock:
                window = next(work, None)
            if window is None:
                return
            for piece in scan(reader, window, buffer):
                first = piece.offset - window.start
                pages = f"x-ms-range: bytes={piece.offset}-{piece.offset + piece.length - 1}\r\n"
                writer.put("&comp=page", pages, view[first : first + piece.length])

    threads = [threading.Thread(target=run) for _number in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    creator.put("&comp=page", f"x-ms-range: bytes={size}-{size + _FOOTER - 1}\r\n", bytes(_FOOTER))


if __name__ == "__main__":
    main()
