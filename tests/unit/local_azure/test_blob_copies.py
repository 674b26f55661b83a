# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Copies between storage accounts in the local Azure, by the SDK that users have."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient

from tests.local_azure.blob_storage.blobs import BlobAddress, BlobStore
from tests.local_azure.certificates import Certificates, ensure_certificates

MIB = 1 << 20
KEY = base64.b64encode(b"k" * 64).decode()
SOURCE = BlobAddress("md-copies", "disk", "abcd")


def started(state: Path, certificates: Certificates, speed: float) -> BlobStore:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    made = BlobStore(state, certificates.server, certificates.key, port, speed=speed)
    for account in ("md-copies", "target"):
        made.ensure_account(account, KEY)
    made.start()
    made.create_container("target", "vhds")
    return made


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[BlobStore]:
    """Copies take a second and a half."""
    made = started(tmp_path_factory.mktemp("state"), certificates, 20)
    yield made
    made.stop()


@pytest.fixture
def source(store: BlobStore) -> Iterator[str]:
    """URL with which a disk's blob is read."""
    store.create_page_blob(SOURCE, MIB)
    store.write(SOURCE, 4096, b"\7" * 1024)
    yield store.grant(SOURCE, "Read", 60)
    store.delete(SOURCE)


@pytest.fixture
def open_blob(store: BlobStore, certificates: Certificates) -> Callable[[str], BlobClient]:
    def opened(name: str) -> BlobClient:
        url = f"{store.endpoint}/target"
        authority = str(certificates.authority)
        return BlobClient(url, "vhds", name, credential=KEY, connection_verify=authority)

    return opened


def refusal(call: Callable[[], object]) -> tuple[int | None, str]:
    with pytest.raises(HttpResponseError) as caught:
        call()
    return caught.value.status_code, str(getattr(caught.value, "error_code", ""))


def ended(blob: BlobClient) -> tuple[str | None, str | None]:
    """State and description of the copy once it is not pending any more."""
    deadline = time.monotonic() + 30
    while (copy := blob.get_blob_properties().copy).status == "pending":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return copy.status, copy.status_description


def test_a_copy_from_another_account_is_pending_and_then_there(
    store: BlobStore, source: str, open_blob: Callable[[str], BlobClient]
) -> None:
    blob = open_blob("whole.vhd")
    begun = blob.start_copy_from_url(source, metadata={"kept": "yes"})
    assert begun["copy_status"] == "pending"
    properties = blob.get_blob_properties()
    assert (properties.copy.status, properties.size, properties.metadata) == ("pending", MIB, {"kept": "yes"})
    assert list(blob.list_page_ranges()) == []
    for write in (
        lambda: blob.upload_page(b"\1" * 512, offset=0, length=512),
        lambda: blob.set_blob_metadata({"a": "b"}),
        lambda: blob.start_copy_from_url(source),
        blob.delete_blob,
    ):
        assert refusal(write) == (409, "PendingCopyOperation")
    assert ended(blob) == ("success", None)
    address = BlobAddress("target", "vhds", "whole.vhd")
    assert store.written_ranges(address) == [(4096, 1024)]
    assert blob.get_blob_properties().copy.progress == f"{MIB}/{MIB}"
    blob.upload_page(b"\1" * 512, offset=0, length=512)
    assert store.written_ranges(SOURCE) == [(4096, 1024)]


def test_an_aborted_copy_leaves_a_blob_without_content(
    source: str, open_blob: Callable[[str], BlobClient]
) -> None:
    blob = open_blob("aborted.vhd")
    begun = blob.start_copy_from_url(source)
    blob.abort_copy(str(begun["copy_id"]))
    properties = blob.get_blob_properties()
    assert (properties.copy.status, properties.size) == ("aborted", 0)
    assert refusal(lambda: blob.abort_copy(str(begun["copy_id"]))) == (409, "NoPendingCopyOperation")


def test_a_copy_fails_when_access_is_revoked_or_the_source_changes(
    store: BlobStore, source: str, open_blob: Callable[[str], BlobClient]
) -> None:
    changed, revoked = open_blob("changed.vhd"), open_blob("revoked.vhd")
    changed.start_copy_from_url(source)
    store.write(SOURCE, 0, b"\1" * 512)
    revoked.start_copy_from_url(source)
    store.revoke(SOURCE)
    assert ended(changed) == ("failed", '412 ConditionNotMet "Copy failed when reading the source."')
    assert ended(revoked) == ("failed", '403 Forbidden "Copy failed when reading the source."')
    assert list(revoked.list_page_ranges()) == []


def test_a_pending_copy_goes_on_after_a_restart(tmp_path: Path, certificates: Certificates) -> None:
    store = started(tmp_path, certificates, 10)
    try:
        store.create_page_blob(SOURCE, MIB)
        store.write(SOURCE, 0, b"\7" * 512)
        url = f"{store.endpoint}/target"
        blob = BlobClient(url, "vhds", "b", credential=KEY, connection_verify=str(certificates.authority))
        blob.start_copy_from_url(store.grant(SOURCE, "Read", 60))
        store.stop()
        store.start()
        assert blob.get_blob_properties().copy.status == "pending"
        assert ended(blob) == ("success", None)
        assert store.written_ranges(BlobAddress("target", "vhds", "b")) == [(0, 512)]
    finally:
        store.stop()
