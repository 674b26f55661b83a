# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Downloads from a blob service that misbehaves, into places that do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import build_fixed_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers import DiskWriter

from tests.unit._transfer.downloads import MIB, RANGES, SIZE, TOTAL, as_raw, download, reads
from tests.unit._upload.page_blob_server import Answer, Blob, PageBlobServer, Seen


def test_only_written_ranges_are_fetched_each_once(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    path = tmp_path / "disk.vhd"
    outcome = download(server, path)
    assert path.read_bytes() == blob.data
    asked = reads(server)
    assert len(asked) == len(set(asked)) == outcome.result["requests"]
    assert outcome.result["bytes_received"] == outcome.result["bytes_checked"] == TOTAL
    assert all(seen.headers["if-match"] == '"1"' for seen in server.requests if "x-ms-range" in seen.headers)
    assert path.stat().st_blocks * 512 <= TOTAL - MIB + 6 * 4096, "zeros were written"
    assert outcome.after == {**outcome.result["file"], "virtual_size": SIZE}


@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_qemu_reads_the_disk_from_the_file(
    server: PageBlobServer, blob: Blob, tmp_path: Path, disk_format: str
) -> None:
    path = tmp_path / f"disk.{disk_format}"
    download(server, path)
    assert as_raw(path, disk_format) == blob.data[:SIZE]


def test_small_gaps_are_fetched_instead_of_asked_around(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    blob.ranges = [(start, start + 4096) for start in range(24 * MIB, 26 * MIB, 8192)] + blob.ranges[-1:]
    for start, end in RANGES:
        blob.data[start:end] = bytes(end - start)
    for start, end in blob.ranges[:-1]:
        blob.data[start:end] = b"x" * (end - start)
    server.page_size = 1000
    outcome = download(server, tmp_path / "disk.raw")
    assert outcome.result["requests"] == 1
    assert (tmp_path / "disk.raw").read_bytes() == blob.data[:SIZE]


def test_a_source_that_changes_meanwhile_is_refused(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    def fault(number: int, _seen: Seen) -> None:
        if number == 12:
            blob.etag += 1

    server.fault = fault
    with pytest.raises(AzureError, match=r"ConditionNotMet.*was written to during its download"):
        download(server, tmp_path / "disk.raw")
    assert not (tmp_path / "disk.raw").exists()


def test_damage_on_the_way_is_noticed(server: PageBlobServer, blob: Blob, tmp_path: Path) -> None:
    server.damaged_reads = 4
    download(server, tmp_path / "disk.raw")
    assert (tmp_path / "disk.raw").read_bytes() == blob.data[:SIZE]


def test_a_service_that_tells_no_md5_is_read_all_the_same(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    def fault(_number: int, seen: Seen) -> Answer | None:
        asks = "x-ms-range-get-content-md5" in seen.headers
        return Answer(400, code="UnsupportedHeader") if asks else None

    server.fault = fault
    outcome = download(server, tmp_path / "disk.raw")
    assert (outcome.result["bytes_received"], outcome.result["bytes_checked"]) == (TOTAL, 0)
    assert (tmp_path / "disk.raw").read_bytes() == blob.data[:SIZE]


def test_throttling_and_lost_connections_are_borne(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    def fault(number: int, _seen: Seen) -> Answer | None:
        if number % 5 == 0:
            return Answer(drop=True)
        return Answer(503, code="ServerBusy") if number % 7 == 0 else None

    server.fault = fault
    download(server, tmp_path / "disk.raw")
    assert (tmp_path / "disk.raw").read_bytes() == blob.data[:SIZE]


def dropping(
    write: Callable[[DiskWriter, int, bytes], None], writer: DiskWriter, at: int, data: bytes
) -> None:
    if at != 24 * MIB:
        write(writer, at, data)


def damaging(
    write: Callable[[DiskWriter, int, bytes], None], writer: DiskWriter, at: int, data: bytes
) -> None:
    write(writer, at, data[:-1] + b"!" if at == 24 * MIB else data)


def straying(
    write: Callable[[DiskWriter, int, bytes], None], writer: DiskWriter, at: int, data: bytes
) -> None:
    write(writer, at, data)
    if at == 24 * MIB:
        write(writer, 50 * MIB, b"stray" * 100)


@pytest.mark.usefixtures("blob")
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (dropping, f"bytes {24 * MIB} to {28 * MIB} are not read as they arrived"),
        (damaging, f"bytes {24 * MIB} to {28 * MIB} are not read as they arrived"),
        (straying, f"something at byte {50 * MIB}, where nothing arrived"),
    ],
)
def test_a_file_that_is_not_what_arrived_does_not_get_its_name(
    server: PageBlobServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: Callable[..., None],
    words: str,
) -> None:
    write = DiskWriter.write
    monkeypatch.setattr(DiskWriter, "write", lambda *given: wrong(write, *given))
    with pytest.raises(AzureError, match=words):
        download(server, tmp_path / "disk.raw")
    assert not (tmp_path / "disk.raw").exists()


@pytest.mark.parametrize("footer", [bytes(512), build_fixed_footer(MIB, bytes(16))])
def test_what_is_no_vhd_is_refused_and_leaves_nothing(
    server: PageBlobServer, blob: Blob, tmp_path: Path, footer: bytes
) -> None:
    blob.data[SIZE:] = footer
    with pytest.raises(InvalidInput, match="holds no"):
        download(server, tmp_path / "disk.raw")
    assert not list(tmp_path.glob("disk*"))


def test_an_empty_blob_is_no_vhd(server: PageBlobServer, blob: Blob, tmp_path: Path) -> None:
    del blob.data[512:]
    with pytest.raises(InvalidInput, match="holds no VHD: it has 512 bytes"):
        download(server, tmp_path / "disk.raw")


def test_a_file_system_without_room_is_refused(
    server: PageBlobServer, blob: Blob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del blob
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=10, f_frsize=4096))
    with pytest.raises(InvalidInput, match="only 40960 are free"):
        download(server, tmp_path / "disk.raw")
    assert not list(tmp_path.glob("disk*"))
    assert reads(server) == []


def test_a_name_that_leaves_no_room_for_its_companions_is_refused(
    server: PageBlobServer, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match="is too long a name"):
        download(server, tmp_path / ("x" * 250))


def test_a_symbolic_link_stays_and_its_file_is_written(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    (tmp_path / "large").mkdir()
    link, file = tmp_path / "disk.vhd", tmp_path / "large" / "web.vhd"
    link.symlink_to(file)
    assert download(server, link).result["file"]["path"] == str(link)
    assert link.is_symlink() and file.read_bytes() == blob.data
    assert not download(server, link).changed


def test_a_second_run_reads_no_range(server: PageBlobServer, blob: Blob, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    download(server, path)
    server.requests.clear()
    assert not download(server, path).changed and reads(server) == []
    blob.etag += 1
    with pytest.raises(InvalidInput, match="not known to be this disk"):
        download(server, path)


def test_a_limited_download_takes_its_time(server: PageBlobServer, blob: Blob, tmp_path: Path) -> None:
    del blob
    outcome = download(server, tmp_path / "disk.raw", bandwidth_limit=20 * MIB)
    assert outcome.result["seconds"] >= 0.9 * TOTAL / (20 * MIB)


@pytest.mark.parametrize(
    ("wrong", "words"), [({"bandwidth_limit": 99999}, "at least 100000"), ({"connections": 17}, "1 to 12")]
)
def test_numbers_without_sense_are_refused(
    server: PageBlobServer, tmp_path: Path, wrong: dict[str, int], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        download(server, tmp_path / "disk.raw", **wrong)
    assert server.requests == []


def test_progress_is_told_from_the_first_byte_to_the_last_check(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    del blob
    told = tmp_path / "progress"
    download(server, tmp_path / "disk.raw", progress_file=str(told), bandwidth_limit=20 * MIB)
    lines = [json.loads(line) for line in told.read_text(encoding="utf-8").splitlines()]
    phases = [line["phase"] for line in lines]
    assert phases == sorted(phases, reverse=True) and set(phases) == {"receiving", "checking"}
    received = [line for line in lines if line["phase"] == "receiving"]
    assert 0 < received[0]["done"] < TOTAL
    assert received[-1] == {**received[-1], "done": TOTAL, "total": TOTAL, "sent": TOTAL, "resumed": 0}
    assert lines[-1]["done"] == lines[-1]["total"] > 0
    assert told.stat().st_mode & 0o777 == 0o600
