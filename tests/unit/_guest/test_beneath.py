# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What is mounted over directories of the root file system hides what lies in them, or nothing.

That it is removed there is seen in tests/guests/test_linux_generalize_cut.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.beneath import has_hidden

MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
proc /proc proc rw 0 0
tmpfs /run tmpfs rw 0 0
devtmpfs /dev devtmpfs rw 0 0
tmpfs /tmp tmpfs rw 0 0
/dev/sdb1 /srv/my\\040data ext4 rw 0 0
tmpfs /etc/resolv.conf tmpfs rw 0 0
/dev/sda15 /gone vfat rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/tmp/notes", True),  # noqa: S108
        ("/srv/my data/dump.sql", True),
        ("/etc/resolv.conf", True),
        ("/var/log/syslog", False),
        ("/dev/console", False),
        ("/run/lock/x", False),
    ],
)
def test_file_beneath_a_mount_is_noticed(path: str, hidden: bool, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for directory in ("proc", "run", "dev", "tmp", "srv/my data", "etc"):
        (root / directory).mkdir(parents=True)
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    assert not has_hidden(str(root), str(mounts))
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    assert has_hidden(str(root), str(mounts)) is hidden
