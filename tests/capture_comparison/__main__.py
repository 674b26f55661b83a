# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Captures equal machines with ours, azure-cli and azure.azcollection, in turns: `make bench-capture`."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from tests.capture_comparison.contenders import OURS, Contender, contenders
from tests.capture_comparison.report import Results, Run, explanation, late_operations, tables, verdict
from tests.capture_comparison.traffic import traffic_of
from tests.capture_comparison.work import JOBS, Task, check, prepare
from tests.integration.cloud import LocalAzure

# Machines are made quickly; only their capture takes its time.
_QUICK = ("--speed", "500")
_HEAD = """\
<!--
SPDX-License-Identifier: GPL-3.0-or-later
SPDX-FileCopyrightText: The goldenimage.azure authors
-->
# Captures compared

Written by `make bench-capture`; do not edit.
"""

Tasks = dict[tuple[str, int], Task]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.capture_comparison", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", nargs="+", choices=list(JOBS), default=list(JOBS))
    parser.add_argument("--output", type=Path, help="file for the report, which is printed in any case")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def _running(state_dir: Path, *options: str) -> Iterator[LocalAzure]:
    azure = LocalAzure(state_dir, *options)
    try:
        azure.start()
        yield azure
    finally:
        azure.stop()


def _capture(azure: LocalAzure, name: str, contender: Contender, task: Task) -> Run | None:
    """One capture, or None when it failed."""
    mark = azure.mark()
    started = time.monotonic()
    try:
        contender.capture(task)
        wall = time.monotonic() - started
        traffic = traffic_of(azure.exchanges(mark))
        check(azure, task)
    except (AssertionError, ValueError, subprocess.TimeoutExpired) as error:
        _say(f"{task.name}: {name} failed: {error}")
        return None
    _say(
        f"{task.name}: {traffic.calls} ARM calls ({traffic.reads} reads, {traffic.writes} writes, "
        f"{traffic.polls} polls), {wall:.1f} s, of these {traffic.late:.1f} s after Azure had completed"
    )
    return Run(wall, traffic)


def _rounds(
    azure: LocalAzure, everyone: dict[str, Contender], tasks: Tasks, rounds: int
) -> dict[str, list[Run]]:
    runs: dict[str, list[Run]] = {name: [] for name in everyone}
    names = list(everyone)
    for number in range(rounds):
        # Every round begins with another one, so that none always has the same one before it.
        for name in names[number % len(names) :] + names[: number % len(names)]:
            run = _capture(azure, name, everyone[name], tasks[name, number])
            if run is not None:
                runs[name].append(run)
    return runs


def _measure(folder: Path, rounds: int, jobs: list[str]) -> tuple[Results, list[str]]:
    """The runs, and a line on each contender."""
    state = folder / "azure"
    results: dict[tuple[str, str], list[Run]] = {}
    with _running(state, *_QUICK) as azure:
        everyone = contenders(azure, folder)
        names = [f"- {name}: {contender.words}" for name, contender in everyone.items()]
        tasks = {
            job: {
                (name, number): prepare(azure, job, f"{job}-{name}-{number}")
                for name in everyone
                for number in range(rounds)
            }
            for job in jobs
        }
    for job in jobs:
        with _running(state, "--speed", str(JOBS[job].speed), "--azure-retry-after") as azure:
            for name, runs in _rounds(azure, everyone, tasks[job], rounds).items():
                results[job, name] = runs
    return results, names


def _report(results: Results, names: list[str], rounds: int, load: float) -> str:
    # Without the builder's suffix: it names machines.
    kernel = platform.release().partition("-")[0]
    circumstances = (
        f"Measured on {datetime.now(timezone.utc):%Y-%m-%d}, {rounds} round(s), on {os.cpu_count()} cores, "
        f"Linux {kernel}, Python {platform.python_version()};\nthe load before was {load:.1f}, "
        f"and {os.getloadavg()[0]:.1f} at the end."
    )
    return "\n".join(
        [_HEAD, explanation(), *names, "", circumstances, "", *verdict(results), *tables(results), ""]
    )


def main() -> int:
    options = _options()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="capture-comparison-") as folder:
        results, names = _measure(Path(folder), options.rounds, options.jobs)
    report = _report(results, names, options.rounds, load)
    _say(report)
    if options.output:
        options.output.write_text(report, encoding="utf-8")
    incomplete = [key for key, runs in results.items() if len(runs) < options.rounds]
    for job, name in incomplete:
        _say(f"{job}: {name} did not do all of its captures.")
    for sentence in late_operations(results):
        _say(f"{OURS} is too late: {sentence}")
    return 1 if incomplete or late_operations(results) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RuntimeError as error:  # A client could not be installed; says which, and why.
        sys.exit(f"The comparison could not be run: {error}")
