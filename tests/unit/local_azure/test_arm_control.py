# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The command line: starting, a second start, stopping, and what is left in the state directory."""

from __future__ import annotations

import json
import shlex
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.local_azure.control import process_start_time

_CHECKOUT = Path(__file__).resolve().parents[3]


def command(verb: str, state_dir: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.local_azure", verb, "--state-dir", str(state_dir), *options],
        cwd=_CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    command("stop", tmp_path / "state")


def environment(state_dir: Path) -> dict[str, str]:
    words = shlex.split((state_dir / "env").read_text(encoding="utf-8"))
    return dict(w.split("=", 1) for w in words if "=" in w)


def test_background_server_from_start_to_stop(state_dir: Path) -> None:
    assert command("status", state_dir).returncode == 3
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = command("start", state_dir, "--port", str(port))
    assert started.returncode == 0, started.stderr
    assert f"https://127.0.0.1:{port}" in started.stdout
    env = environment(state_dir)
    assert env["AZURE_SECRET"] not in started.stdout
    assert env["AZURE_CLOUD_ENVIRONMENT"] == f"https://127.0.0.1:{port}"
    for name in ("env", "identity.json", "server.key", "token.key", "state.sqlite", "exchanges.jsonl"):
        assert stat.S_IMODE((state_dir / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    url = f"{env['LOCAL_AZURE_URL']}/metadata/endpoints?api-version=2022-09-01"
    assert requests.get(url, verify=env["REQUESTS_CA_BUNDLE"], timeout=10).status_code == 200

    pid = json.loads((state_dir / "server.pid").read_text(encoding="utf-8"))["pid"]
    second = command("start", state_dir)
    assert second.returncode == 0
    assert "runs already" in second.stdout
    assert json.loads((state_dir / "server.pid").read_text(encoding="utf-8"))["pid"] == pid
    assert f"process {pid}" in command("status", state_dir).stdout
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    assert command("stop", state_dir).returncode == 0
    for process in (pid, *map(int, children)):
        assert process_start_time(process) is None
    assert "does not run" in command("stop", state_dir).stdout
    restarted = command("start", state_dir)
    assert restarted.returncode == 0, restarted.stderr
    assert environment(state_dir) == env


def test_taken_port_is_one_clear_failure(state_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        failed = command("start", state_dir, "--port", str(taken.getsockname()[1]))
    assert failed.returncode == 1
    assert "is taken; give another one with --port." in failed.stderr
    assert "Traceback" not in failed.stderr
    assert command("status", state_dir).returncode == 3


def test_bad_options_are_refused(state_dir: Path) -> None:
    assert command("start", state_dir, "--speed", "0").returncode == 2
    assert not state_dir.exists()
