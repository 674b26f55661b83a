# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A Linux root file system seen from its own "/": a running host, a mounted tree, or a disk file.

Paths are absolute within that root. Symbolic links are followed within it too, so a link to /etc inside of a
mounted tree never leads to the /etc of the host that looks at it.
"""

import fnmatch
import stat
from typing import Iterator, List, NamedTuple, Optional, Set, Tuple

_MAX_LINKS = 40
# Where the system and its people are; a file system that is mounted elsewhere may keep snapshots as backups.
SYSTEM_POINTS = ("/", "/boot", "/home", "/opt", "/root", "/usr", "/var")


class GuestError(Exception):
    """A guest that cannot be looked at or changed; the text says what, where and what to do."""


class FileInfo(NamedTuple):
    """What lstat says. `kind` is "file", "dir", "link" or "other"; `identity` tells files apart."""

    kind: str
    mode: int
    size: int
    uid: int
    identity: Tuple[int, int]


class Snapshot(NamedTuple):
    """An earlier state of the guest that its btrfs file system keeps: the subvolume `number`; `path` names it
    for people."""

    path: str
    number: int
    read_only: bool


def subvolume_name(path: str) -> str:
    """What to call the subvolume at a path from the top level, which itself is ""."""
    return "subvolume {0}".format(path) if path else "the top level"


def kind_of(mode: int) -> str:
    """The :class:`FileInfo` kind of a mode."""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "dir"
    return "link" if stat.S_ISLNK(mode) else "other"


class RootView:
    """What every kind of root offers. Subclasses give the four methods whose names begin with "real_"; their
    paths have no symbolic link in front of the last name."""

    def real_stat(self, real: str) -> Optional[FileInfo]:
        """What is at a path; None when nothing is."""
        raise NotImplementedError

    def real_names(self, real: str) -> List[str]:
        """The names in a directory."""
        raise NotImplementedError

    def real_read(self, real: str, offset: int, limit: int) -> bytes:
        """At most `limit` bytes of a regular file."""
        raise NotImplementedError

    def real_link(self, real: str) -> str:
        """The target of a symbolic link."""
        raise NotImplementedError

    def written(self, path: str) -> Iterator[Tuple[int, int]]:
        """(offset, length) of the parts of a regular file that are not holes, ascending."""
        raise NotImplementedError

    def snapshots(self) -> List[Snapshot]:
        """The snapshots that it has not mounted, on its file systems of btrfs at :data:`SYSTEM_POINTS`."""
        return []

    def is_foreign(self, path: str) -> bool:
        """Whether the path lies on a file system that does not become part of an image: memory or network."""
        del path
        return False

    def is_root(self) -> bool:
        """Whether it looks like the root of a Linux system, and not like one of its other file systems."""
        return self.stat("/etc") is not None and any(
            self.lstat(path) is not None for path in ("/etc/os-release", "/usr/lib/os-release", "/etc/passwd")
        )

    def resolve(self, path: str, follow: bool = False) -> Optional[str]:
        """The path without links in front of its last name (and, with `follow`, without one there).

        None for loops. What does not exist keeps its name.
        """
        waiting = _parts(path)[::-1]
        real = ""
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                real = real.rpartition("/")[0]
                continue
            candidate = real + "/" + part
            if waiting or follow:
                info = self.real_stat(candidate)
                if info is not None and info.kind == "link":
                    links += 1
                    if links > _MAX_LINKS:
                        return None
                    target = self.real_link(candidate)
                    real = "" if target.startswith("/") else real
                    waiting.extend(_parts(target)[::-1])
                    continue
            real = candidate
        return real or "/"

    def lstat(self, path: str) -> Optional[FileInfo]:
        """What is at a path, links not followed at the end; None when nothing is."""
        real = self.resolve(path)
        return None if real is None else self.real_stat(real)

    def stat(self, path: str) -> Optional[FileInfo]:
        """What is at a path, links followed; None when nothing is."""
        real = self.resolve(path, follow=True)
        return None if real is None else self.real_stat(real)

    def listdir(self, path: str) -> List[str]:
        """The names in a directory, sorted; none when it is no directory."""
        real = self.resolve(path, follow=True)
        info = None if real is None else self.real_stat(real)
        if real is None or info is None or info.kind != "dir":
            return []
        return sorted(self.real_names(real))

    def read(self, path: str, limit: int, offset: int = 0) -> bytes:
        """At most `limit` bytes of a file; links are followed, and what is no file is empty."""
        real = self.resolve(path, follow=True)
        info = None if real is None else self.real_stat(real)
        if real is None or info is None or info.kind != "file":
            return b""
        return self.real_read(real, offset, limit)

    def readlink(self, path: str) -> str:
        """The target of a symbolic link; empty when it is none."""
        real = self.resolve(path)
        info = None if real is None else self.real_stat(real)
        return self.real_link(real) if real is not None and info is not None and info.kind == "link" else ""

    def glob(self, pattern: str) -> List[str]:
        """The existing paths that match; `*`, `?` and `[]` match within one name, leading dots included.

        Links are followed in front of the last name, and the result names the real directory. What lies on
        memory or network file systems is left out.
        """
        found = [""]
        parts = _parts(pattern)
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            following: List[str] = []
            for directory in found:
                following.extend(self._matching(directory, part, last))
            found = following
        return [path for path in found if not self.is_foreign(path)]

    def _matching(self, directory: str, part: str, last: bool) -> Iterator[str]:
        wild = any(mark in part for mark in "*?[")
        names = fnmatch.filter(self.listdir(directory or "/"), part) if wild else [part]
        for name in names:
            real = self.resolve(directory + "/" + name, follow=not last)
            info = None if real is None else self.real_stat(real)
            if real is not None and info is not None and (last or info.kind == "dir"):
                yield "" if real == "/" else real

    def walk(self, top: str) -> Iterator[Tuple[str, FileInfo]]:
        """Everything below a directory, without following links or entering foreign file systems.

        A directory that can be reached twice, as in a damaged file system, is entered once.
        """
        start = self.resolve(top, follow=True)
        if start is None:
            return
        waiting = [start]
        entered: Set[Tuple[int, int]] = set()
        while waiting:
            directory = waiting.pop()
            if self.is_foreign(directory):
                continue
            for name in self.listdir(directory):
                path = directory.rstrip("/") + "/" + name
                info = self.real_stat(path)
                if info is None:
                    continue
                yield path, info
                if info.kind == "dir" and info.identity not in entered:
                    entered.add(info.identity)
                    waiting.append(path)


def _parts(path: str) -> List[str]:
    return [part for part in path.split("/") if part not in {"", "."}]
