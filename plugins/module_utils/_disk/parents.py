# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Chains of disks: a file that holds only what differs from another file, its parent."""

import os
from typing import Callable, FrozenSet, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    DiskError,
    DiskReader,
    SourceFile,
)

#: Opens the parent of a file: (child, name as the child gives it, format the child gives or None).
OpenParent = Callable[[SourceFile, str, Optional[str]], DiskReader]

#: Hyper-V, VMware and libvirt stop much earlier; a longer chain is a mistake.
MAX_CHAIN = 64

#: What the names of files end in that may name other files, by format.
_ENDINGS = {
    "qcow2": (".qcow2", ".qcow"),
    "vhd": (".vhd", ".avhd"),
    "vhdx": (".vhdx", ".avhdx"),
    "vmdk": (".vmdk",),
}
# The content of a disk, whose descriptor is a file of its own.
_FLAT_VMDK = "-flat.vmdk"

Identity = Tuple[int, int]


class Chain:
    """The files from the one that was asked for down to the present one, by (device, inode)."""

    def __init__(self, seen: FrozenSet[Identity] = frozenset()) -> None:
        self._seen = seen

    def extended(self, file: SourceFile) -> "Chain":
        """The chain with this file; a file that is in it already and too many files are refused."""
        identity = (file.opened_state.device, file.opened_state.inode)
        if identity in self._seen:
            raise DiskError(
                "{0}: is its own parent, directly or through others; the chain of disks is a loop".format(
                    file.path
                )
            )
        if len(self._seen) >= MAX_CHAIN:
            raise DiskError(
                "{0}: is parent number {1} in a chain of disks, which is more than can be right".format(
                    file.path, len(self._seen)
                )
            )
        return Chain(self._seen | {identity})


def check_may_name_others(child: SourceFile, disk_format: str) -> None:
    """Refuse a file that names other files, unless its own name says that it is of such a format.

    A guest writes what it likes to the beginning of its raw disk, also the header of another format that
    names files or devices of the host, which would become part of the disk.
    """
    name = os.path.basename(child.path).lower()
    endings = _ENDINGS[disk_format]
    if name.endswith(endings) and not name.endswith(_FLAT_VMDK):
        return
    raise DiskError(
        "{0}: its content is that of a {1} disk that names other files, but its own name does not say so, "
        "and a guest can write such content to a raw disk; if it is a {1} disk, use a name that ends in {2} "
        "(a symbolic link beside it will do)".format(child.path, disk_format, endings[0])
    )


def parent_path(child: SourceFile, name: str, what: str = "parent") -> str:
    """The file that a child means by a name; relative names count from the child's folder.

    Names that are no files (`json:`, `nbd://host/disk`) and files that are not there raise DiskError.

    :param what: what of the child it is, for the message
    """
    path = _beside(child, name)
    if os.path.exists(path):
        return path
    scheme = name.partition(":")[0]
    if ":" in name and "/" not in scheme:
        raise DiskError(
            "{0}: its {1} {2} is not a file; put both into one: "
            "qemu-img convert -O qcow2 {0} flat.qcow2".format(child.path, what, name)
        )
    raise DiskError(
        "{0}: its {1} {2}: there is no such file; a disk of several files is copied with all of them".format(
            child.path, what, path
        )
    )


def _beside(child: SourceFile, name: str) -> str:
    return os.path.join(os.path.dirname(child.path), name)
