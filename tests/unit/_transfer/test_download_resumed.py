# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Downloads that were stopped or killed, and gone on with; and two at once."""

from __future__ import annotations

import fcntl
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer import download_journal

from tests.unit._disk.samples import qemu_img
from tests.unit._transfer.downloads import (
    MIB,
    RANGES,
    SIZE,
    TOTAL,
    as_raw,
    download,
    fails_after,
    noted,
    options,
    reads,
    result_of,
    running,
)
from tests.unit._upload.page_blob_server import Blob, PageBlobServer


def stop_in_between(server: PageBlobServer, path: Path, **given: str) -> None:
    server.fault = fails_after(7)
    with pytest.raises(AzureError, match="AuthenticationFailed"):
        download(server, path, **given)
    assert not path.exists()
    server.fault = lambda _number, _seen: None
    server.requests.clear()


def wait_for_pieces(process: subprocess.Popen[str], path: Path, count: int) -> None:
    deadline = time.monotonic() + 30
    while noted(path) < count:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("disk_format", ["raw", "vhd", "qcow2"])
def test_a_stopped_download_is_gone_on_with(
    server: PageBlobServer, blob: Blob, tmp_path: Path, disk_format: str
) -> None:
    path = tmp_path / "disk"
    stop_in_between(server, path, format=disk_format)
    again = download(server, path, format=disk_format)
    assert again.result["bytes_resumed"] > 0
    assert again.result["bytes_resumed"] + again.result["bytes_received"] == TOTAL
    assert again.result["requests"] == len(reads(server))
    assert as_raw(path, disk_format) == blob.data[:SIZE]
    assert not list(tmp_path.glob("disk.part*"))


def test_what_was_damaged_in_the_partial_file_is_fetched_again(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    path = tmp_path / "disk.raw"
    stop_in_between(server, path)
    with Path(f"{path}.part").open("r+b") as file:
        for start, end in RANGES:
            file.seek((start + end) // 2)
            file.write(b"damage")
    with Path(f"{path}.part.journal").open("r+b") as file:
        file.seek(download_journal._HEADER + 8)
        file.write(b"torn")
    download(server, path)
    assert path.read_bytes() == blob.data[:SIZE]


def test_a_lost_partial_file_is_fetched_again(server: PageBlobServer, blob: Blob, tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    stop_in_between(server, path)
    Path(f"{path}.part").unlink()
    download(server, path)
    assert path.read_bytes() == blob.data[:SIZE]


@pytest.mark.parametrize("other", ["source", "ranges", "format"])
def test_the_partial_file_of_another_download_is_begun_anew(
    server: PageBlobServer, blob: Blob, tmp_path: Path, other: str
) -> None:
    path = tmp_path / "disk"
    stop_in_between(server, path, format="raw")
    if other == "source":
        blob.data[0:512] = b"n" * 512
        blob.data[4 * MIB : 5 * MIB] = bytes(MIB)
        blob.etag += 1
    if other == "ranges":
        blob.ranges.insert(3, (50 * MIB, 51 * MIB))
    disk_format = "qcow2" if other == "format" else "raw"
    again = download(server, path, format=disk_format)
    assert again.result["bytes_resumed"] == 0
    assert as_raw(path, disk_format) == blob.data[:SIZE]


def test_a_killed_download_is_gone_on_with(server: PageBlobServer, blob: Blob, tmp_path: Path) -> None:
    """kill -9 again and again; all that was noted is taken over, and the file is right at last."""
    path = tmp_path / "disk.qcow2"
    server.fault = lambda _number, seen: time.sleep(0.3) if "x-ms-range" in seen.headers else None
    given = options(server, path, connections=2)
    for pieces in (1, 3, 6, 9):
        killed = running(given)
        wait_for_pieces(killed, path, pieces)
        killed.kill()
        killed.communicate()
    before = noted(path)
    assert not path.exists()
    server.fault = lambda _number, _seen: None
    server.settle()
    server.requests.clear()
    result = result_of(running(given))
    assert result["requests"] == len(reads(server)) <= 13 - before
    assert result["bytes_resumed"] + result["bytes_received"] == TOTAL
    assert as_raw(path, "qcow2") == blob.data[:SIZE]
    assert "No errors" in qemu_img("check", path)


def test_a_terminated_download_says_so_and_is_gone_on_with(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    path = tmp_path / "disk.raw"
    server.fault = lambda _number, seen: time.sleep(0.3) if "x-ms-range" in seen.headers else None
    given = options(server, path, connections=2)
    stopped = running(given)
    wait_for_pieces(stopped, path, 2)
    stopped.terminate()
    _output, problem = stopped.communicate(timeout=20)
    assert problem.strip() == "The download was interrupted; the next run goes on with what has arrived."
    server.fault = lambda _number, _seen: None
    assert download(server, path).result["bytes_resumed"] > 0
    assert path.read_bytes() == blob.data[:SIZE]


def test_a_download_killed_at_its_very_end_fetches_nothing_again(
    server: PageBlobServer, blob: Blob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "disk.raw"
    replace = Path.replace

    def killed(file: Path, target: str) -> Path:
        if file.name.endswith(".part"):
            raise KeyboardInterrupt
        return replace(file, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(AzureError, match="interrupted"):
            download(server, path)
    server.requests.clear()
    assert download(server, path).result["bytes_resumed"] == TOTAL
    assert reads(server) == []
    assert path.read_bytes() == blob.data[:SIZE]
    assert not download(server, path).changed


def test_two_downloads_into_one_file_exclude_each_other(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    del blob
    with (tmp_path / "disk.raw.part").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AzureError, match="Another download"):
            download(server, tmp_path / "disk.raw")
    assert reads(server) == []


def test_a_file_that_another_download_has_just_finished_is_not_touched(
    server: PageBlobServer, blob: Blob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one renames the partial file after this one has opened it."""
    path = tmp_path / "disk.raw"
    lock = fcntl.flock

    def late(fd: int, operation: int) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(fcntl, "flock", lock)
            download(server, path)
        lock(fd, operation)

    Path(f"{path}.part").touch()
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", late)
        with pytest.raises(AzureError, match="Another download"):
            download(server, path)
    assert path.read_bytes() == blob.data[:SIZE]
    assert not download(server, path).changed
