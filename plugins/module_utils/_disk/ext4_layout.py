# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The structures of ext2, ext3 and ext4 on disk: superblock, group descriptors, inodes.

Facts: "ext4 Data Structures and Algorithms" in the Linux kernel documentation, docs.kernel.org.
"""

import struct
from typing import Callable, NamedTuple, NoReturn, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader

SUPERBLOCK_OFFSET = 1024
_MAGIC_OFFSET = SUPERBLOCK_OFFSET + 56
_MAGIC = b"\x53\xef"
ROOT_INODE = 2

_RECOVER, _META_BG, _64BIT, _INLINE_DATA = 0x4, 0x10, 0x80, 0x8000
# Features that change how the structures below are read, and that this reader knows.
_KNOWN_INCOMPATIBLE = (
    0x2  # file type in directory entries
    | _RECOVER
    | _META_BG
    | 0x40  # extents
    | _64BIT
    | 0x100  # multiple mount protection
    | 0x200  # flexible block groups
    | 0x400  # large extended attributes in inodes of their own
    | 0x2000  # checksum seed
    | 0x4000  # large directories
    | _INLINE_DATA
    | 0x10000  # encryption (names and contents stay encrypted)
    | 0x20000  # case folding
)
_SPARSE_SUPER = 0x1
_SPARSE_SUPER2 = 0x200

FLAG_ENCRYPTED, FLAG_EXTENTS, FLAG_INLINE = 0x800, 0x80000, 0x10000000

Refuse = Callable[[str], NoReturn]


class Superblock(NamedTuple):
    """What the reader needs of the superblock; sizes in bytes, `uuid` as lower-case text."""

    block_size: int
    blocks: int
    first_block: int
    inodes: int
    inodes_per_group: int
    blocks_per_group: int
    inode_size: int
    descriptor_size: int
    groups: int
    meta_bg: bool
    first_meta_bg: int
    sparse: bool
    backup_groups: Tuple[int, ...]
    needs_recovery: bool
    uuid: str
    label: str


class Inode(NamedTuple):
    """One inode; `block` is its 60-byte block map, `raw` the whole inode."""

    number: int
    mode: int
    uid: int
    size: int
    flags: int
    links: int
    block: bytes
    raw: bytes


def has_ext_signature(reader: DiskReader, offset: int, length: int) -> bool:
    """Whether an ext2, ext3 or ext4 file system begins at `offset`."""
    return length >= 4096 and reader.read(offset + _MAGIC_OFFSET, 2) == _MAGIC


def parse_superblock(data: bytes, length: int, refuse: Refuse) -> Superblock:
    """The superblock in the 1024 bytes `data` of a partition of `length` bytes."""
    if data[56:58] != _MAGIC:
        refuse("has no ext2, ext3 or ext4 file system")
    inodes, blocks_low = struct.unpack_from("<II", data, 0)
    first_block, log_block_size = struct.unpack_from("<II", data, 20)
    blocks_per_group, _clusters, inodes_per_group = struct.unpack_from("<III", data, 32)
    (revision,) = struct.unpack_from("<I", data, 76)
    _compatible, incompatible, read_only = struct.unpack_from("<III", data, 92)
    inode_size = struct.unpack_from("<H", data, 88)[0] if revision else 128
    descriptor_size = struct.unpack_from("<H", data, 254)[0] if incompatible & _64BIT else 32
    blocks = blocks_low | (struct.unpack_from("<I", data, 336)[0] << 32 if incompatible & _64BIT else 0)
    unknown = incompatible & ~_KNOWN_INCOMPATIBLE
    if unknown:
        refuse("uses file system features this reader does not know (incompatible 0x{0:x})".format(unknown))
    if log_block_size > 6:
        refuse("has a damaged superblock (block size 2^{0} KiB)".format(log_block_size))
    block_size = 1024 << log_block_size
    if not 128 <= inode_size <= block_size or inode_size & (inode_size - 1):
        refuse("has a damaged superblock (inode size {0})".format(inode_size))
    if not 32 <= descriptor_size <= block_size or descriptor_size & (descriptor_size - 1):
        refuse("has a damaged superblock (group descriptor size {0})".format(descriptor_size))
    if not 0 < blocks_per_group <= block_size * 8 * 1024 or not 0 < inodes_per_group <= block_size * 8:
        refuse("has a damaged superblock (size of a block group)")
    if blocks * block_size > length or first_block >= max(blocks, 1):
        refuse(
            "has a file system of {0} bytes in {1} bytes; the disk is truncated or damaged".format(
                blocks * block_size, length
            )
        )
    groups = -(-(blocks - first_block) // blocks_per_group)
    return Superblock(
        block_size=block_size,
        blocks=blocks,
        first_block=first_block,
        inodes=min(inodes, groups * inodes_per_group),
        inodes_per_group=inodes_per_group,
        blocks_per_group=blocks_per_group,
        inode_size=inode_size,
        descriptor_size=descriptor_size,
        groups=groups,
        meta_bg=bool(incompatible & _META_BG),
        first_meta_bg=struct.unpack_from("<I", data, 260)[0],
        sparse=bool(read_only & _SPARSE_SUPER),
        backup_groups=struct.unpack_from("<II", data, 588) if _compatible & _SPARSE_SUPER2 else (),
        needs_recovery=bool(incompatible & _RECOVER),
        uuid=_uuid_text(data[104:120]),
        label=data[120:136].split(b"\0")[0].decode("utf-8", "replace"),
    )


def descriptor_offset(superblock: Superblock, group: int) -> int:
    """Where the descriptor of a block group begins, in bytes from the start of the file system."""
    per_block = superblock.block_size // superblock.descriptor_size
    index, within = divmod(group, per_block)
    if superblock.meta_bg and index >= superblock.first_meta_bg:
        first_group = index * per_block
        block = superblock.first_block + first_group * superblock.blocks_per_group
        if _has_superblock(superblock, first_group):
            block += 1
        # With 1 KiB blocks the superblock is block 1 and `first_block` accounts for it already.
    else:
        block = superblock.first_block + 1 + index
    return block * superblock.block_size + within * superblock.descriptor_size


def parse_inode_table(descriptor: bytes) -> int:
    """The block where the inode table of a group begins."""
    low = int(struct.unpack_from("<I", descriptor, 8)[0])
    high = int(struct.unpack_from("<I", descriptor, 40)[0]) if len(descriptor) >= 64 else 0
    return low | high << 32


def parse_inode(number: int, raw: bytes) -> Inode:
    """The inode in `raw`, as many bytes as the superblock says."""
    mode, uid_low, size_low = struct.unpack_from("<HHI", raw, 0)
    links, _sectors, flags = struct.unpack_from("<HII", raw, 26)
    (size_high,) = struct.unpack_from("<I", raw, 108)
    (uid_high,) = struct.unpack_from("<H", raw, 120)
    # Directories use the upper half of the size since large directories exist; ext2 left it zero or an ACL.
    size = size_low | (size_high << 32 if mode & 0xF000 == 0x8000 else 0)
    return Inode(number, mode, uid_low | uid_high << 16, size, flags, links, raw[40:100], raw)


def inline_data(inode: Inode, refuse: Refuse) -> bytes:
    """The content of a small file or directory kept in the inode: the block map, then attribute "data"."""
    raw = inode.raw
    content = inode.block
    if len(raw) > 132:
        (extra,) = struct.unpack_from("<H", raw, 128)
        first = 128 + extra + 4
        if first <= len(raw) and raw[first - 4 : first] == b"\x00\x00\x02\xea":
            content += _system_data(raw, first, refuse)
    if inode.size > len(content):
        refuse("inode {0} lacks a part of its {1} inline bytes".format(inode.number, inode.size))
    return content[: inode.size]


def _system_data(raw: bytes, first: int, refuse: Refuse) -> bytes:
    position = first
    while position + 16 <= len(raw) and raw[position : position + 4] != b"\0\0\0\0":
        name_length, index, value_offset, _inode, value_size = struct.unpack_from("<BBHII", raw, position)
        name = raw[position + 16 : position + 16 + name_length]
        if index == 7 and name == b"data":
            start = first + value_offset
            if start + value_size > len(raw):
                refuse("inline data of an inode lies outside of it")
            return raw[start : start + value_size]
        position += (16 + name_length + 3) & ~3
    return b""


def _has_superblock(superblock: Superblock, group: int) -> bool:
    if superblock.backup_groups:
        return group == 0 or group in superblock.backup_groups
    if group <= 1 or not superblock.sparse:
        return True
    return any(_is_power(group, base) for base in (3, 5, 7))


def _is_power(number: int, base: int) -> bool:
    while number % base == 0:
        number //= base
    return number == 1


def _uuid_text(data: bytes) -> str:
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
