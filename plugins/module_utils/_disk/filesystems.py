# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What is in a partition: the kind of file system, volume manager, encryption or swap, its label and UUID."""

import struct
import uuid
from typing import Callable, Dict, NamedTuple, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk import btrfs_layout
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.fat import Fat
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.signatures import (
    HEAD_SIZE,
    find_content,
)

_EXT = 0x400  # the superblock of ext2, ext3 and ext4
_EXT_JOURNAL = 0x4
# Incompatible features that came with ext4: extents, 64bit, flex_bg, inline_data ...
_EXT4_INCOMPATIBLE = 0xFFFFFFFF & ~0x1F
# sparse_super, large_file and btree_dir are older.
_EXT4_READ_ONLY = 0xFFFFFFFF & ~0x7
_BITLOCKER = b"-FVE-FS-"


class FileSystem(NamedTuple):
    """What a partition holds; `label` and `uuid` are empty where there is none, or where it is not read."""

    type: str
    label: str
    uuid: str


def identify(reader: DiskReader, offset: int, length: int) -> Optional[FileSystem]:
    """What begins at this place of the disk; None when nothing that is known does."""
    length = min(length, reader.virtual_size - offset)
    head = reader.read(offset, min(length, HEAD_SIZE))
    if head.startswith(_BITLOCKER, 3):
        return FileSystem("bitlocker", "", "")
    name = find_content(head)
    if name is None:
        return None
    if name in {"FAT", "FAT32"}:
        return _fat(reader, offset, length)
    if name == "btrfs":
        return _btrfs(reader, offset, length)
    described = _DESCRIBED.get(name)
    # Every structure is at a fixed place; padding spares each of them a look at the partition's end.
    return described(head + bytes(HEAD_SIZE - len(head))) if described else FileSystem(name.lower(), "", "")


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("utf-8", "replace").strip()


def _uuid(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw)) if any(raw) else ""


def _fat(reader: DiskReader, offset: int, length: int) -> FileSystem:
    try:
        found = Fat(reader, offset, length)
    except DiskError:
        return FileSystem("fat", "", "")
    return FileSystem("fat{0}".format(found.bits), found.label, found.serial)


def _ext(head: bytes) -> FileSystem:
    compatible, incompatible, read_only = struct.unpack_from("<III", head, _EXT + 0x5C)
    if incompatible & _EXT4_INCOMPATIBLE or read_only & _EXT4_READ_ONLY:
        kind = "ext4"
    else:
        kind = "ext3" if compatible & _EXT_JOURNAL else "ext2"
    return FileSystem(kind, _text(head[_EXT + 0x78 : _EXT + 0x88]), _uuid(head[_EXT + 0x68 : _EXT + 0x78]))


def _xfs(head: bytes) -> FileSystem:
    return FileSystem("xfs", _text(head[108:120]), _uuid(head[32:48]))


def _btrfs(reader: DiskReader, offset: int, length: int) -> FileSystem:
    place = btrfs_layout.SUPERBLOCK_OFFSET
    head = reader.read(offset + place, min(length - place, btrfs_layout.SUPERBLOCK_SIZE))
    return FileSystem("btrfs", btrfs_layout.superblock_label(head).strip(), _uuid(head[32:48]))


def _ntfs(head: bytes) -> FileSystem:
    return FileSystem("ntfs", "", "{0:016X}".format(struct.unpack_from("<Q", head, 72)[0]))


def _exfat(head: bytes) -> FileSystem:
    low, high = struct.unpack_from("<HH", head, 100)
    return FileSystem("exfat", "", "{0:04X}-{1:04X}".format(high, low))


def _luks(head: bytes) -> FileSystem:
    version = struct.unpack_from(">H", head, 6)[0]
    label = _text(head[24:72]) if version == 2 else ""
    return FileSystem("luks{0}".format(version), label, _text(head[168:208]))


def _lvm(head: bytes) -> FileSystem:
    label = 0x200 if head.startswith(b"LABELONE", 0x200) else 0
    place = label + struct.unpack_from("<I", head, label + 20)[0]
    name = head[place : place + 32].decode("ascii", "replace")
    # As LVM itself writes it: 6-4-4-4-4-4-6.
    cuts = ((0, 6), (6, 10), (10, 14), (14, 18), (18, 22), (22, 26), (26, 32))
    parts = [name[start:end] for start, end in cuts]
    return FileSystem("lvm2", "", "-".join(parts) if name.isalnum() and len(name) == 32 else "")


def _raid(head: bytes) -> FileSystem:
    return FileSystem("md_raid", _text(head[0x1020:0x1040]), _uuid(head[0x1010:0x1020]))


def _swap(head: bytes) -> FileSystem:
    return FileSystem("swap", _text(head[0x41C:0x42C]), _uuid(head[0x40C:0x41C]))


def _iso(head: bytes) -> FileSystem:
    return FileSystem("iso9660", _text(head[0x8028:0x8048]), "")


_DESCRIBED: Dict[str, Callable[[bytes], FileSystem]] = {
    "ext4": _ext,
    "XFS": _xfs,
    "NTFS": _ntfs,
    "exFAT": _exfat,
    "LUKS": _luks,
    "LVM": _lvm,
    "md RAID": _raid,
    "swap": _swap,
    "ISO 9660": _iso,
}
