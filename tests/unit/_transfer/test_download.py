# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Downloads from a blob service that misbehaves, stopped and gone on with."""

from __future__ import annotations

import fcntl
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import build_fixed_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_job import DownloadJob

from tests.integration.plays import COLLECTIONS
from tests.unit._upload.page_blob_server import Answer, Blob, PageBlobServer, Seen

MIB = 1 << 20
SIZE = 64 * MIB
RANGES = [(0, 512), (4 * MIB - 4096, 13 * MIB), (20 * MIB, 44 * MIB), (SIZE - 512, SIZE)]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageBlobServer]:
    made = PageBlobServer(tmp_path, page_size=1)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.ca))
    yield made
    made.stop()


@pytest.fixture
def blob(server: PageBlobServer) -> Blob:
    """A VHD with three gaps, one range of zeros in it."""
    made = server.add(SIZE + 512)
    rng = random.Random(11)
    for start, end in RANGES:
        made.data[start:end] = rng.randbytes(end - start)
    made.data[22 * MIB : 23 * MIB] = bytes(MIB)
    made.data[SIZE:] = build_fixed_footer(SIZE, bytes(16))
    made.ranges = [*RANGES, (SIZE, SIZE + 512)]
    return made


def options(server: PageBlobServer, path: Path, **given: Any) -> dict[str, Any]:
    names = (
        "resource_group disk_name snapshot_name image_name gallery_name gallery_image lun container blob"
        " temporary_resource_group storage_account format bandwidth_limit progress_file"
    )
    return {
        **dict.fromkeys(names.split()),
        "gallery_image_version": "latest",
        "auth_mode": "key",
        "sas_url": server.url(),
        "path": str(path),
        "connections": 4,
        "force": False,
        "wait_timeout": 10,
        **given,
    }


def download(server: PageBlobServer, path: Path, **given: Any) -> Outcome:
    return DownloadJob(options(server, path, **given), check_mode=False).run(None)


def reads(server: PageBlobServer) -> list[str]:
    return [seen.headers["x-ms-range"] for seen in server.requests if "x-ms-range" in seen.headers]


def fails_after(reads_that_work: int, code: str = "AuthenticationFailed") -> Any:
    """All reads but the first ones are refused."""
    count = 0

    def fault(_number: int, seen: Seen) -> Answer | None:
        nonlocal count
        if "x-ms-range" not in seen.headers:
            return None
        count += 1
        return Answer(403, code=code) if count > reads_that_work else None

    return fault


