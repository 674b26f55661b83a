# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What somebody who waits for disk_upload sees: in a terminal, and in the events that AWX is given."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from tests.integration.page_sink import Sink, page_sink
from tests.integration.plays import Player
from tests.integration.uploads import MIB, raw_disk

LINE = re.compile(
    r"web\.raw: sent (?P<sent>\d+) MB, (?P<percent>\d+) % of (?P<total>\d+) MB of data,"
    r" (?P<rate>[\d.]+) MB/s, (?:\d+ min )?(?P<left>\d+) s left"
)
FILLED = 30 * MIB
RATE = 3  # MB/s
FEW = 6.0  # seconds from one line to the next, on a machine that is busy with other things
START = 15.0  # until the first: the module has to be started before
Said = list[tuple[float, re.Match[str]]]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return raw_disk(tmp_path_factory.mktemp("slow") / "web.raw", size=128 * MIB, filled=FILLED)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with page_sink() as made:
        yield made


def playbook(folder: Path, raw: Path, sink: Sink) -> Path:
    """A playbook that uploads for ten seconds."""
    task = {"path": str(raw), "sas_url": sink.url, "bandwidth_limit": f"{RATE}M", "connections": 1}
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "tasks": [{"name": "upload", "goldenimage.azure.disk_upload": task}],
    }
    file = folder / "play.yml"
    file.write_text(json.dumps([play]), encoding="utf-8")
    return file


def judge(said: Said, started: float, ended: float) -> None:
    """A line every few seconds, each with bytes, percent of the data, speed and the time that is left."""
    assert len(said) >= 2
    times = [*(when for when, _match in said), ended]
    assert times[0] - started <= START
    assert max(later - earlier for earlier, later in pairwise(times)) <= FEW
    percents = [int(match["percent"]) for _when, match in said]
    assert percents == sorted(percents)
    for when, match in said:
        # Percent of what the disk holds, not of its size.
        assert abs(int(match["total"]) - FILLED / 1e6) <= 2
        assert float(match["rate"]) <= RATE * 1.5
        assert abs(int(match["sent"]) - int(match["percent"]) * FILLED / 1e8) <= 8
        # What the first windows took says little of the rest.
        assert int(match["percent"]) < 25 or abs(int(match["left"]) - (ended - when)) <= FEW


def test_a_terminal_shows_how_far_the_upload_is(play: Player, raw: Path, sink: Sink, tmp_path: Path) -> None:
    said: Said = []
    with subprocess.Popen(
        ["ansible-playbook", str(playbook(tmp_path, raw, sink))],
        cwd=tmp_path,
        env=play.environment({"RECORD_RESULTS": str(tmp_path / "results")}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        started = time.monotonic()
        for line in process.stdout:
            if line.startswith("TASK"):
                started = time.monotonic()
            if match := LINE.search(line):
                said.append((time.monotonic(), match))
            if line.startswith("changed:"):
                ended = time.monotonic()
    assert process.returncode == 0
    judge(said, started, ended)


def test_a_runner_gets_events_that_say_how_far_the_upload_is(
    play: Player, raw: Path, sink: Sink, tmp_path: Path
) -> None:
    """ansible-runner is what AWX runs playbooks with."""
    (tmp_path / "project").mkdir()
    playbook(tmp_path / "project", raw, sink)
    subprocess.run(
        ["ansible-runner", "run", str(tmp_path), "--playbook", "play.yml", "--ident", "upload", "--quiet"],
        env=play.environment({"RECORD_RESULTS": str(tmp_path / "results")}),
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=120,
    )
    events = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in (tmp_path / "artifacts" / "upload" / "job_events").glob("*.json")
    ]
    moments = {event["event"]: moment(event) for event in events}
    said = [(moment(event), match) for event in events if (match := LINE.search(event["stdout"]))]
    judge(sorted(said, key=lambda pair: pair[0]), moments["runner_on_start"], moments["runner_on_ok"])


def moment(event: dict[str, str]) -> float:
    return datetime.fromisoformat(event["created"]).timestamp()
