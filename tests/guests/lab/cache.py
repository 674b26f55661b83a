# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Directories that are built once, whole or not at all, by whichever process needs them first."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_UNUSED_DAYS = 14


def code_digest(*sources: str | None) -> str:
    """A digest of Python files that comments and layout do not change: what older code built is not today's.

    Call it while a module is loaded: a process that goes on with older code must not put its work under the
    name of newer code, which it would if it looked into the files later.
    """
    parsed = [ast.dump(ast.parse(Path(source).read_bytes())) for source in sources if source]
    return hashlib.sha256("\n".join(parsed).encode()).hexdigest()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path` during the block, against threads and processes alike."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cached(cache_dir: Path, name: str, build: Callable[[Path], None]) -> Path:
    """The directory `name` in `cache_dir`; `build` fills an empty one when it is not there yet.

    What `build` raises is passed on and nothing is left behind. A new build is also the time to remove what
    nobody asked for in two weeks: names hold digests, and every change of a recipe makes a new one.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    target = cache_dir / name
    with locked(cache_dir / f"{name}.lock"):
        if not target.exists():
            # Only a builder that was killed leaves one of these, as the lock is ours.
            for leftover in cache_dir.glob(f".{name}-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            _remove_unused(cache_dir)
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=cache_dir) as directory:
                work = Path(directory) / "build"
                work.mkdir()
                build(work)
                work.rename(target)
        os.utime(target)
    return target


def _remove_unused(cache_dir: Path) -> None:
    oldest = time.time() - _UNUSED_DAYS * 24 * 3600
    for directory in cache_dir.iterdir():
        if directory.is_dir() and not directory.name.startswith(".") and directory.stat().st_mtime < oldest:
            shutil.rmtree(directory, ignore_errors=True)
            directory.with_name(f"{directory.name}.lock").unlink(missing_ok=True)
