# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The blob store with a real Azurite, looked at through the SDK that users have."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobClient, BlobServiceClient

from tests.guests.lab.processes import identify
from tests.local_azure.blob_storage.blobs import BlobAddress, BlobError, BlobStore
from tests.local_azure.certificates import Certificates, ensure_certificates

MIB = 1024 * 1024
DISKS = "md-impexp-0"
KEY = base64.b64encode(b"k" * 64).decode()
CHECKOUT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return ensure_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[BlobStore]:
    made = BlobStore(tmp_path_factory.mktemp("state"), certificates.server, certificates.key, free_port())
    made.ensure_account(DISKS, KEY)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def disk() -> BlobAddress:
    """The address of a disk that no other test uses."""
    return BlobAddress(DISKS, secrets.token_hex(8), "abcd")


@pytest.fixture
def open_url(certificates: Certificates) -> Callable[[str], BlobClient]:
    def client(url: str, **options: Any) -> BlobClient:
        return BlobClient.from_blob_url(url, connection_verify=str(certificates.authority), **options)

    return client


def status_of(work: Callable[[], object]) -> int | None:
    try:
        work()
    except HttpResponseError as error:
        return error.status_code
    return None


def test_account_made_while_running_is_usable_at_once(store: BlobStore, certificates: Certificates) -> None:
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    url = f"{store.endpoint}/newcomer"
    options: dict[str, Any] = {"connection_verify": str(certificates.authority), "retry_total": 0}
    with pytest.raises(ResourceNotFoundError):
        BlobServiceClient(url, credential=key, **options).create_container("vhds")
    store.ensure_account("newcomer", key)
    BlobServiceClient(url, credential=key, **options).create_container("vhds")
    assert store.list_containers("newcomer") == ["vhds"]
    with pytest.raises(ClientAuthenticationError):
        BlobServiceClient(url, credential=KEY, **options).create_container("others")


def test_removed_account_loses_its_data(store: BlobStore) -> None:
    store.ensure_account("shortlived", KEY)
    address = BlobAddress("shortlived", "vhds", "a.vhd")
    store.create_page_blob(address, MIB)
    store.remove_account("shortlived")
    store.remove_account("shortlived")
    with pytest.raises(BlobError, match="no account shortlived"):
        store.size(address)
    store.ensure_account("shortlived", KEY)
    assert store.list_containers("shortlived") == []


@pytest.mark.parametrize(("name", "key"), [("No Capitals", KEY), ("x", KEY), ("fine", "not base64!")])
def test_impossible_accounts_are_refused(store: BlobStore, name: str, key: str) -> None:
    with pytest.raises(ValueError, match="storage account"):
        store.ensure_account(name, key)


def test_development_account_does_not_work(store: BlobStore, certificates: Certificates) -> None:
    known_to_all = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    url = f"{store.endpoint}/devstoreaccount1"
    client = BlobServiceClient(
        url, credential=known_to_all, connection_verify=str(certificates.authority), retry_total=0
    )
    with pytest.raises(ResourceNotFoundError):
        client.create_container("anything")


def test_write_grant_writes_and_looks_but_does_not_delete(
    store: BlobStore, disk: BlobAddress, open_url: Callable[..., BlobClient]
) -> None:
    store.create_page_blob(disk, 2 * MIB + 512)
    url = store.grant(disk, "Write", 60)
    assert url.startswith(f"{store.url(disk)}?")
    assert "&si=" in url
    assert "&se=" not in url
    assert "&sp=" not in url
    client = open_url(url)
    client.upload_page(b"\1" * MIB, offset=0, length=MIB)
    assert client.get_blob_properties().size == 2 * MIB + 512
    assert [(found.start, found.end) for found in client.list_page_ranges()] == [(0, MIB - 1)]
    assert status_of(client.delete_blob) == 403


def test_read_grant_reads_only(
    store: BlobStore, disk: BlobAddress, open_url: Callable[..., BlobClient]
) -> None:
    store.create_page_blob(disk, MIB)
    store.write(disk, 512, b"\7" * 512)
    client = open_url(store.grant(disk, "Read", 60))
    assert client.download_blob(offset=512, length=512).readall() == b"\7" * 512
    assert status_of(lambda: client.upload_page(b"\1" * 512, offset=0, length=512)) == 403


