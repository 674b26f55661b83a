# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A pytest session fails when the traffic of its local Azure breaks the contract. Real sessions run here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.contract.examples import COMPUTE, ERROR, IMAGE, IMAGE_ANSWER, changed
from tests.contract.exchange import read_exchanges
from tests.contract.openapi_files import ENVIRONMENT as OPENAPI_ENVIRONMENT
from tests.contract.session_traffic import ENVIRONMENT

CHECKOUT = Path(__file__).resolve().parents[2]
WATCHING_TEST = """
from pathlib import Path
from tests.contract.session_traffic import watch_exchanges

def test_that_talks_to_a_local_azure():
    log = Path("exchanges.jsonl")
    watch_exchanges(log)
    with log.open("a") as stream:
        stream.write(Path("said").read_text())
    assert {outcome}
"""


def line(body: Any, *, path: str = IMAGE, status: int = 200) -> str:
    url = f"https://127.0.0.1:8443{path}?api-version=2024-07-01"
    request: dict[str, Any] = {"method": "GET", "url": url, "headers": {}, "body": None}
    headers = {"Content-Type": "application/json"}
    response = {"statusCode": status, "headers": headers, "body": body}
    return json.dumps({"liveRequest": request, "liveResponse": response}) + "\n"


NO_OPENAPI = {OPENAPI_ENVIRONMENT: os.devnull}
SOUND = line(IMAGE_ANSWER)
UNSOUND = line(changed(IMAGE_ANSWER, "properties/hyperVGeneration", "V9"))
TOKEN = line({"access_token": "REDACTED"}, path="/tenant/oauth2/v2.0/token")


class Session(NamedTuple):
    status: int
    output: str


def run_session(folder: Path, said: str, *, passes: bool = True, openapi: bool = False) -> Session:
    """Most sessions go without the published files, whose reading takes its time."""
    (folder / "said").write_text(said, encoding="utf-8")
    (folder / "test_it.py").write_text(WATCHING_TEST.format(outcome=passes), encoding="utf-8")
    return _pytest(folder, ["test_it.py"], {} if openapi else NO_OPENAPI)


def _pytest(folder: Path, arguments: Sequence[str], environment: dict[str, str]) -> Session:
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    inherited = {
        name: text for name, text in os.environ.items() if name not in (ENVIRONMENT, "PYTEST_ADDOPTS")
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Session(done.returncode, done.stdout + done.stderr)


def test_sound_traffic_passes_and_is_counted(tmp_path: Path) -> None:
    session = run_session(tmp_path, SOUND + TOKEN + line(ERROR, status=404), openapi=True)
    assert session.status == pytest.ExitCode.OK, session.output
    assert "contract: 2 exchanges, 0 violations, 0 unmatched (openapi: " in session.output
    assert "1 not Resource Manager" in session.output


def test_violation_fails_a_session_whose_tests_passed(tmp_path: Path) -> None:
    session = run_session(tmp_path, SOUND + UNSOUND)
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert "1 passed" in session.output
    assert "contract: 2 exchanges, 1 violations, 0 unmatched" in session.output
    assert f"line 2: GET {IMAGE}?api-version=2024-07-01 -> 200" in session.output
    assert "/properties/hyperVGeneration: is 'V9', must be one of" in session.output


def test_unmatched_request_fails_the_session(tmp_path: Path) -> None:
    session = run_session(tmp_path, line({}, path=f"{COMPUTE}/pictures/x"))
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert "contract: 1 exchanges, 0 violations, 1 unmatched" in session.output
    assert "/pictures/x" in session.output


def test_error_without_envelope_fails_the_session(tmp_path: Path) -> None:
    session = run_session(tmp_path, line({"message": "no"}, status=500))
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert "[error-envelope, arm]" in session.output


def test_failed_tests_stay_failed(tmp_path: Path) -> None:
    assert run_session(tmp_path, SOUND, passes=False).status == pytest.ExitCode.TESTS_FAILED


def test_traffic_of_earlier_sessions_is_not_judged_again(tmp_path: Path) -> None:
    (tmp_path / "exchanges.jsonl").write_text(UNSOUND, encoding="utf-8")
    session = run_session(tmp_path, SOUND)
    assert session.status == pytest.ExitCode.OK, session.output
    assert "contract: 1 exchanges, 0 violations" in session.output


def test_log_named_in_the_environment_is_watched(tmp_path: Path) -> None:
    log = tmp_path / "other.jsonl"
    script = f"def test_it():\n    open({str(log)!r}, 'w').write({UNSOUND!r})\n"
    (tmp_path / "test_other.py").write_text(script, encoding="utf-8")
    session = _pytest(tmp_path, ["test_other.py"], {ENVIRONMENT: str(log), **NO_OPENAPI})
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert "contract: 1 exchanges, 1 violations" in session.output


def test_session_without_a_local_azure_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text("def test_it():\n    pass\n", encoding="utf-8")
    session = _pytest(tmp_path, ["test_plain.py"], {})
    assert session.status == pytest.ExitCode.OK
    assert "contract:" not in session.output


def test_absent_published_files_are_reported_as_skipped(tmp_path: Path) -> None:
    session = run_session(tmp_path, SOUND)
    assert session.status == pytest.ExitCode.OK, session.output
    assert "(openapi: absent; sdk models " in session.output
    assert "contract: skipped, not passed:" in session.output


def test_first_differences_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    said = "".join(line({**IMAGE_ANSWER, f"extra{number}": 1}) for number in range(30))
    session = run_session(tmp_path, said)
    assert session.output.count("unknown property [unknown-property, sdk]") == 20
    assert "... and 10 more kinds of difference" in session.output
    assert "30 exchanges of Images.get" in session.output


def test_damaged_log_fails_the_session(tmp_path: Path) -> None:
    session = run_session(tmp_path, SOUND + '{"liveRequest": 3}\n')
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert "line 2" in session.output


def test_line_cut_off_with_its_server_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "exchanges.jsonl"
    log.write_text(SOUND + SOUND[:40], encoding="utf-8")
    assert len(list(read_exchanges(log))) == 1
