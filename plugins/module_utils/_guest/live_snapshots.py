# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Snapshots on the mounted btrfs file systems of a host: asked of the kernel, so that those below the top
level, which no directory shows, are known too, and no program of btrfs is needed.

Facts: ioctl numbers and structures as in linux/btrfs.h; mountinfo as in proc_pid_mountinfo(5).
"""

import contextlib
import errno
import fcntl
import os
import struct
import time
from typing import Dict, Iterator, List, NamedTuple, NoReturn, Sequence, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_layout import ROOT_ITEM, Key
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_subvolumes import (
    ROOT_TREE,
    SubvolumeTable,
    snapshots_among,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import (
    GuestError,
    Snapshot,
    subvolume_name,
)

_SEARCH = 0xD0009411  # BTRFS_IOC_TREE_SEARCH
_DESTROY = 0x5000943F  # BTRFS_IOC_SNAP_DESTROY_V2
_SYNC = 0x9408  # BTRFS_IOC_SYNC
_BY_NUMBER = 0x10  # BTRFS_SUBVOL_SPEC_BY_ID
_NO_FLAG = 1 << 63  # none that Linux knows, so that nothing is done
_ARGUMENTS = 4096
_SEARCH_KEY = struct.Struct("<7Q4I4Q")
_FOUND = struct.Struct("<QQQII")
_LAST = (1 << 64) - 1
_MANY = 4096
_FREEING_SECONDS = 300.0


class LiveSnapshot(NamedTuple):
    """A snapshot, a directory of the host that lies on its file system, the path where the host sees it
    (empty where it does not), and the names of subvolumes in it that are no snapshots."""

    snapshot: Snapshot
    directory: str
    visible: str
    inner: Tuple[str, ...]


class _Mount(NamedTuple):
    directory: str
    device: str
    subvolume: int
    top: str


def live_snapshots(
    prefix: str, points: Sequence[str], mountinfo: str = "/proc/self/mountinfo"
) -> List[LiveSnapshot]:
    """The snapshots that are not mounted, on the file systems of a guest.

    :param prefix: the guest's root on this host, "" for the host itself
    :param points: mount points of the guest, as it names them
    :raises GuestError: the kernel gives no answer, as to all but root
    """
    mounts = list(_btrfs_mounts(mountinfo))
    prefix = os.path.realpath(prefix) if prefix else ""
    wanted = {(prefix + point).rstrip("/") or "/" for point in points}
    devices: Dict[str, str] = {}
    for mount in mounts:
        if mount.directory in wanted:
            devices.setdefault(mount.device, mount.directory)
    found: List[LiveSnapshot] = []
    for device, directory in sorted(devices.items()):
        found.extend(_snapshots(directory, [mount for mount in mounts if mount.device == device]))
    # One that lies in another goes first.
    return sorted(found, key=lambda item: item.snapshot.path, reverse=True)


def _btrfs_mounts(mountinfo: str) -> Iterator[_Mount]:
    try:
        with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        before, _dash, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if kind[0] != "btrfs" or len(kind) < 3:
            continue
        options = dict(option.partition("=")[::2] for option in kind[2].split(","))
        top, directory = [
            name.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\").rstrip("/")
            for name in fields[3:5]
        ]
        yield _Mount(directory or "/", kind[1], int(options.get("subvolid", "0")), top)


def _snapshots(directory: str, mounts: List[_Mount]) -> Iterator[LiveSnapshot]:
    with _opened(directory) as handle:

        def refuse(problem: str) -> NoReturn:
            raise GuestError("{0}: the btrfs file system {1}".format(directory, problem))

        table = SubvolumeTable(lambda tree, low, high: _items(handle, tree, low, high), refuse)
        every = table.all()
        snapshots = snapshots_among(every, {mount.subvolume for mount in mounts})
        for item in snapshots:
            described = Snapshot(subvolume_name(item.path), item.number, item.read_only)
            inner = [
                subvolume_name(other.path)
                for other in every
                if other.path.startswith(item.path + "/") and other not in snapshots
            ]
            yield LiveSnapshot(described, directory, _visible("/" + item.path, mounts), tuple(inner))


def _visible(path: str, mounts: List[_Mount]) -> str:
    for mount in mounts:
        if path.startswith(mount.top + "/"):
            return mount.directory.rstrip("/") + path[len(mount.top) :]
    return ""


@contextlib.contextmanager
def _opened(directory: str) -> Iterator[int]:
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield handle
        finally:
            os.close(handle)
    except PermissionError:
        raise GuestError(
            "{0}: the snapshots of its file system may not be listed by user id {1}; use become".format(
                directory, os.geteuid()
            )
        ) from None
    except OSError as error:
        raise GuestError(
            "{0}: the snapshots of its file system cannot be reached: {1}".format(directory, error.strerror)
        ) from None


def _items(handle: int, tree: int, low: Key, high: Key) -> Iterator[Tuple[Key, bytes]]:
    """The items of a tree between two keys, asked for a buffer at a time. The kernel too takes the three
    parts of a key as one number."""
    while True:
        request = _SEARCH_KEY.pack(
            tree, low[0], high[0], low[2], high[2], 0, _LAST, low[1], high[1], _MANY, 0, 0, 0, 0, 0
        )
        buffer = bytearray(request.ljust(_ARGUMENTS, b"\0"))
        fcntl.ioctl(handle, _SEARCH, buffer)
        count = _SEARCH_KEY.unpack_from(buffer)[9]
        position = _SEARCH_KEY.size
        for _unused in range(count):
            _transaction, number, offset, kind, length = _FOUND.unpack_from(buffer, position)
            position += _FOUND.size
            low = (number, kind, offset)
            if low <= high:
                yield low, bytes(buffer[position : position + length])
            position += length
        low = _following(low)
        if not count or low > high:
            return


def _following(key: Key) -> Key:
    number, kind, offset = key
    if offset < _LAST:
        return number, kind, offset + 1
    return (number, kind + 1, 0) if kind < 255 else (number + 1, 0, 0)


def obstacles(found: LiveSnapshot) -> Iterator[str]:
    """What would keep even root from deleting a snapshot."""
    for name in found.inner:
        yield "{0} has {1} in it (btrfs subvolume delete)".format(found.snapshot.path, name)
    with _opened(found.directory) as handle:
        try:
            fcntl.ioctl(handle, _DESTROY, bytearray(_destroy_arguments(_NO_FLAG, 0)))
        except OSError as error:
            if error.errno == errno.ENOTTY:
                yield "{0} cannot be deleted by Linux before 5.7 (btrfs subvolume delete)".format(
                    found.snapshot.path
                )


def _destroy_arguments(flags: int, number: int) -> bytes:
    return (struct.pack("<qQQ", 0, 0, flags).ljust(56, b"\0") + struct.pack("<Q", number)).ljust(
        _ARGUMENTS, b"\0"
    )


def delete(found: LiveSnapshot) -> None:
    """Delete a snapshot and wait until the kernel has freed its space, as an image would have what is in it
    otherwise.

    :raises GuestError: it has other subvolumes in it, Linux is older than 5.7, or it takes too long
    """
    with _opened(found.directory) as handle:
        try:
            fcntl.ioctl(handle, _DESTROY, bytearray(_destroy_arguments(_BY_NUMBER, found.snapshot.number)))
        except OSError as error:
            if error.errno == errno.EPERM:
                raise
            raise GuestError(
                "{0}: cannot be deleted: {1}; delete it and subvolumes in it with btrfs subvolume delete, or "
                "exclude the trace snapshots".format(found.snapshot.path, error.strerror)
            ) from None
        deadline = time.monotonic() + _FREEING_SECONDS
        while _is_known(handle, found.snapshot.number):
            if time.monotonic() > deadline:
                raise GuestError(
                    "{0}: was deleted, but the kernel still frees its space; wait until "
                    "btrfs subvolume sync {1} ends, and run this again".format(
                        found.snapshot.path, found.directory
                    )
                )
            fcntl.ioctl(handle, _SYNC)  # wakes the kernel's cleaner
            time.sleep(0.05)
        fcntl.ioctl(handle, _SYNC)


def _is_known(handle: int, number: int) -> bool:
    low, high = (number, ROOT_ITEM, 0), (number, ROOT_ITEM, _LAST)
    return next(_items(handle, ROOT_TREE, low, high), None) is not None
