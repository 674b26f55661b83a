# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The root file system in a disk file, and the disk's other file systems where its fstab mounts them."""

import stat
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs import Btrfs
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_subvolumes import (
    snapshots_among,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.file_tree import FileTree
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import read_partition_table
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.volumes import Volume, read_volumes
from ansible_collections.goldenimage.azure.plugins.module_utils._guest import subvolumes
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.mounts import read_fstab
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import (
    SYSTEM_POINTS,
    FileInfo,
    RootView,
    Snapshot,
    kind_of,
    subvolume_name,
)

_ROOTS = ("ext2", "ext3", "ext4", "xfs", "btrfs")
_NO_FILES = ("", "swap", "lvm2")
_EFI_POINT = "/boot/efi"


class Unread(NamedTuple):
    """A volume of the disk whose files were not looked at, and why; `foreseen` is whether fstab leaves it
    out."""

    where: str
    reason: str
    foreseen: bool


class DiskRoot(RootView):
    """A root made of the file systems of a disk.

    :param mounts: mount points and the file systems there; at least "/"
    :param sources: the names, in lower case, that the volume at "/" has in fstab(5)
    :param known: the names, in lower case, that any volume of the disk has there
    :param unread: what of the disk could not be looked at
    :param swapped: the swap volumes that hold pages of memory
    :param old_states: the snapshots that are not mounted
    """

    def __init__(
        self,
        mounts: Dict[str, FileTree],
        sources: Tuple[str, ...] = (),
        known: FrozenSet[str] = frozenset(),
        unread: Tuple[Unread, ...] = (),
        swapped: Tuple[str, ...] = (),
        *,
        old_states: Tuple[Snapshot, ...] = (),
    ) -> None:
        self._mounts = mounts
        self._points = sorted(mounts, key=len, reverse=True)
        self.sources = sources
        self.known = known
        self.unread = unread
        self.swapped = swapped
        self._old_states = old_states

    @property
    def file_systems(self) -> Dict[str, FileTree]:
        """What is mounted where."""
        return dict(self._mounts)

    def _find(self, real: str) -> Optional[Tuple[FileTree, int]]:
        point = next(p for p in self._points if p in {"/", real} or real.startswith(p + "/"))
        tree = self._mounts[point]
        number = tree.root()
        for name in real[len(point.rstrip("/")) :].split("/"):
            if not name:
                continue
            number = tree.lookup(number, name) if stat.S_ISDIR(tree.info(number).mode) else 0
            if not number:
                return None
        return tree, number

    def real_stat(self, real: str) -> Optional[FileInfo]:
        found = self._find(real)
        if found is None:
            return None
        tree, number = found
        info = tree.info(number)
        return FileInfo(kind_of(info.mode), info.mode, info.size, info.uid, (id(tree), number))

    def real_names(self, real: str) -> List[str]:
        found = self._find(real)
        return list(found[0].names(found[1])) if found else []

    def real_read(self, real: str, offset: int, limit: int) -> bytes:
        found = self._find(real)
        return found[0].read(found[1], offset, limit) if found else b""

    def real_link(self, real: str) -> str:
        found = self._find(real)
        return found[0].readlink(found[1]) if found else ""

    def snapshots(self) -> List[Snapshot]:
        return list(self._old_states)

    def written(self, path: str) -> Iterator[Tuple[int, int]]:
        found = self._find(self.resolve(path, follow=True) or path)
        return found[0].data_runs(found[1]) if found else iter(())


class _Candidate(NamedTuple):
    where: str
    volume: Volume
    tree: FileTree


def open_disk_root(
    reader: DiskReader,
    partition: Optional[int] = None,
    volume: Optional[str] = None,
    subvolume: Optional[str] = None,
) -> DiskRoot:
    """The root file system of a disk.

    :param partition: the number of its partition when several could be it; 0 is a disk without partitions
    :param volume: its logical volume as "group/name", when several could be it
    :param subvolume: the path of its subvolume from the top level of a btrfs file system, likewise
    :raises DiskError: no file system, or more than one, is a root that can be read
    """
    volumes = read_volumes(reader)
    candidates = [
        candidate
        for found in volumes
        if found.kind in _ROOTS
        and found.tree is not None
        and (partition is None or found.number == partition)
        and (volume is None or found.where == "logical volume " + volume)
        for candidate in _roots(found, found.tree, subvolume)
    ]
    if not candidates:
        raise DiskError(_no_root(reader, volumes, partition, volume, subvolume))
    if len(candidates) > 1:
        raise DiskError(
            "{0}: has a Linux root file system in {1}; name the partition, volume or subvolume that is "
            "meant".format(reader.path, " and in ".join(candidate.where for candidate in candidates))
        )
    top = candidates[0].volume
    mounts = {"/": candidates[0].tree}
    absent = []
    for point, tree, problem in _fstab_mounts(_alone(candidates[0].tree), volumes):
        if tree is None:
            absent.append(Unread(point, problem, False))
        else:
            mounts[point] = tree
    others = [found for found in volumes if found is not top]
    for found in others:
        # Firmware reads it, whether the guest mounts it or not.
        if found.is_efi and found.tree is not None and found.tree not in mounts.values():
            mounts.setdefault(_EFI_POINT, found.tree)
    known = frozenset(source for found in volumes for source in found.sources)
    swapped = tuple(found.where for found in others if found.swapped)
    unread = tuple(absent) + tuple(_unread(volumes, mounts))
    return DiskRoot(mounts, top.sources, known, unread, swapped, old_states=tuple(_snapshots(mounts)))


def _alone(tree: FileTree) -> DiskRoot:
    return DiskRoot({"/": tree})


def _roots(found: Volume, tree: FileTree, wanted: Optional[str]) -> Iterator[_Candidate]:
    """What of a volume can be the root."""
    if not isinstance(tree, Btrfs):
        if wanted is None and _alone(tree).is_root():
            yield _Candidate(found.where, found, tree)
        return
    volume = tree.volume
    if wanted is None:
        for item in subvolumes.roots(volume, _alone):
            where = "{0} of {1}".format(subvolume_name(item.path), found.where)
            yield _Candidate(where, found, volume.tree(item.number))
    else:
        number = subvolumes.find(volume.table, wanted)
        if number is not None and _alone(volume.tree(number)).is_root():
            yield _Candidate(found.where, found, volume.tree(number))


def _no_root(
    reader: DiskReader,
    volumes: List[Volume],
    partition: Optional[int],
    volume: Optional[str],
    subvolume: Optional[str],
) -> str:
    if volume is not None and not any(found.where == "logical volume " + volume for found in volumes):
        names = [found.where.rpartition(" ")[2] for found in volumes if found.number is None]
        return "{0}: has no logical volume {1}; it has {2}".format(
            reader.path, volume, ", ".join(names) or "none"
        )
    table = read_partition_table(reader)
    numbers = [str(part.number) for part in table.partitions]
    if partition is not None and str(partition) not in numbers and table.scheme != "none":
        return "{0}: has no partition {1}; it has {2}".format(
            reader.path, partition, ", ".join(numbers) or "none"
        )
    if subvolume is not None:
        paths = [
            item.path
            for found in volumes
            if isinstance(found.tree, Btrfs)
            for item in found.tree.volume.table.all()
            if item.path
        ]
        return "{0}: no Linux root file system found in subvolume {1}; there are {2}".format(
            reader.path, subvolume, ", ".join(paths) or "none"
        )
    seen = ["{0} ({1})".format(found.where, found.problem or found.kind or "empty") for found in volumes]
    return (
        "{0}: no Linux root file system found in {1}; ext2, ext3, ext4, XFS and btrfs are read, also on "
        "LVM: mount anything else and give the mount point as root"
    ).format(reader.path, ", ".join(seen) or "an empty disk")


def _fstab_mounts(root: RootView, volumes: List[Volume]) -> Iterator[Tuple[str, Optional[FileTree], str]]:
    """Mount points and what is there: a tree, or None and why there is none."""
    for entry in read_fstab(root):
        if not entry.point.startswith("/") or entry.point == "/":
            continue
        for volume in volumes:
            if volume.tree is None or entry.source.lower() not in volume.sources:
                continue
            if not isinstance(volume.tree, Btrfs):
                yield entry.point, volume.tree, ""
                continue
            number = subvolumes.named(volume.tree.volume.table, entry.options)
            if number is not None:
                yield entry.point, volume.tree.volume.tree(number), ""
            elif "nofail" not in entry.options and "noauto" not in entry.options:
                yield entry.point, None, "fstab mounts a subvolume here that does not exist"


def _unread(volumes: List[Volume], mounts: Dict[str, FileTree]) -> Iterator[Unread]:
    for volume in volumes:
        mounted = [tree for tree in mounts.values() if _same_volume(tree, volume.tree)]
        if volume.tree is None and (volume.problem or volume.kind not in _NO_FILES):
            yield Unread(volume.where, volume.problem or "{0} cannot be read".format(volume.kind), False)
        elif volume.kind in _ROOTS and not mounted:
            yield Unread(volume.where, "{0}, which fstab mounts nowhere".format(volume.kind), True)
        elif isinstance(volume.tree, Btrfs):
            numbers = [tree.subvolume for tree in mounted if isinstance(tree, Btrfs)]
            for item in subvolumes.left_out(volume.tree.volume, numbers):
                where = "{0} of {1}".format(subvolume_name(item.path), volume.where)
                yield Unread(where, "btrfs, which fstab mounts nowhere", True)


def _same_volume(one: FileTree, other: Optional[FileTree]) -> bool:
    if isinstance(one, Btrfs) and isinstance(other, Btrfs):
        return one.volume is other.volume
    return one is other


def _snapshots(mounts: Dict[str, FileTree]) -> Iterator[Snapshot]:
    trees = {point: tree for point, tree in mounts.items() if isinstance(tree, Btrfs)}
    for volume in {trees[point].volume for point in SYSTEM_POINTS if point in trees}:
        mounted = [tree.subvolume for tree in trees.values() if tree.volume is volume]
        for item in snapshots_among(volume.table.all(), mounted):
            yield Snapshot(subvolume_name(item.path), item.number, item.read_only)
