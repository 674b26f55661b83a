# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The btrfs reader sees what mkfs.btrfs and the kernel wrote, in every subvolume and compression, knows an
unreplayed log, and survives damage."""

from __future__ import annotations

import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk import zstd
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs import Btrfs, BtrfsVolume
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_subvolumes import Subvolume
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.crc32c import crc32c
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.filesystems import identify
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.lzo import LzoError, unpack_lzo
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.raw import RawReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, SourceFile

from tests.unit._disk import btrfs_samples
from tests.unit._disk.btrfs_samples import (
    NUMBERS,
    PACKINGS,
    SHORT,
    btrfs,
    make_btrfs,
    mounted_btrfs,
    stored_layout,
)
from tests.unit._disk.file_trees import MIB, assert_same, every_file, make_tree, used_sectors

SUPERBLOCK = 0x10000
VARIANTS = {
    "as it is made": [],
    "mixed with small nodes": ["--mixed", "--nodesize", "4096"],
    "large nodes, one copy": ["--nodesize", "65536", "--metadata", "single"],
    "with holes written": ["-O", "^no-holes"],
    "sha256": ["--csum", "sha256"],
    "blake2": ["--csum", "blake2"],
    "xxhash": ["--csum", "xxhash"],
}


def open_volume(image: Path) -> BtrfsVolume:
    file = SourceFile(str(image))
    return BtrfsVolume(RawReader(file, file.size), 0, file.size)


def top_of(image: Path) -> Btrfs:
    return open_volume(image).tree(5)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("tree") / "top"
    make_tree(top)
    return top


@pytest.fixture(scope="module")
def suse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stored_layout(tmp_path_factory.mktemp("suse") / "image", "suse")


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
def test_reader_sees_the_tree_that_mkfs_was_given(options: list[str], tree: Path, tmp_path: Path) -> None:
    image = make_btrfs(tmp_path / "image", tree, options)
    volume = open_volume(image)
    assert_same(volume.tree(5), tree)
    assert volume.label == "judged"
    assert volume.uuid in btrfs("filesystem", "show", image)
    assert not volume.needs_recovery


def test_parts_of_files_are_read_at_any_offset(tree: Path, suse: Path, tmp_path: Path) -> None:
    plain, packed = top_of(make_btrfs(tmp_path / "image", tree)), open_volume(suse)
    root = packed.tree(packed.table.default)
    cases = [(plain, "/solid", (tree / "solid").read_bytes())]
    cases += [(root, f"/{packing}-long", NUMBERS) for packing in PACKINGS]
    chance = random.Random(2)
    for volume, path, expected in cases:
        number = dict(every_file(volume))[path]
        for _unused in range(20):
            offset, length = chance.randrange(len(expected)), chance.randrange(20_000)
            assert volume.read(number, offset, length) == expected[offset : offset + length]


@pytest.mark.parametrize("packing", PACKINGS)
def test_packed_files_are_read(packing: str, suse: Path) -> None:
    volume = open_volume(suse)
    root = volume.tree(volume.table.default)
    numbers = root.names(root.root())
    assert root.read(numbers[f"{packing}-long"], 0, MIB) == NUMBERS
    assert root.read(numbers[f"{packing}-short"], 0, MIB) == SHORT
    sparse = numbers[f"{packing}-sparse"]
    assert root.read(sparse, 0, 2 * MIB) == bytes(MIB) + NUMBERS[:5000]
    assert [offset for offset, _length in root.data_runs(sparse)] == [MIB]
    # The judge says that each of them is packed that way.
    shown = btrfs("inspect-internal", "dump-tree", "-t", str(volume.table.default), suse)
    number = numbers[f"{packing}-long"] & (1 << 64) - 1
    extents = shown.partition(f"key ({number} EXTENT_DATA 0)")[2]
    kind = PACKINGS.index(packing) + 1
    assert f"compression {kind} ({packing})" in extents.partition("EXTENT_DATA")[0]


def test_subvolumes_are_those_that_the_programs_of_btrfs_show(suse: Path) -> None:
    table = open_volume(suse).table
    found = {item.path: item for item in table.all()}
    assert list(found) == [
        "",
        "@",
        "@/home",
        "@/var",
        "@/.snapshots",
        "@/.snapshots/1/snapshot",
        "@/.snapshots/2/snapshot",
    ]
    assert table.default == found["@/.snapshots/1/snapshot"].number
    snapshot = found["@/.snapshots/2/snapshot"]
    assert snapshot == Subvolume(snapshot.number, snapshot.path, snapshot.parent_uuid, True)
    assert not any(item.parent_uuid or item.read_only for item in found.values() if item is not snapshot)
    shown = btrfs("inspect-internal", "dump-tree", "-t", "root", suse)
    origin = shown.partition(f"key ({table.default} ROOT_ITEM 0) itemoff")[2].partition("itemoff")[0]
    assert f"\tuuid {snapshot.parent_uuid}\n" in origin
    for item in found.values():
        assert not item.path or f"name {item.path.rpartition('/')[2]}" in shown
        assert f"key ({item.number or 'FS_TREE'} ROOT_ITEM" in shown or item.number == 5


def test_nested_subvolumes_are_entered_and_are_empty_in_snapshots(suse: Path, tmp_path: Path) -> None:
    volume = top_of(suse)
    assert "/@/var/log/journal/0123/system.journal" in dict(every_file(volume))
    fedora = top_of(stored_layout(tmp_path / "image", "fedora"))
    found = dict(every_file(fedora))
    assert "/root/nested/file" in found
    assert "/root-before/nested" in found
    assert fedora.names(found["/root-before/nested"]) == {}
    assert stat.S_ISDIR(fedora.info(found["/root-before/nested"]).mode)


def test_restore_of_the_programs_of_btrfs_gives_the_same_files(suse: Path, tmp_path: Path) -> None:
    volume = open_volume(suse)
    target = tmp_path / "restored"
    target.mkdir()
    number = volume.table.default
    subprocess.run(
        ["btrfs", "restore", "-r", str(number), str(suse), str(target)], check=True, capture_output=True
    )
    root = volume.tree(number)
    files = {path: number for path, number in every_file(root) if stat.S_ISREG(root.info(number).mode)}
    assert len(files) == 12
    for path, inode in files.items():
        assert root.read(inode, 0, 4 * MIB) == (target / path[1:]).read_bytes(), path


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_reader_sees_what_the_kernel_wrote(tree: Path, tmp_path: Path) -> None:
    image = make_btrfs(tmp_path / "image", None, [], 160)
    copy, expected = tmp_path / "copy", tmp_path / "expected"
    # The kernel's own commits would empty the log that is looked for.
    with mounted_btrfs(image, "subvolid=5,commit=300") as point:
        btrfs("subvolume", "create", point / "@")
        shutil.copytree(tree, point / "@/tree", symlinks=True)
        btrfs("subvolume", "snapshot", "-r", point / "@", point / "@/before")
        btrfs_samples.write_packed(point / "@", point)
        with (point / "@/pieces").open("wb") as file:
            for index in range(1000):
                file.seek(index * 8192)
                file.write(b"%04d" % index)
        with (point / "@/sparse").open("wb") as file:
            file.seek(20 * MIB)
            file.write(b"far away")
        subprocess.run(["fallocate", "-l", "1M", str(point / "@/allocated")], check=True)
        for path in sorted((point / "@/tree/crowded").iterdir())[::3]:
            path.unlink()
        subprocess.run(["sync", "-f", str(point)], check=True)
        with (point / "@/pieces").open("r+b") as file:
            file.write(b"late")
            file.flush()
            os.fsync(file.fileno())
        subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
        assert open_volume(copy).needs_recovery, "what was made safe since the last commit is in the log"
        shutil.copytree(point, expected, symlinks=True)
    volume = open_volume(image)
    assert not volume.needs_recovery
    top = volume.tree(5)
    assert_same(top, expected)
    found = dict(every_file(top))
    assert list(top.data_runs(found["/@/sparse"])) == [(20 * MIB, 8)]
    assert list(top.data_runs(found["/@/allocated"])) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("name", btrfs_samples.FILLERS)
def test_stored_samples_are_what_the_kernel_writes_today(name: str, tmp_path: Path) -> None:
    made = top_of(btrfs_samples.make_layout(tmp_path / "made", name))
    stored = top_of(stored_layout(tmp_path / "stored", name))
    described = [
        {path: (volume.info(number).mode, volume.info(number).size) for path, number in every_file(volume)}
        for volume in (made, stored)
    ]
    assert described[0] == described[1]
    paths = [[item.path for item in volume.volume.table.all()] for volume in (made, stored)]
    assert paths[0] == paths[1]


def rewrite_superblock(image: Path, offset: int, data: bytes) -> None:
    with image.open("r+b") as file:
        file.seek(SUPERBLOCK)
        block = bytearray(file.read(4096))
        block[offset : offset + len(data)] = data
        block[:4] = struct.pack("<I", crc32c(bytes(block[32:])))
        file.seek(SUPERBLOCK)
        file.write(block)


def test_unknown_features_and_cut_disks_are_refused(tmp_path: Path) -> None:
    image = make_btrfs(tmp_path / "image")
    rewrite_superblock(image, 0xBC, struct.pack("<Q", 0x1000))
    with pytest.raises(DiskError, match=r"features that are not known here \(0x1000\)"):
        open_volume(image)
    make_btrfs(image)
    os.truncate(image, 100 * MIB)
    with pytest.raises(DiskError, match="truncated or damaged"):
        open_volume(image)


@pytest.mark.parametrize(
    ("profile", "problem", "refused"),
    [("raid0", "striped over 2 devices", 2), ("single", "on another of its 2 devices", 1), ("raid1", "", 0)],
)
def test_one_of_several_devices_is_read_if_everything_is_on_it(
    profile: str, problem: str, refused: int, tmp_path: Path
) -> None:
    devices = [tmp_path / name for name in ("one", "two")]
    for path in devices:
        with path.open("wb") as file:
            file.truncate(256 * MIB)
    command = ["mkfs.btrfs", "-q", "-d", profile, "-m", profile, *[str(path) for path in devices]]
    subprocess.run(command, check=True, capture_output=True)
    complaints = []
    for path in devices:
        try:
            top = top_of(path)
            assert top.names(top.root()) == {}
        except DiskError as error:
            complaints.append(str(error))
    assert len(complaints) == refused
    assert all(problem in text and "mount it with all of them" in text for text in complaints)


def test_second_copy_is_read_where_the_first_is_damaged(tree: Path, tmp_path: Path) -> None:
    image = make_btrfs(tmp_path / "image", tree, ["--metadata", "dup"])
    shown = btrfs("inspect-internal", "dump-tree", "-t", "chunk", image)
    chunk = shown.partition("METADATA|DUP")[2]
    places = [int(line.split()[-1]) for line in chunk.splitlines() if "stripe " in line and "offset" in line]
    with image.open("r+b") as file:
        file.seek(places[0])
        file.write(bytes(32 * MIB))
    assert_same(top_of(image), tree)
    with image.open("r+b") as file:
        file.seek(places[1])
        file.write(bytes(32 * MIB))
    with pytest.raises(DiskError, match="damaged tree at address"):
        top_of(image)


def test_damage_is_read_rightly_or_refused_quickly(suse: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    shutil.copyfile(suse, image)
    chance = random.Random(3)
    outcomes = {True: 0, False: 0}
    with image.open("r+b", buffering=0) as file:
        used = [place for place in used_sectors(file.fileno()) if place >= SUPERBLOCK]
        for _unused in range(40):
            hits = [
                chance.choice(used) + chance.randrange(508) for _again in range(chance.choice((1, 3, 20)))
            ]
            before = [(place, os.pread(file.fileno(), 4, place)) for place in hits]
            for place in hits:
                damage = chance.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", chance.randbytes(4)))
                os.pwrite(file.fileno(), damage, place)
            begun = time.monotonic()
            outcomes[read_or_refuse(image)] += 1
            assert time.monotonic() - begun < 5
            for place, data in reversed(before):
                os.pwrite(file.fileno(), data, place)
    assert all(outcomes.values())


def test_damage_with_right_checksums_neither_loops_nor_breaks(
    suse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Malice makes checksums right; here they are not looked at instead.
    for module in ("btrfs_layout", "btrfs_nodes"):
        monkeypatch.setattr(
            f"ansible_collections.goldenimage.azure.plugins.module_utils._disk.{module}.checksum_matches",
            lambda _data, _kind: True,
        )
    test_damage_is_read_rightly_or_refused_quickly(suse, tmp_path)


def read_or_refuse(image: Path) -> bool:
    try:
        volume = top_of(image)
        for _path, number in every_file(volume):
            info = volume.info(number)
            if stat.S_ISREG(info.mode):
                volume.read(number, 0, MIB)
                for _run in volume.data_runs(number):
                    pass
            elif stat.S_ISLNK(info.mode):
                volume.readlink(number)
    except DiskError as error:
        assert str(image) in str(error)
        return False
    return True


def test_host_without_libzstd_is_told_what_to_install(suse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zstd, "find_library", lambda *_names: None)
    monkeypatch.setattr(zstd, "_standard_module", lambda: None)
    volume = open_volume(suse)
    root = volume.tree(volume.table.default)
    numbers = root.names(root.root())
    assert root.read(numbers["lzo-long"], 0, MIB) == NUMBERS
    with pytest.raises(DiskError, match="no libzstd to unpack it; install its package"):
        root.read(numbers["zstd-long"], 0, MIB)


def test_standard_library_unpacks_zstd_where_it_can(suse: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Decompressor:
        def decompress(self, data: bytes, max_length: int) -> bytes:
            # The frame is unpacked before the program complains of the zeros behind it.
            unpacked = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False).stdout
            return unpacked[:max_length]

    module = types.ModuleType("compression.zstd")
    vars(module).update(ZstdDecompressor=Decompressor, ZstdError=ValueError)
    monkeypatch.setitem(sys.modules, "compression", types.ModuleType("compression"))
    monkeypatch.setitem(sys.modules, "compression.zstd", module)
    monkeypatch.setattr(zstd, "find_library", lambda *_names: None)
    volume = open_volume(suse)
    root = volume.tree(volume.table.default)
    assert root.read(root.names(root.root())["zstd-long"], 0, MIB) == NUMBERS


@pytest.mark.parametrize(
    "damaged",
    [b"", b"\x11\0", b"\x16abc", b"\x15abcd\x40\xff\x11\0\0", b"\x15abcd\x20" + bytes(500) + b"\1\0\0"],
)
def test_damaged_lzo_is_refused(damaged: bytes) -> None:
    # A stream of four literals and its end.
    assert unpack_lzo(b"\x15abcd\x11\0\0", 4) == b"abcd"
    # Then a copy of four bytes from one byte back, with one literal behind it.
    assert unpack_lzo(b"\x15abcd\x22\x01\0e\x11\0\0", 9) == b"abcddddde"
    with pytest.raises(LzoError):
        unpack_lzo(damaged, 4096)
    with pytest.raises(LzoError):
        unpack_lzo(b"\x15abcd\x22\x01\0e\x11\0\0", 7)


def test_label_and_uuid_are_identified(suse: Path) -> None:
    file = SourceFile(str(suse))
    found = identify(RawReader(file, file.size), 0, file.size)
    assert found == ("btrfs", "judged", btrfs_samples.UUID)
