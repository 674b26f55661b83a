# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Checks everything that was said to a local Azure during one pytest session, at its end.

Whoever starts a local Azure in a test calls `watch_exchanges` with the log that it writes. Logs of a
local Azure started outside are named in LOCAL_AZURE_EXCHANGES (several with the system's path separator).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

from tests.contract.exchange import Exchange, read_exchanges
from tests.contract.judge import Judge, Report
from tests.contract.openapi_files import ENVIRONMENT as OPENAPI_ENVIRONMENT
from tests.contract.openapi_files import specification_root

ENVIRONMENT = "LOCAL_AZURE_EXCHANGES"
OPENAPI_ABSENT = (
    f"contract: skipped, not passed: the check against Azure's published API files, which are absent "
    f"(set {OPENAPI_ENVIRONMENT} to a folder with specification/ of azure-rest-api-specs)"
)

_watched: dict[Path, int] = {}


def watch_exchanges(path: Path) -> None:
    """Have what is written to this log from now on checked at the end of the session.

    The file need not exist yet. What it already holds belongs to an earlier session.
    """
    path = path.resolve()
    _watched.setdefault(path, path.stat().st_size if path.exists() else 0)


def watch_environment(environ: Mapping[str, str] | None = None) -> None:
    """Watch the logs that the environment names."""
    for name in (os.environ if environ is None else environ).get(ENVIRONMENT, "").split(os.pathsep):
        if name:
            watch_exchanges(Path(name))


def check_watched() -> Report | None:
    """Judge the traffic of this session; None when nothing was watched. ValueError: a log is damaged."""
    return judge_logs(_watched) if _watched else None


def judge_logs(logs: Mapping[Path, int]) -> Report:
    """Judge each log from the given offset in bytes on. Each has operations of its own."""
    root = specification_root()
    reports = [Judge(root).report(_session_part(path, offset)) for path, offset in logs.items()]
    return Report(
        verdicts=tuple(chain.from_iterable(report.verdicts for report in reports)),
        other=sum(report.other for report in reports),
        openapi_checked=root is not None,
        sdk_version=reports[0].sdk_version,
    )


def lines_for(report: Report) -> list[str]:
    """What the end of a test session says about its traffic."""
    lines = [report.summary()]
    if not report.openapi_checked:
        lines.append(OPENAPI_ABSENT)
    return lines + report.details()


def _session_part(path: Path, offset: int) -> Iterator[Exchange]:
    if not path.exists():
        return iter(())
    return read_exchanges(path, offset if path.stat().st_size >= offset else 0)