def test_only_written_ranges_are_fetched_each_once(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    outcome = download(server, tmp_path / "disk.vhd")
    assert (tmp_path / "disk.vhd").read_bytes() == blob.data
    asked = reads(server)
    assert len(asked) == len(set(asked)) == outcome.result["requests"] + 1
    assert outcome.result["bytes_received"] == sum(end - start for start, end in RANGES)
    assert all(seen.headers["if-match"] == '"1"' for seen in server.requests if "x-ms-range" in seen.headers)


@pytest.mark.parametrize("disk_format", ["raw", "vhd", "qcow2"])
def test_a_stopped_download_is_gone_on_with(
    server: PageBlobServer, blob: Blob, tmp_path: Path, disk_format: str
) -> None:
    path = tmp_path / "disk"
    server.fault = fails_after(5)
    with pytest.raises(AzureError, match="AuthenticationFailed"):
        download(server, path, format=disk_format)
    assert not path.exists()
    server.fault = lambda _number, _seen: None
    server.requests.clear()
    again = download(server, path, format=disk_format)
    total = sum(end - start for start, end in RANGES)
    assert again.result["bytes_resumed"] > 0
    assert again.result["bytes_resumed"] + again.result["bytes_received"] == total
    judged = tmp_path / "judged"
    kind = {"vhd": "vpc"}.get(disk_format, disk_format)
    subprocess.run(["qemu-img", "convert", "-f", kind, "-O", "raw", path, judged], check=True)
    assert judged.read_bytes() == blob.data[:SIZE]
    assert not list(tmp_path.glob("disk.part*"))


def stopped(server: PageBlobServer, path: Path) -> None:
    server.fault = fails_after(7)
    with pytest.raises(AzureError):
        download(server, path)
    server.fault = lambda _number, _seen: None


def test_what_was_damaged_in_the_partial_file_is_fetched_again(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    path = tmp_path / "disk.raw"
    stopped(server, path)
    with Path(f"{path}.part").open("r+b") as file:
        for start, end in RANGES:
            file.seek((start + end) // 2)
            file.write(b"damage")
    with Path(f"{path}.part.journal").open("ab") as file:
        file.write(b"[0, 51")
    download(server, path)
    assert path.read_bytes() == blob.data[:SIZE]


def test_a_source_that_changed_in_between_is_fetched_anew(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    path = tmp_path / "disk.raw"
    stopped(server, path)
    blob.data[0:512] = b"n" * 512
    blob.data[4 * MIB : 5 * MIB] = bytes(MIB)
    blob.etag += 1
    again = download(server, path)
    assert again.result["bytes_resumed"] == 0
    assert path.read_bytes() == blob.data[:SIZE]


def test_a_source_that_changes_meanwhile_is_refused(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    def fault(number: int, _seen: Seen) -> None:
        if number == 10:
            blob.etag += 1

    server.fault = fault
    with pytest.raises(AzureError, match="ConditionNotMet"):
        download(server, tmp_path / "disk.raw")
    assert not (tmp_path / "disk.raw").exists()


def test_damage_on_the_way_is_noticed(server: PageBlobServer, blob: Blob, tmp_path: Path) -> None:
    server.damaged_reads = 4
    download(server, tmp_path / "disk.raw")
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


@pytest.mark.parametrize("footer", [bytes(512), build_fixed_footer(MIB, bytes(16))])
def test_what_is_no_vhd_is_refused_and_leaves_nothing(
    server: PageBlobServer, blob: Blob, tmp_path: Path, footer: bytes
) -> None:
    blob.data[SIZE:] = footer
    with pytest.raises(InvalidInput, match="holds no"):
        download(server, tmp_path / "disk.raw")
    assert not list(tmp_path.glob("disk*"))


def test_two_downloads_into_one_file_exclude_each_other(
    server: PageBlobServer, blob: Blob, tmp_path: Path
) -> None:
    del blob
    with (tmp_path / "disk.raw.part").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AzureError, match="Another download"):
            download(server, tmp_path / "disk.raw")
    assert reads(server) == []


def test_a_file_system_without_room_is_refused(
    server: PageBlobServer, blob: Blob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del blob
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=10, f_frsize=4096))
    with pytest.raises(InvalidInput, match="only 40960 are free"):
        download(server, tmp_path / "disk.raw")
    assert not list(tmp_path.glob("disk*"))


def test_a_second_run_reads_no_range(server: PageBlobServer, blob: Blob, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    download(server, path)
    server.requests.clear()
    assert not download(server, path).changed and reads(server) == []
    blob.etag += 1
    with pytest.raises(InvalidInput, match="not known to be this disk"):
        download(server, path)


RUNNER = """
import json, sys
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_job import DownloadJob
done = DownloadJob(json.loads(sys.argv[1]), check_mode=False).run(None)
print(json.dumps(done.result))
"""


def test_a_killed_download_is_gone_on_with(server: PageBlobServer, blob: Blob, tmp_path: Path) -> None:
    """kill -9 again and again; all that was noted is taken over, and the file is right at last."""
    path = tmp_path / "disk.qcow2"
    server.fault = lambda _number, seen: time.sleep(0.4) if "x-ms-range" in seen.headers else None
    command = [sys.executable, "-c", RUNNER, json.dumps(options(server, path, connections=2))]
    environ = {**os.environ, "PYTHONPATH": str(COLLECTIONS)}
    journal = Path(f"{path}.part.journal")
    for lines in (2, 5):
        killed = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not journal.exists() or len(journal.read_bytes().splitlines()) <= lines:
            assert killed.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        killed.kill()
        killed.wait()
    assert not path.exists()
    done = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    result = json.loads(done.stdout)
    assert result["bytes_resumed"] >= 8 * MIB
    judged = tmp_path / "judged"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, judged], check=True)
    assert judged.read_bytes() == blob.data[:SIZE]
    assert (
        "No errors"
        in subprocess.run(["qemu-img", "check", path], check=True, capture_output=True, text=True).stdout
    )
