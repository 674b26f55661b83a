# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import (
    BIOS_BOOT,
    EFI_SYSTEM,
    PartitionTable,
    bootable_generations,
    detect_generation,
    read_partition_table,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit._disk.samples import MIB, add_boot_code, gpt_disk, partition, write_sparse

ROOT = "0fc63daf-8483-4772-8e79-3d69d8477de4"


def table_of(path: Path) -> PartitionTable:
    with open_disk(str(path), allow_unpartitioned=True) as reader:
        return read_partition_table(reader)


def generations(path: Path) -> tuple[frozenset[str], str | None]:
    with open_disk(str(path), allow_unpartitioned=True) as reader:
        return bootable_generations(reader), detect_generation(reader)


def test_a_gpt_is_read(tmp_path: Path) -> None:
    path = gpt_disk(
        tmp_path / "disk",
        script=f'size=8MiB, type={EFI_SYSTEM}, name="EFI"\nsize=16MiB, type={ROOT}, name="root"\n',
    )
    table = table_of(path)
    assert table.scheme == "gpt"
    assert [(p.number, p.offset, p.length, p.type_id, p.name) for p in table.partitions] == [
        (1, MIB, 8 * MIB, EFI_SYSTEM, "EFI"),
        (2, 9 * MIB, 16 * MIB, ROOT, "root"),
    ]


def test_an_mbr_with_logical_partitions_is_read(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "disk", 64 * MIB, [])
    partition(
        path,
        "label: dos\nstart=2048, size=8MiB, type=83, bootable\nsize=40MiB, type=5\n"
        "start=20480, size=8MiB, type=83\nstart=40960, size=4MiB, type=82\n",
    )
    table = table_of(path)
    assert table.scheme == "mbr"
    assert [(p.number, p.offset // 512, p.length, p.type_id) for p in table.partitions] == [
        (1, 2048, 8 * MIB, "0x83"),
        (2, 18432, 40 * MIB, "0x05"),
        (5, 20480, 8 * MIB, "0x83"),
        (6, 40960, 4 * MIB, "0x82"),
    ]


def test_no_table_is_none(tmp_path: Path) -> None:
    assert table_of(write_sparse(tmp_path / "disk", MIB, [])) == PartitionTable("none", [])


def test_a_boot_sector_of_a_file_system_is_no_partition_table(tmp_path: Path) -> None:
    sector = b"\xeb\x3c\x90MSDOS5.0" + os.urandom(400)
    sector += b"This is not a bootable disk" + bytes(510 - len(sector) - 27) + b"\x55\xaa"
    assert table_of(
        write_sparse(tmp_path / "disk", MIB, [(0, sector[:446] + b"code" * 16 + b"\x55\xaa")])
    ) == (PartitionTable("none", []))


def test_the_backup_gpt_is_used_when_the_first_is_damaged(tmp_path: Path) -> None:
    path = gpt_disk(tmp_path / "disk")
    whole = table_of(path)
    with path.open("r+b") as file:
        file.seek(512 + 40)
        file.write(b"\xff")
    assert table_of(path) == whole


def test_a_gpt_without_a_good_copy_is_refused(tmp_path: Path) -> None:
    path = gpt_disk(tmp_path / "disk")
    with path.open("r+b") as file:
        file.seek(1024 + 3)
        file.write(b"\xff")
        file.seek(-512, os.SEEK_END)
        file.write(bytes(512))
    with pytest.raises(DiskError, match=r"sector 1: wrong table checksum; sector 131071: no GPT header"):
        table_of(path)


def test_a_partition_outside_of_the_disk_is_refused(tmp_path: Path) -> None:
    path = gpt_disk(tmp_path / "disk", script="size=48MiB, type=linux\n")
    os.truncate(path, 32 * MIB)
    with pytest.raises(DiskError, match="partition 1 ends at byte"):
        table_of(path)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    made = {}
    for label, more in (("gpt", ""), ("dos", ", type=5\nstart=12288, size=1MiB")):
        path = write_sparse(tmp_path_factory.mktemp("tables") / label, 10 * MIB, [])
        partition(path, f"label: {label}\nsize=4MiB\nsize=4MiB{more}\n")
        made[label] = path.read_bytes()
    return made


@settings(max_examples=100, deadline=None)
@given(label=st.sampled_from(["gpt", "dos"]), offset=st.integers(440, 34 * 512), data=st.binary(max_size=16))
def test_a_damaged_table_never_ends_in_anything_but_a_disk_error(
    labelled: dict[str, bytes], label: str, offset: int, data: bytes
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, label)
        path.write_bytes(labelled[label][:offset] + data + labelled[label][offset + len(data) :])
        try:
            table_of(path)
        except DiskError as error:
            assert str(path) in str(error)


def test_a_chain_of_logical_partitions_that_leads_back_ends(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "disk", 64 * MIB, [])
    partition(
        path,
        "label: dos\nstart=2048, size=40M, type=5\nstart=4096, size=8MiB, type=83\nstart=40960, size=1M\n",
    )
    whole = len(table_of(path).partitions)
    second = (40960 - 2048) * 512
    assert whole == 3
    with path.open("r+b") as file:
        file.seek(second + 446 + 16)
        file.write(bytes([0, 0, 0, 0, 5, 0, 0, 0]) + (1).to_bytes(4, "little") + (10).to_bytes(4, "little"))
    assert len(table_of(path).partitions) == whole


@pytest.mark.parametrize(
    ("script", "code", "expected"),
    [
        (f"size=8MiB, type={EFI_SYSTEM}\nsize=8MiB, type={ROOT}\n", False, "V2"),
        (f"size=8MiB, type={EFI_SYSTEM}\nsize=8MiB, type={ROOT}\n", True, "V2"),
        (f"size=1MiB, type={BIOS_BOOT}\nsize=8MiB, type={ROOT}\n", True, "V1"),
        (f"size=1MiB, type={BIOS_BOOT}\nsize=8MiB, type={EFI_SYSTEM}\n", True, "V1 V2"),
        (f"size=8MiB, type={ROOT}, attrs=LegacyBIOSBootable\n", True, "V1"),
        (f"size=8MiB, type={ROOT}\n", False, ""),
        (f"size=8MiB, type={ROOT}\n", True, ""),
    ],
)
def test_the_generation_of_a_gpt_disk(tmp_path: Path, script: str, code: bool, expected: str) -> None:
    path = gpt_disk(tmp_path / "disk", script=script)
    if code:
        add_boot_code(path)
    found, only = generations(path)
    assert sorted(found) == expected.split()
    assert only == (expected if expected in ("V1", "V2") else None)


@pytest.mark.parametrize(
    ("kind", "code", "expected"), [("83", True, "V1"), ("83", False, ""), ("ef", False, "V2")]
)
def test_the_generation_of_an_mbr_disk(tmp_path: Path, kind: str, code: bool, expected: str) -> None:
    path = write_sparse(tmp_path / "disk", 64 * MIB, [])
    partition(path, f"label: dos\nsize=8MiB, type={kind}\n")
    if code:
        add_boot_code(path)
    assert sorted(generations(path)[0]) == expected.split()
