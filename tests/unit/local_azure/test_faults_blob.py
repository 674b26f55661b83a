# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Faults of the blob service, over the wire."""

from __future__ import annotations

import base64
import hashlib
import http.client
import itertools
import ssl
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.local_azure.blob_storage.blobs import BlobAddress, BlobStore
from tests.unit.local_azure.arm_server import Arm, Json, ServerThread
from tests.unit.local_azure.fault_client import Faults

MIB = 1024 * 1024
ACCOUNT = "md-faults-0"
KEY = base64.b64encode(b"f" * 64).decode()
PUT: Json = {"service": "blob", "method": "PUT", "query": {"comp": "page"}}
LIST: Json = {"service": "blob", "method": "GET", "query": {"comp": "pagelist"}}
_numbers = itertools.count(1)


class Disk:
    """A disk of 1 MiB with write access granted, and one connection to it for each request."""

    def __init__(self, server: ServerThread, store: BlobStore) -> None:
        self.store = store
        self.address = BlobAddress(ACCOUNT, f"disk{next(_numbers)}", "abcd")
        store.create_page_blob(self.address, MIB)
        self._url = urlsplit(store.grant(self.address, "Write", 60))
        self._context = ssl.create_default_context(cafile=str(server.settings.state_dir / "ca.pem"))

    @property
    def path(self) -> str:
        return self._url.path

    def request(
        self, method: str, comp: str, body: bytes = b"", timeout: float = 10, **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        assert self._url.hostname
        connection = http.client.HTTPSConnection(
            self._url.hostname, self._url.port, context=self._context, timeout=timeout
        )
        try:
            sent = {"x-ms-version": "2021-12-02", **headers}
            connection.request(method, f"{self._url.path}?{comp}&{self._url.query}", body or None, sent)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def put(self, content: bytes, offset: int = 0, **headers: Any) -> tuple[http.client.HTTPResponse, bytes]:
        md5 = base64.b64encode(hashlib.md5(content).digest()).decode()  # noqa: S324
        sent = {
            "x-ms-page-write": "update",
            "x-ms-range": f"bytes={offset}-{offset + len(content) - 1}",
            "Content-MD5": md5,
            **headers,
        }
        return self.request("PUT", "comp=page", content, **sent)

    def content(self) -> bytes:
        return self.store.read(self.address, 0, 512)


@pytest.fixture(scope="module")
def store(arm_server: ServerThread) -> Iterator[BlobStore]:
    assert arm_server.server is not None
    blobs = arm_server.server.blobs
    blobs.ensure_account(ACCOUNT, KEY)
    yield blobs
    blobs.remove_account(ACCOUNT)


@pytest.fixture
def disk(arm_server: ServerThread, store: BlobStore) -> Disk:
    return Disk(arm_server, store)


@pytest.fixture
def faults(arm: Arm) -> Iterator[Faults]:
    control = Faults(arm)
    yield control
    control.clear()


@pytest.mark.parametrize(
    ("effect", "status", "code"),
    [
        ({"kind": "throttle", "retry_after": 3}, 503, "ServerBusy"),
        ({"kind": "error", "status": 500}, 500, "InternalError"),
        ({"kind": "error", "status": 500, "code": "OperationTimedOut"}, 500, "OperationTimedOut"),
        ({"kind": "error", "status": 412}, 412, "ConditionNotMet"),
        ({"kind": "error", "status": 400}, 400, "Md5Mismatch"),
        ({"kind": "expire_sas"}, 403, "AuthenticationFailed"),
    ],
)
def test_a_refusal_is_the_real_services_and_nothing_is_written(
    faults: Faults, disk: Disk, effect: Json, status: int, code: str
) -> None:
    faults.add({**PUT, "path": disk.path, "nth": 1}, **effect)
    answer, body = disk.put(b"\1" * 512)
    assert (answer.status, answer.headers["x-ms-error-code"]) == (status, code)
    assert f"<Code>{code}</Code><Message>" in body.decode("utf-8-sig")
    if effect["kind"] == "throttle":
        assert answer.headers["Retry-After"] == "3"
    assert disk.content() == bytes(512)
    assert disk.put(b"\1" * 512)[0].status == 201
    assert faults.injected() == 1
    assert faults.logged()[-1]["comp"] == "page"


@pytest.mark.parametrize(("when", "is_written"), [("before", False), ("during", False), ("after", True)])
def test_a_dropped_put_is_told_apart_by_what_was_written(
    faults: Faults, disk: Disk, when: str, is_written: bool
) -> None:
    faults.add({**PUT, "nth": 1}, kind="drop", when=when)
    with pytest.raises((OSError, http.client.HTTPException)):
        disk.put(b"\1" * 512)
    deadline = time.monotonic() + 0.5
    while is_written and disk.content() == bytes(512) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert disk.content() == (b"\1" * 512 if is_written else bytes(512))
    assert disk.put(b"\2" * 512)[0].status == 201
    assert disk.content() == b"\2" * 512


def test_bytes_that_change_on_their_way_are_refused_by_their_md5(faults: Faults, disk: Disk) -> None:
    faults.add({**PUT, "nth": 1}, kind="corrupt", what="request")
    answer, _unused = disk.put(b"\1" * 512)
    assert (answer.status, answer.headers["x-ms-error-code"]) == (400, "Md5Mismatch")
    assert disk.content() == bytes(512)


def test_an_answer_stalls_trickles_breaks_off_or_is_cut(faults: Faults, disk: Disk) -> None:
    disk.put(b"\1" * 512)
    _unused, whole = disk.request("GET", "comp=pagelist")
    faults.add({**LIST, "nth": 1}, kind="stall", seconds=0.4)
    faults.add({**LIST, "nth": 2}, kind="trickle", bytes_per_second=400)
    faults.add({**LIST, "nth": 3}, kind="truncate")
    faults.add({**LIST, "nth": 4}, kind="corrupt")
    faults.add({**LIST, "nth": 5}, kind="drop", when="during")
    faults.add({**LIST, "nth": 6}, kind="stall", seconds=0.1, then="drop")
    for _number in (1, 2):
        started = time.monotonic()
        assert disk.request("GET", "comp=pagelist")[1] == whole
        assert time.monotonic() - started > 0.3
    assert disk.request("GET", "comp=pagelist")[1] == whole[: len(whole) // 2]
    changed = disk.request("GET", "comp=pagelist")[1]
    assert len(changed) == len(whole)
    assert changed != whole
    for _number in (5, 6):
        with pytest.raises((OSError, http.client.HTTPException)):
            disk.request("GET", "comp=pagelist")
    assert disk.request("GET", "comp=pagelist")[1] == whole


def test_a_stalled_put_has_happened(faults: Faults, disk: Disk) -> None:
    faults.add({**PUT, "nth": 1}, kind="stall", seconds=20)
    with pytest.raises(TimeoutError):
        disk.request(
            "PUT",
            "comp=page",
            b"\1" * 512,
            timeout=0.5,
            **{"x-ms-page-write": "update", "x-ms-range": "bytes=0-511"},
        )
    assert disk.content() == b"\1" * 512


def test_the_local_azure_itself_is_never_disturbed(faults: Faults, disk: Disk) -> None:
    faults.add({"service": "blob"}, kind="error", status=500)
    disk.store.write(disk.address, 0, b"\3" * 512)
    assert disk.content() == b"\3" * 512
    assert faults.injected() == 0
