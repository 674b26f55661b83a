# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Uploads by lines and services that fail for good, or say nothing any more."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload import page_blob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import Connection

from tests.unit._transfer.test_resume import (
    BLOB,
    CONNECTIONS,
    MOST_IN_A_WINDOW,
    is_put,
    is_whole,
    raw,
    sent_bytes,
    server,
    upload,
)
from tests.unit._upload.page_blob_server import Answer, PageBlobServer, Seen

__all__ = ["raw", "server"]  # fixtures


@pytest.mark.parametrize(
    ("answer", "words"),
    [(Answer(503, {}, "ServerBusy"), "ServerBusy"), (Answer(drop=True), "no connection to")],
    ids=["refusals without end", "a network that is gone"],
)
def test_trouble_without_end_is_refused_and_gone_on_with_once_it_is_over(
    server: PageBlobServer, raw: Path, answer: Answer, words: str
) -> None:
    lock = threading.Lock()
    count = 0

    def fail_from_the_tenth_put_on(_number: int, seen: Seen) -> Answer | None:
        nonlocal count
        with lock:
            count += is_put(seen)
            return answer if count > 10 else None

    server.fault = fail_from_the_tenth_put_on
    with pytest.raises(AzureError, match=words) as caught:
        upload(server, raw)
    assert "was kept: run the task again" in str(caught.value)
    assert server.blobs[BLOB].metadata["goldenimage_state"] == "uploading"
    server.settle()
    server.fault = lambda _number, _seen: None
    arrived = sum(end - start for start, end in server.blobs[BLOB].ranges)
    mark = len(server.requests)
    done = upload(server, raw)
    assert is_whole(server, raw)
    again = sent_bytes(server.requests[mark:])
    assert again == done["bytes_sent"] == done["bytes_planned"] - done["bytes_resumed"]
    assert arrived + again - done["bytes_planned"] <= CONNECTIONS * MOST_IN_A_WINDOW


def test_a_request_that_is_never_answered_is_given_up_and_sent_again(
    server: PageBlobServer, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_blob, "Connection", partial(Connection, timeout=0.5))
    stalled = threading.Event()
    over = threading.Event()

    def stall_once(_number: int, seen: Seen) -> Answer | None:
        if not is_put(seen) or stalled.is_set():
            return None
        stalled.set()
        over.wait(30)
        return Answer(drop=True)

    server.fault = stall_once
    try:
        done = upload(server, raw)
    finally:
        over.set()
    server.settle()
    assert stalled.is_set()
    assert is_whole(server, raw)
    assert done["bytes_sent"] == done["bytes_planned"]
