# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Uploads the same disks with our uploader and others, in turns: `make bench-upload`."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from tests.benchmarks.disks import Disk, make_disks
from tests.benchmarks.limits import md5_rate, sink_rate
from tests.benchmarks.measure import Measured, ProgramFailedError, measure
from tests.benchmarks.report import Result, Results, bars, tables
from tests.benchmarks.targets import TARGETS, Counts, NoCompilerError, Target, target
from tests.benchmarks.uploaders import KNOWN, Uploader, install
from tests.fidelity.client_environment import BUILD

_FOLDER = BUILD / "benchmarks"
_DISKS = ("a", "b", "c", "cz")
_ABOUT = """\
<!--
SPDX-License-Identifier: GPL-3.0-or-later
SPDX-FileCopyrightText: The goldenimage.azure authors
-->
# Benchmarks

Written by `make bench-upload`; do not edit. `ROUNDS=1` is for a look, `BENCH="--targets null --disks a"`
measures less, and any other option of `python -m tests.benchmarks --help` can stand there too.

The same disk is uploaded by one program after the other, in turns, and the median of each is shown
(`BENCH="--slow-rounds 1"` lets those that take minutes run once; the column "runs" tells). Whole
processes are measured, from their start to their end. Ours is the uploader of `disk_upload` without Ansible:
lease, journal, MD5 of each put, comparison of the written ranges, metadata; 12 connections at most. Of
`azure_rm_storageblob` and azure-img-utils their own upload is called, without what looks up the account;
the imports of their packages are in. The disks come from fixed seeds and hold bytes that compress by half.
Their files are in the page cache. Everything is on the loopback of one machine, without TLS: this compares
uploaders, it does not say how fast Azure is. "Others used" is the share of the machine that neither the
uploader nor its server took: the higher it is, the less the wall clock means. azcopy looks at its own state
every 2 seconds, so its wall clock comes in such steps. Only ours reads qcow2; the others would send the file
of an image as it is, which is no disk for Azure. Beside ours stands what is done without it: `qemu-img
convert` to a fixed VHD of the full size, then azcopy. What shows a client's own limits (azcopy --put-md5,
ours without MD5, the bare socket writer) is measured with the null sink only.
"""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--slow-rounds", type=int, help="rounds of the uploaders that take minutes (default: as many)"
    )
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--disks", nargs="+", choices=_DISKS, default=list(_DISKS))
    parser.add_argument("--uploaders", nargs="+", choices=list(KNOWN), default=list(KNOWN))
    parser.add_argument(
        "--without", nargs="+", default=[], help="TARGET:DISK or TARGET:DISK:UPLOADER, each not measured"
    )
    parser.add_argument("--limit", type=float, default=900, help="seconds after which an upload is given up")
    parser.add_argument("--output", type=Path, help="file for the report, which is printed in any case")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _warm(path: Path) -> None:
    """Bring the file's data into the page cache, for all uploaders alike."""
    with path.open("rb", buffering=0) as file:
        end = path.stat().st_size
        position = 0
        while position < end:
            try:
                position = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:  # nothing but a hole up to the end
                return
            position += len(os.pread(file.fileno(), min(4 << 20, end - position), position))


def _rounds(
    where: Target, disk: Disk, uploaders: dict[str, Uploader], rounds: dict[str, int], limit: float
) -> dict[str, Result]:
    runs: dict[str, list[Measured]] = {name: [] for name in uploaders}
    counts: dict[str, Counts | None] = dict.fromkeys(uploaders)
    failures: dict[str, str] = {}
    names = list(uploaders)
    for number in range(max(rounds.values())):
        # Every round begins with another one: what follows on a long upload is not always the same.
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if name in failures or number >= rounds[name]:
                continue
            uploader = uploaders[name]
            blob = f"{disk.short}-{name}-{number}.vhd"
            command = uploader.upload(disk.path, where.blob_url(blob))
            try:
                measured = measure(command, uploader.environ, where.pid, limit)
            except ProgramFailedError as error:
                _say(f"{name}: {error}")
                failures[name] = error.short
                where.forget(blob)
                continue
            runs[name].append(measured)
            counts[name] = where.counts()
            where.forget(blob)
            _say(
                f"  {disk.short} {name:12} wall {measured.wall:7.2f} s  CPU {measured.cpu:7.2f} s  "
                f"{measured.memory:5.0f} MiB  others {measured.others:.0%}"
            )
    return {name: Result(runs[name], counts[name], failures.get(name, "")) for name in uploaders}


