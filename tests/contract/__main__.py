# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Judges logs of a local Azure by hand: python -m tests.contract .build/local-azure/exchanges.jsonl"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.contract.session_traffic import judge_logs, lines_for


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description=__doc__)
    parser.add_argument("logs", metavar="LOG", type=Path, nargs="+", help="exchanges as JSON lines")
    arguments = parser.parse_args()
    absent = [str(path) for path in arguments.logs if not path.is_file()]
    if absent:
        parser.error(f"no such file: {', '.join(absent)}")
    try:
        report = judge_logs(dict.fromkeys(arguments.logs, 0))
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.write("\n".join([*lines_for(report), ""]))
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
