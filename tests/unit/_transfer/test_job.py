# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.job import UploadJob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Progress
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.progress_file import ProgressFile

from tests.unit._disk.samples import MIB, add_boot_code, gpt_disk, qemu_img, write_sparse
from tests.unit._upload.page_blob_server import Answer, PageBlobServer, Seen

DEFAULTS: dict[str, Any] = {
    "allow_unpartitioned": False,
    "resource_group": "images",
    "disk_name": None,
    "location": None,
    "sku": None,
    "zone": None,
    "os_type": None,
    "hyper_v_generation": None,
    "architecture": None,
    "disk_encryption_set": None,
    "security_type": None,
    "storage_account": None,
    "container": None,
    "blob": None,
    "auth_mode": "key",
    "sas_url": None,
    "connections": 4,
    "verify": "ranges",
    "resume": True,
    "journal_dir": None,
    "bandwidth_limit": None,
    "force": False,
    "progress_file": None,
    "wait_timeout": 60,
    "tags": None,
    "append_tags": True,
    "cert_validation_mode": None,
}


def job(path: Path, *, check_mode: bool = False, **options: Any) -> UploadJob:
    return UploadJob({**DEFAULTS, "path": str(path), **options}, check_mode=check_mode)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    boot = "size=1MiB, type=21686148-6449-6E6F-744E-656564454649\nsize=8MiB, type=linux\n"
    return add_boot_code(gpt_disk(tmp_path / "web.raw", script=boot))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"disk_name": "a" * 81}, ("disk_name", "80")),
        ({"disk_name": "d", "hyper_v_generation": "V2"}, ("os_type",)),
        ({"disk_name": "d", "os_type": "Linux", "hyper_v_generation": "V2"}, ("BIOS", "boots as V1")),
        ({"disk_name": "d", "os_type": "Linux", "sku": "UltraSSD_LRS"}, ("UltraSSD_LRS", "booted")),
        ({"disk_name": "d", "disk_encryption_set": "des1"}, ("disk_encryption_set", "id")),
        ({"disk_name": "d", "tags": {"a<b": "c"}}, ("a<b",)),
        ({"disk_name": "d", "tags": {"GoldenImage_Upload": "c"}}, ("GoldenImage_Upload",)),
        ({"disk_name": "d", "tags": dict.fromkeys(map(str, range(49)), "")}, ("49 tags", "48")),
        ({"disk_name": "d", "connections": 0}, ("connections",)),
        ({"disk_name": "d", "connections": 17}, ("connections", "12")),
        ({"disk_name": "d", "bandwidth_limit": 99_999}, ("bandwidth_limit", "100000")),
        ({"disk_name": "d", "wait_timeout": 0}, ("wait_timeout",)),
        ({"disk_name": "d", "resource_group": "a b"}, ("resource_group",)),
        ({"sas_url": "https://host/only"}, ("URL of a blob",)),
        ({"sas_url": "https://a.b/c/d?sig=x", "os_type": "Linux"}, ("os_type", "managed disk")),
        ({"storage_account": "Bad_Name", "container": "c", "blob": "b"}, ("storage_account", "lower-case")),
        ({"storage_account": "acc", "container": "Bad--Name", "blob": "b"}, ("container", "hyphens")),
        ({"storage_account": "acc", "container": "vhds", "blob": "ends/"}, ("blob", "/")),
        (
            {"storage_account": "acc", "container": "vhds", "blob": "b.vhd", "resource_group": None},
            ("resource_group", "auth_mode"),
        ),
    ],
    ids=lambda value: " ".join(map(str, value))[:40] if isinstance(value, dict) else "",
)
def test_bad_options_are_refused_without_a_session(
    raw: Path, options: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(AzureError) as caught:
        job(raw, **options)
    for word in words:
        assert word in str(caught.value)


def converted(raw: Path, *options: str) -> Path:
    target = raw.with_name("converted")
    qemu_img("convert", "-f", "raw", *options, raw, target)
    return target


def test_bad_files_are_refused_without_a_session(raw: Path, tmp_path: Path) -> None:
    qemu_img("create", "-f", "qcow2", tmp_path / "huge.qcow2", "33T")
    qemu_img("create", "-f", "qcow2", tmp_path / "small.qcow2", "19M")
    (tmp_path / "odd.raw").write_bytes(raw.read_bytes()[:-100])
    (tmp_path / "cut.raw").write_bytes(raw.read_bytes()[: 4 * MIB])
    cases = [
        (tmp_path / "huge.qcow2", "at most"),
        (tmp_path / "small.qcow2", "20 MiB"),
        (tmp_path / "odd.raw", "512"),
        (tmp_path / "cut.raw", "truncated"),
        (tmp_path, "directory"),
        (converted(raw, "-O", "vdi"), "VDI"),
    ]
    for path, word in cases:
        with pytest.raises(InvalidInput, match=word) as caught:
            job(path, disk_name="d")
        assert str(path) in str(caught.value)


def test_a_system_disk_that_shows_no_way_to_boot_needs_the_generation(tmp_path: Path) -> None:
    path = gpt_disk(tmp_path / "plain.raw")
    with pytest.raises(InvalidInput, match="hyper_v_generation"):
        job(path, disk_name="d", os_type="Linux")
    with job(path, disk_name="d", os_type="Linux", hyper_v_generation="V1"):
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageBlobServer]:
    made = PageBlobServer(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.ca))
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    yield made
    made.stop()


