# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Prints how the diagnosis does on real failures, where a copy of them is at hand.

    python -m tests.windows.confusion

Ends with 1 when a cause is wrong. A case that nobody has judged is shown with what its source says.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_diagnosis import diagnose

from tests.windows.cases import ENVIRONMENT, NONE, UNKNOWN, Case, case_files, read_case


class Judged(NamedTuple):
    """A case with the cause and the phase that the diagnosis gives it."""

    case: Case
    said: str
    phase: str

    @property
    def wrong(self) -> bool:
        return self.case.is_wrong(self.said)


def judge_all() -> list[Judged]:
    """Every case at hand, diagnosed."""
    cases = [read_case(file) for file in case_files()]
    found = [(case, diagnose(list(case.rows), case.state)) for case in cases]
    return [Judged(case, result["cause"], result["phase"]) for case, result in found]


def table(judged: Sequence[Judged]) -> Iterator[str]:
    """The confusion table as rows of text: right causes in rows, the diagnosis' in columns."""
    counts = Counter((one.case.truth[0] if one.case.truth else "(not judged)", one.said) for one in judged)
    truths = sorted({truth for truth, _said in counts})
    said = sorted({said for _truth, said in counts}, key=lambda name: (name in (UNKNOWN, NONE), name))
    width = max(map(len, truths), default=0)
    for number, name in enumerate(said, 1):
        yield f"{number:>4} = {name}"
    yield " " * width + "".join(f"{number:>4}" for number in range(1, len(said) + 1))
    for truth in truths:
        yield truth.ljust(width) + "".join(f"{counts[truth, name] or '.':>4}" for name in said)


def summary(judged: Sequence[Judged]) -> str:
    known = [one for one in judged if one.case.truth]
    wrong = sum(one.wrong for one in known)
    unknown = sum(one.said == UNKNOWN and UNKNOWN not in one.case.truth for one in known)
    right = len(known) - wrong - unknown
    return f"{len(known)} judged cases: {right} right, {unknown} unknown to the diagnosis, {wrong} wrong."


def main() -> int:
    judged = judge_all()
    if not judged:
        sys.stdout.write(f"There are no cases. Name their folder in {ENVIRONMENT}.\n")
        return 0
    rows = [*table(judged), "", summary(judged)]
    for one in judged:
        if one.wrong:
            rows.append(f"WRONG {one.case.name}: {one.said} instead of {' or '.join(one.case.truth)}")
        elif not one.case.truth:
            rows.append(f"not judged: {one.case.name}: {one.said}; its source says: {one.case.told}")
    sys.stdout.write("\n".join(rows) + "\n")
    return 1 if any(one.wrong for one in judged) else 0


if __name__ == "__main__":
    sys.exit(main())
