# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What holds for every test session: its traffic with a local Azure must keep Azure's contract."""

from __future__ import annotations

import os
from importlib import metadata

import hypothesis
import pytest

from tests.contract import session_traffic

# A busy machine is slow, which is no defect. In CI every run tries the same examples, so that a failure there
# is due to the change it tests; new examples are found at home.
hypothesis.settings.register_profile("default", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
# For whoever has an hour: --hypothesis-profile=fidelity.
hypothesis.settings.register_profile("fidelity", deadline=None, max_examples=5000)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")

# Tests that run on demand only: what marks them, the option that lets them run, and why they wait for it.
_ON_DEMAND = {
    "foreign_client": ("--foreign-clients", "another project's client (1.5 GB)"),
    "thorough": ("--thorough", "a further case of a test that takes minutes"),
}

_LINES = pytest.StashKey[list[str]]()


def pytest_report_header() -> str:
    """Which Azure SDK the session runs with: `make test` runs parts of it with the oldest one too."""
    return f"azure-mgmt-compute: {metadata.version('azure-mgmt-compute')}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--foreign-clients",
        action="store_true",
        help="run the tests with azure-cli and azure.azcollection, installed below .build on demand (1.5 GB)",
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help="run the further cases of tests that take minutes each, too (`make thorough` runs only those)",
    )


def pytest_configure(config: pytest.Config) -> None:
    for marker, (option, reason) in _ON_DEMAND.items():
        config.addinivalue_line("markers", f"{marker}: {reason} (with {option} only)")
    session_traffic.watch_environment()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for marker, (option, reason) in _ON_DEMAND.items():
        if config.getoption(option):
            continue
        skip = pytest.mark.skip(reason=f"{reason}; runs only with {option}")
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(skip)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Judge the traffic once every fixture has ended; what differs fails a session that passed otherwise."""
    try:
        report = session_traffic.check_watched()
    except ValueError as error:
        lines, passed = [f"contract: the log of exchanges is damaged: {error}"], False
    else:
        if report is None:
            return
        lines, passed = session_traffic.lines_for(report), report.passed
    session.config.stash[_LINES] = lines
    if not passed and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(_LINES, [])
    if lines:
        terminalreporter.section("contract")
        for line in lines:
            terminalreporter.write_line(line)
