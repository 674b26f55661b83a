# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import parse_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.limits import (
    check_managed_disk_size,
    check_page_blob_size,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import (
    Plan,
    Progress,
    make_plan,
    pieces_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import GAP, MIB, WINDOW
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit._disk.samples import qemu_img, write_sparse


def plan_of(path: Path) -> Plan:
    with open_disk(str(path), allow_unpartitioned=True) as reader:
        return make_plan(reader)


def pieces_in(tmp_path: Path, *pieces: tuple[int, bytes], size: int = 16 * MIB) -> list[tuple[int, int]]:
    return list(pieces_of(plan_of(write_sparse(tmp_path / "disk", size, pieces)).ranges))


@settings(max_examples=40, deadline=None)
@given(
    pieces=st.lists(st.tuples(st.integers(0, 12 * MIB), st.integers(1, 200_000), st.booleans()), max_size=15),
    size=st.integers(1, 12 * MIB // 512).map(lambda sectors: sectors * 512),
)
def test_the_pieces_hold_all_data_and_keep_the_rules(pieces: list[tuple[int, int, bool]], size: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = [
            (offset, (os.urandom(length) if filled else bytes(length))[: size - offset])
            for offset, length, filled in pieces
            if offset < size
        ]
        path = write_sparse(Path(folder, "disk"), size, data)
        plan = plan_of(path)
        content = path.read_bytes()
        sent = bytearray(plan.virtual_size)
        end = -1
        for offset, length in pieces_of(plan.ranges):
            assert offset % 512 == 0 and length % 512 == 0
            assert 0 < length <= WINDOW and offset // WINDOW == (offset + length - 1) // WINDOW
            assert offset >= end
            assert any(content[offset : offset + 512]), "a piece begins with zeros"
            assert any(content[offset + length - 512 : offset + length]), "a piece ends with zeros"
            sent[offset : offset + length] = content[offset : offset + length]
            end = offset + length
        assert bytes(sent[:size]) == content
        assert not any(sent[size:])
        assert plan.virtual_size % MIB == 0 and 0 <= plan.virtual_size - size < MIB
        assert parse_footer(plan.footer).current_size == plan.virtual_size


def test_the_digest_does_not_depend_on_the_format(tmp_path: Path) -> None:
    raw = write_sparse(
        tmp_path / "raw",
        24 * MIB,
        [(5, b"a" * 100_000), (9 * MIB - 7, os.urandom(MIB)), (20 * MIB, bytes(MIB))],
    )
    plan = plan_of(raw)
    for name, options in {
        "dense": ["-O", "raw", "-S", "0"],
        "qcow2": ["-O", "qcow2"],
        "packed": ["-O", "qcow2", "-c"],
        "vhd": ["-O", "vpc", "-o", "subformat=fixed,force_size=on"],
    }.items():
        qemu_img("convert", "-f", "raw", *options, raw, tmp_path / name)
        other = plan_of(tmp_path / name)
        assert (other.content_sha256, other.ranges, other.footer) == (
            plan.content_sha256,
            plan.ranges,
            plan.footer,
        ), name


@pytest.mark.parametrize("change", [(0, b"b"), (MIB, b"x"), (8 * MIB - 1, b"\x01")])
def test_any_change_of_the_content_changes_the_digest(tmp_path: Path, change: tuple[int, bytes]) -> None:
    base = [(0, b"a" * 4096), (4 * MIB, b"c" * 512)]
    first = plan_of(write_sparse(tmp_path / "one", 8 * MIB, base))
    second = plan_of(write_sparse(tmp_path / "two", 8 * MIB, [*base, change]))
    assert first.content_sha256 != second.content_sha256


def test_the_size_is_part_of_the_digest(tmp_path: Path) -> None:
    first = plan_of(write_sparse(tmp_path / "one", 8 * MIB, [(0, b"a")]))
    second = plan_of(write_sparse(tmp_path / "two", 9 * MIB, [(0, b"a")]))
    assert first.content_sha256 != second.content_sha256


def test_zeros_are_not_sent(tmp_path: Path) -> None:
    plan = plan_of(write_sparse(tmp_path / "disk", 16 * MIB, [(0, bytes(8 * MIB))]))
    assert list(plan.ranges) == []
    assert (plan.puts, plan.bytes_to_send) == (1, 512)


def test_small_gaps_are_bridged_and_large_ones_are_not(tmp_path: Path) -> None:
    near = pieces_in(tmp_path, (0, b"a" * 4096), (4096 + GAP, b"b" * 4096))
    far = pieces_in(tmp_path, (0, b"a" * 4096), (4096 + GAP + 4096, b"b" * 4096))
    assert near == [(0, 2 * 4096 + GAP)]
    assert far == [(0, 4096), (4096 + GAP + 4096, 4096)]


def test_what_a_bridged_hole_reads_as_does_not_come_from_another_window(tmp_path: Path) -> None:
    full = (0, b"x" * WINDOW)
    holed = [(WINDOW, b"a" * 4096), (WINDOW + 32768, b"b" * 4096)]
    size = 2 * WINDOW
    after_full = plan_of(write_sparse(tmp_path / "one", size, [full, *holed]))
    dense = tmp_path / "dense"
    dense.write_bytes((tmp_path / "one").read_bytes())
    assert after_full.bytes_read < plan_of(dense).bytes_read
    assert after_full.content_sha256 == plan_of(dense).content_sha256


def test_the_digest_is_what_the_documentation_says(tmp_path: Path) -> None:
    data = b"a" * 4096
    plan = plan_of(write_sparse(tmp_path / "disk", 8 * MIB, [(5 * MIB, data)]))
    piece = struct.pack(">QQ", 5 * MIB, 4096) + hashlib.md5(data).digest()  # noqa: S324
    expected = hashlib.sha256(b"goldenimage plan 2\n" + struct.pack(">Q", 8 * MIB) + piece)
    assert plan.content_sha256 == expected.hexdigest()


def test_pieces_are_trimmed_to_sectors(tmp_path: Path) -> None:
    assert pieces_in(tmp_path, (MIB + 1024, b"a" * 10)) == [(MIB + 1024, 512)]


def test_pieces_end_at_windows(tmp_path: Path) -> None:
    assert pieces_in(tmp_path, (3 * MIB, b"a" * (6 * MIB))) == [
        (3 * MIB, MIB),
        (4 * MIB, 4 * MIB),
        (8 * MIB, MIB),
    ]


def test_holes_are_not_read(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "disk", 1 << 40, [(1 << 39, b"a" * 4096)])
    plan = plan_of(path)
    assert list(plan.ranges) == [(1 << 39, (1 << 39) + 4096)]
    assert plan.bytes_read <= 128 << 10


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "disk", 10 * MIB, [(0, b"a"), (10 * MIB - 1, b"b")])
    seen: list[Progress] = []
    with open_disk(str(path), allow_unpartitioned=True) as reader:
        make_plan(reader, progress=seen.append)
    assert 0 < seen[-1].done == seen[-1].total < 10 * MIB


def test_sizes_azure_refuses_are_refused() -> None:
    check_managed_disk_size("disk", 20 * MIB, None)
    check_managed_disk_size("disk", 32767 << 30, None)
    check_managed_disk_size("disk", 2 << 40, "V1")
    check_page_blob_size("disk", (8 << 40) - MIB)
    for size, generation, words in [
        (19 * MIB, None, "20 MiB"),
        ((32767 << 30) + 512, None, "a managed disk"),
        ((2 << 40) + 512, "V1", "generation V1"),
        (4 << 40, "V2", "generation V2"),
    ]:
        with pytest.raises(DiskError, match=words):
            check_managed_disk_size("disk", size, generation)
    with pytest.raises(DiskError, match="8 TiB"):
        check_page_blob_size("disk", 8 << 40)
