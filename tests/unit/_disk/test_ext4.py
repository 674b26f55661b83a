# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The ext4 reader sees what mke2fs wrote and what debugfs reads, and survives damage."""

import os
import random
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.ext4 import Ext4, Inode
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.raw import RawReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, SourceFile

LAYOUTS = {
    "ext4": ["-t", "ext4"],
    "ext4 without 64bit": ["-t", "ext4", "-O", "^64bit"],
    "ext4 with small blocks": ["-t", "ext4", "-b", "1024"],
    "ext4 with inline data": ["-t", "ext4", "-O", "inline_data", "-I", "512"],
    "ext4 with meta block groups": ["-t", "ext4", "-O", "meta_bg,^resize_inode", "-b", "1024"],
    "ext3": ["-t", "ext3"],
    "ext2 with small blocks": ["-t", "ext2", "-b", "1024"],
    "ext2 with small inodes": ["-t", "ext2", "-I", "128"],
}


def make_tree(top: Path) -> None:
    (top / "etc").mkdir(parents=True)
    (top / "etc/hostname").write_text("web1\n")
    (top / "etc/empty").touch()
    (top / "etc/medium").write_bytes(b"inline or not" * 11)
    (top / "etc/name with spaces and ümläüts").write_text("x")
    (top / "etc/fast").symlink_to("hostname")
    (top / "etc/slow").symlink_to("very/" * 40 + "long")
    (top / "crowded").mkdir()
    for index in range(900):
        (top / f"crowded/a-rather-long-name-for-a-file-{index}").touch()
    (top / "a/b/c/d").mkdir(parents=True)
    (top / "a/b/c/d/deep").write_text("down here")
    with (top / "pieces").open("wb") as file:  # more extents than fit into an inode
        for index in range(1500):
            file.seek(index * 8192)
            file.write(b"%04d" % index)
    with (top / "sparse").open("wb") as file:
        file.seek(300 * 1024 * 1024)
        file.write(b"far away")
    (top / "solid").write_bytes(random.Random(1).randbytes(3 * 1024 * 1024 + 17))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("tree") / "top"
    make_tree(top)
    return top


def make_image(tree: Path, image: Path, options: list[str]) -> Path:
    command = ["mke2fs", "-q", "-F", "-L", "judged", "-d", str(tree), *options, str(image), "64M"]
    subprocess.run(command, check=True, capture_output=True)
    return image


def open_ext4(image: Path) -> Ext4:
    file = SourceFile(str(image))
    return Ext4(RawReader(file, file.size), 0, file.size)


def every_inode(volume: Ext4) -> Iterator[tuple[str, Inode]]:
    waiting = [("", volume.root())]
    while waiting:
        path, directory = waiting.pop()
        for entry in volume.entries(directory):
            inode = volume.inode(entry.inode)
            yield f"{path}/{entry.name}", inode
            if stat.S_ISDIR(inode.mode) and path.count("/") < 10:
                waiting.append((f"{path}/{entry.name}", inode))


def content(volume: Ext4, inode: Inode) -> bytes | str | None:
    if stat.S_ISLNK(inode.mode):
        return volume.readlink(inode)
    if stat.S_ISREG(inode.mode):
        return volume.read(inode, 0, 400 * 1024 * 1024)
    return None


def content_on_host(path: Path) -> bytes | str | None:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else None