def journals(folder: Path) -> list[Path]:
    return list(folder.glob(".*.upload"))


def uploaded(server: PageBlobServer, raw: Path, **options: Any) -> Outcome:
    with job(raw, sas_url=server.url(), **options) as work:
        return work.run(None)


@pytest.mark.parametrize("resume", [True, False])
def test_a_blob_that_fails_half_way_is_kept_or_removed(
    server: PageBlobServer, raw: Path, resume: bool
) -> None:
    footers = 0

    def refuse_footer(_number: int, seen: Seen) -> Answer | None:
        nonlocal footers
        footers += seen.headers.get("x-ms-range") == f"bytes={64 * MIB}-{64 * MIB + 511}"
        return Answer(403, {}, "AuthorizationFailure") if footers else None

    def only_the_footer(number: int, seen: Seen) -> Answer | None:
        return refuse_footer(number, seen) if seen.query.get("comp") == ["page"] else None

    server.fault = only_the_footer
    with pytest.raises(AzureError, match="AuthorizationFailure") as caught:
        uploaded(server, raw, resume=resume)
    assert caught.value.remedy is not None and "network rules" in caught.value.remedy
    if not resume:
        assert server.blobs == {}
        return
    assert "was kept: run the task again" in str(caught.value)
    blob = server.blobs["/account/vhds/disk.vhd"]
    assert blob.metadata["goldenimage_state"] == "uploading"
    server.fault = lambda _number, _seen: None
    done = uploaded(server, raw)
    assert (done.result["bytes_sent"], done.result["bytes_resumed"]) == (
        512,
        done.result["bytes_planned"] - 512,
    )
    assert server.blobs["/account/vhds/disk.vhd"] is blob, "the blob was created anew"
    assert bytes(blob.data[:-512]) == raw.read_bytes()
    assert not journals(raw.parent)


def test_a_blob_that_nothing_has_come_into_is_removed(server: PageBlobServer, raw: Path) -> None:
    server.fault = lambda _number, seen: (
        Answer(403, {}, "AuthorizationFailure") if seen.query.get("comp") == ["page"] else None
    )
    with pytest.raises(AzureError, match="AuthorizationFailure"):
        uploaded(server, raw)
    assert server.blobs == {}
    assert not journals(raw.parent)


def test_what_cannot_be_removed_is_said(server: PageBlobServer, raw: Path) -> None:
    server.fault = lambda _number, seen: (
        Answer(403, {}, "AuthorizationFailure")
        if seen.method == "DELETE" or seen.query.get("comp") == ["page"]
        else None
    )
    with pytest.raises(AzureError, match="could not be removed") as caught:
        uploaded(server, raw)
    assert "disk.vhd" in str(caught.value) and "TOPSECRET" not in str(caught.value)


