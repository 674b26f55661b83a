# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Cached directories are built once, whole, and forgotten when nobody asks for them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from tests.guests.lab.cache import cached, code_digest


def test_second_request_does_not_build_again(tmp_path: Path) -> None:
    builds: list[Path] = []

    def build(work: Path) -> None:
        builds.append(work)
        (work / "file").write_text("made")

    assert cached(tmp_path, "thing-1", build) == cached(tmp_path, "thing-1", build)
    assert len(builds) == 1
    assert (tmp_path / "thing-1" / "file").read_text() == "made"


def test_failed_build_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    def fail(work: Path) -> None:
        (work / "half").write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        cached(tmp_path, "thing-1", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["thing-1.lock"]
    assert cached(tmp_path, "thing-1", lambda work: (work / "whole").touch()).is_dir()


def test_two_builders_do_not_collide(tmp_path: Path) -> None:
    builds: list[int] = []

    def build(_work: Path) -> None:
        builds.append(1)
        time.sleep(0.2)

    threads = [threading.Thread(target=cached, args=(tmp_path, "thing-1", build)) for _unused in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1


def test_new_build_removes_leftovers_and_what_is_unused_for_long(tmp_path: Path) -> None:
    for name in ("thing-old", "thing-used", ".thing-new-killed"):
        cached(tmp_path, name, lambda _work: None)
    month_ago = time.time() - 30 * 24 * 3600
    os.utime(tmp_path / "thing-old", (month_ago, month_ago))
    os.utime(tmp_path / "thing-used", (month_ago, month_ago))
    cached(tmp_path, "thing-used", lambda _work: None)
    cached(tmp_path, "thing-new", lambda _work: None)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"thing-used", "thing-new"}


def test_code_digest_follows_the_code_and_not_its_comments(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("size = 1\n")
    first = code_digest(str(source))
    source.write_text("# why\nsize = (\n    1\n)\n")
    assert code_digest(str(source)) == first
    source.write_text("size = 2\n")
    assert code_digest(str(source)) != first
