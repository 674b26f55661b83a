# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A pytest session fails when the traffic of its local Azure breaks the contract.

Real sessions run here, all but one in this process, where the contracts have been read already.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tests.conftest
from tests.contract import session_traffic
from tests.contract.examples import COMPUTE, ERROR, IMAGE, IMAGE_ANSWER, changed
from tests.contract.exchange import read_exchanges
from tests.contract.openapi_files import ENVIRONMENT as OPENAPI_ENVIRONMENT
from tests.contract.session_traffic import ENVIRONMENT

pytest_plugins = ["pytester"]

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


SOUND = line(IMAGE_ANSWER)
UNSOUND = line(changed(IMAGE_ANSWER, "properties/hyperVGeneration", "V9"))
TOKEN = line({"access_token": "REDACTED"}, path="/tenant/oauth2/v2.0/token")


class Session(NamedTuple):
    status: int
    output: str


class Sessions:
    """Runs pytest in a folder of its own, with the checkout's plumbing and nothing else of it."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.folder = pytester.path

    def run(self, said: str, *, passes: bool = True) -> Session:
        """One test that watches a log and has a local Azure write `said` into it."""
        (self.folder / "said").write_text(said, encoding="utf-8")
        return self.run_test(WATCHING_TEST.format(outcome=passes))

    def run_test(self, script: str) -> Session:
        self._pytester.makepyfile(script)
        done = self._pytester.runpytest_inprocess("-p", "no:cacheprovider", plugins=[tests.conftest])
        return Session(int(done.ret), str(done.stdout) + str(done.stderr))


@pytest.fixture
def sessions(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    """Sessions whose logs are not those of the session that runs these tests."""
    monkeypatch.setattr(session_traffic, "_watched", {})
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    # Plugins that happen to be installed would be imported anew by every session.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return Sessions(pytester)


def test_sound_traffic_passes_and_is_counted(sessions: Sessions) -> None:
    session = sessions.run(SOUND + TOKEN + line(ERROR, status=404))
    assert session.status == pytest.ExitCode.OK, session.output
    assert "contract: 2 exchanges, 0 violations, 0 unmatched (openapi: " in session.output
    assert "1 not Resource Manager" in session.output


def test_violation_fails_a_session_whose_tests_passed(sessions: Sessions) -> None:
    session = sessions.run(SOUND + UNSOUND)
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert "1 passed" in session.output
    assert "contract: 2 exchanges, 1 violations, 0 unmatched" in session.output
    assert f"line 2: GET {IMAGE}?api-version=2024-07-01 -> 200" in session.output
    assert "/properties/hyperVGeneration: is 'V9', must be one of" in session.output


def test_unmatched_request_fails_the_session(sessions: Sessions) -> None:
    session = sessions.run(line({}, path=f"{COMPUTE}/pictures/x"))
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert "contract: 1 exchanges, 0 violations, 1 unmatched" in session.output
    assert "/pictures/x" in session.output


def test_error_without_envelope_fails_the_session(sessions: Sessions) -> None:
    session = sessions.run(line({"message": "no"}, status=500))
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert "[error-envelope, arm]" in session.output


def test_failed_tests_stay_failed(sessions: Sessions) -> None:
    assert sessions.run(SOUND, passes=False).status == pytest.ExitCode.TESTS_FAILED


def test_traffic_of_earlier_sessions_is_not_judged_again(sessions: Sessions) -> None:
    (sessions.folder / "exchanges.jsonl").write_text(UNSOUND, encoding="utf-8")
    session = sessions.run(SOUND)
    assert session.status == pytest.ExitCode.OK, session.output
    assert "contract: 1 exchanges, 0 violations" in session.output


def test_log_named_in_the_environment_is_watched(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    log = sessions.folder / "other.jsonl"
    monkeypatch.setenv(ENVIRONMENT, str(log))
    session = sessions.run_test(f"def test_it():\n    open({str(log)!r}, 'w').write({UNSOUND!r})\n")
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert "contract: 1 exchanges, " in session.output


def test_session_without_a_local_azure_says_nothing(sessions: Sessions) -> None:
    session = sessions.run_test("def test_it():\n    pass\n")
    assert session.status == pytest.ExitCode.OK
    assert "contract:" not in session.output


def test_absent_published_files_are_reported_as_skipped(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OPENAPI_ENVIRONMENT, os.devnull)
    session = sessions.run(SOUND)
    assert session.status == pytest.ExitCode.OK, session.output
    assert "(openapi: absent; sdk models " in session.output
    assert "contract: skipped, not passed:" in session.output


def test_first_differences_are_shown_and_the_rest_counted(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OPENAPI_ENVIRONMENT, os.devnull)
    said = "".join(line({**IMAGE_ANSWER, f"extra{number}": 1}) for number in range(30))
    session = sessions.run(said)
    assert session.output.count("unknown property [unknown-property, sdk]") == 20
    assert "... and 10 more kinds of difference" in session.output
    assert "30 exchanges of Images.get" in session.output


def test_damaged_log_fails_the_session(sessions: Sessions) -> None:
    session = sessions.run(SOUND + '{"liveRequest": 3}\n')
    assert session.status == pytest.ExitCode.TESTS_FAILED
    assert "line 2" in session.output


def test_exit_status_of_the_process_tells_a_violation(tmp_path: Path) -> None:
    (tmp_path / "said").write_text(UNSOUND, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(WATCHING_TEST.format(outcome=True), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "contract: 1 exchanges, " in done.stdout


def test_line_cut_off_with_its_server_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "exchanges.jsonl"
    log.write_text(SOUND + SOUND[:40], encoding="utf-8")
    assert len(list(read_exchanges(log))) == 1


@pytest.mark.parametrize(("said", "status"), [(SOUND, 0), (UNSOUND, 1), ("{}\n", 2)])
def test_log_is_judged_by_hand(
    said: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "exchanges.jsonl"
    log.write_text(said, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["contract", str(log)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("tests.contract", run_name="__main__")
    assert ended.value.code == status
