# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Sends the recorded requests for the blob service to the local one, in order, and compares the answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from tests.fidelity.comparison import Difference
from tests.fidelity.recording import Recorded
from tests.fidelity.shape import ABSENT
from tests.local_azure.azure import new_account_key
from tests.local_azure.blob_storage.blob_wire import Answer, BlobAddress, Wire, read_sas
from tests.local_azure.blob_storage.blobs import BlobStore
from tests.local_azure.certificates import Certificates

_ANY_STATUS = tuple(range(400, 600))
_SAME = frozenset(
    {
        "accept-ranges",
        "content-length",
        "content-range",
        "content-type",
        "x-ms-blob-content-length",
        "x-ms-blob-sequence-number",
        "x-ms-blob-type",
        "x-ms-copy-status",
        "x-ms-error-code",
        "x-ms-lease-state",
        "x-ms-lease-status",
        "x-ms-version",
    }
)
# Said of a whole answer without content only; nothing hangs on whether it is.
_EMPTY = ("content-length", "0")


class BlobReplay:
    """One recording against one blob service."""

    def __init__(self, blobs: BlobStore, certificates: Certificates, port: int) -> None:
        self._blobs = blobs
        self._keys: dict[str, str] = {}
        self._wire = Wire(port, certificates.server, self._keys)

    def close(self) -> None:
        self._wire.close()

    def run(self, exchange: Recorded) -> list[Difference]:
        """What is different about the answer."""
        account = self._account(exchange.host)
        body = exchange.request.encode() if isinstance(exchange.request, str) else b""
        headers = {name.lower(): text for name, text in exchange.request_headers.items()}
        if "x-ms-copy-source" in headers:
            headers["x-ms-copy-source"] = self._source(headers["x-ms-copy-source"], account)
        version = exchange.headers.get("x-ms-version")
        answer = self._wire.request(
            exchange.method,
            f"/{account}{exchange.path}",
            query={n: v for n, v in exchange.query.items() if n != "api-version"},
            headers={**({"x-ms-version": version} if version else {}), **headers},
            body=body,
            accept=_ANY_STATUS,
        )
        return list(_differences(exchange, answer))

    def make(self, host: str, path: str, *, blob: bool) -> None:
        """A container, or an empty page blob in one."""
        page_blob = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": "0"}
        self._wire.request(
            "PUT",
            f"/{self._account(host)}{path}",
            query={} if blob else {"restype": "container"},
            headers=page_blob if blob else {},
        )

    def _account(self, host: str) -> str:
        """The account that the host is of; made unless Resource Manager has made it."""
        account = host.partition(".")[0]
        key = self._blobs.key(account)
        if key is None:
            key = new_account_key()
            self._blobs.ensure_account(account, key)
        self._keys[account] = key
        return account

    def _source(self, url: str, account: str) -> str:
        """Sources are read with a signature of their own, for the recorded ones are blotted out.

        Some recorders renamed the account in requests, but not in the sources of copies.
        """
        parts = urlsplit(url)
        named = parts.netloc.partition(".")[0]
        known = account if self._blobs.key(named) is None else named
        container, _slash, blob = parts.path.strip("/").partition("/")
        expiry = datetime.now(timezone.utc) + timedelta(hours=1)
        key = self._keys[self._account(known)]
        signed = read_sas(key, BlobAddress(known, container, blob), expiry) if parts.query else ""
        return f"{self._blobs.endpoint}/{known}{parts.path}" + (f"?{signed}" if signed else "")


def _differences(exchange: Recorded, answer: Answer) -> Iterator[Difference]:
    if exchange.status != answer.status:
        yield Difference("status", str(exchange.status), f"{answer.status} {_code(answer.headers)}".strip())
        return
    for name, recorded in exchange.headers.items():
        ours = answer.headers.get(name)
        if (name, recorded) != _EMPTY and (ours is None or (name in _SAME and recorded != ours)):
            yield Difference(name, recorded, ABSENT if ours is None else ours)
    recorded_body, body = _text(exchange.body), answer.body.decode("utf-8-sig", "replace")
    if exchange.method != "HEAD" and _comparable(recorded_body) != _comparable(body):
        yield Difference("body", repr(recorded_body[:200]), repr(body[:200]))


def _code(headers: Mapping[str, str]) -> str:
    return headers.get("x-ms-error-code", "")


def _text(body: object) -> str:
    return body.lstrip("\ufeff") if isinstance(body, str) else ""


def _comparable(text: str) -> str:
    """Content and lists as they are; of an error, its code."""
    error = re.search(r"<Error>\s*<Code>(.*?)</Code>", text)
    return error[1] if error else re.sub(r"<\?xml.*?\?>|\s+", "", text)
