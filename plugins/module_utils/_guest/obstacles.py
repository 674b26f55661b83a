# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What would keep even root from removing a trace: attributes of files, see ioctl_iflags(2), file systems
that are mounted read-only, and subvolumes in snapshots. Removing half of the traces and stopping there can
cost the way in, so this is asked before anything changes."""

import fcntl
import itertools
import os
import stat
import struct
from typing import Iterable, Iterator, List

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

# _IOR('f', 1, long), the same number on x86 and ARM; the kernel fills in an int.
_GET_FLAGS = 0x80000000 | struct.calcsize("l") << 16 | 0x6601
_FLAGS = ((0x10, "immutable (chattr +i)"), (0x20, "append-only (chattr +a)"))
_SHOWN = 5


def check_removable(root: LiveRoot, paths: Iterable[str]) -> None:
    """Refuse when one of these paths, or something below it, could not be removed."""
    found: List[str] = []
    wanted = list(paths)
    each = [_obstacles(root.on_host(path)) for path in wanted] + [root.snapshot_obstacles(wanted)]
    for obstacle in itertools.chain.from_iterable(each):
        if obstacle not in found:
            found.append(obstacle)
    if found:
        more = "" if len(found) <= _SHOWN else " and {0} more".format(len(found) - _SHOWN)
        raise GuestError(
            "some traces cannot be removed: {0}{1}; nothing was changed. Take the attribute away with "
            "chattr, delete the subvolumes or mount the file system writable, or exclude the traces".format(
                "; ".join(found[:_SHOWN]), more
            )
        )


def _obstacles(real: str) -> Iterator[str]:
    parent = os.path.dirname(real) or "/"
    try:
        top = os.lstat(real)
        read_only = os.statvfs(parent).f_flag & os.ST_RDONLY
    except OSError:
        return
    if read_only:
        yield "{0} is on a file system that is mounted read-only".format(real)
        return
    for path in [parent, *_tree(real, top)]:
        flags = _flags(path)
        for flag, words in _FLAGS:
            if flags & flag:
                yield "{0} is {1}".format(path, words)


def _tree(real: str, top: os.stat_result) -> Iterator[str]:
    """Files and directories at and below a path, on its own file system: what removal would touch."""
    if stat.S_ISREG(top.st_mode):
        yield real
    elif stat.S_ISDIR(top.st_mode):
        for directory, names, files in os.walk(real):
            yield directory
            names[:] = [name for name in names if _device(os.path.join(directory, name)) == top.st_dev]
            for name in files:
                yield os.path.join(directory, name)


def _device(path: str) -> int:
    try:
        return os.lstat(path).st_dev
    except OSError:
        return -1


def _flags(path: str) -> int:
    """The attributes of a regular file or directory; 0 for others and where there are none."""
    try:
        if stat.S_IFMT(os.lstat(path).st_mode) not in {stat.S_IFREG, stat.S_IFDIR}:
            return 0
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        buffer = bytearray(struct.calcsize("l"))
        fcntl.ioctl(handle, _GET_FLAGS, buffer)
        return int(struct.unpack("i", bytes(buffer[: struct.calcsize("i")]))[0])
    except OSError:
        return 0
    finally:
        os.close(handle)
