# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The comparison ends with 1 and says why when ours is too late or a capture is missing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.capture_comparison import __main__ as program
from tests.capture_comparison.report import Results, Run
from tests.capture_comparison.traffic import Operation, Traffic


def _run(late: float) -> Run:
    return Run(40.0, Traffic(20, 3, 2, (Operation("deallocate", 16.0, late, 10.0, 2),)))


@pytest.mark.parametrize(
    ("results", "status", "said"),
    [
        ({("image", "ours"): [_run(8.0)], ("image", "azure-cli"): [_run(60.0)]}, 0, ": met."),
        ({("image", "ours"): [_run(24.0)]}, 1, "ours is too late: image: the end of deallocate"),
        ({("image", "ours"): [_run(8.0)], ("image", "azure-cli"): []}, 1, "azure-cli did not do all"),
    ],
    ids=["in-time", "late", "incomplete"],
)
def test_the_status_tells_whether_all_was_measured_and_ours_was_in_time(
    results: Mapping[tuple[str, str], list[Run]],
    status: int,
    said: str,
    *,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def measured(_folder: Path, _rounds: int, _jobs: list[str]) -> tuple[Results, list[str]]:
        return results, []

    monkeypatch.setattr(program, "_measure", measured)
    report = tmp_path / "report.md"
    monkeypatch.setattr(sys, "argv", ["capture_comparison", "--rounds", "1", "--output", str(report)])
    assert program.main() == status
    assert said in capsys.readouterr().out
    assert report.read_text(encoding="utf-8").startswith("<!--\nSPDX-License-Identifier")
