# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A local Azure for each of the strangers' clients, and a summary of the replayed recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fidelity.azure_cli import AzureCli, register, sign_in
from tests.fidelity.replay import Result
from tests.fidelity.report import Tally, report
from tests.integration.cloud import LocalAzure
from tests.integration.watched_cloud import watched_cloud

_TALLIES = pytest.StashKey[dict[str, Tally]]()


@pytest.fixture
def held(request: pytest.FixtureRequest) -> Callable[[str, list[Result]], None]:
    """Wants every exchange of a recording answered identically; the session sums up what it was given."""

    def hold(name: str, results: list[Result]) -> None:
        lines: list[str] = []
        tally = report(results, lines.append)
        request.config.stash.setdefault(_TALLIES, {})[name] = tally
        assert tally.counted, f"nothing of {name} was compared"
        assert tally.identical == tally.counted, "\n".join(lines)

    return hold


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    tallies = config.stash.get(_TALLIES, {})
    if tallies:
        terminalreporter.section("fidelity")
        for name, tally in tallies.items():
            terminalreporter.write_line(f"{name}: {tally}")
        terminalreporter.write_line(f"Total: {sum(tallies.values(), Tally())}")


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    with watched_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def secret_file(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "secret"
    path.touch(mode=0o600)
    path.write_text(azure.secret, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def registered(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> AzureCli:
    return register(azure, tmp_path_factory.mktemp("azure-config"))


@pytest.fixture
def cli(registered: AzureCli, azure: LocalAzure, secret_file: Path) -> Iterator[AzureCli]:
    """A CLI that has signed in and works in the first subscription."""
    sign_in(registered, azure, secret_file)
    registered("account", "set", "--subscription", azure.subscription_id)
    yield registered
    registered("logout")
