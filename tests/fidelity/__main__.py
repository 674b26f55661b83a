# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Replays recordings of Azure against the local Azure: python -m tests.fidelity [FILE...] [--verbose]"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from tests.contract.recordings import ENVIRONMENT, recordings_root
from tests.fidelity.replay import replay
from tests.fidelity.report import Tally, report, run
from tests.fidelity.sdist_recordings import VERSIONS, cassettes, read_cassette


def _files(root: Path | None, named: list[str]) -> list[Path]:
    """The files whose paths are given, or whose names contain what is given; all if nothing is."""
    every = sorted(root.glob("*.jsonl")) if root else []
    if not named:
        return every
    found = [Path(n) for n in named if Path(n).is_file()]
    return found + [f for f in every for n in named if not Path(n).is_file() and n in f.name]


def _archives(versions: list[str], named: list[str], *, verbose: bool) -> int:
    """Replays the recordings of the archives whose names contain what is given; all if nothing is."""
    total = Tally()
    for version in versions:
        for name, content in cassettes(version).items():
            if not named or any(n in name for n in named):
                print(f"\n{version} {name}")
                total += report(replay(read_cassette(content)), print, verbose=verbose)
    print(f"\nTotal: {total}")
    return 0 if total.identical == total.counted else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fidelity", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE", help="a file, or part of a recording's name")
    parser.add_argument(
        "--archive",
        action="append",
        default=[],
        choices=VERSIONS,
        help="instead the recordings in the source archive of this azure-mgmt-compute; may be repeated",
    )
    parser.add_argument("--verbose", action="store_true", help="also show exchanges without differences")
    parser.add_argument("--server-log", action="store_true", help="show what the local Azure logs")
    arguments = parser.parse_args()
    if not arguments.server_log:
        logging.getLogger("local_azure").setLevel(logging.CRITICAL)
    if arguments.archive:
        return _archives(arguments.archive, arguments.files, verbose=arguments.verbose)
    files = _files(recordings_root(), arguments.files)
    if not files:
        print(f"There are no recordings beside the checkout; {ENVIRONMENT} may name their folder.")
        return 2
    total = Tally()
    for file in files:
        total += run(file, print, verbose=arguments.verbose)
    print(f"\nTotal: {total}")
    return 0 if total.identical == total.counted else 1


if __name__ == "__main__":
    sys.exit(main())
