# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""disk_upload that is stopped half-way."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.plays import Player
from tests.integration.test_disk_upload_blob import Account
from tests.integration.uploads import DISKS, MIB, disk_content, raw_disk


class Running:
    """A playbook that moves a disk slowly, in a process group of its own."""

    def __init__(
        self,
        play: Player,
        options: dict[str, object],
        module: str = "disk_upload",
        *,
        tasks: list[dict[str, object]] | None = None,
    ) -> None:
        name = Path(str(options.get("disk_name") or options.get("blob") or options.get("path") or "sas")).name
        file = play.work_dir / f"{name}.yml"
        written = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": tasks or [{"name": "move", f"goldenimage.azure.{module}": options}],
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

    def interrupt(self) -> None:
        """Press Ctrl-C, and once more where it was not heard: Python cannot raise it everywhere."""
        os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(12)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGINT)
            self._process.wait(60)

    def terminate_module(self) -> None:
        """Ask the module, and not the playbook, to end."""
        for pid in descendants(self._process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"python" in words[0] and any(b"AnsiballZ" in word for word in words[1:]):
                os.kill(pid, signal.SIGTERM)

    def ended(self) -> None:
        self._process.wait(60)

    def kill(self) -> None:
        """Kill the playbook and everything it has started, whatever group that has made for itself."""
        for pid in descendants(self._process.pid):
            os.kill(pid, signal.SIGKILL)
        self._process.wait(60)


def descendants(pid: int) -> list[int]:
    """A process and all that it and its children have started."""
    try:
        started = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return []
    return [pid, *(found for child in started for found in descendants(int(child)))]


class Disk:
    """The disk that is uploaded, as Azure sees it."""

    def __init__(self, azure: LocalAzure, play: Player, group: str, path: Path) -> None:
        self._azure = azure
        self._play = play
        self.group = group
        self.path = path

    def options(self, name: str, **given: object) -> dict[str, object]:
        common = {"path": str(self.path), "resource_group": self.group, "disk_name": name}
        return {**common, "connections": 2, **given}

    def upload(self, name: str, **given: object) -> Running:
        """Begin an upload that takes half a minute."""
        return Running(self._play, self.options(name, bandwidth_limit="3M", **given))

    def state(self, name: str) -> str | None:
        """Its diskState; None when there is no such disk."""
        disk = self._azure.get(self._azure.id(self.group, DISKS, name))
        return None if disk is None else disk["properties"].get("diskState", "")


@pytest.fixture(scope="module")
def disk(azure: LocalAzure, play: Player, group: str, tmp_path_factory: pytest.TempPathFactory) -> Disk:
    path = raw_disk(tmp_path_factory.mktemp("large") / "large.raw", size=100 * MIB, filled=90 * MIB)
    return Disk(azure, play, group, path)


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)


def begun(running: Running, name: str = "large.raw") -> bool:
    """Whether a window has certainly arrived: more left than the two connections can have underway."""
    told = re.findall(rf"{re.escape(name)}: sent (\d+) MB", running.output())
    return bool(told) and int(told[-1]) >= 13


def test_an_interrupted_upload_that_shall_not_be_kept_leaves_nothing(azure: LocalAzure, disk: Disk) -> None:
    mark = azure.mark()
    running = disk.upload("interrupted", resume=False)
    try:
        wait_for(lambda: begun(running), 120)
    finally:
        running.interrupt()
    wait_for(lambda: disk.state("interrupted") is None, 60)
    assert any(write.endswith("/endGetAccess") for write in azure.writes(mark))


def test_an_interrupted_upload_shows_progress_and_is_gone_on_with(
    azure: LocalAzure, disk: Disk, play: Player, group: str
) -> None:
    running = disk.upload("kept")
    try:
        wait_for(lambda: begun(running), 120)
    finally:
        running.interrupt()
    assert "MB/s" in running.output() and "left" in running.output()
    assert disk.state("kept") == "ActiveUpload"
    wait_for(lambda: journal_is_free(disk.path), 60)
    result = play.module("disk_upload", disk.options("kept")).succeeded().last
    assert result["bytes_resumed"] >= 4 * MIB
    assert disk.state("kept") == "Unattached"
    assert disk_content(azure, group, "kept") == disk.path.read_bytes()