def _measure_all(
    options: argparse.Namespace, disks: list[Disk], uploaders: dict[str, Uploader]
) -> dict[tuple[str, str, str], Result]:
    results: dict[tuple[str, str, str], Result] = {}
    for name in options.targets:
        with target(name, _FOLDER) as where:
            for disk in disks:
                able = {
                    n: u
                    for n, u in uploaders.items()
                    if u.fits(name, disk.path)
                    and not {f"{name}:{disk.short}", f"{name}:{disk.short}:{n}"} & set(options.without)
                }
                if not able:
                    continue
                _warm(disk.path)
                _say(f"{name}, disk {disk.short}")
                slow = options.rounds if options.slow_rounds is None else options.slow_rounds
                rounds = {n: slow if u.slow else options.rounds for n, u in able.items()}
                for uploader, result in _rounds(where, disk, able, rounds, options.limit).items():
                    results[name, disk.short, uploader] = result
    return results


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _circumstances(load: float, uploaders: dict[str, Uploader]) -> Iterator[str]:
    cores = os.cpu_count()
    yield f"Measured on {datetime.now(timezone.utc):%Y-%m-%d}, in one run, on {cores} cores"
    # Without the builder's suffix: it names machines.
    kernel = platform.release().partition("-")[0]
    yield f"({_processor()}), Linux {kernel}, Python {platform.python_version()}; the load"
    yield f"before was {load:.1f}, and {os.getloadavg()[0]:.1f} at the end. One core computes MD5 at"
    yield f"{md5_rate() / 1e6:.0f} MB/s here: no uploader that sends it with each put can take less CPU."
    yield f"The sink takes {sink_rate(_FOLDER) / 1e9:.1f} GB/s from a sender that reads and checks nothing."
    yield ""
    yield from (f"- {u.name}: {u.version}" for u in uploaders.values() if u.version)


def _not_measured(options: argparse.Namespace, missing: dict[str, str]) -> Iterator[str]:
    for what, known, chosen in (
        ("Targets", TARGETS, options.targets),
        ("Disks", _DISKS, options.disks),
        ("Uploaders", KNOWN, options.uploaders),
    ):
        left = [name for name in known if name not in chosen]
        if left:
            yield f"- {what} not chosen for this run: {', '.join(left)}."
    if options.without:
        yield f"- Left out in this run: {', '.join(options.without)}."
    yield from (f"- {name} could not be installed: {why}" for name, why in missing.items())


def _report(
    options: argparse.Namespace,
    load: float,
    results: Results,
    *,
    disks: list[Disk],
    uploaders: dict[str, Uploader],
    missing: dict[str, str],
) -> str:
    lines = [_ABOUT, *_circumstances(load, uploaders)]
    left = list(_not_measured(options, missing))
    if left:
        lines += ["", "Not measured:", "", *left]
    lines += ["", "## What was wanted", *bars(results), "", "## Results"]
    lines += tables(results, {n: u.name for n, u in uploaders.items()}, {d.short: d.what for d in disks})
    return "\n".join(lines) + "\n"


def main() -> int:
    options = _options()
    load = os.getloadavg()[0]
    uploaders, missing = install(options.uploaders, _FOLDER)
    for name, why in missing.items():
        _say(f"{name} is missing: {why}")
    disks = make_disks(_FOLDER / "disks", frozenset(options.disks))
    results = _measure_all(options, disks, uploaders)
    report = _report(options, load, results, disks=disks, uploaders=uploaders, missing=missing)
    _say(report)
    if options.output:
        options.output.write_text(report, encoding="utf-8")
    failed = [key for key, result in results.items() if not result.runs]
    return 1 if failed or missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (subprocess.SubprocessError, statistics.StatisticsError, NoCompilerError) as error:
        sys.exit(f"The benchmark could not be run: {error}")
