# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Which subvolume of a btrfs file system in a disk file is the guest's root, and which others it mounts."""

import stat
from typing import Callable, Collection, Iterator, List, Optional, Sequence

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs import Btrfs, BtrfsVolume
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_layout import TOP_LEVEL
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.btrfs_subvolumes import (
    Subvolume,
    SubvolumeTable,
    is_layer,
    snapshots_among,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.file_tree import FileTree
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.mounts import read_fstab
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.root import RootView

# More than installers make to reach subvolumes in them.
_EMPTY_DIRECTORIES = 200

View = Callable[[FileTree], RootView]


def named(table: SubvolumeTable, options: Sequence[str]) -> Optional[int]:
    """The subvolume that mount options of fstab(5) name, the default one where they name none; None when
    there is no such one. As in btrfs(5), its path counts from the top level."""
    values = dict(option.partition("=")[::2] for option in options)
    if "subvol" in values:
        return find(table, values["subvol"])
    if "subvolid" in values:
        number = int(values["subvolid"]) if values["subvolid"].isdigit() else -1
        return (number or TOP_LEVEL) if number in table.roots or not number else None
    return table.default


def find(table: SubvolumeTable, path: str) -> Optional[int]:
    """The subvolume at a path from the top level, which itself is ""; None when there is none."""
    wanted = path.strip("/")
    return next((item.number for item in table.all() if item.path == wanted), None)


def roots(volume: BtrfsVolume, view: View) -> List[Subvolume]:
    """The subvolumes that can be the root; one, where that can be told.

    It is the one that is mounted by default, or the one that its own fstab has at "/", which a kernel line
    has to name too; failing both, those that are no snapshots.
    """
    table = volume.table
    found = {
        item.number: item
        for item in table.all()
        if not is_layer(item) and view(volume.tree(item.number)).is_root()
    }
    own = {number: _own_root(volume, view(volume.tree(number))) for number in found}
    default = found.get(table.default)
    if default is not None and (own[default.number] == default.number or own[default.number] not in found):
        return [default]
    sure = [item for number, item in found.items() if own[number] == number]
    snapshots = snapshots_among(found.values(), ())
    return sure or [item for item in found.values() if item not in snapshots] or list(found.values())


def _own_root(volume: BtrfsVolume, root: RootView) -> Optional[int]:
    """The subvolume that a root's fstab has at "/"; None when it says nothing of it."""
    for entry in read_fstab(root):
        if entry.point == "/" and entry.kind == "btrfs":
            return named(volume.table, entry.options)
    return None


def left_out(volume: BtrfsVolume, mounted: Collection[int]) -> Iterator[Subvolume]:
    """Subvolumes with files that are neither mounted, nor in a directory of one that is, nor snapshots."""
    every = volume.table.all()
    snapshots = snapshots_among(every, mounted)
    seen = [item for item in every if item.number in mounted or item in snapshots]
    for item in every:
        within = any(not top.path or item.path.startswith(top.path + "/") for top in seen)
        if item not in seen and not within and _has_files(volume.tree(item.number)):
            yield item


def _has_files(tree: Btrfs) -> bool:
    """Whether a subvolume itself holds anything but directories."""
    waiting = [tree.root()]
    for _unused in range(_EMPTY_DIRECTORIES):
        if not waiting:
            return False
        for number in tree.names(waiting.pop()).values():
            if tree.is_own(number):
                if not stat.S_ISDIR(tree.info(number).mode):
                    return True
                waiting.append(number)
    return True
