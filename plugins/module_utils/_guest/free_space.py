# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The space that files no longer use: what was removed is still on the disk there, until it is discarded or
overwritten."""

import contextlib
import errno
import fcntl
import os
import struct
import tempfile
from typing import Dict, Iterator, List

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import GuestError

KEEP, DISCARD, ZERO = "keep", "discard", "zero"
CHOICES = (KEEP, DISCARD, ZERO)

# _IOWR('X', 121, struct fstrim_range) of linux/fs.h: three 64-bit numbers (start, length, smallest extent).
_FITRIM = 0xC0185879
_RANGE = struct.Struct("=QQQ")
_LOCAL = ("ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "f2fs", "jfs")
_CHUNK = 1 << 20
_NOT_SUPPORTED = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM)


def check_free_space(wish: str) -> None:
    """Refuse to discard where the root file system cannot: nothing would be cleaned."""
    if wish == DISCARD and not _can_discard("/"):
        raise GuestError(
            "the disk of / knows no discard, so free_space=discard would leave what was removed on it; "
            "attach the disk with discard, or give zero or keep"
        )


def clean_free_space(wish: str) -> None:
    """Discard or overwrite the free space of every local file system that is mounted writable."""
    for point in _points() if wish != KEEP else []:
        if wish == DISCARD:
            _discard(point)
        else:
            _overwrite(point)


def _points(mounts: str = "/proc/self/mounts") -> List[str]:
    """One mount point of each local file system that can be written to."""
    found: Dict[int, str] = {}
    with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split(" ")
            point = fields[1].replace("\\040", " ")
            local = fields[2] in _LOCAL and fields[0].startswith("/dev/") and os.path.isdir(point)
            if local and not os.statvfs(point).f_flag & os.ST_RDONLY:
                found.setdefault(os.stat(point).st_dev, point)
    return sorted(found.values())


@contextlib.contextmanager
def _opened(point: str) -> Iterator[int]:
    handle = os.open(point, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)


def _can_discard(point: str) -> bool:
    # A range of no length is refused by file systems that could, and not supported by those that cannot.
    with _opened(point) as handle:
        try:
            fcntl.ioctl(handle, _FITRIM, _RANGE.pack(0, 0, 0))
        except OSError as error:
            return error.errno not in _NOT_SUPPORTED
    return True


def _discard(point: str) -> None:
    with _opened(point) as handle:
        try:
            fcntl.ioctl(handle, _FITRIM, _RANGE.pack(0, (1 << 64) - 1, 0))
        except OSError as error:
            # A small file system on another disk, as the EFI partition, may know no discard.
            if error.errno not in _NOT_SUPPORTED:
                raise GuestError("{0}: discard failed: {1}".format(point, error.strerror)) from None


def _overwrite(point: str) -> None:
    """Fill a file system with zeros and give the space back; reserved blocks are filled too."""
    zeros = bytes(_CHUNK)
    handle, path = tempfile.mkstemp(prefix=".goldenimage-", dir=point)
    try:
        # Without a name it goes with this process, however that ends: a full disk would keep everybody out.
        os.unlink(path)
        for piece in (_CHUNK, 1 << 12):
            _fill(handle, zeros[:piece])
        os.fsync(handle)
    except OSError as error:
        raise GuestError("{0}: cannot be filled with zeros: {1}".format(point, error.strerror)) from None
    finally:
        os.close(handle)


def _fill(handle: int, zeros: bytes) -> None:
    while True:
        try:
            os.write(handle, zeros)
        except OSError as error:
            # The largest file of a FAT file system is smaller than some of them.
            if error.errno in {errno.ENOSPC, errno.EFBIG}:
                return
            raise
