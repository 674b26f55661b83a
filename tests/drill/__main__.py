# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The fault drill: captures with faults and kills at random points, each repeatable by its seed."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from tests.drill.one_run import TWIN, Run, Verdict
from tests.integration.cloud import LocalAzure

# In a process of the drill: its own local Azure, as the faults of one are those of all who ask it.
_own: list[LocalAzure] = []


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _begin(azures: SimpleQueue[LocalAzure]) -> None:
    azure = azures.get()
    os.environ["REQUESTS_CA_BUNDLE"] = azure.env["REQUESTS_CA_BUNDLE"]
    _own.append(azure)


def _run(work_dir: Path, seed: int) -> Verdict:
    (azure,) = _own
    return Run(azure, azure.group(f"rg-drill-{seed}"), seed, work_dir)()


def drill(seeds: range, jobs: int, work_dir: Path) -> Iterator[Verdict]:
    """Run by run in the order of their seeds, `jobs` at a time."""
    context = multiprocessing.get_context("fork")
    azures: SimpleQueue[LocalAzure] = context.SimpleQueue()
    with ExitStack() as started:
        for number in range(jobs):
            azure = LocalAzure(work_dir / f"azure-{number}", "--speed", "500")
            azure.start()
            started.callback(azure.stop)
            azures.put(azure)
        pool = started.enter_context(
            ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(azures,))
        )
        yield from pool.map(partial(_run, work_dir), seeds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="the first run's seed (default 1)")
    parser.add_argument("--jobs", type=int, default=2, help="how many run side by side (default 2)")
    options = parser.parse_args()
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="drill-") as work_dir:
        seeds = range(options.seed, options.seed + options.runs)
        for verdict in drill(seeds, options.jobs, Path(work_dir)):
            verdicts.append(verdict)
            judged = "; ".join(verdict.problems) or "right"
            _say(f"{verdict.seed:5} {verdict.strategy:8} {verdict.trouble:28} {verdict.ended:7} {judged}")
    wrong = [verdict.seed for verdict in verdicts if verdict.problems]
    ended = Counter(verdict.ended for verdict in verdicts)
    twins = sum(verdict.strategy == TWIN for verdict in verdicts)
    told = ", ".join(f"{count} {how}" for how, count in sorted(ended.items()))
    _say(f"{len(verdicts)} runs, {twins} of them by a twin: {told}")
    _say(f"{len(verdicts) - len(wrong)} of {len(verdicts)} ended right{f'; wrong: {wrong}' if wrong else ''}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
