# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The root file system in a disk file, and the disk's other ext4 file systems where its fstab mounts them."""

import stat
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.ext4 import (
    Ext4,
    Inode,
    has_ext_signature,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import read_partition_table
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import FileInfo, RootView, kind_of

_MOUNTABLE = ("ext2", "ext3", "ext4", "auto")
_MAX_FSTAB = 1 << 20


class Volume(NamedTuple):
    """One ext4 file system of a disk; `where` names its partition for messages."""

    where: str
    number: int
    file_system: Ext4


class Ext4Root(RootView):
    """A root made of ext4 file systems; `mounts` maps mount points to them and has at least "/"."""

    def __init__(self, mounts: Dict[str, Ext4]) -> None:
        self._mounts = mounts
        self._points = sorted(mounts, key=len, reverse=True)

    def mount(self, point: str, file_system: Ext4) -> None:
        """Show another file system at a directory."""
        self._mounts[point] = file_system
        self._points = sorted(self._mounts, key=len, reverse=True)

    @property
    def file_systems(self) -> Dict[str, Ext4]:
        """What is mounted where."""
        return dict(self._mounts)

    def _find(self, real: str) -> Optional[Tuple[Ext4, Inode]]:
        point = next(p for p in self._points if p in {"/", real} or real.startswith(p + "/"))
        volume = self._mounts[point]
        inode = volume.root()
        for name in real[len(point.rstrip("/")) :].split("/"):
            if not name:
                continue
            number = volume.lookup(inode, name) if stat.S_ISDIR(inode.mode) else 0
            if not number:
                return None
            inode = volume.inode(number)
        return volume, inode

    def real_stat(self, real: str) -> Optional[FileInfo]:
        found = self._find(real)
        if found is None:
            return None
        volume, inode = found
        return FileInfo(kind_of(inode.mode), inode.mode, inode.size, inode.uid, (id(volume), inode.number))

    def real_names(self, real: str) -> List[str]:
        found = self._find(real)
        return [entry.name for entry in found[0].entries(found[1])] if found else []

    def real_read(self, real: str, offset: int, limit: int) -> bytes:
        found = self._find(real)
        return found[0].read(found[1], offset, limit) if found else b""

    def real_link(self, real: str) -> str:
        found = self._find(real)
        return found[0].readlink(found[1]) if found else ""

    def written(self, path: str) -> Iterator[Tuple[int, int]]:
        found = self._find(self.resolve(path, follow=True) or path)
        return found[0].data_runs(found[1]) if found else iter(())


def open_disk_root(reader: DiskReader, partition: Optional[int] = None) -> Ext4Root:
    """The root file system of a disk.

    :param partition: the number of its partition when several could be it; 0 is a disk without partitions
    :raises DiskError: no partition, or more than one, has an ext4 root file system
    """
    volumes = list(_volumes(reader))
    candidates = [
        volume
        for volume in volumes
        if (partition is None or volume.number == partition) and _is_root(volume.file_system)
    ]
    if not candidates:
        raise DiskError(_no_root(reader, volumes, partition))
    if len(candidates) > 1:
        raise DiskError(
            "{0}: has a Linux root file system in {1}; name the partition that is meant".format(
                reader.path, " and in ".join(volume.where for volume in candidates)
            )
        )
    root = Ext4Root({"/": candidates[0].file_system})
    for point, volume in _fstab_mounts(root, [v for v in volumes if v is not candidates[0]]):
        root.mount(point, volume.file_system)
    return root


def _volumes(reader: DiskReader) -> Iterator[Volume]:
    table = read_partition_table(reader)
    places = [
        ("partition {0}".format(part.number), part.number, part.offset, part.length)
        for part in table.partitions
    ]
    if table.scheme == "none":
        places = [("the disk itself", 0, 0, reader.virtual_size)]
    for where, number, offset, length in places:
        if has_ext_signature(reader, offset, length):
            yield Volume(where, number, Ext4(reader, offset, length))


def _is_root(file_system: Ext4) -> bool:
    view = Ext4Root({"/": file_system})
    return view.stat("/etc") is not None and any(
        view.lstat(path) is not None for path in ("/etc/os-release", "/usr/lib/os-release", "/etc/passwd")
    )


def _no_root(reader: DiskReader, volumes: List[Volume], partition: Optional[int]) -> str:
    table = read_partition_table(reader)
    numbers = [str(part.number) for part in table.partitions]
    if partition is not None and str(partition) not in numbers and table.scheme != "none":
        return "{0}: has no partition {1}; it has {2}".format(
            reader.path, partition, ", ".join(numbers) or "none"
        )
    return (
        "{0}: no Linux root file system found in {1} partitions, {2} of them ext2, ext3 or ext4; other file "
        "systems and LVM cannot be read from a disk file: mount the disk and give the mount point as root"
    ).format(reader.path, len(numbers), len(volumes))


def _fstab_mounts(root: RootView, volumes: List[Volume]) -> Iterator[Tuple[str, Volume]]:
    text = root.read("/etc/fstab", _MAX_FSTAB).decode("utf-8", "replace")
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 3 or line.lstrip().startswith("#") or fields[2] not in _MOUNTABLE:
            continue
        source, point = fields[0], "/" + fields[1].strip("/")
        kind, _equals, value = source.partition("=")
        for volume in volumes:
            known = {
                "UUID": volume.file_system.uuid,
                "LABEL": volume.file_system.label,
            }
            by_path = {"/dev/disk/by-uuid/" + known["UUID"], "/dev/disk/by-label/" + known["LABEL"]}
            if point != "/" and (known.get(kind) == value.strip('"') or source in by_path):
                yield point, volume
