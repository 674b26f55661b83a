# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The last step is killed at any of its changes: the way in lasts as long as anything else is left, and a run
after that ends right."""

from __future__ import annotations

import contextlib
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest import (
    host,
    job,
    last_step,
    live_root,
    services,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import DEBIAN
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.places import Content, Lines
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.removal import find
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.session import Process
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import (
    TRACES,
    Selection,
    selected,
)

from tests.unit._guest.planting import (
    BUILD_ACCOUNT,
    HOSTNAME,
    KEPT,
    SECRET,
    known_to,
    make_root,
    plant,
    write,
)

SEED = 20260101
POINTS = int(os.environ.get("KILL_POINTS", "16"))
# Every call by which a root changes something on the disk.
CHANGES = ("unlink", "rmdir", "rename", "ftruncate", "pwrite", "fsync")
ACCOUNT_KEYS = f"/home/{BUILD_ACCOUNT}/.ssh/authorized_keys"


class KilledAt:
    """What live_root sees as the module `os`, in which the process ends right before the chosen change."""

    def __init__(self, point: int) -> None:
        self.left = point

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        return self.counted(real) if name in CHANGES else real

    def counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.left == 0:
                os._exit(9)
            self.left -= 1
            return real(*arguments, **options)

        return call


@pytest.fixture
def guest_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A guest with every trace of those that go, and the last step of which nothing but the files is real."""
    top = make_root(tmp_path / "root")
    for trace in known_to(DEBIAN):
        if trace.default:
            plant(top, trace)
    write(top, ACCOUNT_KEYS, b"ssh-ed25519 AAAA\n")
    write(top, "/etc/hostname", HOSTNAME.encode() + b"\n")
    state = tmp_path / "state"
    for module in (job, host):
        monkeypatch.setattr(module, "STATE_DIR", str(state))
        monkeypatch.setattr(module, "JOB_FILE", str(state / "job.json"))
    monkeypatch.setattr(job, "REPORT_FILE", str(state / "report.json"))
    monkeypatch.setattr(job, "ERRORS_FILE", str(state / "errors"))
    monkeypatch.setattr(last_step, "LiveRoot", lambda _prefix: LiveRoot(str(top)))
    monkeypatch.setattr(last_step, "root_beneath_mounts", lambda: contextlib.nullcontext("/nowhere"))
    for name in ("quiet", "run", "close_the_way_in", "switch_off"):
        monkeypatch.setattr(services, name, lambda *_arguments: None)
    return top


def order(names: tuple[str, ...]) -> job.Job:
    return job.Job(
        accounts=(BUILD_ACCOUNT,),
        hostnames=names,
        machine_id="0123",
        selection=Selection(),
        agent="",
        power_off=False,
        caller=Process(1, 1),
        connection=None,
        session_timeout=1.0,
        free_space="keep",
    )


def work(the_job: job.Job, killed_at: int = -1) -> int:
    """Carry the order out in a process of its own; its exit status, 9 when it was killed."""
    job.write_job(the_job)
    child = os.fork()
    if child == 0:
        status = 3
        try:
            vars(live_root)["os"] = KilledAt(killed_at)
            status = len(last_step._work(the_job))
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def number_of_changes(top: Path) -> int:
    """How many changes the removal of everything that `guest_top` has takes."""
    calls = KilledAt(-1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_root, "os", calls)
        job.write_job(order((HOSTNAME,)))
        assert last_step._work(order((HOSTNAME,))) == []
    assert find(guest_of(top), selected(Selection())) == []
    return -1 - calls.left


def guest_of(top: Path) -> Guest:
    return Guest(LiveRoot(str(top)), [BUILD_ACCOUNT], [HOSTNAME])


@pytest.fixture(scope="module")
def changes(tmp_path_factory: pytest.TempPathFactory) -> int:
    with pytest.MonkeyPatch.context() as patch:
        factory = guest_top.__wrapped__  # type: ignore[attr-defined]
        return number_of_changes(factory(tmp_path_factory.mktemp("whole"), patch))


@pytest.mark.parametrize("number", range(POINTS))
def test_killed_at_any_change_it_can_be_run_again_and_ends_right(
    number: int, guest_top: Path, changes: int
) -> None:
    # One point in each part of the work, seeded: a failure comes back.
    width = changes / POINTS
    point = int(number * width + random.Random(SEED + number).random() * width)
    assert work(order((HOSTNAME,)), point) == 9

    left = {found.id for found in find(guest_of(guest_top), selected(Selection()))}
    assert left, "nothing was left to be killed at"
    if left - set(last_step._WAY_IN) - {"own-leftovers"}:
        assert (guest_top / ACCOUNT_KEYS[1:]).exists(), f"the way in went before {left}"
        assert f"{BUILD_ACCOUNT}:" in (guest_top / "etc/passwd").read_text()
        assert (guest_top / f"etc/sudoers.d/90-{BUILD_ACCOUNT}").exists()
        assert (guest_top / "etc/ssh/ssh_host_ed25519_key").exists()

    identity = host.identify(guest_of(guest_top))
    if os.geteuid() == 0:
        host.check_confirmed(identity, HOSTNAME)
    assert work(order((HOSTNAME, *identity.names))) == 0
    assert find(guest_of(guest_top), selected(Selection())) == []
    for path, text in KEPT.items():
        assert (guest_top / path[1:]).read_text() == text, f"{path} is needed"
    files = [path for path in guest_top.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_copy_beside_every_file_that_is_rewritten_would_be_found() -> None:
    (leftovers,) = [trace for trace in TRACES if trace.id == "own-leftovers"]
    text = " ".join(pattern for place in leftovers.places for pattern in place.patterns)
    for trace in TRACES:
        for place in trace.places:
            for pattern in place.patterns if isinstance(place, (Content, Lines)) else ():
                directory = re.sub(r"\{[^}]*\}$", "", pattern).rpartition("/")[0]
                name = directory.rpartition("/")[2]
                assert name in text, f"{pattern} of {trace.id}"
