# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The runs of Sysprep that a log tells of.

A log may hold several runs, and setuperr.log of a Marketplace image holds the errors of Microsoft's own.
setupact.log says where a run begins. setuperr.log does not, so its lines are given to runs by their time:
that of the run's beginning in setupact.log, or, where that is missing, an error after the one that ends a
run, or a pause that no run makes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_benign import benign_reason
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_events import (
    ends_in_failure,
    fails,
    halts,
    refuses,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import Line

# Sysprep's, and that of Windows Setup at a first start, whose logs may be handed in as well.
_BEGINNING = re.compile(
    r"Beginning of a new sysprep run|\bWinDeploy\.exe launched with command-line\b", re.IGNORECASE
)
_WORDLESS = re.compile(r"^\W*$")
# Generalizing takes minutes, an hour at most on what is slow; nobody waits longer for a line.
LONGEST_PAUSE = timedelta(hours=2)

BY_MARKER, BY_GUESS, WHOLE = "marker", "pause", "whole-log"


class Run(NamedTuple):
    """The lines of one run. `cut`: how its beginning is known (BY_MARKER, BY_GUESS), or WHOLE where nothing
    tells.
    """

    lines: tuple[Line, ...]
    cut: str

    @property
    def began(self) -> datetime | None:
        return next((line.time for line in self.lines if line.time), None)

    @property
    def ended(self) -> datetime | None:
        return next((line.time for line in reversed(self.lines) if line.time), None)


def runs_of(logs: Mapping[str, Sequence[Line]]) -> list[Run]:
    """All runs, the last one last, of logs that lay in one folder, as read by :func:`read_lines`.

    What comes before the first beginning in a log that has one is a run as well: its beginning was cut off.
    """
    marked = [list(lines) for lines in logs.values() if any(map(_is_beginning, lines))]
    others = [list(lines) for lines in logs.values() if lines and not any(map(_is_beginning, lines))]
    runs = [run for lines in marked for run in _by_marker(lines)]
    if not runs:
        return _by_pause(_merged(others))
    for lines in others:
        runs = _given_to(runs, lines)
    return runs


def _is_beginning(line: Line) -> bool:
    return bool(_BEGINNING.search(line.text))


def _says_something(line: Line) -> bool:
    return bool(line.id) or not _WORDLESS.match(line.text)


def _by_marker(lines: list[Line]) -> list[Run]:
    starts = [number for number, line in enumerate(lines) if _is_beginning(line)]
    edges = [0, *starts, len(lines)]
    parts = (lines[begin:end] for begin, end in pairwise(edges))
    runs = [Run(tuple(filter(_says_something, part)), BY_MARKER) for part in parts]
    return [run for run in runs if run.lines]


def _by_pause(lines: list[Line]) -> list[Run]:
    parts: list[list[Line]] = [[]]
    last: datetime | None = None
    halted = ended = False
    for line in filter(_says_something, lines):
        # A clock that was set back breaks a run no less than a pause.
        paused = bool(line.time and last and abs(line.time - last) > LONGEST_PAUSE)
        failing = fails(line) and benign_reason(line) is None
        # A run gives up once. After its last error, the next one is another run's.
        again = failing and (ended or (halted and not halts(line)))
        if paused or again:
            parts.append([])
            halted = ended = False
        if failing:
            # No library is run after a refusal, so what fails then is another run's.
            halted = halted or halts(line) or refuses(line)
            ended = ended or ends_in_failure(line)
        last = line.time or last
        parts[-1].append(line)
    cut = BY_GUESS if len(parts) > 1 else WHOLE
    return [Run(tuple(part), cut) for part in parts if part]


def _given_to(runs: list[Run], lines: list[Line]) -> list[Run]:
    """The runs, each with those of the lines that were written during it and that it does not have."""
    begun = [run.began for run in runs]
    extra: list[list[Line]] = [[] for _run in runs]
    dated = any(line.time for line in lines)
    owner = None if dated else len(runs) - 1
    for line in lines:
        if line.time:
            owner = max((n for n, began in enumerate(begun) if began and began <= line.time), default=None)
        if owner is not None:
            extra[owner].append(line)
    result = []
    for run, more in zip(runs, extra, strict=True):
        known = {(line.time, line.text) for line in run.lines}
        new = [line for line in more if (line.time, line.text) not in known]
        result.append(run._replace(lines=tuple(_merged([list(run.lines), new]))))
    return result


def _merged(logs: list[list[Line]]) -> list[Line]:
    """The lines of several logs in the order of their times; one without a time stays behind the one before
    it.
    """
    if len(logs) <= 1:
        return logs[0] if logs else []
    placed: list[tuple[datetime, Line]] = []
    seen: set[tuple[datetime | None, str]] = set()
    for lines in logs:
        last = datetime.min
        for line in lines:
            last = line.time or last
            # setuperr.log repeats lines of setupact.log; within one log a message may well come twice.
            if (line.time, line.text) not in seen:
                placed.append((last, line))
        seen.update((line.time, line.text) for line in lines)
    return [line for _time, line in sorted(placed, key=lambda pair: pair[0])]
