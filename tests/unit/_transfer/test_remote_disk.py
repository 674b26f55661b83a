# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A disk on another host: the steps are run in this process, the lines between the two are cut at will."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.job import UploadJob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.steps import Step

from tests.unit._disk.samples import write_sparse
from tests.unit._transfer.test_job import DEFAULTS
from tests.unit._upload.page_blob_server import Answer, PageBlobServer, Seen

MIB = 1 << 20
BLOB = "/account/vhds/disk.vhd"
CHECKOUT = Path(__file__).parents[3]
STEP: dict[str, Any] = {
    "allow_unpartitioned": False,
    "boots": False,
    "target": None,
    "upload": None,
    "target_facts": {},
    "goes_on": False,
    "existing_only": False,
    "journal_dir": None,
    "url": None,
    "sas": None,
    "lease": None,
    "connections": 2,
    "bandwidth_limit": None,
    "verify": "ranges",
    "verify_tls": True,
    "progress_file": None,
}

Result = Mapping[str, Any]
Cut = Callable[[Result], Result]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageBlobServer]:
    made = PageBlobServer(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.ca))
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)
    yield made
    made.stop()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    pieces = [(number * 4 * MIB, os.urandom(100_000)) for number in range(10)]
    return write_sparse(tmp_path / "web.raw", 40 * MIB, pieces)


def on_host(options: Result) -> Result:
    """What the module disk_send answers."""
    step = Step({**STEP, **options})
    try:
        return {"found": step.run()}
    except DiskError as error:
        return {"failed": True, "msg": str(error), "problem": {"kind": "disk", "arrived": step.arrived}}
    except UploadError as error:
        problem = {"kind": "service", "code": error.code, "status": error.status, "arrived": step.arrived}
        return {"failed": True, "msg": error.message, "problem": problem}


def upload(server: PageBlobServer, raw: Path, run_step: Cut = on_host, **given: Any) -> dict[str, Any]:
    common = {"path": str(raw), "allow_unpartitioned": True, "sas_url": server.url(), "connections": 2}
    options = {**DEFAULTS, **common, **given}
    with UploadJob(options, check_mode=False, host="hv1", run_step=run_step) as job:
        done = job.run(None)
    return {**done.result, "changed": done.changed, "actions": done.actions}


def journals(raw: Path) -> list[Path]:
    return list(raw.parent.glob(".*.upload"))


def test_what_a_host_sends_is_what_is_sent_from_here(server: PageBlobServer, raw: Path) -> None:
    steps: list[str] = []

    def noted(options: Result) -> Result:
        steps.append(options["step"])
        return on_host(options)

    done = upload(server, raw, noted, verify="full")
    assert bytes(server.blobs[BLOB].data[:-512]) == raw.read_bytes()
    assert steps == ["look", "journal", "begin", "send", "verify", "forget"]
    assert done["bytes_sent"] == done["bytes_planned"] and not journals(raw)
    options = {**DEFAULTS, "path": str(raw), "allow_unpartitioned": True, "sas_url": server.url()}
    with UploadJob(options, check_mode=False) as job:
        assert not job.run(None).changed


def test_the_message_names_the_host_that_has_no_way_to_the_blob(server: PageBlobServer, raw: Path) -> None:
    def refuse(_number: int, seen: Seen) -> Answer | None:
        return Answer(drop=True) if seen.query.get("comp") == ["page"] else None

    server.fault = refuse
    with pytest.raises(AzureError, match=r"^Host hv1: Could not write .* no connection to ") as caught:
        upload(server, raw)
    assert "TOPSECRET" not in str(caught.value)
    assert server.blobs == {} and not journals(raw)


def test_what_had_arrived_when_the_host_was_lost_is_gone_on_with(server: PageBlobServer, raw: Path) -> None:
    def lose(options: Result) -> Result:
        answer = on_host(options)
        if options["step"] == "send":
            raise ConnectionError("the host is unreachable")
        return answer

    with pytest.raises(AzureError, match=r"the host is unreachable.* was kept: run the task again"):
        upload(server, raw, lose)
    done = upload(server, raw)
    assert done["bytes_sent"] == 512, "more than the footer was sent again"
    assert done["actions"][0].startswith("Went on with ")
    assert not journals(raw)


def test_a_journal_that_vanished_on_the_host_makes_it_send_all_again(
    server: PageBlobServer, raw: Path
) -> None:
    def lose(options: Result) -> Result:
        answer = on_host(options)
        if options["step"] == "send":
            raise ConnectionError("lost")
        return answer

    with pytest.raises(AzureError):
        upload(server, raw, lose)

    def forget(options: Result) -> Result:
        if options["step"] == "send":
            for journal in journals(raw):
                journal.unlink()
            server.blobs[BLOB].data[MIB : MIB + 512] = b"x" * 512
            server.blobs[BLOB].ranges.insert(1, (MIB, MIB + 512))
        return on_host(options)

    done = upload(server, raw, forget)
    assert done["bytes_resumed"] == 0
    assert bytes(server.blobs[BLOB].data[:-512]) == raw.read_bytes(), "what else was there is still there"


def test_a_refused_sas_that_cannot_be_renewed_ends_the_upload(server: PageBlobServer, raw: Path) -> None:
    puts = 0

    def expire(_number: int, seen: Seen) -> Answer | None:
        nonlocal puts
        puts += seen.query.get("comp") == ["page"]
        return Answer(403, {}, "AuthenticationFailed") if puts > 4 else None

    server.fault = expire
    with pytest.raises(AzureError, match="AuthenticationFailed") as caught:
        upload(server, raw)
    assert "SAS has not expired" in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"failed": True, "msg": "/usr/bin/python3: not found"}, "Host hv1 could not do its part"),
        ({"failed": True, "msg": "x", "problem": {"kind": "disk"}}, "^x"),
        ({}, "Host hv1 could not do its part of the upload: it gave no reason"),
    ],
)
def test_a_host_that_cannot_is_an_error(
    server: PageBlobServer, raw: Path, answer: dict[str, Any], words: str
) -> None:
    with pytest.raises(AzureError, match=words):
        upload(server, raw, lambda _options: answer)
    assert server.requests == []


def test_a_sender_ends_with_whoever_reads_its_output() -> None:
    code = (
        "import time\n"
        "from ansible_collections.goldenimage.azure.plugins.module_utils._upload.orphans import *\n"
        "end_with_reader_of_output()\nprint('began', flush=True)\ntime.sleep(60)"
    )
    path = f"{CHECKOUT / '.build' / 'collections'}"
    process = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"began\n"
    assert process.poll() is None
    process.stdout.close()
    assert process.wait(20) == 1
