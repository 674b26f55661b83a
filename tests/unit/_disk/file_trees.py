# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A tree of files for file systems that are made from one, and the look whether a reader sees the same."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.file_tree import FileTree

MIB = 1 << 20


def make_sparse(image: Path, size: int) -> None:
    """An empty file of `size` MiB, whatever was there."""
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(size * MIB)


def make_tree(top: Path) -> None:
    (top / "etc").mkdir(parents=True)
    (top / "etc/hostname").write_text("web1\n")
    (top / "etc/empty").touch()
    (top / "etc/fast").symlink_to("hostname")
    (top / "etc/slow").symlink_to("very/" * 150 + "long")
    (top / "empty").mkdir()
    # One block of entries; several with an index; more, with a tree of indexes.
    for folder, count in (("some", 40), ("more", 400), ("crowded", 3000)):
        (top / folder).mkdir()
        for index in range(count):
            (top / folder / f"a-rather-long-name-for-a-file-{index}").touch()
    (top / "a/b/c/d").mkdir(parents=True)
    (top / "a/b/c/d/deep").write_text("down here")
    (top / "solid").write_bytes(random.Random(1).randbytes(3 * MIB + 17))


def every_file(volume: FileTree) -> Iterator[tuple[str, int]]:
    """Each path below the top, and the number of what is there."""
    waiting = [("", volume.root())]
    while waiting:
        path, directory = waiting.pop()
        for name, number in volume.names(directory).items():
            yield f"{path}/{name}", number
            if stat.S_ISDIR(volume.info(number).mode) and path.count("/") < 10:
                waiting.append((f"{path}/{name}", number))


def assert_same(volume: FileTree, tree: Path, *, with_permissions: bool = True) -> None:
    """A reader sees all of a tree: names, kinds, links, content, and permissions where they were kept."""
    seen = dict(every_file(volume))
    assert set(seen) == {f"/{path.relative_to(tree)}" for path in tree.rglob("*")}
    for path, number in seen.items():
        original = tree / path[1:]
        mode, expected = volume.info(number).mode, original.lstat().st_mode
        assert stat.S_IFMT(mode) == stat.S_IFMT(expected), path
        assert mode == expected or not with_permissions, path
        if original.is_symlink():
            assert volume.readlink(number) == str(original.readlink())
        elif original.is_file():
            assert volume.read(number, 0, 1 << 30) == original.read_bytes(), path


def used_sectors(descriptor: int) -> list[int]:
    """Where the file holds anything but zeros."""
    found = []
    position = 0
    end = os.fstat(descriptor).st_size
    while position < end:
        try:
            position = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError:
            break
        data = os.pread(descriptor, MIB, position)
        found += [position + at for at in range(0, len(data), 512) if any(data[at : at + 512])]
        position += MIB
    return found
