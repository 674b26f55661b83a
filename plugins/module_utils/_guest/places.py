# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Where a trace can be. Each place knows how it is found and how it is removed; removal takes what was found,
so an audit and a removal cannot disagree."""

import re
import subprocess
from typing import Callable, Iterator, List, NamedTuple, Sequence, Tuple, TypeVar

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.distributions import Family
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import FileInfo, GuestError

_HEAD = 1 << 16
_CHUNK = 1 << 20
_PAGE = 4096
_ROTATED = re.compile(r"(\.(gz|xz|bz2|zst|lz4|old|[0-9]+)|[-.][0-9]{8}(-[0-9]+)?)$")


class Hit(NamedTuple):
    """A trace at a path. `detail` says what it is without showing content."""

    path: str
    detail: str


_SomePlace = TypeVar("_SomePlace", bound="Place")


class Place:
    """One kind of place. `patterns` are the paths it names, `families` where it is true (empty: everywhere),
    `what` says in words what removal does."""

    what = ""
    patterns: Tuple[str, ...] = ()
    families: Tuple[Family, ...] = ()

    def on(self: _SomePlace, *families: Family) -> _SomePlace:
        """The same place, true only for these families of distributions."""
        self.families = families
        return self

    def concerns(self, guest: Guest) -> bool:
        """Whether the place is true for a guest; in one of an unknown family everything is looked at."""
        return not self.families or guest.family is None or guest.family in self.families

    def find(self, guest: Guest) -> Iterator[Hit]:
        """The hits of this place."""
        raise NotImplementedError

    def clean(self, guest: Guest, hit: Hit) -> None:
        """Remove one hit."""
        raise NotImplementedError


def paths(guest: Guest, patterns: Sequence[str]) -> Iterator[str]:
    """The existing paths of patterns with {a,b} alternatives, and "~/" for every home directory."""
    for pattern in patterns:
        for single in expand(pattern):
            tops = guest.homes() if single.startswith("~/") else [""]
            for top in tops:
                yield from guest.root.glob(top + single[1:] if top else single)


def expand(pattern: str) -> List[str]:
    """The patterns without {a,b} alternatives that a pattern stands for."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    expanded = []
    for choice in found.group(1).split(","):
        expanded.extend(expand(pattern[: found.start()] + choice + pattern[found.end() :]))
    return expanded


def describe(info: FileInfo) -> str:
    """What something is, in words."""
    if info.kind == "file":
        return "file, {0} bytes".format(info.size)
    return {"dir": "directory", "link": "symbolic link"}.get(info.kind, "special file")


class Remove(Place):
    """Files, links and whole directories that should not be there.

    :param having: only files whose first 64 KiB hold these bytes
    :param unless: names that are left alone
    :param only: "file", "dir" or "link" to take only that kind
    """

    def __init__(
        self, *patterns: str, having: bytes = b"", unless: Sequence[str] = (), only: str = ""
    ) -> None:
        self.patterns = patterns
        self.only = only
        self.having = having
        self.unless = unless
        self.what = "removed"
        if having:
            self.what += " if it holds `{0}`".format(having.decode().strip())
        if unless:
            self.what += ", except {0}".format(", ".join("`{0}`".format(name) for name in unless))

    def find(self, guest: Guest) -> Iterator[Hit]:
        for path in paths(guest, self.patterns):
            info = guest.root.lstat(path)
            if info is None or path.rpartition("/")[2] in self.unless or self.only not in {"", info.kind}:
                continue
            if self.having and (info.kind != "file" or self.having not in guest.root.read(path, _HEAD)):
                continue
            yield Hit(path, describe(info))

    def clean(self, guest: Guest, hit: Hit) -> None:
        guest.tree.remove(hit.path)


class Truncate(Place):
    """Files that belong there, but should be empty."""

    what = "emptied"

    def __init__(self, *patterns: str) -> None:
        self.patterns = patterns

    def find(self, guest: Guest) -> Iterator[Hit]:
        for path in paths(guest, self.patterns):
            info = guest.root.lstat(path)
            if info is not None and info.kind == "file" and info.size:
                yield Hit(path, describe(info))

    def clean(self, guest: Guest, hit: Hit) -> None:
        guest.tree.truncate(hit.path)


class Content(Place):
    """A file that, if it is there, should have exactly this content."""

    def __init__(self, path: str, wanted: bytes) -> None:
        self.path = path
        self.patterns = (path,)
        self.wanted = wanted
        self.what = "set to `{0}`".format(wanted.decode().strip()) if wanted else "emptied"

    def find(self, guest: Guest) -> Iterator[Hit]:
        info = guest.root.lstat(self.path)
        if info is not None and guest.root.read(self.path, len(self.wanted) + 1) != self.wanted:
            yield Hit(self.path, describe(info))

    def clean(self, guest: Guest, hit: Hit) -> None:
        guest.tree.write(hit.path, self.wanted)


