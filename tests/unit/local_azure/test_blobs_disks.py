# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Disks in page blobs: their content out to files and back, and their VHD footers."""

from __future__ import annotations

import base64
import os
import random
import secrets
import socket
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.guests.lab.programs import run_program
from tests.local_azure.blob_storage.blob_ranges import clipped, coalesced, parse_page_list, pieces
from tests.local_azure.blob_storage.blob_vhd import fixed_footer, parse_footer
from tests.local_azure.blob_storage.blobs import BlobAddress, BlobStore, VhdFacts, parse_blob_url
from tests.local_azure.certificates import ensure_certificates

MIB = 1024 * 1024
UNIT = 64 * 1024


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobStore]:
    state = tmp_path_factory.mktemp("state")
    certificates = ensure_certificates(state)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    made = BlobStore(state, certificates.server, certificates.key, port)
    made.ensure_account("md-impexp-0", base64.b64encode(secrets.token_bytes(64)).decode())
    made.start()
    yield made
    made.stop()


@pytest.fixture
def disk() -> BlobAddress:
    return BlobAddress("md-impexp-0", secrets.token_hex(8), "abcd")


def sparse_file(path: Path, size: int, data: dict[int, bytes]) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for offset, content in data.items():
            file.seek(offset)
            file.write(content)
    return path


def fill(store: BlobStore, disk: BlobAddress, size: int, data: dict[int, bytes]) -> None:
    store.create_page_blob(disk, size + 512)
    for offset, content in data.items():
        store.write(disk, offset, content)
    store.write_vhd_footer(disk)


def test_export_is_the_disk_without_footer_and_stays_sparse(
    store: BlobStore, disk: BlobAddress, tmp_path: Path
) -> None:
    size = 96 * MIB
    data = {
        offset: os.urandom(length) for offset, length in [(0, 512), (20 * MIB - 512, MIB), (45 * MIB, MIB)]
    }
    data[size - 512] = os.urandom(512)
    fill(store, disk, size, data)
    store.export_raw(disk, tmp_path / "disk.raw")
    exported = (tmp_path / "disk.raw").read_bytes()
    assert exported == sparse_file(tmp_path / "expected.raw", size, data).read_bytes()
    assert (tmp_path / "disk.raw").stat().st_blocks * 512 < 3 * MIB
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.raw", "expected.raw"]


@pytest.mark.parametrize(("blob_size", "disk_size"), [(MIB, MIB), (MIB + 512, MIB), (512, 0)])
def test_export_of_an_unwritten_blob_is_all_zero(
    store: BlobStore, disk: BlobAddress, tmp_path: Path, blob_size: int, disk_size: int
) -> None:
    store.create_page_blob(disk, blob_size)
    store.export_raw(disk, tmp_path / "disk.raw")
    assert (tmp_path / "disk.raw").read_bytes() == bytes(disk_size)


def test_many_small_writes_export_as_one(store: BlobStore, disk: BlobAddress, tmp_path: Path) -> None:
    content = os.urandom(200 * 512)
    store.create_page_blob(disk, MIB)
    order = list(range(200))
    random.Random(1).shuffle(order)
    for page in order:
        store.write(disk, page * 512, content[page * 512 : page * 512 + 512])
    assert store.written_ranges(disk) == [(0, len(content))]
    store.export_raw(disk, tmp_path / "disk.raw")
    assert (tmp_path / "disk.raw").read_bytes() == content.ljust(MIB, b"\0")


def test_import_sends_only_what_differs(store: BlobStore, disk: BlobAddress, tmp_path: Path) -> None:
    size = 64 * MIB
    old = {0: os.urandom(4 * MIB), 32 * MIB: os.urandom(MIB), 50 * MIB: os.urandom(MIB)}
    for offset, content in old.items():
        if offset == 0:
            fill(store, disk, size, {offset: content})
        else:
            store.write(disk, offset, content)
    new = {**old, 40 * MIB: b"\1" * 100, size - 100: b"\2" * 100}
    new[0] = old[0][: 2 * MIB] + b"\3" + old[0][2 * MIB + 1 :]
    del new[32 * MIB]
    path = sparse_file(tmp_path / "new.raw", size, new)
    assert store.import_raw(path, disk) == 3 * UNIT
    assert (32 * MIB, MIB) not in store.written_ranges(disk)
    store.export_raw(disk, tmp_path / "back.raw")
    run_program(["cmp", str(path), str(tmp_path / "back.raw")])
    assert store.import_raw(path, disk) == 0
    assert store.inspect_vhd(disk).virtual_size == size


def test_import_of_another_size_is_refused_before_anything_changes(
    store: BlobStore, disk: BlobAddress, tmp_path: Path
) -> None:
    fill(store, disk, MIB, {0: b"\1" * 512})
    before = store.fingerprint(disk)
    path = sparse_file(tmp_path / "longer.raw", 2 * MIB, {})
    with pytest.raises(ValueError, match=r"2097152 bytes.*1048576"):
        store.import_raw(path, disk)
    assert store.fingerprint(disk) == before


