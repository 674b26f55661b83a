# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""disk_upload of a disk on another host: credentials stay on the controller, and the host has Python alone.

The host is this machine by another name, with an interpreter that has neither the Azure SDK nor Ansible.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.plays import Player, PlayResult, Task, TaskResult
from tests.integration.test_disk_upload_blob import Account
from tests.integration.test_disk_upload_interrupted import Running, begun, descendants, wait_for
from tests.integration.uploads import DISKS, MIB, converted, disk_content, raw_disk

HOST = "hypervisor"
PUT = {"service": "blob", "method": "PUT", "query": {"comp": "page"}}


def bare_python(folder: Path) -> Path:
    """An interpreter of this Python without anything that was installed for it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "bare"], check=True)
    python = folder / "bare" / "bin" / "python"
    found = subprocess.run([python, "-c", "import azure"], check=False, capture_output=True)
    assert found.returncode != 0, "the interpreter has the Azure SDK"
    return python


class Elsewhere(NamedTuple):
    """A hypervisor with a disk on it."""

    play: Player
    python: Path
    raw: Path
    qcow2: Path
    group: str

    def options(self, **given: Any) -> dict[str, Any]:
        common = {
            "path": str(self.qcow2),
            "resource_group": self.group,
            "sign_in_on": "controller",
            "connections": 2,
        }
        return {key: value for key, value in {**common, **given}.items() if value is not None}

    def tasks(self, *uploads: dict[str, Any], **keywords: Any) -> list[Task]:
        host = {"name": HOST, "ansible_connection": "local", "ansible_python_interpreter": str(self.python)}
        tasks: list[Task] = [{"name": "know the host", "ansible.builtin.add_host": host}]
        for options in uploads:
            upload = {"name": "upload", "goldenimage.azure.disk_upload": options, "delegate_to": HOST}
            tasks.append({**upload, **keywords})
        return tasks

    def upload(self, *, run: dict[str, Any] | None = None, **options: Any) -> PlayResult:
        return self.play(self.tasks(self.options(**options)), **(run or {}))

    def done(self, **options: Any) -> TaskResult:
        return self.upload(**options).succeeded().last


@pytest.fixture(scope="module")
def elsewhere(play: Player, group: str, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    folder = tmp_path_factory.mktemp("hypervisor")
    raw = raw_disk(folder / "web.raw", size=64 * MIB, filled=40 * MIB)
    return Elsewhere(
        play, bare_python(folder), raw, converted(raw, folder / "web.qcow2", "-O", "qcow2"), group
    )


@contextmanager
def watched_processes() -> Iterator[list[str]]:
    """What of signatures is seen in the command lines and environments of whatever is started meanwhile."""
    seen: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            for pid in descendants(os.getpid()):
                folder = Path("/proc", str(pid))
                for name in ("cmdline", "environ"):
                    try:
                        text = (folder / name).read_bytes()
                    except OSError:
                        continue
                    if b"sig=" in text:
                        seen.append(f"{name}: {text!r}")

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join(10)


def test_a_host_with_nothing_but_python_sends_its_disk(azure: LocalAzure, elsewhere: Elsewhere) -> None:
    mark = azure.mark()
    system: dict[str, Any] = {"disk_name": "web", "os_type": "Linux", "zone": "1", "tags": {"release": "1"}}
    checked = elsewhere.upload(run={"check": True, "diff": True}, **system).succeeded().last
    assert azure.writes(mark) == []
    with watched_processes() as signatures:
        run = elsewhere.upload(
            run={"diff": True, "verbosity": 4}, bandwidth_limit="4M", verify="full", **system
        ).succeeded()
    done = run.last
    for key in ("disk", "actions", "content_sha256", "bytes_planned", "diff"):
        assert checked[key] == done[key], key
    assert done["format"] == "qcow2" and done["disk"]["hyper_v_generation"] == "V1"
    assert done["bytes_sent"] == done["bytes_planned"] >= 40 * MIB
    assert disk_content(azure, elsewhere.group, "web") == elsewhere.raw.read_bytes()
    assert signatures == []
    assert "sig=" not in run.output and azure.secret not in run.output
    assert "MB/s" in run.output, "no progress was shown"
    assert not list(elsewhere.raw.parent.glob(".*.upload"))

    mark = azure.mark()
    again = elsewhere.done(**system)
    assert not again.changed and again["bytes_sent"] == 0
    assert azure.writes(mark) == []
    assert elsewhere.done(**{**system, "tags": {"release": "2"}}, sku="StandardSSD_LRS").changed


def test_the_host_is_told_what_is_wrong_with_its_file_before_any_request(
    azure: LocalAzure, elsewhere: Elsewhere
) -> None:
    mark = azure.mark()
    missing = str(elsewhere.raw.with_name("missing.raw"))
    failed = elsewhere.upload(disk_name="never", path=missing).failed_with("no such file", missing)
    assert failed["failure"]["message"]
    elsewhere.upload(disk_name="never", hyper_v_generation="V2", os_type="Linux").failed_with("boots as V1")
    assert azure.exchanges(mark) == []


def test_access_that_runs_out_is_granted_anew_to_the_host(azure: LocalAzure, elsewhere: Elsewhere) -> None:
    mark = azure.mark()
    with faults(azure, rule("expired", {**PUT, "nth": [5]}, "expire_sas")) as hits:
        done = elsewhere.done(disk_name="renewed")
    assert hits["expired"] == 1
    granted = [write for write in azure.writes(mark) if write.endswith("/disks/renewed/beginGetAccess")]
    assert len(granted) == 2
    assert done["bytes_resumed"] > 0, "all was sent again"
    assert disk_content(azure, elsewhere.group, "renewed") == elsewhere.raw.read_bytes()


def test_a_killed_upload_is_gone_on_with_from_the_journal_on_the_host(
    azure: LocalAzure, elsewhere: Elsewhere
) -> None:
    options = elsewhere.options(disk_name="killed")
    slow = elsewhere.tasks({**options, "bandwidth_limit": "3M"})
    running = Running(elsewhere.play, {**options}, tasks=slow)
    wait_for(lambda: begun(running, "web.qcow2"), 120)
    running.kill()
    disk = azure.get(azure.id(elsewhere.group, DISKS, "killed"))
    assert disk["properties"]["diskState"] == "ActiveUpload"
    done = elsewhere.done(disk_name="killed")
    assert done["bytes_resumed"] >= 4 * MIB
    assert done["bytes_sent"] + done["bytes_resumed"] == done["bytes_planned"]
    assert disk_content(azure, elsewhere.group, "killed") == elsewhere.raw.read_bytes()


def test_an_interrupted_upload_that_shall_not_be_kept_leaves_nothing(
    azure: LocalAzure, elsewhere: Elsewhere
) -> None:
    options = elsewhere.options(disk_name="interrupted", resume=False, bandwidth_limit="3M")
    mark = azure.mark()
    running = Running(elsewhere.play, options, tasks=elsewhere.tasks(options))
    try:
        wait_for(lambda: begun(running, "web.qcow2"), 120)
    finally:
        running.interrupt()
    path = azure.id(elsewhere.group, DISKS, "interrupted")
    wait_for(lambda: azure.get(path) is None, 60)
    assert any(write.endswith("/disks/interrupted/endGetAccess") for write in azure.writes(mark))


@pytest.mark.parametrize("auth_mode", ["key", "login"])
def test_a_blob_is_sent_by_a_sas_whatever_the_controller_signs_in_with(
    azure: LocalAzure, elsewhere: Elsewhere, auth_mode: str
) -> None:
    account = Account(azure, elsewhere.group)
    target = {"storage_account": account.name, "container": "vhds", "blob": "web.vhd", "auth_mode": auth_mode}
    run = elsewhere.upload(run={"verbosity": 4}, **target).succeeded()
    assert run.last.changed and "sig=" not in run.output
    assert account.content("web.vhd")[:-512] == elsewhere.raw.read_bytes()
    assert not elsewhere.done(**target).changed


@pytest.mark.skipif(shutil.which("su") is None, reason="needs su")
def test_with_become_the_disk_is_read_as_another_user_and_the_credentials_are_the_callers(
    azure: LocalAzure, elsewhere: Elsewhere
) -> None:
    options = elsewhere.options(disk_name="become", sign_in_on=None)
    become = {"become": True, "become_method": "ansible.builtin.su", "become_user": "root"}
    run = elsewhere.play(elsewhere.tasks(options, **become)).succeeded()
    assert run.last.changed
    assert disk_content(azure, elsewhere.group, "become") == elsewhere.raw.read_bytes()
