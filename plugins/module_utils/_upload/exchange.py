# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""One HTTP/1.1 exchange over a connected socket (RFC 9112).

The standard library makes a mail message of every answer and sends head and body apart: more work than all
else that a request of the uploader costs. This reads and writes the same bytes with less of it.
"""

import http.client
import socket
import ssl
from typing import BinaryIO, Dict, Iterable, List, Mapping, NamedTuple, Tuple, Union

Body = Union[bytes, memoryview]

_LONGEST_LINE = 65536
_MOST_HEADERS = 200
# Far above what is ever asked for; no answer may take the memory that its head announces.
_LONGEST_BODY = 64 << 20
_NO_BODY = (204, 304)


class Response(NamedTuple):
    """A complete answer. Header names in lower case. `last`: the other side closes the connection now."""

    status: int
    headers: Dict[str, str]
    body: bytes
    last: bool = False


def head_of(method: str, target: str, host: str, headers: Mapping[str, str]) -> bytes:
    """The request line and the headers as they are sent.

    A line break or another character that would make another request of it raises :class:`ValueError`.
    """
    if not is_request_target(target):
        raise ValueError("the address has characters that must be percent-encoded")
    lines = ["{0} {1} HTTP/1.1".format(method, target), "Host: " + host]
    lines.extend("{0}: {1}".format(name, value) for name, value in headers.items())
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
        raise ValueError("a header's value has a line break")
    return (head + "\r\n\r\n").encode("latin-1")


def is_request_target(text: str) -> bool:
    """Whether the text can stand in a request line (RFC 9112, section 3.2)."""
    try:
        text.encode("ascii")
    except UnicodeEncodeError:
        return False
    return text.isprintable() and " " not in text


def send(sock: socket.socket, head: bytes, parts: Iterable[Body]) -> None:
    """Send the head and the body's parts; the first part goes along with the head where TLS allows that."""
    remaining = iter(parts)
    first = next(remaining, b"")
    if isinstance(sock, ssl.SSLSocket):
        sock.sendall(head)
        sock.sendall(first)
    else:
        _send_together(sock, head, first)
    for part in remaining:
        sock.sendall(part)


def _send_together(sock: socket.socket, head: bytes, body: Body) -> None:
    sent = sock.sendmsg([head, body])
    if sent < len(head):
        sock.sendall(head[sent:])
        sent = len(head)
    if sent < len(head) + len(body):
        sock.sendall(memoryview(body)[sent - len(head) :])


def receive(file: BinaryIO, method: str) -> Response:
    """Read one whole answer; informational ones before it are passed over (RFC 9110, section 15.2).

    :param file: the socket's, buffered
    :raises http.client.HTTPException: this is not HTTP/1.x, or it was cut off; also an :class:`OSError`
    """
    status, version = 100, ""
    headers: Dict[str, str] = {}
    while 100 <= status < 200:
        version, status = _status(file)
        headers = _headers(file)
    tokens = headers.get("connection", "").lower()
    last = "close" in tokens or (version == "HTTP/1.0" and "keep-alive" not in tokens)
    if method == "HEAD" or status in _NO_BODY:
        return Response(status, headers, b"", last)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Response(status, headers, _chunked(file), last)
    length = headers.get("content-length", "")
    if not length:
        return Response(status, headers, file.read(), True)
    if not length.isdigit():
        raise http.client.HTTPException("the answer's Content-Length is no number")
    return Response(status, headers, _exactly(file, int(length)), last)


def _status(file: BinaryIO) -> Tuple[str, int]:
    line = file.readline(_LONGEST_LINE + 1)
    if not line:
        raise http.client.RemoteDisconnected("the connection was closed without an answer")
    words = line.decode("latin-1").split(None, 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise http.client.BadStatusLine(line[:100].decode("latin-1"))
    return words[0], int(words[1])


def _headers(file: BinaryIO) -> Dict[str, str]:
    headers: Dict[str, str] = {}
    for _number in range(_MOST_HEADERS + 1):
        line = file.readline(_LONGEST_LINE + 1)
        if line in (b"\r\n", b"\n"):
            return headers
        if not line.endswith(b"\n"):
            raise http.client.HTTPException("the answer's head was cut off or is too long")
        name, _colon, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    raise http.client.HTTPException("the answer has more than {0} headers".format(_MOST_HEADERS))


def _chunked(file: BinaryIO) -> bytes:
    """The body of an answer in chunks (RFC 9112, section 7.1)."""
    parts: List[bytes] = []
    room = _LONGEST_BODY
    while True:
        line = file.readline(_LONGEST_LINE + 1)
        try:
            length = int(line.split(b";", 1)[0], 16)
        except ValueError:
            raise http.client.IncompleteRead(b"".join(parts)) from None
        if length == 0:
            _headers(file)  # trailers
            return b"".join(parts)
        parts.append(_exactly(file, length, room))
        room -= length
        if file.readline(_LONGEST_LINE + 1) not in (b"\r\n", b"\n"):
            raise http.client.IncompleteRead(b"".join(parts))


def _exactly(file: BinaryIO, length: int, room: int = _LONGEST_BODY) -> bytes:
    if not 0 <= length <= room:
        raise http.client.HTTPException("an answer of {0} bytes is not believed".format(length))
    content = file.read(length)
    if len(content) != length:
        raise http.client.IncompleteRead(content, length - len(content))
    return content
