# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the blob service refuses and offers beyond Azurite, through the SDK that users have."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient

from tests.local_azure.blob_storage.blobs import BlobAddress, BlobStore
from tests.unit.local_azure.arm_server import ServerThread

MIB = 1024 * 1024
DISKS, USERS = "md-rules-0", "rulesusers"
KEY = base64.b64encode(b"r" * 64).decode()
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def store(arm_server: ServerThread) -> Iterator[BlobStore]:
    assert arm_server.server is not None
    blobs = arm_server.server.blobs
    for account in (DISKS, USERS):
        blobs.ensure_account(account, KEY)
    yield blobs
    for account in (DISKS, USERS):
        blobs.remove_account(account)


@pytest.fixture
def blob(store: BlobStore) -> BlobAddress:
    """An empty page blob of 8 MiB in a user's storage account."""
    address = BlobAddress(USERS, f"container{next(_numbers)}", "disk.vhd")
    store.create_page_blob(address, 8 * MIB)
    return address


@pytest.fixture
def open_blob(arm_server: ServerThread, store: BlobStore) -> Callable[..., BlobClient]:
    authority = str(arm_server.settings.state_dir / "ca.pem")

    def client(address: BlobAddress) -> BlobClient:
        return BlobClient.from_blob_url(
            store.url(address),
            credential={"account_name": address.account, "account_key": KEY},
            connection_verify=authority,
            retry_total=0,
        )

    return client


def refusal(work: Callable[[], object]) -> tuple[int | None, str | None]:
    """Status and code of an error, as the SDK reads them."""
    try:
        work()
    except HttpResponseError as error:
        return error.status_code, getattr(error, "error_code", None)
    return None, None


def test_a_put_takes_four_mebibytes_and_not_a_sector_more(
    blob: BlobAddress, open_blob: Callable[..., BlobClient]
) -> None:
    client = open_blob(blob)
    client.upload_page(b"\1" * 4 * MIB, offset=0, length=4 * MIB)
    large = b"\1" * (4 * MIB + 512)
    assert refusal(lambda: client.upload_page(large, offset=0, length=len(large))) == (
        413,
        "RequestBodyTooLarge",
    )


def test_a_write_stays_inside_the_blob(blob: BlobAddress, open_blob: Callable[..., BlobClient]) -> None:
    client = open_blob(blob)
    past = (416, "InvalidPageRange")
    assert refusal(lambda: client.upload_page(b"\1" * 1024, offset=8 * MIB - 512, length=1024)) == past
    assert refusal(lambda: client.upload_page(b"\1" * 512, offset=8 * MIB, length=512)) == past
    assert refusal(lambda: client.clear_page(offset=8 * MIB - 512, length=1024)) == past
    client.upload_page(b"\1" * 512, offset=8 * MIB - 512, length=512)
    assert client.get_blob_properties().size == 8 * MIB


def test_sizes_are_whole_sectors_up_to_eight_tebibytes(
    store: BlobStore, blob: BlobAddress, open_blob: Callable[..., BlobClient]
) -> None:
    client = open_blob(blob)
    wrong = (400, "InvalidHeaderValue")
    for size in (8 * 1024**4 + 512, 1000):
        assert refusal(lambda size=size: client.create_page_blob(size)) == wrong  # type: ignore[misc]
    assert refusal(lambda: client.resize_blob(1000)) == wrong
    assert store.size(blob) == 8 * MIB


def test_content_that_does_not_fit_its_md5_is_refused(
    store: BlobStore, blob: BlobAddress, open_blob: Callable[..., BlobClient]
) -> None:
    md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()  # noqa: S324
    put: dict[str, Any] = {"offset": 0, "length": 512, "headers": {"Content-MD5": md5}}
    assert refusal(lambda: open_blob(blob).upload_page(b"\1" * 512, **put)) == (400, "Md5Mismatch")
    assert store.written_ranges(blob) == []


def test_touching_writes_are_one_range_and_long_lists_come_in_pages(
    blob: BlobAddress, open_blob: Callable[..., BlobClient]
) -> None:
    client = open_blob(blob)
    for offset in (0, 512, 4096, 8192):
        client.upload_page(b"\1" * 512, offset=offset, length=512)
    pages = client.list_page_ranges(results_per_page=2).by_page()
    found = [[(r.start, r.end) for r in page] for page in pages]
    assert found == [[(0, 1023), (4096, 4607)], [(8192, 8703)]]


def test_the_difference_to_a_snapshot_names_what_was_written_and_cleared_since(
    blob: BlobAddress, open_blob: Callable[..., BlobClient]
) -> None:
    client = open_blob(blob)
    client.upload_page(b"\1" * 4096, offset=0, length=4096)
    snapshot = client.create_snapshot()
    client.upload_page(b"\2" * 512, offset=512, length=512)
    client.clear_page(offset=1024, length=512)
    client.upload_page(b"\3" * 512, offset=MIB, length=512)
    ranges = client.list_page_ranges(previous_snapshot=snapshot)
    found = [(r.start, r.end, r.cleared) for r in ranges]
    assert found == [(512, 1023, False), (1024, 1535, True), (MIB, MIB + 511, False)]


def test_pages_are_taken_from_another_blob(
    store: BlobStore, blob: BlobAddress, open_blob: Callable[..., BlobClient]
) -> None:
    source = BlobAddress(DISKS, f"disk{next(_numbers)}", "abcd")
    store.create_page_blob(source, MIB)
    store.write(source, 512, b"\7" * 1024)
    url = store.grant(source, "Read", 60)
    client = open_blob(blob)
    done = client.upload_pages_from_url(url, offset=4096, length=1024, source_offset=512)
    assert done["etag"]
    assert store.read(blob, 4096, 1024) == b"\7" * 1024
    store.revoke(source)
    refused = refusal(lambda: client.upload_pages_from_url(url, offset=0, length=512, source_offset=0))
    assert refused == (403, "CannotVerifyCopySource")
    assert store.written_ranges(blob) == [(4096, 1024)]


def test_a_disks_signature_is_for_its_purpose_only(arm_server: ServerThread, store: BlobStore) -> None:
    disk = BlobAddress(DISKS, f"disk{next(_numbers)}", "abcd")
    store.create_page_blob(disk, MIB)
    authority = str(arm_server.settings.state_dir / "ca.pem")
    denied = (403, "AuthorizationPermissionMismatch")
    with BlobClient.from_blob_url(store.grant(disk, "Write", 60), connection_verify=authority) as client:
        client.upload_page(b"\1" * 512, offset=0, length=512)
        client.clear_page(offset=512, length=512)
        assert client.get_blob_properties().size == MIB
        assert [(r.start, r.end) for r in client.list_page_ranges()] == [(0, 511)]
        for forbidden in (
            lambda: client.download_blob(offset=0, length=512).readall(),
            lambda: client.resize_blob(2 * MIB),
            lambda: client.create_page_blob(MIB),
            lambda: client.set_blob_metadata({"a": "b"}),
            client.create_snapshot,
            client.acquire_lease,
            client.delete_blob,
        ):
            assert refusal(forbidden) == denied
    with BlobClient.from_blob_url(store.grant(disk, "Read", 60), connection_verify=authority) as client:
        assert client.download_blob(offset=0, length=512).readall() == b"\1" * 512
        assert refusal(lambda: client.upload_page(b"\2" * 512, offset=0, length=512))[0] == 403
    assert store.read(disk, 0, 512) == b"\1" * 512
