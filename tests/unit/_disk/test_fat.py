# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The FAT reader, over file systems that dosfstools makes and mtools fills."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.fat import Fat
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit._disk.boot_samples import fat_image
from tests.unit._disk.samples import MIB

LONG = "A very long name that needs several entries äöü.efi"
CONTENT = {
    "EFI/BOOT/BOOTX64.EFI": os.urandom(70_001),
    f"EFI/debian/{LONG}": b"long",
    "EFI/debian/empty.efi": b"",
    "startup.nsh": b"first",
}


@pytest.mark.parametrize(
    ("bits", "size", "options"),
    [
        (12, 2 * MIB, ()),
        (16, 16 * MIB, ()),
        (32, 64 * MIB, ("-F", "32")),
        (32, 40 * MIB, ("-F", "32", "-s", "1")),
    ],
)
def test_files_are_found_and_read(tmp_path: Path, bits: int, size: int, options: tuple[str, ...]) -> None:
    path = fat_image(tmp_path / "fat", size, CONTENT, "-n", "ESP", "-i", "1A2B3C4D", *options)
    with open_disk(str(path)) as reader:
        fat = Fat(reader, 0, size)
        assert (fat.bits, fat.label, fat.serial) == (bits, "ESP", "1A2B-3C4D")
        assert sorted(entry.name.lower() for entry in fat.entries()) == ["efi", "startup.nsh"]
        for name, content in CONTENT.items():
            entry = fat.find(name.lower())
            assert entry is not None, name
            assert fat.read(entry, MIB) == content
            for offset in (1, 511, 512, 4096, 69_999, 70_001, MIB):
                assert fat.read(entry, 600, offset) == content[offset : offset + 600]
        assert {entry.name for entry in fat.entries("EFI/debian")} == {LONG, "empty.efi"}
        assert fat.find("EFI/BOOT/none.efi") is None and fat.entries("no/such/folder") == []


def test_a_directory_of_many_clusters_is_read_whole(tmp_path: Path) -> None:
    names = {f"EFI/{number:03d} with a name that is long.efi": b"x" for number in range(60)}
    path = fat_image(tmp_path / "fat", 16 * MIB, names, "-s", "1")
    with open_disk(str(path)) as reader:
        assert len(Fat(reader, 0, 16 * MIB).entries("EFI")) == 60


def test_a_chain_that_leads_back_ends(tmp_path: Path) -> None:
    path = fat_image(tmp_path / "fat", 16 * MIB, {"big": bytes(100_000)}, "-s", "1")
    with open_disk(str(path)) as reader:
        fat = Fat(reader, 0, 16 * MIB)
        entry = fat.find("big")
        assert entry is not None
        table = fat._table
    with path.open("r+b") as file:
        file.seek(table + 2 * entry.cluster)
        file.write(entry.cluster.to_bytes(2, "little"))
    with open_disk(str(path)) as reader:
        assert len(Fat(reader, 0, 16 * MIB).read(entry, 100_000)) == 100_000


def test_a_chain_into_nothing_is_refused(tmp_path: Path) -> None:
    path = fat_image(tmp_path / "fat", 16 * MIB, {"big": bytes(100_000)}, "-s", "1")
    with open_disk(str(path)) as reader:
        fat = Fat(reader, 0, 16 * MIB)
        entry = fat.find("big")
        assert entry is not None
        with pytest.raises(DiskError, match="cluster 65000, which does not exist"):
            fat.read(entry._replace(cluster=65000), 10)
        with pytest.raises(DiskError, match="has 16777216 bytes, but its partition 1048576"):
            Fat(reader, 0, MIB)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return fat_image(tmp_path_factory.mktemp("fat") / "fat", 2 * MIB, CONTENT).read_bytes()


@settings(max_examples=200, deadline=None)
@given(offset=st.integers(0, 20_000), data=st.binary(min_size=1, max_size=40))
def test_damage_ends_in_an_answer_or_a_disk_error(small: bytes, offset: int, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "fat")
        path.write_bytes(small[:offset] + data + small[offset + len(data) :])
        with open_disk(str(path), allow_unpartitioned=True) as reader:
            try:
                fat = Fat(reader, 0, reader.virtual_size)
                for place in ("", "EFI", "EFI/BOOT", "EFI/debian"):
                    for entry in fat.entries(place):
                        fat.read(entry, 10_000)
            except DiskError as error:
                assert str(path) in str(error)
