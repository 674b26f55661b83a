# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Signed requests to the blob service, with nothing between them and ``http.client``.

Signing follows "Authorize with Shared Key" and "Create a service SAS" of the Azure Storage REST
documentation, https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key and
https://learn.microsoft.com/rest/api/storageservices/create-service-sas.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import re
import ssl
import threading
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote, urlencode, urlsplit

API_VERSION = "2021-12-02"
# Faults are for clients; by this name the service knows the local Azure itself.
USER_AGENT = "local-azure"
# Managed disks of the real service are signed with this version.
DISK_SAS_VERSION = "2018-03-28"


class BlobError(Exception):
    """The blob service refused a request, or could not be reached.

    ``status`` is the HTTP status (None when there was no answer) and ``code`` the service's error code.
    """

    def __init__(self, message: str, status: int | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class BlobAddress(NamedTuple):
    """Where a blob lives in the blob service."""

    account: str
    container: str
    blob: str

    @property
    def path(self) -> str:
        """The blob's URL path: ``/account/container/blob``."""
        return f"/{self.account}/{self.container}/{quote(self.blob)}"


def parse_blob_url(url: str) -> BlobAddress:
    """``https://host/account/container/blob[?...]`` -> address. ValueError when there are fewer parts."""
    parts = urlsplit(url).path.lstrip("/").split("/", 2)
    if len(parts) != 3 or not all(parts):
        shown = url.partition("?")[0]  # a SAS behind the question mark is a secret
        raise ValueError(f"{shown} is not the URL of a blob: expected /account/container/blob in it")
    return BlobAddress(parts[0], parts[1], unquote(parts[2]))


def _hmac(key_base64: str, text: str) -> str:
    digest = hmac.new(base64.b64decode(key_base64), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def shared_key(
    key_base64: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> str:
    """Value of the Authorization header; ``path`` starts with the account.

    ``headers`` has lower-case names and includes ``x-ms-date``.
    """
    account = path.split("/")[1]
    length = headers.get("content-length", "")
    standard = [
        headers.get("content-encoding", ""),
        headers.get("content-language", ""),
        "" if length == "0" else length,
        headers.get("content-md5", ""),
        headers.get("content-type", ""),
        "",  # Date: x-ms-date stands for it
        headers.get("if-modified-since", ""),
        headers.get("if-match", ""),
        headers.get("if-none-match", ""),
        headers.get("if-unmodified-since", ""),
        headers.get("range", ""),
    ]
    service = [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-ms-")]
    resource = [f"/{account}{path}", *(f"{name}:{query[name]}" for name in sorted(query))]
    text = "\n".join([method, *standard, *service, *resource])
    return f"SharedKey {account}:{_hmac(key_base64, text)}"


def policy_sas(key_base64: str, address: BlobAddress, policy_id: str) -> str:
    """SAS query whose rights and time are those of the container's stored access policy ``policy_id``."""
    resource = f"/blob/{address.account}/{address.container}/{address.blob}"
    fields = ["", "", "", resource, policy_id, "", "", DISK_SAS_VERSION, "", "", "", "", ""]
    signature = _hmac(key_base64, "\n".join(fields))
    return urlencode({"sv": DISK_SAS_VERSION, "sr": "b", "si": policy_id, "sig": signature})


def read_sas(key_base64: str, address: BlobAddress, expiry: datetime) -> str:
    """SAS query that lets its holder read one blob until ``expiry``; cannot be revoked."""
    ends = utc_text(expiry)
    resource = f"/blob/{address.account}/{address.container}/{address.blob}"
    fields = ["r", "", ends, resource, "", "", "", DISK_SAS_VERSION, "", "", "", "", ""]
    signature = _hmac(key_base64, "\n".join(fields))
    return urlencode({"sv": DISK_SAS_VERSION, "sr": "b", "sp": "r", "se": ends, "sig": signature})


def utc_text(moment: datetime) -> str:
    """The service's way of writing a time, in whole seconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Answer(NamedTuple):
    """A response that has been read to its end."""

    status: int
    headers: Mapping[str, str]  # lower-case names
    body: bytes


class Wire:
    """Keep-alive connections to the blob service, shared by threads.

    ``keys`` maps account names to base64 keys; it is read at every request, so accounts may be added.
    """

    def __init__(self, port: int, certificate: Path, keys: Mapping[str, str]) -> None:
        self._port = port
        self._keys = keys
        self._tls = ssl.create_default_context(cafile=str(certificate))
        # The service's own certificate is what is trusted, whoever issued it.
        self._tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._idle: list[http.client.HTTPSConnection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close idle connections; the object stays usable."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | memoryview,
    ) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        account = path.split("/")[1]
        signed = {
            "user-agent": USER_AGENT,
            "x-ms-version": API_VERSION,
            "x-ms-date": formatdate(usegmt=True),
            **headers,
        }
        if method == "PUT" or len(body):
            signed["content-length"] = str(len(body))
        try:
            signed["authorization"] = shared_key(self._keys[account], method, path, query, signed)
        except KeyError:
            raise BlobError(f"The blob service has no account {account}", code="AccountUnknown") from None
        target = f"{path}?{urlencode(query)}" if query else path
        while True:
            with self._lock:
                reused = self._idle.pop() if self._idle else None
            connection = reused or http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=120, context=self._tls
            )
            try:
                connection.request(method, target, body=body or None, headers=signed)
                return connection, connection.getresponse()
            except (http.client.HTTPException, OSError) as problem:
                connection.close()
                # An idle connection may have been closed by the other side; a new one has no such excuse.
                if reused is None:
                    raise BlobError(
                        f"No answer from the blob service to {method} {path}: {problem}"
                    ) from problem

    def _give_back(self, connection: http.client.HTTPSConnection, response: http.client.HTTPResponse) -> None:
        if response.will_close:
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | memoryview = b"",
        accept: tuple[int, ...] = (),
    ) -> Answer:
        """One signed request. BlobError for any status from 400 that is not in ``accept``."""
        connection, response = self._open(method, path, query or {}, headers or {}, body)
        try:
            answer = _answer(response)
        except (http.client.HTTPException, OSError) as problem:
            connection.close()
            raise BlobError(f"The blob service broke off its answer to {method} {path}") from problem
        self._give_back(connection, response)
        if answer.status >= 400 and answer.status not in accept:
            raise _refusal(method, path, answer)
        return answer

    def read_range(self, path: str, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with the blob's content from ``offset``."""
        headers = {"x-ms-range": f"bytes={offset}-{offset + len(buffer) - 1}"}
        connection, response = self._open("GET", path, {}, headers, b"")
        try:
            if response.status >= 400:
                answer = _answer(response)
                self._give_back(connection, response)
                raise _refusal("GET", path, answer)
            filled = 0
            while filled < len(buffer):
                count = response.readinto(buffer[filled:])
                if count == 0:
                    raise BlobError(f"Only {filled} of {len(buffer)} bytes of {path} from {offset} came")
                filled += count
            response.read()
        except (http.client.HTTPException, OSError) as problem:
            connection.close()
            raise BlobError(f"The blob service broke off sending {path}: {problem}") from problem
        self._give_back(connection, response)


def _answer(response: http.client.HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def _refusal(method: str, path: str, answer: Answer) -> BlobError:
    text = answer.body.decode("utf-8-sig", "replace")
    message = re.search(r"<Message>(.*?)(?:\n|</Message>)", text, re.DOTALL)
    code = answer.headers.get("x-ms-error-code") or ""
    said = message.group(1) if message else "no message"
    return BlobError(f"{method} {path} was answered with {answer.status} {code}: {said}", answer.status, code)
