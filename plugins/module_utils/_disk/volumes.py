# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Every place of a disk that can hold files: its partitions, and logical volumes on them."""

from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs import open_btrfs
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.ext4 import Ext4
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.fat import Fat
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.file_tree import (
    Ext4Tree,
    FatTree,
    FileTree,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.filesystems import identify
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.lvm import logical_volumes
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.lvm_metadata import (
    PhysicalVolume,
    read_physical_volume,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import (
    EFI_SYSTEM,
    read_partition_table,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.xfs import Xfs

_MBR_EFI = "0xef"
_PAGE, _CHUNK = 4096, 1 << 20
_EXT = ("ext2", "ext3", "ext4")


class Volume(NamedTuple):
    """One place that can hold files.

    `where` names it for people ("partition 3", "logical volume vg/root"); `number` is its partition's number,
    0 for a disk without partitions, None for a logical volume; `kind` is what it holds ("ext4", "xfs",
    "vfat", "btrfs", "luks2" ...), empty for nothing known; `sources` are the names that fstab(5) may call it
    by, in lower case; `tree` is None when it cannot be read, and `problem` says why if it should be possible
    (of btrfs it is the subvolume that is mounted when none is named); `swapped` is whether a swap volume
    holds pages of memory.
    """

    where: str
    number: Optional[int]
    kind: str
    sources: Tuple[str, ...]
    tree: Optional[FileTree]
    problem: str
    is_efi: bool = False
    swapped: bool = False


class _Place(NamedTuple):
    where: str
    number: Optional[int]
    reader: DiskReader
    offset: int
    length: int
    sources: Tuple[str, ...]
    is_efi: bool = False


def read_volumes(reader: DiskReader) -> List[Volume]:
    """All volumes of a disk. A broken partition table or volume group raises :class:`DiskError`; a broken
    file system becomes the `problem` of its volume."""
    found: List[Volume] = []
    physical: List[PhysicalVolume] = []
    for place in _partitions(reader):
        volume = _volume(place)
        found.append(volume)
        if volume.kind == "lvm2":
            described = read_physical_volume(reader, place.offset, place.length)
            if described is not None:
                physical.append(described)
    for logical in logical_volumes(reader, physical):
        where = "logical volume {0}/{1}".format(logical.group, logical.name)
        sources = _logical_names(logical.group, logical.name)
        if logical.reader is None:
            found.append(Volume(where, None, "", sources, None, logical.problem))
        else:
            size = logical.reader.virtual_size
            found.append(_volume(_Place(where, None, logical.reader, 0, size, sources)))
    return found


def _partitions(reader: DiskReader) -> Iterator[_Place]:
    table = read_partition_table(reader)
    if table.scheme == "none":
        yield _Place("the disk itself", 0, reader, 0, reader.virtual_size, ())
    for part in table.partitions:
        sources = ["partuuid=" + part.unique_id, "/dev/disk/by-partuuid/" + part.unique_id]
        sources += ["partlabel=" + part.name.lower(), "/dev/disk/by-partlabel/" + part.name.lower()]
        # A disk that is looked at alone is the first one of its machine, whatever bus it was on.
        sources += ["/dev/{0}{1}".format(disk, part.number) for disk in ("sda", "vda", "xvda", "hda")]
        sources += ["/dev/{0}p{1}".format(disk, part.number) for disk in ("nvme0n1", "mmcblk0")]
        yield _Place(
            "partition {0}".format(part.number),
            part.number,
            reader,
            part.offset,
            part.length,
            tuple(source for source in sources if not source.endswith(("=", "/"))),
            part.type_id in {EFI_SYSTEM, _MBR_EFI},
        )


def _logical_names(group: str, name: str) -> Tuple[str, ...]:
    # Device mapper joins both names with a dash and doubles those within them.
    mapped = "{0}-{1}".format(group.replace("-", "--"), name.replace("-", "--"))
    return "/dev/mapper/{0}".format(mapped).lower(), "/dev/{0}/{1}".format(group, name).lower()


def _volume(place: _Place) -> Volume:
    content = identify(place.reader, place.offset, place.length)
    kind = content.type if content is not None else ""
    sources = list(place.sources)
    open_tree = _opener(kind)
    tree: Optional[FileTree] = None
    problem = ""
    if open_tree is not None:
        try:
            tree = open_tree(place.reader, place.offset, place.length)
        except DiskError as error:
            problem = str(error)
    for key, value in (
        ("uuid", tree.uuid if tree else content.uuid if content else ""),
        ("label", tree.label if tree else content.label if content else ""),
    ):
        if value:
            sources += [
                "{0}={1}".format(key, value.lower()),
                "/dev/disk/by-{0}/{1}".format(key, value.lower()),
            ]
    return Volume(
        place.where,
        place.number,
        "vfat" if kind.startswith("fat") else kind,
        tuple(sources),
        tree,
        problem,
        place.is_efi,
        kind == "swap" and _has_pages(place),
    )


def _has_pages(place: _Place) -> bool:
    """Whether anything but zeros follows the first page of a swap volume, which mkswap(8) wrote."""
    first, end = place.offset + _PAGE, place.offset + place.length
    for start, length in place.reader.extents():
        position, stop = max(start, first), min(start + length, end)
        while position < stop:
            data = place.reader.read(position, min(_CHUNK, stop - position))
            if data.strip(b"\0"):
                return True
            position += len(data)
    return False


def _opener(kind: str) -> Optional[Callable[[DiskReader, int, int], FileTree]]:
    if kind.startswith("fat"):
        return lambda reader, offset, length: FatTree(Fat(reader, offset, length))
    return _OPENERS.get(kind)


def _open_ext4(reader: DiskReader, offset: int, length: int) -> FileTree:
    return Ext4Tree(Ext4(reader, offset, length))


_OPENERS: Dict[str, Callable[[DiskReader, int, int], FileTree]] = {
    **dict.fromkeys(_EXT, _open_ext4),
    "xfs": Xfs,
    "btrfs": open_btrfs,
}
