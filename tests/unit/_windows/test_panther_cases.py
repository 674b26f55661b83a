# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Real failures, where a copy of them is at hand: none gets a wrong cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.windows.cases import ENVIRONMENT, TRUTH, case_files
from tests.windows.confusion import Judged, judge_all, summary, table

JUDGED = judge_all()
_present = pytest.mark.skipif(
    not JUDGED, reason=f"no collected cases of failed Sysprep runs: set {ENVIRONMENT} to their folder"
)


@_present
def test_no_case_gets_a_wrong_cause() -> None:
    print("\n".join([*table(JUDGED), summary(JUDGED)]))  # noqa: T201 - shown when the test fails
    assert [(one.case.name, one.said) for one in JUDGED if one.wrong] == []


@_present
def test_most_cases_are_known() -> None:
    known = [one for one in JUDGED if one.case.truth]
    assert sum(one.said in one.case.truth for one in known) >= 0.7 * len(known)


@_present
@pytest.mark.parametrize("judged", JUDGED, ids=[one.case.name for one in JUDGED])
def test_phase_is_that_of_the_case_or_unknown(judged: Judged) -> None:
    from_source = judged.case.phase
    if from_source.partition("-")[0] in ("validate", "cleanup", "generalize"):
        assert judged.phase in (from_source, "unknown")


def test_a_folder_without_cases_is_none(tmp_path: Path) -> None:
    assert case_files({ENVIRONMENT: str(tmp_path)}) == []
    assert all(TRUTH.values())
