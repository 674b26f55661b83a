# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The comparison's report says who took what, and whether ours knew of each operation's end in time."""

from __future__ import annotations

from tests.capture_comparison.report import Results, Run, late_operations, tables, verdict
from tests.capture_comparison.traffic import Operation, Traffic


def _run(wall: float, late: float = 8.0, retry_after: float | None = 10.0) -> Run:
    deallocate = Operation("deallocate", 16.0, late, retry_after, 2)
    return Run(wall, Traffic(20, 3, 2, (deallocate, Operation("PUT images", 5.0, 1.0, None, 7))))


def _row(results: Results, start: str) -> str:
    return next(line for line in tables(results) if line.startswith(f"| {start}"))


def test_a_row_has_the_medians_of_all_runs_and_their_number() -> None:
    results = {("image", "ours"): [_run(40.0), _run(90.0), _run(50.0)]}
    assert _row(results, "ours |") == "| ours | 3 | 25 | 20 | 3 | 2 | 50.0 | 21.0 | 9.0 | 20.0 |"


def test_an_operation_has_the_median_and_the_worst_of_its_lateness() -> None:
    results = {("image", "ours"): [_run(40.0, 1.0), _run(40.0, 9.0), _run(40.0, 4.0)]}
    assert _row(results, "deallocate |") == "| deallocate | ours | 16.0 | 10 | 2 | 4.0 | 9.0 |"
    assert _row(results, "PUT images |") == "| PUT images | ours | 5.0 | none | 7 | 1.0 | 1.0 |"


def test_one_operation_later_than_its_retry_after_misses_what_was_wanted() -> None:
    results = {("image", "ours"): [_run(40.0), _run(40.0, 24.0)]}
    assert late_operations(results) == [
        "image: the end of deallocate was known after 24.0 s, 10 s are allowed."
    ]
    said = "\n".join(verdict(results))
    assert "**missed**" in said
    assert "known after 24.0 s" in said


def test_all_operations_in_time_meet_what_was_wanted_whatever_others_did() -> None:
    results = {("image", "ours"): [_run(40.0)], ("image", "azure-cli"): [_run(90.0, 60.0)]}
    assert late_operations(results) == []
    assert list(verdict(results))[-1] == "In 1 run(s) of ours with 2 operations: met."


def test_without_a_run_of_ours_nothing_is_called_met() -> None:
    results: Results = {("image", "ours"): [], ("image", "azure-cli"): [_run(90.0)]}
    assert "met" not in "\n".join(verdict(results))
    assert "| ours | failed |" in "\n".join(tables(results))


def test_all_lines_of_a_table_have_as_many_columns() -> None:
    results: Results = {("image", "ours"): [_run(40.0)], ("image", "azcollection"): []}
    lines = [line for line in tables(results) if line.startswith("|")]
    assert [line.count("|") for line in lines] == [11, 11, 11, 11, 8, 8, 8, 8]
