# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Makes images of the same used machine in several ways and looks what is left of it: `make bench-guest`."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.guests.contenders import (
    OPTIONS,
    OURS,
    PLAYBOOK,
    TASK_BY_TASK,
    Contender,
    contenders,
)
from tests.benchmarks.guests.look import Left, look
from tests.benchmarks.guests.used_machine import use
from tests.benchmarks.guests.watch import Spent, Watch
from tests.guests.conftest import GUESTS_CACHE
from tests.guests.lab.accelerator import accelerator
from tests.guests.lab.frozen import DEFAULT_RECIPE, ThawedGuest, freeze_guest
from tests.guests.lab.programs import run_program
from tests.integration.plays import Player

# A guest without KVM on a busy host takes its time; the clock tells.
_OFF_SECONDS = 900
_PLAY_SECONDS = 2400
_ABOUT = """\
<!--
SPDX-License-Identifier: GPL-3.0-or-later
SPDX-FileCopyrightText: The goldenimage.azure authors
-->
# What is left of a machine in its image

Written by `make bench-guest`; do not edit. A Debian 12 guest is thawed, used as people and programs use a
machine (`tests/benchmarks/guests/used_machine.py`), and made ready for an image in one way after another,
each time a fresh copy. "Traces" are what `guest_audit` finds on the disk afterwards (warnings and errors),
"kinds" how many different ones. "Files" is an independent look: files, names and links on the disk, as
debugfs shows them, in which the machine's id, name or host key, a person's key or password hash, or a
secret that was typed still stands. "Copies" is how often that secret stands on the raw disk, free space
included. The time is from the start of ansible-playbook (or of the program) until the machine is off (or
the program has ended); round trips are commands that Ansible sent over SSH, with pipelining. Processor
seconds are those of the guest and of the programs beside it together; they depend less than the clock on
what else the host does. The guest runs in {accelerator}.
"""


class Result(NamedTuple):
    """One way's outcome: what every round took, and what the last one left."""

    title: str
    rounds: list[Spent]
    left: Left


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    known = list(contenders("nobody"))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=known, default=known)
    parser.add_argument("--output", type=Path, help="file for the report, which is printed in any case")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _run(name: str, contender: Contender, work: Path) -> tuple[Spent, Left]:
    guest = freeze_guest(GUESTS_CACHE, DEFAULT_RECIPE, _say).thaw(work, name)
    try:
        markers = use(guest.ssh)
        user = guest.ssh.user
        spent = _offline(guest, contender) if contender.offline else _online(guest, contender, work)
    finally:
        guest.stop()
    return spent, look(guest.disks[0].path, markers, user)


def _online(guest: ThawedGuest, contender: Contender, work: Path) -> Spent:
    guest.ssh.close()
    inventory = work / "inventory"
    inventory.write_text(guest.ssh.inventory_line() + " ansible_python_interpreter=/usr/bin/python3\n")
    player = Player(work, {})
    environment = {
        "ANSIBLE_INVENTORY": str(inventory),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_TIMEOUT": "60",  # without KVM a busy host makes sudo slow
    }
    playbook = work / "way.yml"
    playbook.write_text(json.dumps(contender.play()))
    watch = Watch(guest.machine.pid)
    if contender.tasks is None:
        done = player(PLAYBOOK, env=environment, verbosity=3, timeout=_PLAY_SECONDS, **OPTIONS)
    else:
        done = player(playbook, env=environment, verbosity=3, timeout=_PLAY_SECONDS)
    if done.rc or not guest.machine.wait_off(_OFF_SECONDS):
        raise SystemExit(f"{contender.title} did not get the machine off:\n{done.output[-3000:]}")
    return watch.spent(done.stdout.count("> SSH: EXEC "))


def _offline(guest: ThawedGuest, contender: Contender) -> Spent:
    guest.ssh.sudo("nohup sh -c 'sleep 1; systemctl poweroff' > /dev/null 2>&1 &")
    guest.ssh.close()
    guest.machine.wait_off(_OFF_SECONDS)
    watch = Watch()
    run_program([*contender.offline, str(guest.disks[0].path)], timeout=1800)
    return watch.spent(None)


def _medians(result: Result) -> tuple[float, float]:
    """Wall time and processor time in seconds."""
    return (
        statistics.median(spent.wall for spent in result.rounds),
        statistics.median(spent.processor for spent in result.rounds),
    )


def _ratios(results: list[Result]) -> str:
    """What our way takes of the time of removing traces task by task, where both were measured."""
    by_title = {result.title: _medians(result) for result in results}
    ours, theirs = by_title.get(OURS), by_title.get(TASK_BY_TASK)
    if ours is None or theirs is None:
        return ""
    wall, processor = (mine / other for mine, other in zip(ours, theirs, strict=True))
    share = f"{wall:.2f} of the time and {processor:.2f} of the processor time"
    return f"\n{OURS} takes {share} of {TASK_BY_TASK}.\n"


def _table(results: list[Result]) -> str:
    columns = ["way", "traces", "kinds", "files", "copies", "seconds", "processor seconds", "round trips"]
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "--:|" * (len(columns) - 1)]
    for result in results:
        left, trips = result.left, result.rounds[-1].trips
        wall, processor = _medians(result)
        cells: list[object] = [result.title, left.traces, len(left.ids), len(left.files), left.copies]
        cells += [f"{wall:.1f}", f"{processor:.1f}", "-" if trips is None else trips]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _details(results: list[Result]) -> str:
    return "\n\n".join(
        f"**{result.title}** leaves: " + (", ".join(result.left.ids) or "nothing") + "." for result in results
    )


def _report(results: list[Result], missing: list[str], rounds: int) -> str:
    report = _ABOUT.format(accelerator="QEMU with " + accelerator().upper())
    day = f"{datetime.now(timezone.utc):%Y-%m-%d}"
    report += f"\nMeasured {day}, median of {rounds}.\n\n{_table(results)}\n"
    report += _ratios(results)
    report += "".join(f"\nNot measured, as it is not installed here: {title}.\n" for title in missing)
    return report + f"\n{_details(results)}\n"


def main() -> None:
    """Measure every way and print the report."""
    options = _options()
    results: list[Result] = []
    missing: list[str] = []
    with tempfile.TemporaryDirectory(prefix="bench-guest-") as folder:
        known = contenders(DEFAULT_RECIPE.user)
        for name in options.ways:
            contender = known[name]
            if not contender.is_here():
                missing.append(contender.title)
                continue
            rounds = []
            for number in range(options.rounds):
                spent, left = _run(name, contender, Path(folder) / f"{name}-{number}")
                rounds.append(spent)
            results.append(Result(contender.title, rounds, left))
            _say(f"{contender.title}: {left.traces} traces, {len(left.files)} files, {spent.wall:.1f} s")
            for path in left.files[:5]:
                _say(f"  {path}")
            # Each way takes minutes: what is known is kept, whatever becomes of the next.
            if options.output:
                options.output.write_text(_report(results, missing, options.rounds), encoding="utf-8")
    _say("\n" + _report(results, missing, options.rounds).partition("-->")[2])


if __name__ == "__main__":
    main()
