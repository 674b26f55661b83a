# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Uploads that end early and are gone on with, or must not be."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.job import UploadJob

from tests.unit._disk.samples import write_sparse
from tests.unit._transfer.test_job import DEFAULTS
from tests.unit._upload.page_blob_server import Answer, Blob, PageBlobServer, Seen

MIB = 1 << 20
WINDOW = 4 * MIB
CONNECTIONS = 3
MOST_IN_A_WINDOW = 271_000
CHECKOUT = Path(__file__).parents[3]
BLOB = "/account/vhds/disk.vhd"
RUN = """
import json, sys
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.job import UploadJob
with UploadJob(json.loads(sys.argv[1]), check_mode=False) as job:
    print(json.dumps(job.run(None).result))
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageBlobServer]:
    made = PageBlobServer(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.ca))
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    yield made
    made.stop()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """24 windows with 30 pieces in them."""
    pieces = [(number * WINDOW + 512 * number, os.urandom(200_000)) for number in range(24)]
    pieces += [(number * WINDOW + 2 * MIB, os.urandom(70_000)) for number in range(0, 24, 4)]
    return write_sparse(tmp_path / "web.raw", 24 * WINDOW, pieces)


def options(server: PageBlobServer, raw: Path, **given: Any) -> dict[str, Any]:
    common = {"path": str(raw), "allow_unpartitioned": True, "sas_url": server.url()}
    return {**DEFAULTS, **common, "connections": CONNECTIONS, **given}


def upload(server: PageBlobServer, raw: Path, *, check_mode: bool = False, **given: Any) -> dict[str, Any]:
    with UploadJob(options(server, raw, **given), check_mode=check_mode) as work:
        done = work.run(None)
    return {**done.result, "changed": done.changed, "actions": done.actions}


def started(server: PageBlobServer, raw: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, json.dumps(options(server, raw))],
        env={**os.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / '.build/collections'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_put(seen: Seen) -> bool:
    return seen.query.get("comp") == ["page"]


def sent_bytes(requests: list[Seen]) -> int:
    return sum(int(seen.headers["content-length"]) for seen in requests if is_put(seen))


def killed_at(server: PageBlobServer, raw: Path, number: int, *, heard: bool) -> None:
    """Start an upload in a process of its own and kill it at this Put Page request.

    `heard`: whether the service still does what that request asks.
    """
    count = 0
    lock = threading.Lock()

    def kill(_number: int, seen: Seen) -> Answer | None:
        nonlocal count
        with lock:
            count += is_put(seen)
            if is_put(seen) and count == number:
                process.send_signal(signal.SIGKILL)
                process.wait()
            dead = count >= number
        return Answer(drop=True) if dead and not heard else None

    server.fault = kill
    process = started(server, raw)
    _output, errors = process.communicate(timeout=60)
    server.settle()
    server.fault = lambda _number, _seen: None
    assert process.returncode == -signal.SIGKILL, errors


def half(server: PageBlobServer, raw: Path, number: int = 12) -> Blob:
    """A blob whose upload was killed."""
    killed_at(server, raw, number, heard=True)
    return server.blobs[BLOB]


def is_whole(server: PageBlobServer, raw: Path) -> bool:
    blob = server.blobs[BLOB]
    state = blob.metadata["goldenimage_state"]
    content = bytes(blob.data)
    return state == "complete" and content[:-512] == raw.read_bytes() and content[-512:-504] == b"conectix"


@pytest.mark.parametrize("seed", range(20))
def test_a_killed_upload_is_gone_on_with_and_little_is_sent_twice(
    server: PageBlobServer, raw: Path, seed: int
) -> None:
    drawn = random.Random(seed)
    killed_at(server, raw, drawn.randrange(1, 31), heard=drawn.random() < 0.5)
    first = len(server.requests)
    before = sent_bytes(server.requests)
    done = upload(server, raw)
    assert is_whole(server, raw)
    again = sent_bytes(server.requests[first:])
    assert done["bytes_sent"] == again
    assert done["bytes_sent"] + done["bytes_resumed"] == done["bytes_planned"]
    assert before + again - done["bytes_planned"] <= CONNECTIONS * MOST_IN_A_WINDOW
    assert not list(raw.parent.glob(".*.upload"))
    assert not server.blobs[BLOB].lease
    assert not upload(server, raw)["changed"]


def test_an_upload_that_is_killed_twice_is_gone_on_with_twice(server: PageBlobServer, raw: Path) -> None:
    blob = half(server, raw)
    assert half(server, raw) is blob
    before = sent_bytes(server.requests)
    done = upload(server, raw)
    assert is_whole(server, raw) and server.blobs[BLOB] is blob
    # Were what the first run had sent forgotten, its twelve requests would be sent again.
    assert before + done["bytes_sent"] - done["bytes_planned"] <= 2 * CONNECTIONS * MOST_IN_A_WINDOW
    assert done["actions"][0].startswith("Went on with page blob disk.vhd and sent ")


def test_check_mode_says_what_is_left_and_changes_nothing(server: PageBlobServer, raw: Path) -> None:
    half(server, raw)
    mark = len(server.requests)
    checked = upload(server, raw, check_mode=True)
    assert {seen.method for seen in server.requests[mark:]} <= {"HEAD", "GET"}
    done = upload(server, raw)
    for key in ("bytes_planned", "bytes_resumed", "actions", "content_sha256"):
        assert checked[key] == done[key], key


def test_a_source_that_changed_in_between_is_uploaded_from_the_start(
    server: PageBlobServer, raw: Path
) -> None:
    blob = half(server, raw)
    with raw.open("r+b") as file:
        file.seek(20 * WINDOW)
        file.write(bytes(MIB))
    done = upload(server, raw)
    assert is_whole(server, raw)
    assert done["bytes_resumed"] == 0 and server.blobs[BLOB] is not blob


def test_what_is_in_the_blob_and_not_in_the_journal_is_not_trusted(server: PageBlobServer, raw: Path) -> None:
    blob = half(server, raw)
    (journal,) = raw.parent.glob(".*.upload")
    os.truncate(journal, journal.stat().st_size - 10)
    stray = (23 * WINDOW + 3 * MIB, 23 * WINDOW + 3 * MIB + 4096)
    blob.data[stray[0] : stray[1]] = b"x" * 4096
    blob.ranges.append(stray)
    blob.ranges.sort()
    done = upload(server, raw, verify="full")
    assert done["bytes_resumed"] > 0
    assert is_whole(server, raw)


def test_a_blob_that_is_not_what_was_sent_when_it_is_read_back_goes_and_its_journal_with_it(
    server: PageBlobServer, raw: Path
) -> None:
    def damage(_number: int, seen: Seen) -> Answer | None:
        if seen.query.get("comp") == ["pagelist"]:
            server.blobs[BLOB].data[5 * WINDOW + 5 * 512] ^= 1
        return None

    server.fault = damage
    with pytest.raises(AzureError, match="read back, is not what was sent"):
        upload(server, raw, verify="full")
    assert server.blobs == {}
    assert not list(raw.parent.glob(".*.upload"))


def test_what_is_in_the_journal_and_not_in_the_blob_is_sent_again(server: PageBlobServer, raw: Path) -> None:
    blob = half(server, raw)
    start, end = min(blob.ranges)
    blob.data[start:end] = bytes(end - start)
    blob.ranges.remove((start, end))
    upload(server, raw)
    assert is_whole(server, raw)


def test_another_blob_of_the_same_name_is_not_gone_on_with(server: PageBlobServer, raw: Path) -> None:
    blob = half(server, raw)
    blob.created, blob.lease = "Sat, 21 Nov 2026 09:00:00 GMT", ""
    done = upload(server, raw)
    assert done["bytes_resumed"] == 0 and is_whole(server, raw)
    assert server.blobs[BLOB] is not blob


def test_a_blob_that_another_upload_writes_to_is_left_to_it(
    server: PageBlobServer, raw: Path, tmp_path: Path
) -> None:
    blob = half(server, raw)
    assert blob.lease
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(AzureError, match="another upload writes to it, or was killed"):
        upload(server, raw, journal_dir=str(elsewhere))
    assert server.blobs[BLOB] is blob
    assert upload(server, raw, journal_dir=str(elsewhere), force=True)["bytes_resumed"] == 0
    assert is_whole(server, raw)


def test_a_leased_blob_that_is_complete_is_never_replaced(server: PageBlobServer, raw: Path) -> None:
    upload(server, raw)
    server.blobs[BLOB].lease = "a-machine"
    with raw.open("r+b") as file:
        file.write(b"changed")
    with pytest.raises(AzureError, match="something uses it"):
        upload(server, raw, force=True)


def test_an_upload_that_loses_its_lease_ends_and_can_be_gone_on_with(
    server: PageBlobServer, raw: Path
) -> None:
    puts = 0

    def break_lease(_number: int, seen: Seen) -> Answer | None:
        nonlocal puts
        puts += is_put(seen)
        if puts == 10:
            server.blobs[BLOB].lease = ""
        return None

    server.fault = break_lease
    with pytest.raises(AzureError, match="LeaseNotPresentWithBlobOperation") as caught:
        upload(server, raw)
    assert "was kept" in str(caught.value)
    server.fault = lambda _number, _seen: None
    assert upload(server, raw)["bytes_resumed"] > 0
    assert is_whole(server, raw)


def test_two_uploads_of_one_disk_on_one_host_exclude_each_other(server: PageBlobServer, raw: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def hold(_number: int, seen: Seen) -> Answer | None:
        if is_put(seen):
            reached.set()
            go_on.wait(30)
        return None

    server.fault = hold
    process = started(server, raw)
    try:
        assert reached.wait(30)
        with pytest.raises(AzureError, match="under way on this host"):
            upload(server, raw)
    finally:
        go_on.set()
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert json.loads(output)["bytes_resumed"] == 0
    assert is_whole(server, raw)


def test_a_journal_stands_where_it_is_wanted(server: PageBlobServer, raw: Path, tmp_path: Path) -> None:
    folder = tmp_path / "journals"
    with pytest.raises(AzureError, match="journal_dir"):
        upload(server, raw, journal_dir=str(folder))
    folder.mkdir()
    found: list[Path] = []

    def look(_number: int, seen: Seen) -> Answer | None:
        if is_put(seen):
            found.extend(folder.iterdir())
        return None

    server.fault = look
    upload(server, raw, journal_dir=str(folder))
    assert found and not list(folder.iterdir())


def test_the_bandwidth_limit_holds_for_all_connections_together(server: PageBlobServer, raw: Path) -> None:
    began = time.monotonic()
    done = upload(server, raw, bandwidth_limit=4_000_000)
    rate = done["bytes_sent"] / (time.monotonic() - began)
    assert 2_500_000 < rate < 4_600_000
    assert is_whole(server, raw)


def test_a_journal_that_a_run_killed_at_its_very_end_has_left_goes_with_the_next_run(
    server: PageBlobServer, raw: Path
) -> None:
    half(server, raw)
    (journal,) = raw.parent.glob(".*.upload")
    left = journal.read_bytes()
    upload(server, raw)
    assert not journal.exists()
    journal.write_bytes(left)
    assert not upload(server, raw, check_mode=True)["changed"]
    assert journal.exists(), "check mode removed it"
    assert not upload(server, raw)["changed"]
    assert not journal.exists()
