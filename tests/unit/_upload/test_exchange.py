# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""HTTP exchanges: what is sent, and what is made of every kind of answer."""

from __future__ import annotations

import http.client
import http.server
import io
import socket
import threading
from collections.abc import Iterator

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._upload import exchange
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import (
    Connection,
    parse_blob_url,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from hypothesis import given
from hypothesis import strategies as st


def _received(answer: bytes, method: str = "GET") -> exchange.Response:
    return exchange.receive(io.BytesIO(answer), method)


def test_an_answer_with_a_length_is_read_to_its_end_and_not_further() -> None:
    file = io.BytesIO(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag:  x \r\n\r\nabcHTTP/1.1 201 Created\r\n\r\n"
    )
    first = exchange.receive(file, "GET")
    assert first == exchange.Response(200, {"content-length": "3", "etag": "x"}, b"abc", last=False)
    assert file.read(8) == b"HTTP/1.1"


def test_an_answer_in_chunks_is_put_together() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert _received(answer + b"3\r\nabc\r\n2;name=value\r\nde\r\n0\r\nTrailer: x\r\n\r\n").body == b"abcde"


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    assert _received(b"HTTP/1.1 200 OK\r\nContent-Length: 512\r\n\r\n", "HEAD").body == b""


def test_informational_answers_are_passed_over() -> None:
    answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
    assert _received(answer).status == 201


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_the_connection_ends_where_the_answer_says_so(head: bytes) -> None:
    assert _received(head).last


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 many OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_whole_answer_is_an_error_of_the_transport(answer: bytes) -> None:
    with pytest.raises(http.client.HTTPException):
        _received(answer)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_an_error_of_the_transport(rest: bytes) -> None:
    try:
        _received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + rest)
        _received(b"HTTP/1.1 200 OK\r\n" + rest)
    except http.client.HTTPException:
        return


def test_a_line_break_in_a_header_does_not_make_another_header() -> None:
    with pytest.raises(ValueError, match="line break"):
        exchange.head_of("PUT", "/c/b", "account", {"x-ms-meta-a": "1\r\nx-ms-lease-id: 2"})


@pytest.mark.parametrize("address", ["http://a/c/b c.vhd", "http://a/c/bé.vhd", "http://a/c/b?sig=1 2"])
def test_an_address_that_is_not_percent_encoded_is_refused(address: str) -> None:
    with pytest.raises(UploadError, match="percent-encoded"):
        parse_blob_url(address)


def test_a_body_larger_than_the_sockets_buffer_arrives_whole() -> None:
    near, far = socket.socketpair()
    body = bytes(range(256)) * 40_000
    arrived = bytearray()

    def read() -> None:
        while len(arrived) < len(body) + 4:
            arrived.extend(far.recv(65536))

    reader = threading.Thread(target=read)
    reader.start()
    with near, far:
        near.settimeout(20)
        exchange.send(near, b"HEAD", [memoryview(body)])
        reader.join(20)
    assert bytes(arrived) == b"HEAD" + body


class _ClosingHandler(http.server.BaseHTTPRequestHandler):
    """Answers, then closes the connection without saying so, as a gateway does with idle ones."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        if self.path.endswith("?announced"):
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"ok")
        self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


@pytest.fixture(name="address")
def _address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _ClosingHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/container/blob"
        server.shutdown()
        thread.join()


def test_the_next_request_after_an_announced_end_opens_a_new_connection(address: str) -> None:
    connection = Connection(parse_blob_url(address + "?announced"), None)
    assert [connection.request("GET", "", {}).body for _number in range(3)] == [b"ok"] * 3
    connection.close()


def test_an_unannounced_end_is_an_error_once_and_then_a_new_connection(address: str) -> None:
    connection = Connection(parse_blob_url(address), None)
    assert connection.request("GET", "", {}).body == b"ok"
    with pytest.raises((OSError, http.client.HTTPException)):
        connection.request("GET", "", {})
    assert connection.request("GET", "", {}).body == b"ok"
    connection.close()
