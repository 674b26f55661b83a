# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The results as Markdown: tables, and what was wanted beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import NamedTuple

from tests.benchmarks.measure import Measured
from tests.benchmarks.targets import LINK_BYTES, Counts

MIB = 1 << 20
TARGET_WORDS = {
    "null": "Null sink: a service that costs nothing",
    "paced": "Paced link: 120 MB/s, 20 ms for each request",
    "azurite": "Azurite",
}
_HEADER = (
    "| uploader | runs | wall s | CPU s | peak MiB | puts | MiB sent | x our wall | x our CPU | others used |"
)
_COLUMNS = _HEADER.count("|") - 1


class Result(NamedTuple):
    """All runs of one uploader with one disk into one target; or why there are none."""

    runs: list[Measured]
    counts: Counts | None
    failure: str = ""

    @property
    def wall(self) -> float:
        return median(run.wall for run in self.runs)

    @property
    def cpu(self) -> float:
        return median(run.cpu for run in self.runs)

    @property
    def sent(self) -> int:
        return self.counts.put_bytes if self.counts else 0


#: By target, disk and uploader, as on the command line.
Results = Mapping[tuple[str, str, str], Result]


class Bar(NamedTuple):
    """Something to reach: how much `value` of the others' result and ours is, at least or at most."""

    words: str
    target: str
    disk: str
    other: str
    limit: float
    value: Callable[[Result, Result], float]
    mine: str = "ours"
    at_least: bool = True


def _wall(other: Result, mine: Result) -> float:
    return other.wall / mine.wall


def _cpu(other: Result, mine: Result) -> float:
    return other.cpu / mine.cpu


def _bytes(other: Result, mine: Result) -> float:
    return mine.sent / other.sent


def _line_rate(_other: Result, mine: Result) -> float:
    return mine.sent / LINK_BYTES / mine.wall


def _bars() -> Iterator[Bar]:
    for disk, peer, limit in (
        ("b", "azcopy", 12),
        ("b", "azcopy-md5", 40),
        ("a", "azcopy", 1.8),
        ("a", "azcopy-md5", 4),
    ):
        yield Bar(f"{peer}'s wall clock to ours", "null", disk, peer, limit, _wall)
        yield Bar(f"{peer}'s CPU to ours", "null", disk, peer, limit, _cpu)
    for disk, limit in (("b", 2.5), ("a", 1.5)):
        yield Bar("azcopy's wall clock to ours", "paced", disk, "azcopy", limit, _wall)
    for disk in ("a", "b"):
        yield Bar("share of the line rate", "paced", disk, "ours", 0.95, _line_rate)
    for disk, limit in (("a", 0.70), ("b", 0.90)):
        for peer in ("azcopy", "sdk"):
            yield Bar(f"our bytes to those of {peer}", "null", disk, peer, limit, _bytes, at_least=False)
    for disk in ("a", "b"):
        words = "our wall clock to a bare socket writer's, no MD5 on both sides"
        yield Bar(words, "null", disk, "ours-no-md5", 1.3, _wall, mine="bare", at_least=False)


def _bar_line(wanted: Bar, results: Results) -> str:
    other = results.get((wanted.target, wanted.disk, wanted.other))
    mine = results.get((wanted.target, wanted.disk, wanted.mine))
    sign = ">=" if wanted.at_least else "<="
    start = f"| ({wanted.disk}) {wanted.target}: {wanted.words} | {sign} {wanted.limit:g} "
    if other is None or mine is None or not other.runs or not mine.runs:
        return f"{start}| - | not measured |"
    value = wanted.value(other, mine)
    met = value >= wanted.limit if wanted.at_least else value <= wanted.limit
    return f"{start}| {value:.2f} | {'met' if met else '**missed**'} |"


def _row(name: str, result: Result, ours: Result | None) -> str:
    if not result.runs:
        return f"| {name} | {result.failure} " + "| " * (_COLUMNS - 2) + "|"
    peak = max(run.memory for run in result.runs)
    others = median(run.others for run in result.runs)
    puts = f"{result.counts.puts} | {result.counts.put_bytes / MIB:.1f}" if result.counts else "- | -"
    times = "- | -"
    if ours is not None and ours.runs:
        times = f"{result.wall / ours.wall:.1f} | {result.cpu / ours.cpu:.1f}"
    measured = f"{len(result.runs)} | {result.wall:.2f} | {result.cpu:.2f} | {peak:.0f}"
    return f"| {name} | {measured} | {puts} | {times} | {others:.0%} |"


def tables(results: Results, names: Mapping[str, str], disks: Mapping[str, str]) -> Iterator[str]:
    """Lines of one table for each target and disk that has results.

    :param names: uploaders' names in the tables; `disks`: sentences on the disks
    """
    for target, words in TARGET_WORDS.items():
        for disk, what in disks.items():
            found = {name: results[target, disk, name] for name in names if (target, disk, name) in results}
            if not found:
                continue
            yield from ("", f"### {words}, disk {disk}: {what}", "", _HEADER, "|" + " --- |" * _COLUMNS)
            for name, result in found.items():
                yield _row(names[name], result, found.get("ours"))


def bars(results: Results) -> Iterator[str]:
    """Lines of the table of what was wanted."""
    yield from ("", "| what | wanted | measured | |", "| --- | --- | --- | --- |")
    for wanted in _bars():
        yield _bar_line(wanted, results)
