# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Where the secrets of an upload are not: output, results, process lists, journals, files left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import threading
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player, PlayResult
from tests.integration.test_disk_upload_blob import Account
from tests.integration.test_disk_upload_elsewhere import bare_python
from tests.integration.test_disk_upload_interrupted import descendants
from tests.integration.uploads import MIB, raw_disk

SIGNATURE = re.compile(rb"sig=[A-Za-z0-9%+/]{8,}")
FOLDERS = ("home/remote", "home/ansible/tmp")


class Watch(threading.Thread):
    """Looks at every process below this one, and at what lies beside the disk, until it is told to end.

    `shown`: what was found where others could have read it; `seen`: what was looked at; `open_to_others`:
    files of Ansible's that somebody else could have read.
    """

    def __init__(self, secrets: list[str], work: Path, disks: Path) -> None:
        super().__init__(daemon=True)
        self.shown: list[str] = []
        self.seen: set[str] = set()
        self.open_to_others: list[str] = []
        self.done = threading.Event()
        self._secrets = [secret.encode() for secret in secrets]
        self._work = work
        self._disks = disks

    def run(self) -> None:
        while not self.done.wait(0.05):
            for pid in descendants(os.getpid())[1:]:
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        self._look(name, Path(f"/proc/{pid}/{name}").read_bytes())
            for file in self._disks.glob(".*.upload"):
                with contextlib.suppress(OSError):
                    self._look("journal", file.read_bytes())
            for file in self._work.glob("home/remote/*/*"):
                with contextlib.suppress(OSError):
                    self._note_access(file)

    def _look(self, where: str, content: bytes) -> None:
        self.seen.add(where)
        # The secret of the credential is in the environment because the user has put it there.
        hidden = self._secrets[1:] if where == "environ" else self._secrets
        if SIGNATURE.search(content) or any(secret in content for secret in hidden):
            self.shown.append(f"{where}: {content!r}")

    def _note_access(self, file: Path) -> None:
        self.seen.add("module")
        if file.parent.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            self.open_to_others.append(str(file))


class Shown(NamedTuple):
    """What a run with all that Ansible can tell has shown; `secrets` are the ones that it had."""

    play: PlayResult
    watch: Watch
    secrets: list[str]
    left: list[Path]
    disks: Path


@pytest.fixture(scope="module")
def shown(azure: LocalAzure, group: str, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Uploads to every kind of target by hosts that are not the controller, one of them refused."""
    # Of its own: killed playbooks of other tests have left their files behind.
    play = Player(tmp_path_factory.mktemp("secret-plays"), azure.env)
    disks = tmp_path_factory.mktemp("secret")
    raw = raw_disk(disks / "web.raw", filled=6 * MIB)
    account = Account(azure, group)
    url = account.sas_url("sas.vhd", read=True, create=True, write=True, delete=True)
    refused = account.sas_url("refused.vhd", read=True)
    signatures = [one.partition("sig=")[2] for one in (url, refused)]
    secrets = [azure.secret, account.key, *signatures, *map(unquote, signatures)]
    slowly = {"path": str(raw), "bandwidth_limit": "4M"}
    targets: dict[str, dict[str, str]] = {
        "sas": {"sas_url": url},
        "disk": {"resource_group": group, "disk_name": "secret", "os_type": "Linux"},
        "key": {
            "resource_group": group,
            "storage_account": account.name,
            "container": "vhds",
            "blob": "key.vhd",
        },
        "elsewhere": {"resource_group": group, "disk_name": "elsewhere", "sign_in_on": "controller"},
        "refused": {"sas_url": refused},
    }
    hosts = {"sdk": "{{ ansible_playbook_python }}", "bare": str(bare_python(play.work_dir))}
    tasks: list[dict[str, Any]] = [
        {
            "name": f"add {name}",
            "ansible.builtin.add_host": {
                "name": name,
                "ansible_connection": "local",
                "ansible_python_interpreter": python,
            },
        }
        for name, python in hosts.items()
    ]
    tasks += [
        {
            "name": name,
            "goldenimage.azure.disk_upload": {**slowly, **target},
            "delegate_to": "bare" if "sign_in_on" in target else "sdk",
            "ignore_errors": True,
        }
        for name, target in targets.items()
    ]
    watch = Watch(secrets, play.work_dir, disks)
    watch.start()
    try:
        run = play(tasks, verbosity=4, diff=True)
    finally:
        watch.done.set()
        watch.join()
    left = [file for folder in FOLDERS for file in (play.work_dir / folder).rglob("*") if file.is_file()]
    return Shown(run, watch, secrets, left, disks)


def test_all_uploads_but_the_refused_one_arrive(shown: Shown) -> None:
    names = ("sas", "disk", "key", "elsewhere", "refused")
    assert [name for name in names if shown.play.tasks[name].failed] == ["refused"]


def test_neither_output_nor_results_show_a_secret(shown: Shown) -> None:
    results = json.dumps([result.result for result in shown.play.results])
    for secret in shown.secrets:
        assert secret not in shown.play.output
        assert secret not in results
    assert not SIGNATURE.search((shown.play.output + results).encode())


def test_neither_processes_nor_the_journal_show_a_secret(shown: Shown) -> None:
    assert shown.watch.seen == {"cmdline", "environ", "journal", "module"}
    assert shown.watch.shown == []


def test_what_holds_the_options_is_closed_to_others_and_gone_afterwards(shown: Shown) -> None:
    assert shown.watch.open_to_others == []
    assert shown.left == []
    assert [file.name for file in shown.disks.iterdir()] == ["web.raw"]
