# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Formats told apart by their content, never by the file's name."""

from typing import List, NamedTuple, Optional


class Foreign(NamedTuple):
    """Something that is not read here: what it is, and what to do with it ("{0}" is the path)."""

    name: str
    remedy: str


class _Magic(NamedTuple):
    offset: int
    magic: bytes
    foreign: Foreign


def _convertible(offset: int, magic: bytes, name: str, driver: str) -> _Magic:
    command = "convert it first: qemu-img convert -f " + driver + " -O qcow2 {0} new.qcow2"
    return _Magic(offset, magic, Foreign(name, command))


def _packed(magic: bytes, name: str, command: str) -> _Magic:
    return _Magic(0, magic, Foreign("a file compressed with " + name, "unpack it first: " + command))


def _not_a_disk(offset: int, magic: bytes, name: str) -> _Magic:
    return _Magic(offset, magic, Foreign(name, "give the path of a disk file instead"))


_MAGICS: List[_Magic] = [
    _convertible(0x40, b"\x7f\x10\xda\xbe", "a VDI disk", "vdi"),
    _convertible(0, b"QED\0", "a QED disk", "qed"),
    _convertible(0, b"WithoutFreeSpace", "a Parallels disk", "parallels"),
    _convertible(0, b"WithouFreSpacExt", "a Parallels disk", "parallels"),
    _convertible(0, b"Bochs Virtual HD Image", "a Bochs disk", "bochs"),
    _packed(b"\x1f\x8b", "gzip", "gunzip {0}"),
    _packed(b"\xfd7zXZ\0", "xz", "xz -d {0}"),
    _packed(b"BZh", "bzip2", "bunzip2 {0}"),
    _packed(b"\x28\xb5\x2f\xfd", "zstd", "zstd -d {0}"),
    _packed(b"\x04\x22\x4d\x18", "lz4", "lz4 -d {0}"),
    _packed(b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x {0}"),
    _not_a_disk(0, b"PK\x03\x04", "a ZIP archive"),
    _not_a_disk(0, b"Rar!", "a RAR archive"),
    _not_a_disk(257, b"ustar", "a tar archive (an OVA file is one: unpack it and take the disk in it)"),
    _not_a_disk(0, b"%PDF", "a PDF document"),
    _not_a_disk(0, b"\x7fELF", "a program (ELF)"),
    _not_a_disk(0, b"\x89PNG", "a picture (PNG)"),
    _not_a_disk(0, b"MSWIM\0\0\0", "a Windows image file (WIM), not a disk"),
]

# What a disk or partition that is used without a partition table begins with: (offset, magic, name).
_CONTENT = [
    (0x438, b"\x53\xef", "ext4"),
    (0, b"XFSB", "XFS"),
    (0x10040, b"_BHRfS_M", "btrfs"),
    (3, b"NTFS    ", "NTFS"),
    (3, b"ReFS\0", "ReFS"),
    (3, b"EXFAT   ", "exFAT"),
    (0x36, b"FAT1", "FAT"),
    (0x52, b"FAT32", "FAT32"),
    (0x400, b"\x10\x20\xf5\xf2", "F2FS"),
    (0, b"LUKS\xba\xbe", "LUKS"),
    (0x200, b"LABELONE", "LVM"),
    (0, b"LABELONE", "LVM"),
    (0x1000, b"\xfc\x4e\x2b\xa9", "md RAID"),
    (0xFF6, b"SWAPSPACE2", "swap"),
    (0x8001, b"CD001", "ISO 9660"),
]
HEAD_SIZE = 0x10048

_TEXT = bytes(range(0x20, 0x7F)) + b"\t\r\n\f"


def find_foreign(head: bytes) -> Optional[Foreign]:
    """What the file is when it is a known format that cannot be read; None otherwise.

    :param head: the file's first :data:`HEAD_SIZE` bytes, fewer if it is smaller
    """
    for magic in _MAGICS:
        if head.startswith(magic.magic, magic.offset):
            return magic.foreign
    return None


def is_text(head: bytes) -> bool:
    """Whether the first sector is nothing but text."""
    return not head[:512].translate(None, _TEXT)


def find_content(head: bytes) -> Optional[str]:
    """The name of the file system (or the like) that begins here; None when none is recognised."""
    for offset, magic, name in _CONTENT:
        if head.startswith(magic, offset):
            return name
    return None
