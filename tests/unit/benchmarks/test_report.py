# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The benchmarks' report says what was measured, met, missed and not measured."""

from __future__ import annotations

import pytest

from tests.benchmarks.measure import Measured
from tests.benchmarks.report import Result, bars, tables
from tests.benchmarks.targets import Counts


def _result(*walls: float, cpu: float = 1.0, sent: int = 100) -> Result:
    return Result([Measured(wall, cpu, 50.0, 0.0) for wall in walls], Counts(3, sent))


def _line(results: dict[tuple[str, str, str], Result], start: str) -> str:
    return next(line for line in bars(results) if line.startswith("| " + start))


@pytest.mark.parametrize(("wall", "verdict"), [(12.0, "12.00 | met |"), (11.9, "11.90 | **missed** |")])
def test_what_must_be_at_least_so_much_is_met_from_there_on(wall: float, verdict: str) -> None:
    results = {("null", "b", "ours"): _result(1.0), ("null", "b", "azcopy"): _result(wall)}
    assert _line(results, "(b) null: azcopy's wall").endswith(verdict)


@pytest.mark.parametrize(("sent", "verdict"), [(70, "0.70 | met |"), (71, "0.71 | **missed** |")])
def test_what_may_be_at_most_so_much_is_met_up_to_there(sent: int, verdict: str) -> None:
    results = {("null", "a", "ours"): _result(1.0, sent=sent), ("null", "a", "azcopy"): _result(1.0)}
    assert _line(results, "(a) null: our bytes to those of azcopy").endswith(verdict)


def test_what_was_not_run_or_failed_is_not_called_met() -> None:
    failed = Result([], None, "given up after 52 s")
    results = {("null", "b", "ours"): _result(1.0), ("null", "b", "azcopy"): failed}
    assert [line for line in bars(results) if line.endswith("| met |")] == []
    table = list(tables(results, {"ours": "ours", "azcopy": "azcopy"}, {"b": "a disk"}))
    assert any("given up after 52 s" in line for line in table)


def test_a_row_has_the_median_of_all_runs_and_their_number() -> None:
    results = {("null", "b", "ours"): _result(1.0, 9.0, 2.0)}
    row = list(tables(results, {"ours": "ours"}, {"b": "a disk"}))[-1]
    assert row.startswith("| ours | 3 | 2.00 | ")


def test_all_lines_of_a_table_have_as_many_columns() -> None:
    failed = Result([], None, "failed")
    results = {("null", "b", "ours"): _result(1.0), ("null", "b", "azcopy"): failed}
    lines = list(tables(results, {"ours": "ours", "azcopy": "azcopy"}, {"b": "a disk"}))
    assert {line.count("|") for line in lines if line.startswith("|")} == {11}
