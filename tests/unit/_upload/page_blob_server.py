# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A small blob service over TLS that can be told to misbehave: one process, blobs in memory."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass
class Blob:
    data: bytearray
    metadata: dict[str, str]
    ranges: list[tuple[int, int]] = field(default_factory=list)
    etag: int = 1
    created: str = "Sat, 21 Nov 2026 08:00:00 GMT"
    lease: str = ""


@dataclass
class Answer:
    """What the server does instead of its work. `drop`: read the request, then close the connection."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    code: str = ""
    drop: bool = False


@dataclass
class Seen:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


class PageBlobServer:
    """`fault(request number, seen)` may return an :class:`Answer` for a request; None lets it work.

    As many reads as `damaged_reads` says arrive with a wrong bit.
    """

    def __init__(self, folder: Path, page_size: int = 1000) -> None:
        self.blobs: dict[str, Blob] = {}
        self.requests: list[Seen] = []
        self.connections = 0
        self.open_connections = 0
        self.page_size = page_size
        self.fault: Callable[[int, Seen], Answer | None] = lambda _number, _seen: None
        self.damaged_reads = 0
        self.lock = threading.Lock()
        self.ca = folder / "ca.pem"
        server = self

        class Handler(_Handler):
            owner = server

        self._http = _Quiet(("127.0.0.1", 0), Handler)
        key, certificate = _certificate()
        self.ca.write_bytes(certificate)
        (folder / "key.pem").write_bytes(key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, folder / "key.pem")
        self._http.socket = context.wrap_socket(
            self._http.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, path: str = "/account/vhds/disk.vhd", sas: str = "sv=1&sig=TOPSECRET%3D") -> str:
        return f"https://127.0.0.1:{self.port}{path}" + (f"?{sas}" if sas else "")

    def add(self, size: int, path: str = "/account/vhds/disk.vhd") -> Blob:
        self.blobs[path] = Blob(bytearray(size), {})
        return self.blobs[path]

    def settle(self) -> None:
        """Wait until all that ended clients have still sent is done."""
        deadline = time.monotonic() + 20
        while self.open_connections:
            assert time.monotonic() < deadline, "clients keep their connections"
            time.sleep(0.01)

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return (
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        made.public_bytes(serialization.Encoding.PEM),
    )


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    owner: PageBlobServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        with self.owner.lock:
            self.owner.connections += 1
            self.owner.open_connections += 1

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            with self.owner.lock:
                self.owner.open_connections -= 1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        del format, args

    def do_GET(self) -> None:
        self._serve()

    do_PUT = do_HEAD = do_DELETE = do_GET  # noqa: N815

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        headers = {k.lower(): v for k, v in self.headers.items()}
        seen = Seen(self.command, parts.path, parse_qs(parts.query), headers)
        with self.owner.lock:
            self.owner.requests.append(seen)
            number = len(self.owner.requests)
        fault = self.owner.fault(number, seen)
        if fault is not None:
            if fault.drop:
                self.close_connection = True
                return
            self._error(fault.status, fault.code, fault.headers)
            return
        with self.owner.lock:
            self._work(seen, body)

    def _work(self, seen: Seen, body: bytes) -> None:
        blob = self.owner.blobs.get(seen.path)
        comp = seen.query.get("comp", [""])[0]
        if blob is not None and self._kept_off(seen, blob, comp):
            return
        if self.command == "PUT" and not comp:
            self._create(seen, blob)
        elif blob is None:
            self._error(404, "BlobNotFound")
        elif comp == "lease":
            self._lease(seen, blob)
        elif self.command == "PUT" and comp == "page":
            self._put_page(seen, blob, body)
        elif self.command == "PUT" and comp == "metadata":
            blob.metadata = _metadata(seen)
            self._reply(200)
        elif self.command == "GET" and comp == "pagelist":
            self._page_list(seen, blob)
        elif self.command == "DELETE":
            del self.owner.blobs[seen.path]
            self._reply(202)
        elif "x-ms-range" in seen.headers:
            self._read(seen, blob)
        else:
            self._reply(200, self._properties(blob), length=len(blob.data))

    def _read(self, seen: Seen, blob: Blob) -> None:
        if seen.headers.get("if-match", f'"{blob.etag}"') != f'"{blob.etag}"':
            self._error(412, "ConditionNotMet")
            return
        first, end = _range(seen)
        body = bytes(blob.data[first:end])
        headers = {}
        if seen.headers.get("x-ms-range-get-content-md5") == "true":
            headers["Content-MD5"] = base64.b64encode(hashlib.md5(body).digest()).decode()  # noqa: S324
        if self.owner.damaged_reads:
            self.owner.damaged_reads -= 1
            body = bytes([body[0] ^ 1]) + body[1:]
        self._reply(206, headers, body)

    def _properties(self, blob: Blob) -> dict[str, str]:
        found = {f"x-ms-meta-{name}": value for name, value in blob.metadata.items()}
        status = "locked" if blob.lease else "unlocked"
        known = {"x-ms-blob-type": "PageBlob", "ETag": f'"{blob.etag}"', "x-ms-lease-status": status}
        return {**known, "x-ms-creation-time": blob.created, **found}

    def _kept_off(self, seen: Seen, blob: Blob, comp: str) -> bool:
        """Refuse a write that does not name the blob's lease, or names one that is not."""
        given = seen.headers.get("x-ms-lease-id", "")
        if self.command not in ("PUT", "DELETE") or comp == "lease" or given == blob.lease:
            return False
        code = "LeaseIdMissing" if not given else "LeaseIdMismatchWithBlobOperation"
        self._error(412, code if blob.lease else "LeaseNotPresentWithBlobOperation")
        return True

    def _lease(self, seen: Seen, blob: Blob) -> None:
        action = seen.headers["x-ms-lease-action"]
        given = seen.headers.get("x-ms-lease-id") or seen.headers.get("x-ms-proposed-lease-id", "")
        if action == "break":
            blob.lease = ""
            self._reply(202)
        elif blob.lease not in ("", given):
            self._error(409, "LeaseAlreadyPresent")
        elif action != "acquire" and not blob.lease:
            self._error(409, "LeaseNotPresentWithLeaseOperation")
        else:
            blob.lease = "" if action == "release" else given
            self._reply(201 if action == "acquire" else 200)

    def _create(self, seen: Seen, blob: Blob | None) -> None:
        if blob is not None and seen.headers.get("if-none-match") == "*":
            self._error(409, "BlobAlreadyExists")
        elif "if-match" in seen.headers and (blob is None or seen.headers["if-match"] != f'"{blob.etag}"'):
            self._error(412, "ConditionNotMet")
        else:
            size = int(seen.headers["x-ms-blob-content-length"])
            self.owner.blobs[seen.path] = Blob(bytearray(size), _metadata(seen))
            self._reply(201)

    def _put_page(self, seen: Seen, blob: Blob, body: bytes) -> None:
        first, end = _range(seen)
        last = end - 1
        if seen.headers["x-ms-page-write"] == "clear":
            blob.data[first:end] = bytes(end - first)
            blob.ranges = [part for found in blob.ranges for part in _cut(found, first, end)]
            self._reply(201)
            return
        checked = base64.b64encode(hashlib.md5(body).digest()).decode()  # noqa: S324
        if first % 512 or (last + 1) % 512 or len(body) != last + 1 - first or len(body) > 4 << 20:
            self._error(400, "InvalidHeaderValue")
        elif last >= len(blob.data):
            self._error(416, "InvalidPageRange")
        elif seen.headers.get("content-md5", checked) != checked:
            self._error(400, "Md5Mismatch")
        else:
            blob.data[first : last + 1] = body
            blob.ranges.append((first, last + 1))
            blob.etag += 1
            self._reply(201)

    def _page_list(self, seen: Seen, blob: Blob) -> None:
        start = int(seen.query.get("marker", ["0"])[0])
        ranges = sorted(blob.ranges)
        items = "".join(
            f"<PageRange><Start>{a}</Start><End>{b - 1}</End></PageRange>"
            for a, b in ranges[start : start + self.owner.page_size]
        )
        following = start + self.owner.page_size
        marker = f"<NextMarker>{following}</NextMarker>" if following < len(ranges) else "<NextMarker />"
        text = f'\ufeff<?xml version="1.0" encoding="utf-8"?><PageList>{items}{marker}</PageList>'
        self._reply(200, body=text.encode())

    def _error(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        text = (
            f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code>'
            f"<Message>It went wrong.\nRequestId:1-2-3\nTime:2026-01-01T00:00:00Z</Message></Error>"
        )
        self._reply(
            status,
            {"x-ms-error-code": code, "x-ms-request-id": "1-2-3", **(headers or {})},
            text.encode(),
        )

    def _reply(
        self, status: int, headers: dict[str, str] | None = None, body: bytes = b"", length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _metadata(seen: Seen) -> dict[str, str]:
    mark = "x-ms-meta-"
    return {name.removeprefix(mark): value for name, value in seen.headers.items() if name.startswith(mark)}


def _range(seen: Seen) -> tuple[int, int]:
    first, last = map(int, seen.headers["x-ms-range"].removeprefix("bytes=").split("-"))
    return first, last + 1


def _cut(found: tuple[int, int], start: int, end: int) -> list[tuple[int, int]]:
    parts = [(found[0], min(found[1], start)), (max(found[0], end), found[1])]
    return [part for part in parts if part[0] < part[1]]
