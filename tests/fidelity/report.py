# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Says of each recording how many of its exchanges are answered as Azure answered them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.fidelity.error_replay import replay_errors
from tests.fidelity.recording import ERRORS, read
from tests.fidelity.replay import Result, replay


@dataclass(frozen=True)
class Tally:
    """`counted` exchanges were compared and `identical` of them had no difference; the rest is excluded."""

    identical: int = 0
    counted: int = 0
    excluded: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.identical + other.identical,
            self.counted + other.counted,
            self.excluded + other.excluded,
        )

    def __str__(self) -> str:
        left_out = f" ({self.excluded} excluded)" if self.excluded else ""
        return f"{self.identical} of {self.counted} identical{left_out}"


def run(file: Path, write: Callable[[str], None], *, verbose: bool = False) -> Tally:
    """Replays one recording and writes all that differs."""
    write(f"\n{file.name}")
    return report(results_of(file), write, verbose=verbose)


def results_of(file: Path) -> Iterable[Result]:
    """What comes of each exchange of a file."""
    return replay_errors(file) if file.name == ERRORS else replay(read(file))


def report(results: Iterable[Result], write: Callable[[str], None], *, verbose: bool = False) -> Tally:
    total, reasons = Tally(), Counter[str]()
    for result in results:
        exchange = result.exchange
        line = (
            f"  #{exchange.number} {exchange.method} {exchange.path} {exchange.api_version} {exchange.status}"
        )
        if result.reason is not None:
            reasons[result.reason] += 1
            total += Tally(excluded=1)
            if verbose:
                write(f"{line}\n      excluded: {result.reason}")
            continue
        total += Tally(identical=not result.differences, counted=1)
        if verbose or result.differences:
            write(line)
        for difference in result.differences:
            write(f"      {difference}")
    for reason, count in reasons.items():
        write(f"  excluded {count}: {reason}")
    write(f"  {total}")
    return total