def test_revoked_and_expired_grants_are_worth_nothing(
    store: BlobStore, disk: BlobAddress, open_url: Callable[..., BlobClient]
) -> None:
    store.create_page_blob(disk, MIB)
    revoked = open_url(store.grant(disk, "Write", 60))
    revoked.upload_page(b"\1" * 512, offset=0, length=512)
    store.revoke(disk)
    assert status_of(lambda: revoked.upload_page(b"\2" * 512, offset=0, length=512)) == 403
    expired = open_url(store.grant(disk, "Write", -1))
    assert status_of(lambda: expired.upload_page(b"\2" * 512, offset=0, length=512)) == 403
    store.revoke(disk)
    store.revoke(disk)
    assert store.read(disk, 0, 512) == b"\1" * 512


def test_grant_is_for_one_disk(
    store: BlobStore, disk: BlobAddress, open_url: Callable[..., BlobClient]
) -> None:
    other = disk._replace(container=f"{disk.container}2")
    for address in (disk, other):
        store.create_page_blob(address, MIB)
    url = store.grant(disk, "Write", 60).replace(disk.container, other.container)
    assert status_of(lambda: open_url(url).upload_page(b"\1" * 512, offset=0, length=512)) == 403


def test_copy_and_source_are_independent_at_once(store: BlobStore, disk: BlobAddress) -> None:
    store.create_page_blob(disk, 64 * MIB)
    store.write(disk, 8 * MIB, b"\1" * MIB)
    copy = disk._replace(container=f"{disk.container}copy")
    store.copy(disk, copy)
    assert store.written_ranges(copy) == [(8 * MIB, MIB)]
    assert store.fingerprint(copy) == store.fingerprint(disk)
    store.write(copy, 0, b"\2" * 512)
    assert store.written_ranges(disk) == [(8 * MIB, MIB)]
    store.write(disk, 8 * MIB, b"\3" * 512)
    assert store.read(copy, 8 * MIB, 512) == b"\1" * 512
    assert store.fingerprint(copy) != store.fingerprint(disk)


def test_copy_crosses_accounts(store: BlobStore, disk: BlobAddress) -> None:
    store.ensure_account("userdata", KEY[::-1].replace("=", "A"))
    uploaded = BlobAddress("userdata", "vhds", "my disk (1).vhd")
    store.create_page_blob(uploaded, MIB)
    store.write(uploaded, 0, b"\5" * 512)
    store.copy(uploaded, disk)
    assert store.read(disk, 0, 512) == b"\5" * 512


def test_copy_of_a_missing_blob_fails(store: BlobStore, disk: BlobAddress) -> None:
    with pytest.raises(BlobError) as raised:
        store.copy(disk._replace(container="nowhere"), disk)
    assert raised.value.status == 404
    assert store.size(disk) is None


def test_deleted_disk_leaves_nothing(store: BlobStore, disk: BlobAddress) -> None:
    store.create_page_blob(disk, MIB)
    store.delete(disk)
    store.delete(disk)
    assert store.size(disk) is None
    assert disk.container not in store.list_containers(DISKS)


def test_every_write_is_answered_with_its_crc64(
    store: BlobStore, disk: BlobAddress, open_url: Callable[..., BlobClient]
) -> None:
    store.create_page_blob(disk, MIB)
    client = open_url(store.grant(disk, "Write", 60))
    answers: list[str] = []
    content = b"123456789".ljust(512, b"\0")
    client.upload_page(
        content,
        offset=0,
        length=512,
        raw_response_hook=lambda r: answers.append(r.http_response.headers["x-ms-content-crc64"]),
    )
    assert answers == [base64.b64encode(_crc64_nvme(content).to_bytes(8, "little")).decode()]
    wrong = {"x-ms-content-crc64": base64.b64encode(bytes(8)).decode()}
    assert status_of(lambda: client.upload_page(content, offset=0, length=512, headers=wrong)) == 400


