# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What was removed does not stay on the disk in space that no file uses."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest import free_space
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

from tests.unit._disk.loop_mounts import mounted

SECRET = b"correct-horse-battery-staple"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A small ext4 file system in a file."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-m", "5", str(path)], check=True)
    return path


def write_and_remove(point: Path) -> None:
    (point / "kept").write_bytes(b"kept")
    (point / "secret").write_bytes(SECRET * 40_000)
    os.sync()
    (point / "secret").unlink()
    os.sync()


@pytest.mark.parametrize("wish", free_space.CHOICES)
def test_removed_data_is_on_the_disk_only_when_free_space_is_kept(
    wish: str, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mounted(disk, "ext4") as point:
        write_and_remove(point)
        monkeypatch.setattr(free_space, "_points", lambda: [str(point)])
        if wish == free_space.DISCARD and not free_space._can_discard(str(point)):
            pytest.skip("loop devices cannot discard here")
        free_space.clean_free_space(wish)
        assert sorted(path.name for path in point.iterdir()) == ["kept", "lost+found"]
    assert (SECRET in disk.read_bytes()) == (wish == free_space.KEEP)
    subprocess.run(["e2fsck", "-fn", str(disk)], check=True, capture_output=True)


def test_local_writable_file_systems_are_meant_once_each(tmp_path: Path, disk: Path) -> None:
    table = tmp_path / "mounts"
    with mounted(disk, "ext4") as point:
        lines = [
            f"/dev/loop0 {point} ext4 rw 0 0",
            f"/dev/loop0 {point / 'lost+found'} ext4 rw 0 0",
            "tmpfs /tmp tmpfs rw 0 0",
            "nas:/x /mnt nfs4 rw 0 0",
            f"/dev/gone {tmp_path / 'gone'} ext4 rw 0 0",
        ]
        table.write_text("\n".join(lines) + "\n")
        assert free_space._points(str(table)) == [str(point)]


def test_discard_is_refused_where_nothing_would_be_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_space, "_can_discard", lambda _point: False)
    with pytest.raises(GuestError, match="knows no discard"):
        free_space.check_free_space(free_space.DISCARD)
    for wish in (free_space.KEEP, free_space.ZERO):
        free_space.check_free_space(wish)