Rewrite = Callable[[Guest, List[str]], List[str]]


def without(pattern: str) -> Rewrite:
    """The lines that do not begin as a regular expression says."""
    expression = re.compile(pattern)
    return lambda _guest, lines: [line for line in lines if not expression.match(line)]


class Lines(Place):
    """Lines in text files. `rewrite` gives the lines as they should be; links are left alone."""

    what = "lines rewritten"

    def __init__(self, *patterns: str, rewrite: Rewrite) -> None:
        self.patterns = patterns
        self.rewrite = rewrite

    def find(self, guest: Guest) -> Iterator[Hit]:
        for path in paths(guest, self.patterns):
            info = guest.root.lstat(path)
            if info is None or info.kind != "file":
                continue
            before = guest.lines(path)
            after = self.rewrite(guest, before)
            if after != before:
                kept = set(after)
                changed = sum(line not in kept for line in before)
                yield Hit(path, "{0} line{1}".format(changed, "" if changed == 1 else "s"))

    def clean(self, guest: Guest, hit: Hit) -> None:
        lines = self.rewrite(guest, guest.lines(hit.path))
        guest.tree.write(hit.path, "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape"))


class Logs(Place):
    """Log files below a directory: rotated ones go, the others are emptied, so that the programs that write
    them still find them with the right owner.

    :param unless: paths left to other traces, with all below them
    """

    what = "rotated files removed, others emptied"

    def __init__(self, top: str, unless: Sequence[str] = ()) -> None:
        self.top = top
        self.patterns = (top,)
        self.unless = unless

    def find(self, guest: Guest) -> Iterator[Hit]:
        for path, info in guest.root.walk(self.top):
            if info.kind == "file" and not any(path == p or path.startswith(p + "/") for p in self.unless):
                if _ROTATED.search(path):
                    yield Hit(path, "rotated log, {0} bytes".format(info.size))
                elif info.size:
                    yield Hit(path, "log, {0} bytes".format(info.size))

    def clean(self, guest: Guest, hit: Hit) -> None:
        if _ROTATED.search(hit.path):
            guest.tree.remove(hit.path)
        else:
            guest.tree.truncate(hit.path)


class Snapshots(Place):
    """Earlier states of the system's file systems, see :meth:`RootView.snapshots`."""

    what = "deleted, unless it is mounted, as a root that is a snapshot itself is"
    patterns = ("snapshots of btrfs on the file systems of /, /boot, /home, /opt, /root, /usr and /var",)

    def find(self, guest: Guest) -> Iterator[Hit]:
        for found in guest.root.snapshots():
            yield Hit(found.path, "snapshot, read-only" if found.read_only else "snapshot")

    def clean(self, guest: Guest, hit: Hit) -> None:
        guest.tree.delete_snapshot(hit.path)


class SwapContents(Place):
    """Pages of memory in swap files. The first page, which mkswap wrote, stays."""

    what = "overwritten with zeros behind the first page; files that fstab names too"
    patterns = ("/swapfile", "/swap.img", "/var/swapfile", "/swap/swapfile")

    def find(self, guest: Guest) -> Iterator[Hit]:
        named = set(self.patterns)
        for line in guest.lines("/etc/fstab"):
            fields = line.split()
            if len(fields) > 2 and fields[2] == "swap" and not fields[0].startswith(("/dev/", "#")):
                named.add(fields[0])
        for path in sorted(named):
            info = guest.root.lstat(path) if path.startswith("/") else None
            if (
                info is not None
                and info.kind == "file"
                and next(_dirty_chunks(guest, path), None) is not None
            ):
                yield Hit(path, describe(info))

    def clean(self, guest: Guest, hit: Hit) -> None:
        host_path = guest.tree.on_host(hit.path)
        if host_path in _active_swap():
            done = subprocess.run(["swapoff", host_path], stderr=subprocess.PIPE, check=False)
            if done.returncode:
                raise GuestError("{0}: swapoff failed: {1}".format(hit.path, done.stderr.decode().strip()))
        for offset, length in _dirty_chunks(guest, hit.path):
            guest.tree.overwrite(hit.path, offset, bytes(length))


def _dirty_chunks(guest: Guest, path: str) -> Iterator[Tuple[int, int]]:
    for start, length in guest.root.written(path):
        offset, end = max(start, _PAGE), start + length
        while offset < end:
            data = guest.root.read(path, min(_CHUNK, end - offset), offset)
            if not data:
                return
            if data.strip(b"\0"):
                yield offset, len(data)
            offset += len(data)


def _active_swap() -> List[str]:
    try:
        with open("/proc/swaps", encoding="utf-8") as file:
            return [line.split()[0] for line in file.readlines()[1:]]
    except OSError:
        return []