def test_vhd_facts_of_what_is_and_is_not_a_vhd(store: BlobStore, disk: BlobAddress) -> None:
    assert store.inspect_vhd(disk) == VhdFacts(False, False, 0, False, None, None)
    store.create_page_blob(disk, MIB + 512)
    assert store.inspect_vhd(disk) == VhdFacts(True, True, MIB + 512, False, None, None)
    store.write_vhd_footer(disk)
    assert store.inspect_vhd(disk) == VhdFacts(True, True, MIB + 512, True, 2, MIB)
    dynamic = bytearray(fixed_footer(7 * MIB))
    struct.pack_into(">I", dynamic, 60, 3)
    store.write(disk, MIB, bytes(dynamic))
    assert store.inspect_vhd(disk) == VhdFacts(True, True, MIB + 512, True, 3, 7 * MIB)
    store.write(disk, MIB, b"Conectix".ljust(512, b"\0"))
    assert not store.inspect_vhd(disk).cookie_ok


def test_vhd_facts_of_an_empty_blob(store: BlobStore, disk: BlobAddress) -> None:
    store.create_page_blob(disk, 0)
    assert store.inspect_vhd(disk) == VhdFacts(True, True, 0, False, None, None)


def test_grown_disk_ends_with_a_footer_and_has_none_inside(
    store: BlobStore, disk: BlobAddress, tmp_path: Path
) -> None:
    fill(store, disk, MIB, {0: b"\1" * 512})
    store.resize(disk, 3 * MIB + 512)
    assert store.inspect_vhd(disk) == VhdFacts(True, True, 3 * MIB + 512, True, 2, 3 * MIB)
    store.export_raw(disk, tmp_path / "disk.raw")
    assert (tmp_path / "disk.raw").read_bytes() == (b"\1" * 512).ljust(3 * MIB, b"\0")


@pytest.mark.parametrize("mebibytes", [1, 20, 64, 127, 224, 504, 2048, 30720, 200000])
def test_footer_is_one_for_qemu_img(tmp_path: Path, mebibytes: int) -> None:
    size = mebibytes * MIB
    path = tmp_path / "disk.vhd"
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(fixed_footer(size))
    # An unknown creator's size is taken from the geometry, which cannot say every size.
    report = run_program(["qemu-img", "info", "--output=json", "-f", "vpc", str(path)])
    assert '"format": "vpc"' in report
    footer = fixed_footer(size)
    cylinders, heads, sectors = struct.unpack_from(">HBB", footer, 56)
    assert 0 <= size // 512 - cylinders * heads * sectors < heads * sectors or size > 127 * 1024 * MIB
    assert (
        sum(footer) - sum(footer[64:68]) + struct.unpack_from(">I", footer, 64)[0]
    ) & 0xFFFFFFFF == 0xFFFFFFFF
    assert parse_footer(footer) == (2, size)


RANGES = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 20)), max_size=30).map(sorted)


def covered(ranges: object) -> set[int]:
    return {byte for offset, length in ranges for byte in range(offset, offset + length)}  # type: ignore[attr-defined]


@given(RANGES)
def test_coalesced_ranges_cover_the_same_and_do_not_touch(ranges: list[tuple[int, int]]) -> None:
    merged = list(coalesced(ranges))
    assert covered(merged) == covered(ranges)
    assert all(a + length < b for (a, length), (b, _unused) in pairwise(merged))


@given(RANGES, st.integers(1, 16))
def test_pieces_cover_the_same_and_are_small(ranges: list[tuple[int, int]], size: int) -> None:
    cut = list(pieces(ranges, size))
    assert covered(cut) == covered(ranges)
    assert all(0 < length <= size for _unused, length in cut)


@given(RANGES, st.integers(0, 220))
def test_clipped_ranges_end_where_told(ranges: list[tuple[int, int]], end: int) -> None:
    assert covered(clipped(ranges, end)) == {byte for byte in covered(ranges) if byte < end}


def test_gaps_up_to_the_given_size_are_bridged() -> None:
    assert list(coalesced([(0, 10), (15, 5), (30, 1)], gap=5)) == [(0, 20), (30, 1)]


def test_page_list_is_read_with_inclusive_ends() -> None:
    xml = b"<PageList><PageRange>\n<Start>512</Start><End>1023</End></PageRange></PageList>"
    assert parse_page_list(xml) == [(512, 512)]


def test_blob_urls_are_taken_apart_without_showing_their_secrets() -> None:
    url = "https://127.0.0.1:1/account/vhds/my%20disk.vhd?sig=secret"
    assert parse_blob_url(url) == BlobAddress("account", "vhds", "my disk.vhd")
    with pytest.raises(ValueError, match="is not the URL of a blob") as raised:
        parse_blob_url("https://127.0.0.1:1/account?sig=secret")
    assert "secret" not in str(raised.value)