def test_a_half_uploaded_blob_is_replaced_without_force(server: PageBlobServer, raw: Path) -> None:
    blob = server.add(MIB)
    blob.metadata = {"goldenimage_state": "uploading"}
    done = uploaded(server, raw)
    assert done.changed and done.after is not None and done.after["state"] == "complete"
    assert server.blobs["/account/vhds/disk.vhd"].metadata == {
        "goldenimage_content_sha256": done.result["content_sha256"],
        "goldenimage_virtual_size": str(64 * MIB),
        "goldenimage_state": "complete",
    }
    assert not uploaded(server, raw).changed


def test_a_blob_that_somebody_creates_meanwhile_is_not_touched(server: PageBlobServer, raw: Path) -> None:
    def create_first(_number: int, seen: Seen) -> Answer | None:
        if seen.method == "PUT" and "comp" not in seen.query:
            server.add(MIB).metadata = {"owner": "somebody"}
        return None

    server.fault = create_first
    with pytest.raises(AzureError, match="BlobAlreadyExists"):
        uploaded(server, raw)
    assert server.blobs["/account/vhds/disk.vhd"].metadata == {"owner": "somebody"}


def test_a_blob_that_somebody_replaces_meanwhile_is_not_called_complete(
    server: PageBlobServer, raw: Path
) -> None:
    def replace(_number: int, seen: Seen) -> Answer | None:
        if seen.query.get("comp") == ["pagelist"]:
            blob = server.blobs["/account/vhds/disk.vhd"]
            blob.metadata = {"goldenimage_state": "uploading", "goldenimage_upload": "of somebody else"}
        return None

    server.fault = replace
    with pytest.raises(AzureError, match="replaced or removed while it was uploaded"):
        uploaded(server, raw)
    assert server.blobs["/account/vhds/disk.vhd"].metadata["goldenimage_upload"] == "of somebody else"


def test_a_blob_whose_creation_was_answered_to_nobody_is_one_s_own(server: PageBlobServer, raw: Path) -> None:
    lost: list[Seen] = []

    def lose_the_answer(_number: int, seen: Seen) -> Answer | None:
        if seen.method != "PUT" or "comp" in seen.query or lost:
            return None
        prefix = "x-ms-meta-"
        metadata = {k.removeprefix(prefix): v for k, v in seen.headers.items() if k.startswith(prefix)}
        server.add(64 * MIB + 512).metadata = metadata
        lost.append(seen)
        return Answer(drop=True)

    server.fault = lose_the_answer
    assert uploaded(server, raw).changed and lost
    assert server.blobs["/account/vhds/disk.vhd"].metadata["goldenimage_state"] == "complete"


def test_verification_can_be_left_out(server: PageBlobServer, raw: Path) -> None:
    uploaded(server, raw, verify="none")
    assert not [seen for seen in server.requests if seen.query.get("comp") == ["pagelist"]]
    uploaded(server, write_sparse(raw, 64 * MIB, [(20 * MIB, b"new")]), force=True, allow_unpartitioned=True)
    assert [seen for seen in server.requests if seen.query.get("comp") == ["pagelist"]]


def test_check_mode_reads_only(server: PageBlobServer, raw: Path) -> None:
    done = uploaded(server, raw, check_mode=True)
    assert done.changed and done.result["bytes_planned"] > 0 and done.result["bytes_sent"] == 0
    assert {seen.method for seen in server.requests} == {"HEAD"}


def test_progress_goes_into_a_private_file(server: PageBlobServer, raw: Path, tmp_path: Path) -> None:
    file = tmp_path / "progress"
    uploaded(server, raw, progress_file=str(file))
    lines = file.read_text(encoding="utf-8").splitlines()
    assert '"phase": "sending"' in lines[-1]
    uploaded(server, raw, progress_file=str(file))
    assert '"phase": "reading"' in file.read_text(encoding="utf-8").splitlines()[-1]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_progress_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    (tmp_path / "link").symlink_to(target)
    for path in (tmp_path / "link", tmp_path / "missing" / "progress"):
        progress = ProgressFile(str(path))
        progress.sending(Progress(1, 1, 1, 0, 1.0))
        progress.close()
    assert target.read_bytes() == b"", "a link was followed"


def test_a_job_ends_with_no_thread_left(server: PageBlobServer, raw: Path) -> None:
    before = {thread.name for thread in threading.enumerate()}
    uploaded(server, raw)
    left = {thread.name for thread in threading.enumerate()} - before
    assert not [name for name in left if "process_request" not in name]
