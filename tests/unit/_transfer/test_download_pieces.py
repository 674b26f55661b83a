# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""In which pieces a disk is fetched, and how much memory that needs."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_pieces import Pieces

from tests.integration.plays import COLLECTIONS

KIB = 1 << 10
MIB = 1 << 20


def scattered(size: int, seed: int) -> list[tuple[int, int]]:
    rng = random.Random(seed)
    places = sorted(rng.sample(range(size // 512), 600))
    return [(start * 512, end * 512) for start, end in zip(places[::2], places[1::2], strict=True)]


def test_pieces_cover_what_was_written_and_cross_no_window() -> None:
    size = 300 * MIB
    for seed in range(5):
        written = scattered(size, seed)
        pieces = Pieces(written, size)
        listed = list(pieces)
        assert [piece.number for piece in listed] == list(range(pieces.count))
        assert sum(piece.length for piece in listed) == pieces.total
        assert all(piece.offset // (4 * MIB) == (piece.end - 1) // (4 * MIB) for piece in listed)
        assert all(pieces.ranges.cover(start, end) for start, end in written)
        by_window = [piece for start in range(0, size, 4 * MIB) for piece in pieces.within(start)]
        assert by_window == listed


def test_gaps_of_64_kib_are_closed_and_larger_ones_are_not() -> None:
    ranges = [(0, 512), (512 + 64 * KIB, 66 * KIB), (131 * KIB, 132 * KIB), (9 * MIB, 11 * MIB)]
    pieces = Pieces(ranges, 10 * MIB)
    assert list(pieces.ranges) == [(0, 66 * KIB), (131 * KIB, 132 * KIB), (9 * MIB, 10 * MIB)]


def test_other_ranges_have_another_digest() -> None:
    one = Pieces([(0, 512)], MIB)
    assert one.digest() == Pieces([(0, 256), (256, 512)], MIB).digest()
    assert one.digest() != Pieces([(0, 1024)], MIB).digest()
    assert one.digest() != Pieces([(0, 512)], 2 * MIB).digest()


# A large disk with scattered ranges, the MD5s of all of which have to be kept, and some hundred MiB in one.
_LARGE = """
import resource, sys
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers import DiskWriter
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.writers_qcow2 import Qcow2Writer
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer import download_check
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer import download_engine
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer import download_file
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer import download_journal
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_blob import Came
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_pieces import Pieces
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.checksum import md5

class Blob:
    def fetch(self, offset, length, etag):
        data = b"x" * length
        return Came(data, md5(data), True)
    def close(self):
        pass

def nothing(progress):
    pass

path, disk_format, size, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
step = (size - (512 << 20)) // count // 512 * 512
def written():
    for number in range(count):
        yield number * step, number * step + 4096
    yield size - (400 << 20), size

local = download_file.LocalFile(path, disk_format)
fd = local.open_part()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
pieces = Pieces(written(), size)
if disk_format == "qcow2":
    writer = Qcow2Writer(fd, local.part, size, pieces.ranges)
else:
    writer = DiskWriter(fd, local.part, size)
journal = download_journal.DownloadJournal(local.journal, {}, pieces)
writer.prepare()
done = download_engine.fetch(
    pieces, lambda cancel: Blob(), writer, journal, nothing, connections=8, throttle=None, etag=""
)
assert done.requests == pieces.count > count
with download_file.open_written(local.part, disk_format) as disk:
    download_check.check_content(disk, pieces, journal, nothing)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("disk_format", "size", "count"), [("raw", 8 << 40, 15000), ("qcow2", 1 << 40, 3000)]
)
def test_memory_stays_at_a_piece_for_each_connection_whatever_the_disk(
    tmp_path: Path, disk_format: str, size: int, count: int
) -> None:
    """In KiB: eight connections with 4 MiB each, what reads it again, and some bytes for each range."""
    ran = subprocess.run(
        [sys.executable, "-c", _LARGE, str(tmp_path / "large"), disk_format, str(size), str(count)],
        env={"PYTHONPATH": str(COLLECTIONS)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(ran.stdout) < 64 * KIB
