# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

from __future__ import annotations

import os
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import (
    Trust,
    parse_blob_url,
    tls_context,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.engine import Sent, send
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob, retry_after
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import Plan, Progress, make_plan
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import MIB
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.throttle import Throttle
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.verification import (
    verify_content,
    verify_ranges,
)

from tests.unit._disk.samples import qemu_img, write_sparse
from tests.unit._upload.page_blob_server import Answer, Blob, PageBlobServer, Seen


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageBlobServer]:
    made = PageBlobServer(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[DiskReader]:
    pieces = [(number * MIB + 512 * number, os.urandom(300_000)) for number in range(0, 40, 2)]
    path = write_sparse(tmp_path / "disk", 40 * MIB + 512, pieces)
    with open_disk(str(path), allow_unpartitioned=True) as opened:
        yield opened


@pytest.fixture
def plan(reader: DiskReader) -> Plan:
    return make_plan(reader)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without their pauses."""
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.01)


def client(server: PageBlobServer, cancel: threading.Event | None = None) -> PageBlob:
    context = tls_context({"REQUESTS_CA_BUNDLE": str(server.ca)})
    return PageBlob(parse_blob_url(server.url()), context, cancel=cancel)


def sent_by(server: PageBlobServer, reader: DiskReader, connections: int = 4) -> Sent:
    return send(reader, lambda cancel: client(server, cancel), connections)[1]


def puts(server: PageBlobServer) -> list[Seen]:
    return [seen for seen in server.requests if seen.query.get("comp") == ["page"]]


def is_disk(blob: Blob, reader: DiskReader, plan: Plan) -> bool:
    content = reader.read(0, reader.virtual_size)
    return bytes(blob.data) == content + bytes(plan.virtual_size - len(content)) + plan.footer


def test_the_blob_becomes_a_fixed_vhd_of_the_disk(
    server: PageBlobServer, plan: Plan, reader: DiskReader, tmp_path: Path
) -> None:
    blob = server.add(plan.blob_size)
    sent = sent_by(server, reader)
    assert is_disk(blob, reader, plan)
    assert (sent.bytes_sent, sent.puts) == (plan.bytes_to_send, plan.puts)
    assert len(puts(server)) == plan.puts
    assert blob.ranges[-1] == (plan.virtual_size, plan.blob_size), "the footer is not the last put"
    verify_ranges(plan, client(server))
    (tmp_path / "blob.vhd").write_bytes(blob.data)
    qemu_img("convert", "-f", "vpc", "-O", "raw", tmp_path / "blob.vhd", tmp_path / "judge")
    judged = (tmp_path / "judge").read_bytes()
    assert judged == reader.read(0, reader.virtual_size) + bytes(plan.virtual_size - reader.virtual_size)


def test_progress_counts_what_of_a_request_has_left_already(server: PageBlobServer, tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "solid", 4 * MIB, [(0, os.urandom(4 * MIB))])
    server.add(4 * MIB + 512)
    reports: list[Progress] = []
    throttle = Throttle(2 * MIB)

    def opened(cancel: threading.Event) -> PageBlob:
        context = tls_context({"REQUESTS_CA_BUNDLE": str(server.ca)})
        return PageBlob(parse_blob_url(server.url()), context, cancel=cancel, throttle=throttle)

    with open_disk(str(path), allow_unpartitioned=True) as solid:
        send(solid, opened, 1, reports.append)
    assert any(0 < report.sent < 4 * MIB and report.done == report.sent for report in reports)
    assert [report.done for report in reports] == sorted(report.done for report in reports)
    assert reports[-1].done == 4 * MIB


def test_connections_are_kept_and_limited(server: PageBlobServer, plan: Plan, reader: DiskReader) -> None:
    server.add(plan.blob_size)
    sent_by(server, reader, connections=3)
    assert server.connections == 4  # three for the pieces, one for the footer


def test_every_put_carries_its_md5_and_the_sas(
    server: PageBlobServer, plan: Plan, reader: DiskReader
) -> None:
    server.add(plan.blob_size)
    sent_by(server, reader)
    assert all("content-md5" in seen.headers and seen.query["sig"] == ["TOPSECRET="] for seen in puts(server))


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503, {"Retry-After": "0"}, "ServerBusy"),
        Answer(429, {}, "TooManyRequests"),
        Answer(400, {}, "Md5Mismatch"),
        Answer(500, {}, "InternalError"),
        Answer(drop=True),
    ],
    ids=lambda answer: answer.code or "dropped",
)
@pytest.mark.usefixtures("quick")
def test_passing_trouble_is_survived(
    server: PageBlobServer, plan: Plan, reader: DiskReader, answer: Answer
) -> None:
    blob = server.add(plan.blob_size)
    tries: dict[str, int] = {}

    def twice_each(_number: int, seen: Seen) -> Answer | None:
        pages = seen.headers["x-ms-range"]
        tries[pages] = tries.get(pages, 0) + 1
        return answer if tries[pages] <= 2 else None

    server.fault = twice_each
    sent = sent_by(server, reader)
    assert is_disk(blob, reader, plan)
    assert sent.bytes_sent == plan.bytes_to_send


@pytest.mark.usefixtures("quick")
def test_lasting_trouble_ends_with_the_servers_words(
    server: PageBlobServer, plan: Plan, reader: DiskReader
) -> None:
    server.add(plan.blob_size)
    server.fault = lambda _number, _seen: Answer(503, {}, "ServerBusy")
    with pytest.raises(
        UploadError, match=r"HTTP 503, ServerBusy: It went wrong\. \(tried 8 times\)"
    ) as caught:
        sent_by(server, reader, connections=2)
    assert (caught.value.code, caught.value.status, caught.value.request_id) == ("ServerBusy", 503, "1-2-3")


def test_retry_after_is_honoured(server: PageBlobServer, plan: Plan, reader: DiskReader) -> None:
    server.add(plan.blob_size)
    server.fault = lambda number, _seen: Answer(429, {"Retry-After": "2"}, "Busy") if number == 1 else None
    started = time.monotonic()
    sent_by(server, reader, connections=1)
    assert time.monotonic() - started >= 2


def test_retry_after_as_a_date_or_nonsense() -> None:
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert retry_after({"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}) == 60
    assert retry_after({"retry-after": "soon"}) == 0
    assert retry_after({}) == 0


def test_the_first_refusal_stops_everything_and_is_told_without_the_signature(
    server: PageBlobServer, plan: Plan, reader: DiskReader
) -> None:
    server.add(plan.blob_size)
    server.fault = lambda number, _seen: Answer(403, {}, "AuthenticationFailed") if number > 5 else None
    with pytest.raises(UploadError, match="HTTP 403, AuthenticationFailed: It went wrong") as caught:
        sent_by(server, reader)
    assert "TOPSECRET" not in str(caught.value) + repr(caught.value)
    assert len(puts(server)) < 5 + 2 * 4
    assert server.blobs["/account/vhds/disk.vhd"].ranges[-1][1] <= plan.virtual_size, "a footer was written"
    assert threading.active_count() < 20


def test_a_refusal_is_not_held_up_by_an_answer_that_does_not_come(
    server: PageBlobServer, plan: Plan, reader: DiskReader
) -> None:
    server.add(plan.blob_size)
    release = threading.Event()

    def refuse_one_and_keep_another_waiting(number: int, _seen: Seen) -> Answer | None:
        if number == 1:
            release.wait(20)
        return Answer(403, {}, "AuthenticationFailed") if number > 2 else None

    server.fault = refuse_one_and_keep_another_waiting
    started = time.monotonic()
    with pytest.raises(UploadError, match="AuthenticationFailed"):
        sent_by(server, reader, connections=3)
    assert time.monotonic() - started < 10
    release.set()


def test_an_untrusted_certificate_is_named_at_once(server: PageBlobServer, reader: DiskReader) -> None:
    with pytest.raises(UploadError, match="certificate is not trusted"):
        send(reader, lambda c: PageBlob(parse_blob_url(server.url()), tls_context({}), cancel=c))


@pytest.mark.usefixtures("quick")
def test_a_host_that_does_not_answer_is_named(reader: DiskReader) -> None:
    url = parse_blob_url("https://127.0.0.1:9/vhds/disk.vhd?sig=TOPSECRET")
    with pytest.raises(UploadError, match=r"no connection to 127\.0\.0\.1:9.*check the address") as caught:
        send(reader, lambda cancel: PageBlob(url, tls_context({}), cancel=cancel))
    assert "TOPSECRET" not in str(caught.value)


def test_a_file_that_changes_during_the_upload_is_noticed(
    server: PageBlobServer, plan: Plan, reader: DiskReader
) -> None:
    server.add(plan.blob_size)
    with Path(reader.path).open("r+b") as file:
        file.write(b"changed")
    with pytest.raises(DiskError, match="was changed"):
        sent_by(server, reader)


def test_an_interrupt_stops_the_threads(server: PageBlobServer, plan: Plan, reader: DiskReader) -> None:
    server.add(plan.blob_size)
    release = threading.Event()

    def stall(number: int, _seen: Seen) -> Answer | None:
        if number == 4:
            os.kill(os.getpid(), signal.SIGINT)
        if number > 3:
            release.wait(20)
        return None

    server.fault = stall
    before = set(threading.enumerate())
    started = time.monotonic()
    # Whoever runs the tests in the background may have had this signal ignored.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            sent_by(server, reader, connections=3)
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert time.monotonic() - started < 12
    release.set()
    senders = [thread for thread in threading.enumerate() if thread not in before and "send-" in thread.name]
    for thread in senders:
        thread.join(5)
    assert not [thread for thread in senders if thread.is_alive()]


def test_progress_rises_to_the_total(server: PageBlobServer, plan: Plan, reader: DiskReader) -> None:
    server.add(plan.blob_size)
    seen: list[Progress] = []
    send(reader, lambda c: client(server, c), 4, seen.append)
    assert seen[-1].done == seen[-1].total
    assert (seen[-1].sent, seen[-1].resumed) == (plan.bytes_to_send, 0)


def test_verification_follows_pages_and_finds_foreign_or_missing_ranges(
    server: PageBlobServer, plan: Plan, reader: DiskReader
) -> None:
    blob = server.add(plan.blob_size)
    server.page_size = 3
    sent_by(server, reader)
    verify_ranges(plan, client(server))
    blob.ranges.append((39 * MIB + 300 * 1024, 39 * MIB + 301 * 1024))
    with pytest.raises(UploadError, match="not what was sent"):
        verify_ranges(plan, client(server))
    blob.ranges = [*sorted(blob.ranges)[1:-2], (plan.virtual_size, plan.blob_size)]
    with pytest.raises(UploadError, match="not what was sent"):
        verify_ranges(plan, client(server))


def test_reading_back_finds_what_page_ranges_do_not_show(
    server: PageBlobServer, plan: Plan, reader: DiskReader
) -> None:
    blob = server.add(plan.blob_size)
    sent_by(server, reader)
    verify_content(plan, lambda cancel: client(server, cancel), 4)
    blob.data[2 * MIB + 1024] ^= 1
    verify_ranges(plan, client(server))
    with pytest.raises(UploadError, match="read back, is not what was sent"):
        verify_content(plan, lambda cancel: client(server, cancel), 4)


def test_memory_stays_small(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = write_sparse(tmp_path / "large", 300 * MIB, [(n * MIB, b"x" * MIB) for n in range(0, 300, 2)])
    with open_disk(str(path), allow_unpartitioned=True) as reader:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        plan = make_plan(reader)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert plan.bytes_to_send > 150 * MIB
    assert after - before < 64 * 1024, "planning kept the disk in memory"


def test_a_blob_is_created_replaced_and_described(server: PageBlobServer) -> None:
    blob = client(server)
    assert blob.facts() is None
    blob.create(MIB, {"goldenimage_state": "uploading"})
    facts = blob.facts()
    assert facts is not None
    assert (facts.size, facts.kind, facts.metadata) == (MIB, "PageBlob", {"goldenimage_state": "uploading"})
    with pytest.raises(UploadError) as caught:
        blob.create(MIB, {})
    assert caught.value.code == "BlobAlreadyExists"
    with pytest.raises(UploadError) as caught:
        blob.create(MIB, {}, replace_etag='"99"')
    assert caught.value.code == "ConditionNotMet"
    blob.create(2 * MIB, {}, replace_etag=facts.etag)
    blob.set_metadata({"goldenimage_state": "complete"})
    replaced = blob.facts()
    assert replaced is not None
    assert (replaced.size, replaced.metadata) == (2 * MIB, {"goldenimage_state": "complete"})
    blob.delete()
    blob.delete()
    assert blob.facts() is None


@pytest.mark.parametrize(
    "text", ["", "disk.vhd", "ftp://a/b/c", "https://account.blob/only", "https://a:x/b/c"]
)
def test_what_is_no_blob_url_is_refused(text: str) -> None:
    with pytest.raises(UploadError, match="not the URL of a blob"):
        parse_blob_url(text)


def test_a_blob_url_never_shows_its_sas() -> None:
    url = parse_blob_url("https://a.blob.core.windows.net/vhds/d.vhd?sv=1&sig=TOPSECRET")
    assert "TOPSECRET" not in f"{url} {url!r}"
    with pytest.raises(UploadError) as caught:
        parse_blob_url("https://host/?sig=TOPSECRET")
    assert "TOPSECRET" not in str(caught.value)


def test_certificate_authorities_are_read_once_and_for_https_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    trust = Trust()
    assert trust.context_for(parse_blob_url("http://127.0.0.1:10000/account/vhds/disk.vhd")) is None
    secure = parse_blob_url("https://account.blob.core.windows.net/vhds/disk.vhd")
    with pytest.raises(UploadError, match=r"The CA bundle .*missing\.pem cannot be used"):
        trust.context_for(secure)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    assert trust.context_for(secure) is trust.context_for(secure)
    unchecked = Trust(verify=False).context_for(secure)
    assert unchecked is not None and unchecked.verify_mode == ssl.CERT_NONE
