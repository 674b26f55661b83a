# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A page blob service that keeps ranges and throws contents away: for blobs of any size, and quick."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from io import BufferedIOBase
from urllib.parse import parse_qs, urlsplit

_PAGE = 5000  # ranges in one answer
_OK, _CREATED, _FORBIDDEN, _NOT_FOUND = 200, 201, 403, 404


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


class Sink:
    """What came. `ranges`: (first, last) byte of each Put Page request; `url` is that of its only blob.

    `refuses_after`: how many Put Page requests it takes; None for all of them.
    """

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.refuses_after: int | None = None
        self._metadata: dict[str, str] | None = None
        self._size = 0
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):
                    while sink.serve(self.rfile, self.wfile):
                        pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/account/vhds/disk.vhd?sig=SECRET"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve(self, requests: BufferedIOBase, answers: BufferedIOBase) -> bool:
        """Answer one request; whether there was one."""
        method, _space, rest = requests.readline().decode("ascii").partition(" ")
        if not rest:
            return False
        headers = {}
        while line := requests.readline().strip():
            name, _colon, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        left = int(headers.get("content-length", "0"))
        while left:
            left -= len(requests.read(min(left, 1 << 20)))
        query = {name: values[0] for name, values in parse_qs(urlsplit(rest.split(" ", 1)[0]).query).items()}
        status, more, body = self._answer(method, query, headers)
        length = self._size if method == "HEAD" and status == _OK else len(body)
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in more.items()]
        answers.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return True

    def _answer(
        self, method: str, query: dict[str, str], headers: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        kind = query.get("comp", "")
        metadata = {name: value for name, value in headers.items() if name.startswith("x-ms-meta-")}
        if kind == "page":
            return self._put(headers)
        if method == "PUT" and not kind:
            self._metadata, self.ranges = metadata, []
            self._size = int(headers["x-ms-blob-content-length"])
            return _CREATED, {}, b""
        if self._metadata is None:
            return _NOT_FOUND, {"x-ms-error-code": "BlobNotFound"}, b""
        if kind == "lease":
            return (_CREATED if headers["x-ms-lease-action"] == "acquire" else _OK), {}, b""
        if kind == "pagelist":
            return _OK, {}, self._page_list(int(query.get("marker", "0")))
        if kind == "metadata":
            self._metadata = metadata
        elif method == "DELETE":
            self._metadata = None
        facts = {"ETag": '"1"', "x-ms-blob-type": "PageBlob", "x-ms-lease-status": "unlocked"}
        return _OK, {**facts, **(self._metadata or {})}, b""

    def _put(self, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if self.refuses_after is not None and len(self.ranges) >= self.refuses_after:
            return _FORBIDDEN, {"x-ms-error-code": "AuthenticationFailed"}, b""
        first, last = map(int, headers["x-ms-range"].removeprefix("bytes=").split("-"))
        self.ranges.append((first, last))
        return _CREATED, {}, b""

    def _page_list(self, start: int) -> bytes:
        if not start:
            self.ranges.sort()
        items = "".join(
            f"<PageRange><Start>{first}</Start><End>{last}</End></PageRange>"
            for first, last in self.ranges[start : start + _PAGE]
        )
        following = start + _PAGE if start + _PAGE < len(self.ranges) else ""
        return f"<PageList>{items}<NextMarker>{following}</NextMarker></PageList>".encode()


@contextlib.contextmanager
def page_sink() -> Iterator[Sink]:
    """A sink that serves until the end of the block."""
    made = Sink()
    try:
        yield made
    finally:
        made.stop()
