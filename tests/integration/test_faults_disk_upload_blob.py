# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""disk_upload of a blob in trouble: what ends is identical or refused, and next to nothing is sent again.

The service counts every byte of a body that it is sent, whether it takes it or not.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.plays import Player, TaskResult
from tests.integration.test_disk_upload_interrupted import Running
from tests.integration.uploads import MIB, raw_disk
from tests.unit._upload.page_blob_server import Answer, PageBlobServer, Seen

BLOB = "/account/vhds/disk.vhd"
CONNECTIONS = 4
WINDOW = 4 * MIB
Fault = Callable[[int, Seen], "Answer | None"]


class Service:
    """A blob service, and the module that uploads into it."""

    def __init__(self, server: PageBlobServer, raw: Path) -> None:
        self.play = Player(raw.parent, {"REQUESTS_CA_BUNDLE": str(server.ca)})
        self.server = server
        self.raw = raw

    def options(self, signature: str = "FIRST") -> dict[str, object]:
        url = self.server.url(BLOB, f"sv=1&sig={signature}")
        return {"path": str(self.raw), "sas_url": url, "connections": CONNECTIONS}

    def uploaded(self, signature: str = "FIRST") -> TaskResult:
        return self.play.module("disk_upload", self.options(signature)).succeeded().last

    def failed_with(self, *words: str) -> TaskResult:
        return self.play.module("disk_upload", self.options()).failed_with(*words)

    def on_put(self, what: Callable[[int, Seen], Answer | None]) -> None:
        """Ask this with the number of every Put Page request what becomes of it."""
        lock = threading.Lock()
        count = 0

        def fault(_number: int, seen: Seen) -> Answer | None:
            nonlocal count
            if not is_put(seen):
                return None
            with lock:
                count += 1
                number = count
            return what(number, seen)

        self.server.fault = fault

    def calm(self) -> None:
        self.server.settle()
        self.server.fault = lambda _number, _seen: None

    @property
    def bytes_received(self) -> int:
        return sum(int(seen.headers["content-length"]) for seen in self.server.requests if is_put(seen))

    def is_complete(self) -> bool:
        blob = self.server.blobs[BLOB]
        same = bytes(blob.data[:-512]) == self.raw.read_bytes()
        return same and blob.metadata["goldenimage_state"] == "complete"


def is_put(seen: Seen) -> bool:
    return seen.query.get("comp") == ["page"]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    server = PageBlobServer(tmp_path)
    yield Service(server, raw_disk(tmp_path / "web.raw", size=96 * MIB, filled=80 * MIB))
    server.stop()


def gone_on_with(service: Service, signature: str = "FIRST") -> dict[str, Any]:
    """Upload again, and judge what both runs together have sent."""
    service.calm()
    done = service.uploaded(signature)
    assert service.is_complete()
    assert done["bytes_resumed"] > 0
    assert done["bytes_sent"] + done["bytes_resumed"] == done["bytes_planned"]
    assert service.bytes_received - done["bytes_planned"] <= CONNECTIONS * WINDOW
    return done.result


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_playbook_sends_at_most_one_window_a_connection_again(service: Service, seed: int) -> None:
    at = random.Random(seed).randrange(6, 20)
    killed = threading.Event()

    def kill(number: int, _seen: Seen) -> Answer | None:
        if number < at:
            return None
        if number == at:
            running.kill()
            killed.set()
        return Answer(drop=True)

    service.on_put(kill)
    running = Running(service.play, service.options())
    assert killed.wait(60)
    gone_on_with(service)


def test_access_that_runs_out_half_way_is_gone_on_with_by_another_signature(service: Service) -> None:
    service.on_put(lambda number, _seen: Answer(403, {}, "AuthenticationFailed") if number > 8 else None)
    service.failed_with("AuthenticationFailed", "was kept: run the task again")
    gone_on_with(service, "SECOND")


def test_a_disk_that_is_written_to_while_it_is_sent_is_refused_and_never_called_complete(
    service: Service,
) -> None:
    def write(number: int, _seen: Seen) -> None:
        if number == 8:
            with service.raw.open("r+b") as file:
                file.seek(50 * MIB)
                file.write(b"written meanwhile")

    service.on_put(write)
    service.failed_with("web.raw: was changed while it was uploaded")
    service.calm()
    left = service.server.blobs.get(BLOB)
    assert left is None or left.metadata["goldenimage_state"] == "uploading"
    service.uploaded()
    assert service.is_complete()


def test_a_storm_of_refusals_passes_without_a_byte_that_arrived_sent_again(service: Service) -> None:
    ends = 0.0
    refused = 0

    def storm(number: int, seen: Seen) -> Answer | None:
        nonlocal ends, refused
        if number == 6:
            ends = time.monotonic() + 4
        if time.monotonic() >= ends:
            return None
        refused += int(seen.headers["content-length"])
        return Answer(503, {"Retry-After": "0"}, "ServerBusy")

    service.on_put(storm)
    done = service.uploaded()
    assert service.is_complete()
    assert refused >= CONNECTIONS * WINDOW
    assert service.bytes_received - refused == done["bytes_planned"] == done["bytes_sent"]


def test_lines_that_break_all_the_time_carry_the_disk_in_the_end(service: Service) -> None:
    drawn = random.Random(7)
    broken = 0

    def drop(_number: int, seen: Seen) -> Answer | None:
        nonlocal broken
        if drawn.random() > 0.25:
            return None
        broken += int(seen.headers["content-length"])
        return Answer(drop=True)

    service.on_put(drop)
    done = service.uploaded()
    assert service.is_complete()
    assert broken > 0
    assert service.bytes_received - broken == done["bytes_planned"]
