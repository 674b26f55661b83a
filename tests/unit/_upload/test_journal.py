# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.errors import UploadError
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.journal import (
    Header,
    Held,
    Journal,
    Marks,
    open_journal,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.ranges import (
    Ranges,
    first_difference,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import (
    MIB,
    WINDOW,
    Piece,
    Window,
    scan,
    windows,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit._disk.samples import write_sparse

TARGET = {"blob": "https://a/b/c", "created": "now"}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[DiskReader]:
    pieces = [(number * WINDOW + 512 * number, os.urandom(5000)) for number in range(6)]
    path = write_sparse(tmp_path / "disk", 6 * WINDOW, pieces)
    with open_disk(str(path), allow_unpartitioned=True) as opened:
        yield opened


def scanned(reader: DiskReader) -> list[tuple[Window, list[Piece]]]:
    buffer = bytearray(WINDOW)
    return [(window, scan(reader, window, buffer)) for window in windows(reader)]


def opened(path: Path) -> Journal:
    journal = open_journal(str(path))
    assert journal is not None
    return journal


def written(path: Path, reader: DiskReader) -> None:
    journal = opened(path)
    journal.begin(Header(reader, "1" * 32, TARGET))
    for window, pieces in scanned(reader):
        journal.acknowledge(window, pieces)
    journal.close()


def held_by(path: Path, reader: DiskReader, ranges: Ranges | None = None) -> list[bool]:
    journal = opened(path)
    try:
        held = Held(journal.marks(), ranges)
        return [held(window, pieces) for window, pieces in scanned(reader)]
    finally:
        journal.close()


def test_what_was_acknowledged_is_known_by_the_next_run(tmp_path: Path, reader: DiskReader) -> None:
    path = tmp_path / "journal"
    written(path, reader)
    journal = opened(path)
    assert (journal.upload, journal.target) == ("1" * 32, TARGET)
    assert journal.is_of(reader)
    journal.close()
    assert held_by(path, reader) == [True] * 6
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_marks_of_a_disk_that_is_mostly_empty_need_little_memory() -> None:
    marks = Marks((32 << 40) // WINDOW)
    numbers = [0, 511, 512, 5_000_000, len(marks) - 1]
    tracemalloc.start()
    try:
        for number in numbers:
            marks[number] = number + 1
        assert tracemalloc.get_traced_memory()[1] < 64 << 10
    finally:
        tracemalloc.stop()
    assert [marks[number] for number in numbers] == [number + 1 for number in numbers]
    assert marks[1] == marks[513] == marks[len(marks) - 2] == 0


def test_a_window_whose_ranges_the_service_lost_is_not_held(tmp_path: Path, reader: DiskReader) -> None:
    written(tmp_path / "journal", reader)
    everything = Ranges([(0, 2 * WINDOW), (2 * WINDOW + 4096, 6 * WINDOW)])
    expected = [True, True, False, True, True, True]
    assert held_by(tmp_path / "journal", reader, everything) == expected


def test_a_window_with_other_bytes_is_not_held(tmp_path: Path, reader: DiskReader) -> None:
    written(tmp_path / "journal", reader)
    with Path(reader.path).open("r+b") as file:
        file.seek(3 * WINDOW + 3 * 512)
        file.write(b"changed")
    assert held_by(tmp_path / "journal", reader) == [True, True, True, False, True, True]


def test_a_torn_record_costs_its_window_only_and_is_written_over(tmp_path: Path, reader: DiskReader) -> None:
    path = tmp_path / "journal"
    written(path, reader)
    os.truncate(path, path.stat().st_size - 3)
    assert held_by(path, reader) == [True] * 5 + [False]
    journal = opened(path)
    journal.marks()
    journal.acknowledge(*scanned(reader)[5])
    journal.close()
    assert held_by(path, reader) == [True] * 6


@settings(max_examples=60, deadline=None)
@given(
    damage=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=4), cut=st.integers(0, 700)
)
def test_a_damaged_journal_never_claims_what_was_not_sent(
    tmp_path_factory: pytest.TempPathFactory, damage: list[tuple[int, int]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    data = os.urandom(5000)
    sent = write_sparse(folder / "sent", 2 * WINDOW, [(0, data), (WINDOW, data)])
    other = write_sparse(folder / "other", 2 * WINDOW, [(0, b"x" + data), (WINDOW, b"y" + data)])
    with open_disk(str(sent), allow_unpartitioned=True) as reader:
        written(folder / "journal", reader)
    content = bytearray((folder / "journal").read_bytes())
    for position, byte in damage:
        if position < len(content):
            content[position] ^= byte
    (folder / "journal").write_bytes(content[: max(cut, len(content) // 2)])
    with open_disk(str(other), allow_unpartitioned=True) as reader:
        assert held_by(folder / "journal", reader) == [False, False]


def test_a_journal_of_another_file_or_of_a_changed_one_is_noticed(tmp_path: Path, reader: DiskReader) -> None:
    written(tmp_path / "journal", reader)
    os.utime(reader.path, ns=(1, 1))
    journal = opened(tmp_path / "journal")
    with open_disk(reader.path, allow_unpartitioned=True) as changed:
        assert not journal.is_of(changed)
    journal.close()


def test_a_file_that_is_no_journal_is_a_new_one(tmp_path: Path, reader: DiskReader) -> None:
    (tmp_path / "journal").write_bytes(b"something else")
    journal = opened(tmp_path / "journal")
    assert journal.upload is None and not journal.is_of(reader)
    journal.begin(Header(reader, "2" * 32, TARGET))
    journal.close()
    assert opened(tmp_path / "journal").upload == "2" * 32


def test_two_processes_do_not_share_a_journal(tmp_path: Path) -> None:
    held = opened(tmp_path / "journal")
    with pytest.raises(UploadError, match="Another upload of this disk to the same target"):
        open_journal(str(tmp_path / "journal"))
    held.remove()
    opened(tmp_path / "journal").close()


def test_the_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    script = f"import fcntl, os; fd = os.open({str(tmp_path / 'journal')!r}, os.O_RDWR | os.O_CREAT);"
    script += "fcntl.flock(fd, fcntl.LOCK_EX); print('held', flush=True); import time; time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"held\n"
    with pytest.raises(UploadError):
        open_journal(str(tmp_path / "journal"))
    child.kill()
    child.wait()
    child.stdout.close()
    opened(tmp_path / "journal").close()


def test_where_no_file_can_be_written_there_is_no_journal(tmp_path: Path) -> None:
    assert open_journal(str(tmp_path / "missing" / "journal")) is None
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert open_journal(str(tmp_path / "link")) is None
    assert not (tmp_path / "target").exists()


sets = st.lists(st.integers(0, 40), max_size=16, unique=True).map(sorted)


@given(ours=sets, theirs=sets)
def test_ranges_behave_like_sets_of_bytes(ours: list[int], theirs: list[int]) -> None:
    ours, theirs = ours[: len(ours) // 2 * 2], theirs[: len(theirs) // 2 * 2]
    one = Ranges(zip(ours[::2], ours[1::2], strict=True))
    two = Ranges(zip(theirs[::2], theirs[1::2], strict=True))

    def covered(ranges: Iterator[tuple[int, int]]) -> set[int]:
        return {byte for start, end in ranges for byte in range(start, end)}

    assert covered(one.without(two)) == covered(iter(one)) - covered(iter(two))
    assert (first_difference(one, two) is None) == (covered(iter(one)) == covered(iter(two)))
    for start in range(0, 40, 7):
        assert one.cover(start, start + 3) == (set(range(start, start + 3)) <= covered(iter(one)))


def test_neighbours_are_one_range_and_little_memory() -> None:
    assert list(Ranges([(0, 512), (512, 1024), (2048, 4096)])) == [(0, 1024), (2048, 4096)]
    assert len(Ranges((start, start + MIB) for start in range(0, 100 * MIB, MIB))) == 1
