# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What the comparison of ways to generalize counts, and how it takes time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.guests.contenders import contenders
from tests.benchmarks.guests.look import look
from tests.benchmarks.guests.used_machine import ACCOUNT, SECRET, Markers
from tests.benchmarks.guests.watch import Watch
from tests.unit._guest.planting import make_root, write
from tests.unit._guest.test_disk_root import make_disk


def test_independent_look_counts_contents_names_links_and_free_space(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    write(top, "/srv/notes", b"before " + SECRET.encode() + b" after")
    write(top, "/srv/0123abcd/empty", b"")
    (top / "srv/link").symlink_to("/var/lib/0123abcd")
    write(top, "/srv/innocent", b"nothing")
    disk = make_disk(tmp_path / "disk.raw", [top])
    with disk.open("r+b") as file:  # where no file is
        file.seek(20 << 20)
        file.write(SECRET.encode())
    left = look(disk, Markers({"machine id": b"0123abcd", "secret": SECRET.encode()}), "runner")
    assert left.files == ["/srv/0123abcd", "/srv/link", "/srv/notes"]
    assert left.copies == 2
    assert (left.traces, left.ids) == (0, [])


def test_audit_counts_the_accounts_of_the_machine(tmp_path: Path) -> None:
    top = make_root(tmp_path / "root")
    write(top, f"/home/{ACCOUNT}/notes", b"x")
    write(top, "/home/runner/notes", b"x")
    left = look(make_disk(tmp_path / "disk.raw", [top]), Markers({"secret": SECRET.encode()}), "runner")
    assert (left.traces, left.ids, left.files) == (2, ["build-accounts"], [])


def test_processor_time_is_that_of_ended_programs_without_what_was_before() -> None:
    work = "x = 0\nfor index in range(3_000_000): x += index"
    subprocess.run([sys.executable, "-c", work], check=True)
    watch = Watch()
    idle = watch.spent(None)
    subprocess.run([sys.executable, "-c", work], check=True)
    busy = watch.spent(3)
    assert idle.processor < 0.05 < busy.processor
    assert idle.wall < busy.wall
    assert (idle.trips, busy.trips) == (None, 3)


def test_every_play_switches_the_machine_off_in_the_end() -> None:
    for way in contenders("runner").values():
        tasks = way.play()[0]["tasks"]
        assert "systemctl poweroff" in tasks[-1]["ansible.builtin.shell"]
        assert len({task["name"] for task in tasks}) == len(tasks)
