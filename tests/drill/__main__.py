# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The fault drill: captures with faults and kills at random points, each repeatable by its seed."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.drill.one_run import Run, Verdict
from tests.integration.cloud import LocalAzure

_GROUP_SIZE = 25


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def drill(azure: LocalAzure, seeds: range, work_dir: Path) -> list[Verdict]:
    """Run by run; each says how it went on stdout."""
    os.environ["REQUESTS_CA_BUNDLE"] = azure.env["REQUESTS_CA_BUNDLE"]
    verdicts = []
    for number, seed in enumerate(seeds):
        group = azure.group(f"rg-drill-{number // _GROUP_SIZE}")
        verdict = Run(azure, group, seed, work_dir)()
        verdicts.append(verdict)
        judged = "; ".join(verdict.problems) or "right"
        _say(f"{seed:5} {verdict.trouble:28} {verdict.ended:7} {judged}")
    return verdicts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--runs", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="the first run's seed (default 1)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="drill-") as work_dir:
        azure = LocalAzure(Path(work_dir) / "azure", "--speed", "500")
        azure.start()
        try:
            verdicts = drill(azure, range(options.seed, options.seed + options.runs), Path(work_dir))
        finally:
            azure.stop()
    wrong = [verdict.seed for verdict in verdicts if verdict.problems]
    ended = Counter(verdict.ended for verdict in verdicts)
    _say(f"{len(verdicts)} runs: {', '.join(f'{count} {how}' for how, count in sorted(ended.items()))}")
    _say(f"{len(verdicts) - len(wrong)} of {len(verdicts)} ended right{f'; wrong: {wrong}' if wrong else ''}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
