# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The results as Markdown: each contender's calls and seconds, and when it knew of each operation's end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from tests.capture_comparison.contenders import OURS
from tests.capture_comparison.traffic import LONGEST_PAUSE, ROUND_TRIP, Operation, Traffic
from tests.capture_comparison.work import JOBS

_CALLS = (
    "| who | runs | ARM calls | reads | writes | polls | wall s | Azure worked s | waited after s | own s |"
)
_OPERATIONS = "| operation | who | Azure worked s | last Retry-After s | polls | known after s | at most |"


class Run(NamedTuple):
    """One capture, `wall` seconds from the start of the first process to the end of the last."""

    wall: float
    traffic: Traffic

    @property
    def own(self) -> float:
        """Seconds that went neither into Azure's work nor into waiting after it."""
        return self.wall - self.traffic.azure_seconds - self.traffic.late


#: By job and contender. A contender that failed has no run.
Results = Mapping[tuple[str, str], Sequence[Run]]


def late_operations(results: Results) -> list[str]:
    """A sentence for each of our operations whose end was known later than one Retry-After."""
    return [
        f"{job}: the end of {operation.what} was known after {operation.late:.1f} s, "
        f"{operation.allowed:g} s are allowed."
        for (job, who), runs in results.items()
        if who == OURS
        for run in runs
        for operation in run.traffic.operations
        if not operation.in_time
    ]


def verdict(results: Results) -> Iterator[str]:
    """Whether ours was in time."""
    runs = [run for (_job, who), all_runs in results.items() if who == OURS for run in all_runs]
    operations = [operation for run in runs for operation in run.traffic.operations]
    if not operations:
        yield "Ours was not measured."
        return
    late = late_operations(results)
    met = "**missed**" if late else "met"
    yield "Wanted: ours knows of each operation's end within one Retry-After."
    yield f"In {len(runs)} run(s) of ours with {len(operations)} operations: {met}."
    if late:
        yield ""
        yield from (f"- {sentence}" for sentence in late)


def tables(results: Results) -> Iterator[str]:
    """Two tables for each job: the captures, and their operations."""
    for job, about in JOBS.items():
        found = {who: runs for (name, who), runs in results.items() if name == job}
        if not found:
            continue
        yield from ("", f"## {job}: {about.words}", "", _CALLS, _rule(_CALLS))
        yield from (_calls(who, runs) for who, runs in found.items())
        yield from ("", _OPERATIONS, _rule(_OPERATIONS))
        yield from _operations(found)


def _rule(header: str) -> str:
    return "|" + " --- |" * (header.count("|") - 1)


def _calls(who: str, runs: Sequence[Run]) -> str:
    if not runs:
        return f"| {who} | failed " + "| " * (_CALLS.count("|") - 3) + "|"
    counts = (
        _median(runs, lambda run: run.traffic.calls),
        _median(runs, lambda run: run.traffic.reads),
        _median(runs, lambda run: run.traffic.writes),
        _median(runs, lambda run: run.traffic.polls),
    )
    seconds = (
        _median(runs, lambda run: run.wall),
        _median(runs, lambda run: run.traffic.azure_seconds),
        _median(runs, lambda run: run.traffic.late),
        _median(runs, lambda run: run.own),
    )
    cells = [f"{count:g}" for count in counts] + [f"{value:.1f}" for value in seconds]
    return f"| {who} | {len(runs)} | {' | '.join(cells)} |"


def _median(runs: Sequence[Run], value: Callable[[Run], float]) -> float:
    return median(value(run) for run in runs)


def _operations(found: Mapping[str, Sequence[Run]]) -> Iterator[str]:
    kinds = dict.fromkeys(
        operation.what for runs in found.values() for run in runs for operation in run.traffic.operations
    )
    for what in kinds:
        for who, runs in found.items():
            same = [o for run in runs for o in run.traffic.operations if o.what == what]
            if same:
                yield _operation(what, who, same)


def _operation(what: str, who: str, same: Sequence[Operation]) -> str:
    asked = sorted({f"{o.retry_after:g}" for o in same if o.retry_after is not None})
    cells = (
        what,
        who,
        f"{median(o.seconds for o in same):.1f}",
        ", ".join(asked) or "none",
        f"{median(o.polls for o in same):g}",
        f"{median(o.late for o in same):.1f}",
        f"{max(o.late for o in same):.1f}",
    )
    return f"| {' | '.join(cells)} |"


def explanation() -> str:
    """What the tables mean."""
    return f"""\
The same job is done in turns by ours, and by azure-cli and the modules of azure.azcollection, unmodified: a
running machine with an operating system disk and data disks at LUNs 0 and 5 is deallocated, marked
generalized and captured. Each capture has a machine of its own, all are equal. It counts only when the image
has both data disks afterwards, and the machine is deallocated and generalized. Shown are medians; "at most"
is the worst of all.

What is compared is the control plane alone, on a local Azure that takes the time and sends the Retry-After
that were recorded from Azure; there are no guests. Nobody is asked for proof that the guest is generalized
(`assume_generalized`), since the others never ask. Ours alone looks for everything that speaks against the
capture before it changes anything (disks, targets, rights, locks), and writes into the image's tags where it
comes from. That takes reads which the others do without.

"Polls" are requests to the status of operations, "reads" all other GETs. "Waited after" is the time from
the end of an operation in Azure to the answer that told the client, summed over all operations. "Own" is
what remains of the wall clock: starts of processes, imports, signing in, reads. It grows with the machine's
load, and so does the wall clock; calls and waiting do not. "Last Retry-After" is what Azure sent last before
it was done: a client that heeds it learns of the end at most so much later. Where Azure sends none, the SDK
waits for 30 s. Ours then never waits for more than {LONGEST_PAUSE:g} s, which is its limit here. For the
request itself {ROUND_TRIP:g} s more are allowed.

To deallocate, Azure asks for 10 s in its first answer, and for 30 s when its status is first looked at. The
SDK looks at once and so comes back after 30 s. Ours looks after 10 s, and if Azure is not done, after 40 s.
"""