@pytest.mark.parametrize("options", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_reader_and_debugfs_see_the_same_tree(options: list[str], tree: Path, tmp_path: Path) -> None:
    image = make_image(tree, tmp_path / "image", options)
    # Hashed directories are read linearly: let e2fsck build them.
    subprocess.run(["e2fsck", "-f", "-y", "-D", str(image)], check=False, capture_output=True)
    dumped = tmp_path / "dumped"
    dumped.mkdir()
    subprocess.run(["debugfs", "-R", f"rdump / {dumped}", str(image)], check=True, capture_output=True)

    volume = open_ext4(image)
    seen = dict(every_inode(volume))

    assert set(seen) == {f"/{path.relative_to(dumped)}" for path in dumped.rglob("*")}
    assert len(seen) > 900
    for path, inode in seen.items():
        original = dumped / path[1:]
        expected = content_on_host(original)
        if isinstance(expected, bytes):
            expected = expected[: inode.size]  # debugfs fills inline files up with zeros
        assert content(volume, inode) == expected, path
        if not original.is_symlink():  # links have no mode of their own once dumped
            assert inode.mode == original.stat().st_mode, path
        if stat.S_ISREG(inode.mode):
            assert inode.size == (tree / path[1:]).stat().st_size


def test_label_and_uuid_are_those_blkid_sees(tree: Path, tmp_path: Path) -> None:
    image = make_image(tree, tmp_path / "image", ["-t", "ext4"])
    shown = subprocess.run(["dumpe2fs", "-h", str(image)], check=True, capture_output=True, text=True).stdout
    volume = open_ext4(image)
    assert volume.label == "judged"
    assert f"Filesystem UUID:          {volume.uuid}\n" in shown
    assert not volume.needs_recovery


def test_parts_of_files_are_read_at_any_offset(tree: Path, tmp_path: Path) -> None:
    volume = open_ext4(make_image(tree, tmp_path / "image", ["-t", "ext4"]))
    inode = dict(every_inode(volume))["/solid"]
    expected = (tree / "solid").read_bytes()
    chance = random.Random(2)
    for _unused in range(50):
        offset, length = chance.randrange(len(expected)), chance.randrange(20_000)
        assert volume.read(inode, offset, length) == expected[offset : offset + length]


def test_allocated_but_unwritten_blocks_read_as_zeros(tree: Path, tmp_path: Path) -> None:
    image = make_image(tree, tmp_path / "image", ["-t", "ext4"])
    subprocess.run(
        ["debugfs", "-w", "-R", "fallocate /etc/empty 0 9", str(image)], check=True, capture_output=True
    )
    subprocess.run(
        ["debugfs", "-w", "-R", "set_inode_field /etc/empty size 40000", str(image)],
        check=True,
        capture_output=True,
    )
    volume = open_ext4(image)
    inode = dict(every_inode(volume))["/etc/empty"]
    assert volume.read(inode, 0, 50_000) == bytes(40_000)
    assert list(volume.data_runs(inode)) == []


def test_written_parts_of_a_sparse_file_are_named(tree: Path, tmp_path: Path) -> None:
    volume = open_ext4(make_image(tree, tmp_path / "image", ["-t", "ext4"]))
    inode = dict(every_inode(volume))["/sparse"]
    assert list(volume.data_runs(inode)) == [(300 * 1024 * 1024, 8)]


def test_journal_that_was_not_replayed_is_noticed(tree: Path, tmp_path: Path) -> None:
    image = make_image(tree, tmp_path / "image", ["-t", "ext4"])
    with image.open("r+b") as file:
        file.seek(1024 + 96)
        flags = int.from_bytes(file.read(4), "little") | 4
        file.seek(1024 + 96)
        file.write(flags.to_bytes(4, "little"))
    assert open_ext4(image).needs_recovery


def test_truncated_file_system_is_refused(tree: Path, tmp_path: Path) -> None:
    image = make_image(tree, tmp_path / "image", ["-t", "ext4"])
    os.truncate(image, 32 * 1024 * 1024)
    with pytest.raises(DiskError, match="truncated or damaged"):
        open_ext4(image)


def test_unknown_feature_is_refused(tree: Path, tmp_path: Path) -> None:
    image = make_image(tree, tmp_path / "image", ["-t", "ext4"])
    with image.open("r+b") as file:
        file.seek(1024 + 96 + 3)
        file.write(b"\x80")
    with pytest.raises(DiskError, match="does not know"):
        open_ext4(image)


@pytest.mark.parametrize("layout", ["ext4", "ext2 with small blocks", "ext4 with inline data"])
@pytest.mark.parametrize("seed", range(4))
def test_damage_is_an_error_and_never_a_crash_or_a_hang(layout: str, seed: int, tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "etc").mkdir(parents=True)
    (top / "etc/hostname").write_text("web1\n")
    (top / "etc/link").symlink_to("x" * 100)
    with (top / "pieces").open("wb") as file:
        for index in range(400):
            file.seek(index * 8192)
            file.write(b"x")
    image = tmp_path / "image"
    command = ["mke2fs", "-q", "-F", "-d", str(top), *LAYOUTS[layout], str(image), "4M"]
    subprocess.run(command, check=True, capture_output=True)
    pristine = image.read_bytes()
    used = [index for index in range(0, len(pristine), 512) if any(pristine[index : index + 512])]
    chance = random.Random(seed)
    begun = time.monotonic()
    refused = 0
    for _unused in range(60):
        damaged = bytearray(pristine)
        for _unused in range(chance.choice([1, 10, 60])):
            damaged[chance.choice(used) + chance.randrange(512)] = chance.choice(
                [0, 0xFF, chance.randrange(256)]
            )
        image.write_bytes(damaged)
        try:
            volume = open_ext4(image)
            for _path, inode in every_inode(volume):
                if stat.S_ISREG(inode.mode):
                    volume.read(inode, 0, 4 * 1024 * 1024)
                elif stat.S_ISLNK(inode.mode):
                    volume.readlink(inode)
        except DiskError as error:
            refused += 1
            assert str(image) in str(error)
    assert refused > 5
    assert time.monotonic() - begun < 60
