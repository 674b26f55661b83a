# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The XFS reader sees what mkfs.xfs and the kernel wrote, knows an unreplayed log, and survives damage."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.raw import RawReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, SourceFile
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.xfs import Xfs

from tests.unit._disk.file_trees import MIB, assert_same, every_file, make_sparse, make_tree, used_sectors
from tests.unit._disk.loop_mounts import mounted

VERSIONS = {
    "version 5": [],
    "version 5 with blocks of 1 KiB": ["-b", "size=1024"],
    "version 5 with large directory blocks": ["-n", "size=16384"],
    "version 5 with large extent counts": ["-i", "nrext64=1"],
    "version 5 as RHEL 8 made it": ["-m", "bigtime=0,inobtcount=0", "-i", "nrext64=0"],
    "version 4": ["-m", "crc=0,finobt=0,rmapbt=0,reflink=0,bigtime=0,inobtcount=0", "-n", "ftype=0"],
}


def protofile(tree: Path) -> str:
    """The tree in the language of mkfs.xfs -p."""
    lines = ["/", "0 0"]

    def add(path: Path, name: str) -> None:
        if path.is_symlink():
            lines.append(f"{name} l--777 0 0 {path.readlink()}")
        elif path.is_dir():
            lines.append(f"{name} d--755 0 0")
            for child in sorted(path.iterdir()):
                add(child, child.name)
            lines.append("$")
        else:
            lines.append(f"{name} ---644 0 0 {path}")

    add(tree, "")
    return "\n".join(lines) + "\n"


def make_xfs(
    image: Path, tree: Path | None = None, options: list[str] | None = None, size: int = 320
) -> Path:
    make_sparse(image, size)
    proto = image.with_suffix(".proto")
    proto.write_text(protofile(tree) if tree else "/\n0 0\nd--755 0 0\n$\n")
    command = ["mkfs.xfs", "-q", "-L", "judged", "-p", str(proto), *(options or []), str(image)]
    subprocess.run(command, check=True, capture_output=True)
    return image


def open_xfs(image: Path) -> Xfs:
    file = SourceFile(str(image))
    return Xfs(RawReader(file, file.size), 0, file.size)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("tree") / "top"
    make_tree(top)
    return top


@pytest.mark.parametrize("options", VERSIONS.values(), ids=VERSIONS.keys())
def test_reader_sees_the_tree_that_mkfs_was_given(options: list[str], tree: Path, tmp_path: Path) -> None:
    image = make_xfs(tmp_path / "image", tree, options)
    volume = open_xfs(image)
    assert_same(volume, tree, with_permissions=False)
    assert volume.label == "judged"
    shown = subprocess.run(
        ["xfs_db", "-r", "-c", "uuid", str(image)], check=True, capture_output=True, text=True
    )
    assert volume.uuid in shown.stdout
    assert not volume.needs_recovery


def test_parts_of_files_are_read_at_any_offset(tree: Path, tmp_path: Path) -> None:
    volume = open_xfs(make_xfs(tmp_path / "image", tree))
    number = dict(every_file(volume))["/solid"]
    expected = (tree / "solid").read_bytes()
    chance = random.Random(2)
    for _unused in range(50):
        offset, length = chance.randrange(len(expected)), chance.randrange(20_000)
        assert volume.read(number, offset, length) == expected[offset : offset + length]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("options", [VERSIONS["version 5"], VERSIONS["version 4"]], ids=["5", "4"])
def test_reader_sees_what_the_kernel_wrote(options: list[str], tree: Path, tmp_path: Path) -> None:
    image = make_xfs(tmp_path / "image", None, options)
    copy = tmp_path / "copy"
    with mounted(image, "xfs") as point:
        shutil.copytree(tree, point / "tree", symlinks=True)
        with (point / "pieces").open("wb") as file:  # more extents than fit into an inode
            for index in range(3000):
                file.seek(index * 8192)
                file.write(b"%04d" % index)
        with (point / "sparse").open("wb") as file:
            file.seek(200 * MIB)
            file.write(b"far away")
        subprocess.run(["fallocate", "-l", "1M", str(point / "allocated")], check=True)
        for path in sorted((point / "tree/crowded").iterdir())[::3]:
            path.unlink()
        assert open_xfs_of_copy(image, copy).needs_recovery, (
            "changes wait in the log of a mounted file system"
        )
        expected = tmp_path / "expected"
        shutil.copytree(point, expected, symlinks=True)
    volume = open_xfs(image)
    assert not volume.needs_recovery
    assert_same(volume, expected, with_permissions=False)
    number = dict(every_file(volume))["/sparse"]
    assert sum(length for _offset, length in volume.data_runs(number)) <= 64 * 1024
    assert list(volume.data_runs(dict(every_file(volume))["/allocated"])) == []


def open_xfs_of_copy(image: Path, copy: Path) -> Xfs:
    """As after a power cut: what is on the disk now, log included."""
    subprocess.run(["sync", "-f", str(image.with_suffix(".mount"))], check=True)
    shutil.copyfile(image, copy)
    return open_xfs(copy)


def test_other_content_and_damage_are_refused_quickly(tree: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    (small / "etc").mkdir(parents=True)
    shutil.copytree(tree / "more", small / "more")
    (small / "etc/link").symlink_to("x" * 900)
    (small / "file").write_bytes(b"x" * 70_000)
    image = make_xfs(tmp_path / "image", small)
    chance = random.Random(3)
    outcomes = {True: 0, False: 0}
    with image.open("r+b", buffering=0) as file:
        used = used_sectors(file.fileno())
        for _unused in range(150):
            # The superblock is checked first; most hits go to what comes behind it.
            hits = [
                chance.choice(used[1:] if chance.random() < 0.9 else used[:1]) + chance.randrange(508)
                for _again in range(chance.choice((1, 3, 20)))
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


def read_or_refuse(image: Path) -> bool:
    try:
        volume = open_xfs(image)
        for _path, number in every_file(volume):
            info = volume.info(number)
            if stat.S_ISREG(info.mode):
                volume.read(number, 0, MIB)
            elif stat.S_ISLNK(info.mode):
                volume.readlink(number)
    except DiskError as error:
        assert str(image) in str(error)
        return False
    return True


def test_truncated_disk_is_refused_by_name(tmp_path: Path) -> None:
    image = make_xfs(tmp_path / "image")
    os.truncate(image, 200 * MIB)
    with pytest.raises(DiskError, match="truncated or damaged"):
        open_xfs(image)
