# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The root of the running host, or of a tree mounted somewhere; the only one that can be changed."""

import contextlib
import errno
import os
import stat
import tempfile
from typing import Iterable, Iterator, List, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_snapshots import (
    delete,
    live_snapshots,
    obstacles,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import (
    SYSTEM_POINTS,
    FileInfo,
    GuestError,
    RootView,
    Snapshot,
    kind_of,
)

_ABSENT = (errno.ENOENT, errno.ENOTDIR)
_MEMORY = (
    "tmpfs",
    "ramfs",
    "devtmpfs",
    "proc",
    "sysfs",
    "devpts",
    "cgroup",
    "cgroup2",
    "squashfs",
    "iso9660",
)
_LABELS = ("security.selinux", "system.posix_acl_access")
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "glusterfs", "afs", "lustre")


class LiveRoot(RootView):
    """The tree at `prefix` on this host, "/" for the host itself. Needs root to see everything."""

    def __init__(self, prefix: str = "/") -> None:
        self._prefix = prefix.rstrip("/")
        if not os.path.isdir(prefix):
            raise GuestError("{0}: is no directory; give the place where the root is mounted".format(prefix))
        self._foreign_mounts = _foreign_mounts(self._prefix)

    def on_host(self, path: str) -> str:
        """Where a path of this root is on the host."""
        real = self.resolve(path)
        if real is None:
            raise GuestError("{0}: goes through a loop of symbolic links".format(path))
        return self._prefix + real

    def real_stat(self, real: str) -> Optional[FileInfo]:
        with _reading(real):
            info = os.lstat(self._prefix + real)
            return FileInfo(
                kind_of(info.st_mode), info.st_mode, info.st_size, info.st_uid, (info.st_dev, info.st_ino)
            )
        return None

    def real_names(self, real: str) -> List[str]:
        with _reading(real):
            return os.listdir(self._prefix + real)
        return []

    def real_read(self, real: str, offset: int, limit: int) -> bytes:
        with _reading(real), open(self._prefix + real, "rb") as file:
            file.seek(offset)
            return file.read(limit)
        return b""

    def real_link(self, real: str) -> str:
        with _reading(real):
            return os.readlink(self._prefix + real)
        return ""

    def written(self, path: str) -> Iterator[Tuple[int, int]]:
        with _reading(path), open(self.on_host(path), "rb") as file:
            size = os.fstat(file.fileno()).st_size
            position = 0
            while position < size:
                try:
                    start = os.lseek(file.fileno(), position, os.SEEK_DATA)
                except OSError as error:
                    if error.errno == errno.ENXIO:  # only a hole follows
                        return
                    raise
                position = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                yield start, position - start

    def snapshots(self) -> List[Snapshot]:
        return [found.snapshot for found in live_snapshots(self._prefix, SYSTEM_POINTS)]

    def snapshot_obstacles(self, names: Iterable[str]) -> Iterator[str]:
        """What would keep even root from deleting the snapshots of these :class:`Snapshot` paths."""
        wanted = set(names)
        for found in live_snapshots(self._prefix, SYSTEM_POINTS):
            if found.snapshot.path in wanted:
                yield from obstacles(found)

    def delete_snapshot(self, name: str) -> None:
        """Delete the snapshot of that :class:`Snapshot` path; of snapper's, what it noted of it goes too."""
        for found in live_snapshots(self._prefix, SYSTEM_POINTS):
            if found.snapshot.path == name:
                delete(found)
                folder = found.visible.rpartition("/")[0]
                if folder.startswith(self._prefix + "/") and folder.split("/")[-2] == ".snapshots":
                    self.remove(folder[len(self._prefix) :])

    def is_foreign(self, path: str) -> bool:
        return any(path == mount or path.startswith(mount + "/") for mount in self._foreign_mounts)

    def remove(self, path: str) -> None:
        """Remove a file, a link or a whole directory; other file systems mounted in it stay as they are."""
        real = self.on_host(path)
        parent, _slash, name = real.rpartition("/")
        with _changing(path):
            directory = os.open(parent or "/", os.O_RDONLY | os.O_DIRECTORY)
            try:
                _remove_at(directory, name, os.fstat(directory).st_dev)
            except FileNotFoundError:
                return
            finally:
                os.close(directory)

    def write(self, path: str, data: bytes, mode: Optional[int] = None) -> None:
        """Replace a file's content in one step; owner stays, and mode unless one is given. A link at the end
        is replaced, and missing directories above it are made."""
        target = self.on_host(path)
        with _changing(path):
            os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
            try:
                before = os.lstat(target)
            except FileNotFoundError:
                before = None
            if mode is None:
                mode = stat.S_IMODE(before.st_mode) if before and stat.S_ISREG(before.st_mode) else 0o644
            handle, temporary = tempfile.mkstemp(prefix=".goldenimage-", dir=os.path.dirname(target))
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    os.fchmod(file.fileno(), mode)
                    if before is not None:
                        os.fchown(file.fileno(), before.st_uid, before.st_gid)
                        _copy_labels(target, file.fileno())
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(temporary, target)
            except OSError as error:
                os.unlink(temporary)
                if error.errno != errno.EBUSY:
                    raise
                with open(target, "r+b") as file:  # the file itself is a mount point
                    file.truncate(0)
                    file.write(data)

    def truncate(self, path: str) -> None:
        """Make a regular file empty; owner and mode stay, programs that have it open go on."""
        with _changing(path):
            handle = os.open(self.on_host(path), os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                os.ftruncate(handle, 0)
            finally:
                os.close(handle)

    def overwrite(self, path: str, offset: int, data: bytes) -> None:
        """Write into a regular file in place and wait until it is on the disk."""
        with _changing(path):
            handle = os.open(self.on_host(path), os.O_WRONLY | os.O_NOFOLLOW)
            try:
                os.pwrite(handle, data, offset)
                os.fsync(handle)
            finally:
                os.close(handle)


def _copy_labels(path: str, handle: int) -> None:
    """Give a new file what a file has besides owner and mode: without its SELinux label nobody could log in
    by a rewritten /etc/shadow, see selinux(8) and acl(5)."""
    for name in _LABELS:
        try:
            value = os.getxattr(path, name, follow_symlinks=False)
        except OSError:  # it has none, or its file system knows none
            continue
        os.setxattr(handle, name, value)


def _remove_at(parent: int, name: str, device: int) -> None:
    """Remove a name of an open directory: never through a link, never on another device."""
    info = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISDIR(info.st_mode):
        try:
            os.unlink(name, dir_fd=parent)
        except OSError as error:
            if error.errno != errno.EBUSY:  # a file that is a mount point
                raise
        return
    if info.st_dev != device:
        return
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        for entry in os.listdir(handle):
            with contextlib.suppress(FileNotFoundError):
                _remove_at(handle, entry, device)
    finally:
        os.close(handle)
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in {errno.EBUSY, errno.ENOTEMPTY}:  # something is mounted in or at it
            raise


def _foreign_mounts(prefix: str) -> List[str]:
    """Mount points below the prefix, seen from it, whose content is in memory or somewhere else."""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split(" ") for line in file]
    except OSError:
        return []
    found = []
    for fields in lines:
        if len(fields) < 3:
            continue
        point = fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        foreign = fields[2] in _MEMORY or fields[2] in _NETWORK or fields[2].startswith("fuse.")
        if foreign and point.startswith(prefix + "/") and point != "/":
            found.append(point[len(prefix) :])
    return found


@contextlib.contextmanager
def _reading(path: str) -> Iterator[None]:
    try:
        yield
    except PermissionError:
        raise GuestError(
            "{0}: may not be read by user id {1}; use become".format(path, os.geteuid())
        ) from None
    except OSError as error:
        if error.errno not in _ABSENT:
            raise GuestError("{0}: cannot be read: {1}".format(path, error.strerror)) from None


@contextlib.contextmanager
def _changing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise GuestError("{0}: cannot be changed: {1}".format(path, error.strerror)) from None
