# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What one run of Sysprep tells: how far it came, what ended it, and which of its lines belong to that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows import panther_events as events
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_benign import (
    Benign,
    benign_reason,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import (
    INFO,
    UNSAID,
    Line,
    rows_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_runs import BY_MARKER, Run


class Story(NamedTuple):
    """A run as told by its lines.

    `failure`: the lines of what ended it, in order, empty where nothing did; `stray`: other errors, not
    known to be harmless; `benign`: errors and warnings known to be harmless; `halted`: whether Sysprep says
    that it gave up; `tagged`: whether it says that it noted success.
    `phase` is one of panther_events', and `phase_sure` says whether the failure's own lines name it;
    `provider` is the one that failed, `unfinished` the one that is begun last and has not ended.
    """

    failure: tuple[Line, ...]
    stray: tuple[Line, ...]
    benign: tuple[tuple[Line, Benign], ...]
    halted: bool
    tagged: bool
    phase: str
    phase_sure: bool
    provider: events.Provider | None
    unfinished: events.Provider | None
    options: tuple[str, ...]


class _Teller:
    """Reads a run's lines one after the other."""

    def __init__(self, first_phase: str) -> None:
        self.phase = first_phase
        self.errors: list[tuple[int, Line]] = []
        self.benign: list[tuple[Line, Benign]] = []
        self.options: list[str] = []
        self.halted = self.tagged = False
        self.provider: events.Provider | None = None
        self.running: events.Provider | None = None
        self.running_since = 0
        # Where the provider that failed was begun: what was wrong before is another matter.
        self.failed_since = 0
        self.failed_phase = ""
        self.phase_sure = False

    def hear(self, number: int, line: Line) -> None:
        if self.ended:
            return
        if self.phase != events.REFUSED:
            self.phase = events.phase_in(line, self.phase)
        self.tagged = self.tagged or events.tags_success(line)
        option = events.option_in(line)
        if option:
            self.options.append(option)
        self._follow_provider(number, line)
        # Most lines say that something went well; the rest is about those that do not.
        if line.level == INFO:
            return
        known = benign_reason(line)
        if known is not None:
            self.benign.append((line, known))
        elif events.fails(line):
            self.errors.append((number, line))
            self.phase_sure = self.phase_sure or bool(events.phase_in(line, ""))
            if not self.halted and (events.halts(line) or events.refuses(line)):
                self.halted = True
                if self.provider is None:
                    self.failed_since = self.running_since

    @property
    def ended(self) -> bool:
        """Whether the run's last error was heard: nothing that follows is about it."""
        return bool(self.errors) and events.ends_in_failure(self.errors[-1][1])

    def _follow_provider(self, number: int, line: Line) -> None:
        if events.succeeds(line):
            self.running = None
            self.running_since = number
        elif events.begins(line):
            self.running = events.provider_in(line) or self.running
            self.running_since = number
        elif self.provider is None and (
            events.provider_fails(line) or events.cannot_load(line) or events.lacks_function(line)
        ):
            self.provider = events.provider_in(line)
            self.running = None
            self.failed_since = self.running_since
            self.failed_phase = events.phase_of(self.provider, line) if self.provider else ""


def tell(run: Run) -> Story:
    """The run's story. Never raises for whatever the lines are."""
    teller = _Teller(events.START if run.cut == BY_MARKER else events.UNKNOWN)
    for number, line in enumerate(_messages(run)):
        teller.hear(number, line)
    if teller.tagged and not teller.halted:
        failure, stray = [], [line for _number, line in teller.errors]
    else:
        failure = [line for number, line in teller.errors if number >= teller.failed_since]
        stray = [line for number, line in teller.errors if number < teller.failed_since]
    phase, sure = teller.phase, teller.phase_sure or teller.tagged
    if not sure and teller.failed_phase:
        phase, sure = teller.failed_phase, True
    return Story(
        failure=tuple(failure),
        stray=tuple(stray),
        benign=tuple(teller.benign),
        halted=teller.halted,
        tagged=teller.tagged,
        phase=phase,
        phase_sure=sure,
        provider=teller.provider,
        unfinished=teller.running,
        options=tuple(teller.options),
    )


def _messages(run: Run) -> Iterator[Line]:
    """The run's lines; rows that were taken for the rest of a harmless or well-meaning line speak for
    themselves.
    """
    for line in run.lines:
        head = next(rows_of(line), line)
        if "\n" in line.raw and (benign_reason(head) or (head.level != UNSAID and not events.fails(head))):
            yield from rows_of(line)
        else:
            yield line