def _crc64_nvme(content: bytes) -> int:
    """CRC-64/NVME bit by bit, from its definition."""
    remainder = 0xFFFFFFFFFFFFFFFF
    for byte in content:
        remainder ^= byte
        for _unused in range(8):
            remainder = remainder >> 1 ^ (0x9A6C9329AC4BC9B5 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFFFFFFFFFF


def test_starting_twice_is_starting_once(store: BlobStore) -> None:
    pid = store.pid
    store.start()
    assert store.pid == pid


def test_one_directory_has_one_service(store: BlobStore, certificates: Certificates) -> None:
    state = Path(f"/proc/{store.pid}/cmdline").read_text().split("\0")[3]
    rival = BlobStore(Path(state).parent, certificates.server, certificates.key, free_port())
    with pytest.raises(BlobError, match="Another process"):
        rival.start()
    rival.stop()
    assert store.size(BlobAddress(DISKS, "nothing", "abcd")) is None


def test_restart_keeps_accounts_and_data(certificates: Certificates, tmp_path: Path) -> None:
    port = free_port()
    address = BlobAddress(DISKS, "kept", "abcd")
    first = BlobStore(tmp_path, certificates.server, certificates.key, port)
    first.ensure_account(DISKS, KEY)
    first.start()
    try:
        first.create_page_blob(address, MIB)
        first.write(address, 0, b"\6" * 512)
    finally:
        azurite = identify(first.pid or 0)
        first.stop()
    first.stop()
    assert azurite is not None
    assert not azurite.is_alive()
    second = BlobStore(tmp_path, certificates.server, certificates.key, port)
    second.start()
    try:
        assert second.read(address, 0, 512) == b"\6" * 512
    finally:
        second.stop()
    assert stat.S_IMODE((tmp_path / "blobs/accounts.json").stat().st_mode) == 0o600


def test_azurite_ends_with_a_killed_owner_and_its_data_stays(
    certificates: Certificates, tmp_path: Path
) -> None:
    port = free_port()
    script = (
        "import sys, pathlib; from tests.local_azure.blob_storage.blobs import *\n"
        "state, certificate, key, port = sys.argv[1:]\n"
        "store = BlobStore(pathlib.Path(state), pathlib.Path(certificate), pathlib.Path(key), int(port))\n"
        f"store.ensure_account({DISKS!r}, {KEY!r}); store.start()\n"
        f"store.create_page_blob(BlobAddress({DISKS!r}, 'kept', 'abcd'), 512)\n"
        "print(store.pid, flush=True); sys.stdin.read()\n"
    )
    arguments = [str(tmp_path), str(certificates.server), str(certificates.key), str(port)]
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as owner:
        assert owner.stdout is not None
        azurite = identify(int(owner.stdout.readline()))
        assert azurite is not None
        assert azurite.is_alive()
        owner.send_signal(signal.SIGKILL)
    again = BlobStore(tmp_path, certificates.server, certificates.key, port)
    again.start()
    try:
        assert not azurite.is_alive()
        assert again.size(BlobAddress(DISKS, "kept", "abcd")) == 512
    finally:
        again.stop()


def test_service_that_cannot_start_says_where_to_look(certificates: Certificates, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        store = BlobStore(tmp_path, certificates.server, certificates.key, taken.getsockname()[1])
        start = time.monotonic()
        with pytest.raises(BlobError, match="EADDRINUSE"):
            store.start()
    assert store.pid is None
    assert time.monotonic() - start < 60


def test_service_that_died_is_started_again(certificates: Certificates, tmp_path: Path) -> None:
    store = BlobStore(tmp_path, certificates.server, certificates.key, free_port())
    store.start()
    azurite = identify(store.pid or 0)
    assert azurite is not None
    azurite.send(signal.SIGKILL)
    assert azurite.wait(10)
    with pytest.raises(BlobError, match=r"azurite\.log"):
        store.ensure_account("newcomer", KEY)
        store.fingerprint(BlobAddress("newcomer", "nothing", "abcd"))
    store.start()
    try:
        assert store.list_containers("newcomer") == []
    finally:
        store.stop()


def test_hanging_service_is_killed(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.local_azure.blob_storage.blob_service.STOP_SECONDS", 1)
    store = BlobStore(tmp_path, certificates.server, certificates.key, free_port())
    store.start()
    azurite = identify(store.pid or 0)
    assert azurite is not None
    assert Path(f"/proc/{azurite.pid}/exe").resolve().name == "node"
    azurite.send(signal.SIGSTOP)
    store.stop()
    assert not azurite.is_alive()
    assert store.pid is None


def test_secrets_are_not_in_the_process_list(store: BlobStore) -> None:
    assert store.pid is not None
    seen = Path(f"/proc/{store.pid}/cmdline").read_bytes() + Path(f"/proc/{store.pid}/environ").read_bytes()
    assert KEY.encode() not in seen


def test_existing_blob_is_not_created_again(
    store: BlobStore, disk: BlobAddress, open_url: Callable[..., BlobClient]
) -> None:
    store.ensure_account("userdata", KEY)
    uploaded = BlobAddress("userdata", "vhds", f"{disk.container}.vhd")
    store.create_page_blob(uploaded, MIB)
    client = open_url(store.url(uploaded), credential={"account_name": "userdata", "account_key": KEY})
    with pytest.raises(ResourceExistsError):
        client.upload_blob(os.urandom(512), blob_type="PageBlob", overwrite=False)
