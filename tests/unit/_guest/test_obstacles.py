# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What keeps even root from removing a trace is said before anything changes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.obstacles import check_removable
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home" / "packer" / "deep").mkdir(parents=True)
    (tmp_path / "home" / "packer" / "deep" / "file").write_text("x")
    (tmp_path / "home" / "packer" / "link").symlink_to("/nowhere")
    return tmp_path / "home"


@pytest.fixture(params=["+i", "+a"])
def stuck(home: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    path = home / "packer" / "deep" / "file"
    done = subprocess.run(["chattr", request.param, str(path)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("files cannot be given attributes here; this needs root and a file system that has them")
    yield path
    subprocess.run(["chattr", "-ia", str(path)], check=True)


@pytest.mark.usefixtures("stuck")
def test_file_with_an_attribute_below_a_trace_is_refused(home: Path) -> None:
    with pytest.raises(GuestError, match=r"deep/file is (immutable|append-only).*nothing was changed"):
        check_removable(LiveRoot(str(home.parent)), ["/home/packer"])


def test_read_only_file_system_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = os.statvfs(home)
    fields = list(mounted)
    fields[8] |= os.ST_RDONLY
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(fields))
    with pytest.raises(GuestError, match="packer is on a file system that is mounted read-only"):
        check_removable(LiveRoot(str(home.parent)), ["/home/packer"])


def test_ordinary_trees_and_absent_paths_pass(home: Path) -> None:
    check_removable(LiveRoot(str(home.parent)), ["/home/packer", "/home/packer/link", "/absent/file"])
