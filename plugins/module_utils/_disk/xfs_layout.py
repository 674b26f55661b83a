# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The structures of XFS on disk, versions 4 and 5: superblock, inodes, extents. All numbers are big-endian.

Facts: "XFS Algorithms & Data Structures" (the file system's own documentation, xfs.org and kernel.org).
"""

import struct
from typing import Callable, Iterator, List, NamedTuple, NoReturn, Tuple

MAGIC = b"XFSB"
SUPERBLOCK_SIZE = 512

_TYPE_IN_ENTRIES_V4 = 0x200  # features2
_MORE_FEATURES_V4 = 0x8000  # versionnum
_DIRECTORIES_V2 = 0x2000
_TYPE_IN_ENTRIES = 0x1
_NEEDS_REPAIR = 0x10
# Entry types, sparse inodes, metadata UUID, big timestamps, needs repair, large extent counts, exchange of
# ranges, parent pointers: none changes how the structures below are read, except for the counts.
_KNOWN_INCOMPATIBLE = 0xFF
_FLAG_REALTIME = 0x1
_FLAG2_LARGE_COUNTS = 1 << 4

FORMAT_LOCAL, FORMAT_EXTENTS, FORMAT_BTREE = 1, 2, 3

Refuse = Callable[[str], NoReturn]


class XfsSuperblock(NamedTuple):
    """What the reader needs of the superblock; sizes in bytes unless named blocks."""

    version: int
    block_size: int
    blocks: int
    group_blocks: int
    groups: int
    group_block_bits: int
    inodes_per_block_bits: int
    inode_size: int
    directory_block: int
    root: int
    entry_types: bool
    log_start: int
    log_blocks: int
    needs_repair: bool
    uuid: str
    label: str


class XfsInode(NamedTuple):
    """One inode; `fork` is its data fork, `extents` the number of extents it has."""

    number: int
    mode: int
    uid: int
    size: int
    format: int
    extents: int
    fork: bytes


class Extent(NamedTuple):
    """`blocks` blocks of a file from block `logical` on, at file system block `start` (not yet a place on the
    disk); `written` is false for blocks that are allocated only and read as zeros."""

    logical: int
    start: int
    blocks: int
    written: bool


def parse_superblock(data: bytes, length: int, refuse: Refuse) -> XfsSuperblock:
    """The superblock in the 512 bytes `data` of a partition of `length` bytes."""
    if not data.startswith(MAGIC):
        refuse("has no XFS file system")
    (block_size, blocks) = struct.unpack_from(">IQ", data, 4)
    log_start, root = struct.unpack_from(">QQ", data, 48)
    group_blocks, groups, _bitmap, log_blocks, features_v4 = struct.unpack_from(">IIIIH", data, 84)
    _sector, inode_size = struct.unpack_from(">HH", data, 102)
    block_bits, _sector_bits, inode_bits, per_block_bits, group_bits = struct.unpack_from(">5B", data, 120)
    (directory_bits,) = struct.unpack_from(">B", data, 192)
    (features2,) = struct.unpack_from(">I", data, 200)
    (incompatible,) = struct.unpack_from(">I", data, 216)
    version = features_v4 & 0xF
    if version not in {4, 5} or not features_v4 & _DIRECTORIES_V2:
        refuse("is of version {0}; versions 4 and 5 are read".format(version))
    unknown = incompatible & ~_KNOWN_INCOMPATIBLE if version == 5 else 0
    if unknown:
        refuse("uses file system features this reader does not know (incompatible 0x{0:x})".format(unknown))
    sound = (
        512 <= block_size <= 65536
        and block_size == 1 << block_bits
        and 256 <= inode_size <= min(2048, block_size)
        and inode_size == 1 << inode_bits
        and per_block_bits == block_bits - inode_bits
        and block_size << directory_bits <= 65536
        and 0 < group_blocks <= 1 << group_bits <= 1 << 32
        and groups * group_blocks >= blocks
    )
    if not sound:
        refuse("has a damaged superblock")
    if blocks * block_size > length:
        refuse(
            "has a file system of {0} bytes in {1} bytes; the disk is truncated or damaged".format(
                blocks * block_size, length
            )
        )
    typed_v4 = bool(features_v4 & _MORE_FEATURES_V4 and features2 & _TYPE_IN_ENTRIES_V4)
    return XfsSuperblock(
        version=version,
        block_size=block_size,
        blocks=blocks,
        group_blocks=group_blocks,
        groups=groups,
        group_block_bits=group_bits,
        inodes_per_block_bits=per_block_bits,
        inode_size=inode_size,
        directory_block=block_size << directory_bits,
        root=root,
        entry_types=bool(incompatible & _TYPE_IN_ENTRIES) if version == 5 else typed_v4,
        log_start=log_start,
        log_blocks=log_blocks,
        needs_repair=version == 5 and bool(incompatible & _NEEDS_REPAIR),
        uuid=_uuid_text(data[32:48]),
        label=data[108:120].split(b"\0")[0].decode("utf-8", "replace"),
    )


def parse_inode(number: int, raw: bytes, refuse: Refuse) -> XfsInode:
    """The inode in `raw`, as many bytes as the superblock says."""
    if not raw.startswith(b"IN"):
        refuse("has no inode {0} where it should be".format(number))
    mode, version, form = struct.unpack_from(">HBB", raw, 2)
    (uid,) = struct.unpack_from(">I", raw, 8)
    (size,) = struct.unpack_from(">Q", raw, 56)
    (extents,) = struct.unpack_from(">I", raw, 76)
    (fork_words,) = struct.unpack_from(">B", raw, 82)
    (flags,) = struct.unpack_from(">H", raw, 90)
    core = 176 if version == 3 else 100
    if version == 3 and struct.unpack_from(">Q", raw, 120)[0] & _FLAG2_LARGE_COUNTS:
        (extents,) = struct.unpack_from(">Q", raw, 24)
    if flags & _FLAG_REALTIME and mode & 0xF000 == 0x8000 and size:
        refuse("has files on a realtime device (inode {0}), which is not read".format(number))
    end = core + fork_words * 8 if fork_words else len(raw)
    if end > len(raw):
        refuse("has a damaged inode {0}".format(number))
    return XfsInode(number, mode, uid, size, form, extents, raw[core:end])


def parse_extents(data: bytes, count: int) -> Iterator[Extent]:
    """`count` extent records: 1 bit unwritten, 54 bits offset, 52 bits start, 21 bits length."""
    for high, low in struct.iter_unpack(">QQ", data[: count * 16]):
        logical = (high & ((1 << 63) - 1)) >> 9
        start = (high & 0x1FF) << 43 | low >> 21
        yield Extent(logical, start, low & ((1 << 21) - 1), not high >> 63)


def parse_tree_root(fork: bytes, refuse: Refuse) -> Tuple[int, List[int]]:
    """Level and children of the extent tree's root in an inode."""
    level, count = struct.unpack_from(">HH", fork, 0)
    most = (len(fork) - 4) // 16
    if not 0 < count <= most or not level:
        refuse("has a damaged extent tree")
    return level, list(struct.unpack_from(">{0}Q".format(count), fork, 4 + most * 8))


def parse_tree_block(block: bytes, version: int, refuse: Refuse) -> Tuple[int, List[int], List[Extent]]:
    """Level of a block of the extent tree, its children (above level 0) and its extents (at level 0)."""
    header = 72 if version == 5 else 24
    magic, level, count = struct.unpack_from(">4sHH", block, 0)
    most = (len(block) - header) // 16
    if magic != (b"BMA3" if version == 5 else b"BMAP") or count > most:
        refuse("has a damaged extent tree")
    if level:
        return level, list(struct.unpack_from(">{0}Q".format(count), block, header + most * 8)), []
    return 0, [], list(parse_extents(block[header:], count))


def _uuid_text(data: bytes) -> str:
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
