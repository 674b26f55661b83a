# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""disk_upload that is stopped half-way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player
from tests.integration.uploads import DISKS, MIB, raw_disk


class Running:
    """A playbook that uploads a large disk by one connection, in a process group of its own."""

    def __init__(self, play: Player, options: dict[str, object]) -> None:
        name = str(options["disk_name"])
        file = play.work_dir / f"{name}.yml"
        written = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": [{"name": "upload", "goldenimage.azure.disk_upload": options}],
        }
        file.write_text(json.dumps([written]), encoding="utf-8")
        self._log = play.work_dir / f"{name}.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                ["ansible-playbook", str(file)],
                cwd=play.work_dir,
                env=play.environment(dict(play.azure_env)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)
        self._process.wait(60)


class Disk:
    """The disk that is uploaded, as Azure sees it."""

    def __init__(self, azure: LocalAzure, play: Player, group: str, path: Path) -> None:
        self._azure = azure
        self._play = play
        self._group = group
        self.path = path

    def upload(self, name: str) -> Running:
        options = {
            "path": str(self.path),
            "resource_group": self._group,
            "disk_name": name,
            "connections": 1,
        }
        return Running(self._play, options)

    def state(self, name: str) -> str | None:
        """Its diskState; None when there is no such disk."""
        disk = self._azure.get(self._azure.id(self._group, DISKS, name))
        return None if disk is None else disk["properties"].get("diskState", "")


@pytest.fixture(scope="module")
def disk(
    azure: LocalAzure, play: Player, group: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Disk]:
    path = raw_disk(tmp_path_factory.mktemp("large") / "large.raw", size=1100 * MIB, filled=1000 * MIB)
    yield Disk(azure, play, group, path)
    path.unlink()


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)


def test_an_interrupted_upload_shows_progress_and_leaves_nothing(azure: LocalAzure, disk: Disk) -> None:
    mark = azure.mark()
    running = disk.upload("interrupted")
    try:
        wait_for(lambda: "large.raw: sent " in running.output(), 120)
    finally:
        running.signal(signal.SIGINT)
    assert "MB/s" in running.output() and "left" in running.output()
    wait_for(lambda: disk.state("interrupted") is None, 60)
    assert any(write.endswith("/endGetAccess") for write in azure.writes(mark))


def test_what_a_killed_upload_left_is_taken_over(
    disk: Disk, play: Player, group: str, tmp_path: Path
) -> None:
    running = disk.upload("killed")
    wait_for(lambda: disk.state("killed") == "ActiveUpload", 120)
    running.signal(signal.SIGKILL)
    time.sleep(1)
    assert disk.state("killed") == "ActiveUpload"
    options = {"path": str(raw_disk(tmp_path / "small.raw")), "resource_group": group, "disk_name": "killed"}
    result = play.module("disk_upload", options).succeeded().last
    assert result["actions"][0] == "Deleted the half-uploaded disk killed."
    assert disk.state("killed") == "Unattached"
