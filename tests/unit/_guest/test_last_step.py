# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The last step: its order, its program, and what it waits for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest import (
    detach,
    job,
    last_step,
    services,
    session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.programs import Programs
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.session import Process
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import Selection

OLDEST = next(iter(Path("~/.pyenv/versions").expanduser().glob("3.6*/bin/python3.6")), None)
ORDER = job.Job(
    accounts=("packer",),
    hostnames=("web1",),
    machine_id="0123",
    selection=Selection(exclude=("logs",), extra=("/opt/x",)),
    agent="/usr/sbin/waagent",
    power_off=False,
    caller=Process(17, 4711),
    connection=None,
    session_timeout=3.5,
    free_space="keep",
)


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "state"
    monkeypatch.setattr(job, "STATE_DIR", str(directory))
    monkeypatch.setattr(job, "JOB_FILE", str(directory / "job.json"))
    monkeypatch.setattr(job, "REPORT_FILE", str(directory / "report.json"))
    monkeypatch.setattr(job, "ERRORS_FILE", str(directory / "errors"))
    monkeypatch.setattr(detach, "_PROGRAM_DIR", str(directory / "program"))
    return directory


@pytest.mark.parametrize("connection", [None, Process(18, 4712)])
def test_order_is_read_as_it_was_written(state_dir: Path, connection: Process | None) -> None:
    order = ORDER._replace(connection=connection)
    job.write_job(order)
    assert job.read_job() == order
    assert state_dir.stat().st_mode & 0o777 == 0o700


def test_order_is_not_left_where_others_could_change_it(state_dir: Path) -> None:
    state_dir.mkdir(mode=0o755)
    with pytest.raises(GuestError, match="open to others"):
        job.write_job(ORDER)


def test_new_order_forgets_the_report_of_the_one_before(state_dir: Path) -> None:
    state_dir.mkdir(mode=0o700)
    job.write_report("failed", ["x"])
    assert job.read_phase() == "failed"
    job.write_job(ORDER)
    assert job.read_phase() == ""


@pytest.mark.parametrize("python", [sys.executable, OLDEST], ids=["this Python", "Python 3.6"])
@pytest.mark.usefixtures("state_dir")
def test_program_needs_nothing_but_python(python: str | Path | None) -> None:
    if python is None:
        pytest.skip("there is no Python 3.6 here")
    entry = Path(detach._write_program())
    sources = sorted(path.name for path in entry.parent.rglob("*.py"))
    assert {"last_step.py", "traces.py", "live_root.py", "job.py", "host.py"} <= set(sources)
    assert "disk_root.py" not in sources
    entry.write_text(entry.read_text().replace("sys.exit(main())", "print(main.__module__)"))
    done = subprocess.run(
        [str(python), "-B", "-s", "-E", str(entry)], check=True, capture_output=True, text=True, cwd="/"
    )
    assert done.stdout.strip().endswith("_guest.last_step")
    assert done.stderr == ""


def sleeping(seconds: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", str(seconds)])


def test_wait_lasts_until_the_caller_is_gone_and_a_moment_longer() -> None:
    with sleeping(0.6) as child:
        caller = session.process(child.pid)
        assert caller is not None
        threading.Thread(target=child.wait).start()
        begun = time.monotonic()
        assert session.wait_for_end(caller, None, 0.5, 30) == "idle"
        assert 1.0 <= time.monotonic() - begun < 5


def test_wait_ends_at_once_when_the_connection_is_closed() -> None:
    with sleeping(0.3) as connection, sleeping(30) as caller:
        watched, other = session.process(connection.pid), session.process(caller.pid)
        assert watched is not None
        assert other is not None
        threading.Thread(target=connection.wait).start()
        assert session.wait_for_end(other, watched, 20, 30) == "closed"
        caller.kill()


def test_wait_goes_on_while_something_runs_in_the_connection() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 30 & wait"]) as connection:
        watched = session.process(connection.pid)
        assert watched is not None
        time.sleep(0.3)
        gone = Process(watched.pid, watched.started - 1)
        assert session.wait_for_end(gone, watched, 0.1, 1.0) == "deadline"
        for pid in session.descendants(watched.pid):
            os.kill(pid, 9)


def test_process_number_that_was_used_again_is_another_process() -> None:
    myself = session.process(os.getpid())
    assert myself is not None
    assert session.is_running(myself)
    assert not session.is_running(Process(myself.pid, myself.started + 1))
    assert session.process(2**22 + 1) is None


@pytest.mark.usefixtures("state_dir")
@pytest.mark.parametrize("error", [KeyError("uid"), GuestError("KeyError: 'uid'")])
def test_every_failure_is_reported(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_job: job.Job) -> list[str]:
        raise error

    told: list[list[str]] = []
    monkeypatch.setattr(last_step, "wait_for_end", lambda *_arguments: "idle")
    monkeypatch.setattr(last_step, "_work", fail)
    monkeypatch.setattr(last_step, "_tell_console", told.append)
    job.write_job(ORDER)
    assert last_step.main() == 1
    assert json.loads(Path(job.REPORT_FILE).read_text()) == {
        "phase": "failed",
        "failures": ["KeyError: 'uid'"],
    }
    assert told == [["KeyError: 'uid'"]]
    assert ("Traceback" in capsys.readouterr().err) == isinstance(error, KeyError)


@pytest.mark.usefixtures("state_dir")
def test_way_in_is_kept_while_another_trace_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = tmp_path / "guest"
    keys = guest / "home" / "packer" / ".ssh" / "authorized_keys"
    log = guest / "var" / "log" / "app.log"
    for path in (keys, log, guest / "etc" / "passwd"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("packer:x:1000:1000::/home/packer:/bin/bash\n")
    ran: list[str] = []
    monkeypatch.setattr(last_step, "LiveRoot", lambda _prefix: StuckRoot(str(guest)))
    monkeypatch.setattr(services, "quiet", lambda _uids: ran.append("quiet"))
    monkeypatch.setattr(Programs, "run", lambda _self, command, _seconds: ran.append(command[0]))
    job.write_job(ORDER)
    (failure,) = last_step._work(ORDER._replace(selection=Selection()))
    assert "logs" in failure
    assert str(log.name) in failure
    assert ran == ["quiet"]
    assert keys.exists()
    assert "packer" in (guest / "etc" / "passwd").read_text()


class StuckRoot(LiveRoot):
    """A root with logs that cannot be emptied."""

    def truncate(self, path: str) -> None:
        raise GuestError(f"{path}: cannot be changed: Operation not permitted")
