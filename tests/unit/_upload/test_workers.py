# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""How many connections work at once, and that they end together."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import parse_blob_url
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.workers import Workers

URL = parse_blob_url("http://127.0.0.1:9/vhds/disk.vhd")


def workers(most: int) -> Workers[PageBlob]:
    return Workers(lambda cancel: PageBlob(URL, None, cancel=cancel), most, "try")


def nothing() -> None:
    """A tick."""


def at_work(most: int, do: Callable[[], None]) -> int:
    """How many threads did something."""
    did: set[int] = set()

    def note(_blob: PageBlob) -> None:
        did.add(threading.get_ident())
        do()

    workers(most).run(note, nothing, 60)
    return len(did)


def test_all_connections_are_used_where_answers_take_their_time() -> None:
    assert at_work(12, lambda: time.sleep(1)) == 12


def test_no_more_connections_than_were_allowed_are_used() -> None:
    assert at_work(2, lambda: time.sleep(0.3)) == 2


def test_few_connections_are_used_where_the_processors_are_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    # A machine that is busy with other things would seem idle to this process.
    monkeypatch.setattr(time, "process_time", lambda: time.monotonic() * 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1}, raising=False)
    assert at_work(12, lambda: time.sleep(0.3)) == 3


def test_the_first_failure_ends_all_and_is_raised() -> None:
    team = workers(3)
    failing = threading.Event()

    def fail_once(_blob: PageBlob) -> None:
        if not failing.is_set():
            failing.set()
            raise ValueError("first")
        team.cancelled.wait(20)
        raise ValueError("later")

    started = time.monotonic()
    with pytest.raises(ValueError, match="first"):
        team.run(fail_once, nothing, 60)
    assert time.monotonic() - started < 10


def test_what_the_tick_raises_ends_all() -> None:
    team = workers(3)

    def tick() -> None:
        raise OSError("no space left")

    def wait(_blob: PageBlob) -> None:
        team.cancelled.wait(20)

    with pytest.raises(OSError, match="no space left"):
        team.run(wait, tick, 0.1)
    assert team.cancelled.is_set()