def journal_is_free(path: Path) -> bool:
    """Whether no process holds the journal of this disk's upload any more."""
    (journal,) = path.parent.glob(f".{path.name}.*.upload")
    with journal.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_a_killed_upload_is_gone_on_with_by_the_same_disk_only(
    azure: LocalAzure, disk: Disk, play: Player, group: str, tmp_path: Path
) -> None:
    running = disk.upload("killed")
    wait_for(lambda: begun(running), 120)
    running.kill()
    assert disk.state("killed") == "ActiveUpload"
    other = {**disk.options("killed"), "path": str(raw_disk(tmp_path / "small.raw"))}
    refused = play.module("disk_upload", other).failed_with("another run has begun", "force")
    assert disk.state("killed") == "ActiveUpload", refused.msg
    result = play.module("disk_upload", disk.options("killed", verify="full")).succeeded().last
    assert result["bytes_resumed"] >= 4 * MIB
    assert disk_content(azure, group, "killed") == disk.path.read_bytes()


def test_force_takes_over_what_a_killed_upload_of_another_disk_left(
    disk: Disk, play: Player, tmp_path: Path
) -> None:
    running = disk.upload("taken")
    wait_for(lambda: disk.state("taken") == "ActiveUpload", 120)
    running.kill()
    other = {**disk.options("taken", force=True), "path": str(raw_disk(tmp_path / "small.raw"))}
    result = play.module("disk_upload", other).succeeded().last
    assert result["actions"][0] == "Deleted the half-uploaded disk taken."
    assert disk.state("taken") == "Unattached"


def test_a_killed_upload_into_a_blob_is_gone_on_with_at_once(
    azure: LocalAzure, disk: Disk, play: Player, group: str
) -> None:
    account = Account(azure, group)
    options = {
        "path": str(disk.path),
        "resource_group": group,
        "storage_account": account.name,
        "container": "vhds",
        "blob": "killed.vhd",
        "connections": 2,
    }
    running = Running(play, {**options, "bandwidth_limit": "3M"})
    wait_for(lambda: begun(running), 120)
    running.kill()
    elsewhere = disk.path.parent / "elsewhere"
    elsewhere.mkdir()
    stranger = play.module("disk_upload", {**options, "journal_dir": str(elsewhere)})
    stranger.failed_with("is leased: another upload writes to it, or was killed")
    result = play.module("disk_upload", {**options, "verify": "full"}).succeeded().last
    assert result["bytes_resumed"] >= 4 * MIB
    assert result["bytes_sent"] + result["bytes_resumed"] == result["bytes_planned"]
    assert account.content("killed.vhd")[:-512] == disk.path.read_bytes()
    assert not play.module("disk_upload", options).succeeded().last.changed


def cut_off(folder: Path, length: int) -> None:
    """Take the last bytes off the only journal in a folder, as a power failure does."""
    (journal,) = folder.glob(".*.upload")
    os.truncate(journal, journal.stat().st_size - length)


@pytest.mark.parametrize(
    ("name", "method", "path", "given", "state"),
    [
        ("untagged", "PATCH", "**/disks/untagged", {"verify": "ranges"}, "Unattached"),
        ("read-back", "POST", "**/disks/read-back/endGetAccess", {"verify": "full"}, "ActiveSAS"),
    ],
)
def test_a_disk_whose_upload_was_killed_when_it_was_whole_and_not_marked_is_completed(
    azure: LocalAzure,
    disk: Disk,
    play: Player,
    tmp_path: Path,
    *,
    name: str,
    method: str,
    path: str,
    given: dict[str, object],
    state: str,
) -> None:
    nth = {"nth": 2} if method == "POST" else {}
    # A refusal that is waited out: the request must not have been carried out when the kill comes.
    refused = rule("refused", {"method": method, "path": path, **nth}, "throttle", retry_after=100)
    journals = tmp_path / "journals"
    journals.mkdir()
    options = disk.options(name, journal_dir=str(journals), **given)
    with faults(azure, refused):
        running = Running(play, options)
        wait_for(lambda: disk.state(name) == state, 120)
        running.kill()
    assert "goldenimage_upload" in azure.get(azure.id(disk.group, DISKS, name))["tags"]
    if name == "untagged":
        cut_off(journals, 10)
        other = {**options, "path": str(raw_disk(tmp_path / "small.raw"))}
        play.module("disk_upload", other).failed_with("has not marked it as complete", "force")
    mark = azure.mark()
    checked = play.module("disk_upload", options, check=True).succeeded().last
    assert azure.writes(mark) == []
    done = play.module("disk_upload", options).succeeded().last
    assert done.changed and done["bytes_sent"] == 0 and done["actions"] == checked["actions"]
    assert done["actions"] == [f"Marked disk {name} as complete; its upload had ended before it could."]
    assert disk.state(name) == "Unattached"
    assert not list(journals.iterdir())
    assert not play.module("disk_upload", options).succeeded().last.changed
    assert disk_content(azure, disk.group, name) == disk.path.read_bytes()
