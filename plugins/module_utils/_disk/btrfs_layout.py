# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The structures of btrfs on disk: superblock, chunks, inodes, extents, subvolumes. All numbers are
little-endian.

Facts: "On-disk Format" and "Btrees" in the file system's own documentation (btrfs.readthedocs.io).
"""

import hashlib
import struct
import uuid
from typing import Callable, Dict, Iterator, NamedTuple, NoReturn, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.crc32c import crc32c

SUPERBLOCK_OFFSET = 0x10000
SUPERBLOCK_SIZE = 4096
_MAGIC = b"_BHRfS_M"
_CHECKSUM = 32
_LABEL = 0x12B
_LABEL_SIZE = 256
_CHUNKS = 0x32B
_CHUNKS_SIZE = 2048
_METADATA_UUID = 0x400
# Mixed references, default subvolume, mixed groups, LZO, zstd, large nodes, extended references, RAID 5 and
# 6, skinny metadata, no holes, metadata UUID, RAID 1 with three and four copies; and simple quotas.
_KNOWN_INCOMPATIBLE = 0xFFF | 0x10000

INODE_ITEM, INODE_REFERENCE, DIRECTORY_ITEM, DIRECTORY_INDEX = 1, 12, 84, 96
EXTENT_DATA, ROOT_ITEM, ROOT_BACK_REFERENCE, CHUNK_ITEM = 108, 132, 144, 228
TOP_LEVEL = 5
FIRST_NUMBER = 256
_LAST_NUMBER = (1 << 64) - 256

# RAID 0, RAID 10, RAID 5, RAID 6: all other profiles of chunks put one byte after the other on the disk, in
# one or several copies.
_STRIPED = 1 << 3 | 1 << 6 | 1 << 7 | 1 << 8

INLINE, REGULAR, ALLOCATED = 0, 1, 2
_KEY_SIZE = 17

Key = Tuple[int, int, int]
"""Object, type, offset."""
Refuse = Callable[[str], NoReturn]


class BtrfsSuperblock(NamedTuple):
    """What the reader needs of the superblock; roots are logical addresses."""

    uuid: str
    label: str
    nodes_id: bytes
    device: int
    devices: int
    node_size: int
    root: int
    root_level: int
    chunk_root: int
    chunk_root_level: int
    has_log: bool
    checksum: int
    chunks: bytes


class Chunk(NamedTuple):
    """`length` bytes of logical addresses from `start` on; `copies` are the bytes of the disk where they
    begin, none when they are not whole on it, and `problem` then says why."""

    start: int
    length: int
    copies: Tuple[int, ...]
    problem: str


class BtrfsInode(NamedTuple):
    """What is known of one inode."""

    mode: int
    size: int
    uid: int


class Extent(NamedTuple):
    """`length` bytes of a file from byte `position` on.

    `place` is the logical address of `stored` bytes that unpack to `unpacked` bytes, of which the extent
    begins at `skip`; 0 for a hole. `inline` is what is kept in the tree itself.
    """

    position: int
    length: int
    compression: int
    place: int
    stored: int
    unpacked: int
    skip: int
    inline: Optional[bytes]


class Root(NamedTuple):
    """The tree of a subvolume. `parent_uuid` is empty unless it began as a snapshot."""

    address: int
    level: int
    parent_uuid: str
    read_only: bool
    deleted: bool


def checksum_matches(data: bytes, kind: int) -> bool:
    """Whether a superblock or node begins with its checksum; xxhash is not checked."""
    digest = _DIGESTS.get(kind)
    return digest is None or data.startswith(digest(data[_CHECKSUM:]))


_DIGESTS: Dict[int, Callable[[bytes], bytes]] = {
    0: lambda data: struct.pack("<I", crc32c(data)),
    2: lambda data: hashlib.sha256(data).digest(),
    3: lambda data: hashlib.blake2b(data, digest_size=32).digest(),
}


def superblock_label(data: bytes) -> str:
    """The label in a superblock."""
    return data[_LABEL : _LABEL + _LABEL_SIZE].split(b"\0")[0].decode("utf-8", "replace")


def parse_superblock(data: bytes, length: int, refuse: Refuse) -> BtrfsSuperblock:
    """The superblock in the 4096 bytes `data` of a partition of `length` bytes."""
    if not data.startswith(_MAGIC, 0x40):
        refuse("has no superblock")
    (incompatible, checksum) = struct.unpack_from("<QH", data, 0xBC)
    unknown = incompatible & ~_KNOWN_INCOMPATIBLE
    if unknown:
        refuse("uses features that are not known here (0x{0:x})".format(unknown))
    if not checksum_matches(data, checksum):
        refuse("has a damaged superblock")
    root, chunk_root, log_root = struct.unpack_from("<QQQ", data, 0x50)
    (devices,) = struct.unpack_from("<Q", data, 0x88)
    _sector, node_size = struct.unpack_from("<II", data, 0x90)
    (chunks_size,) = struct.unpack_from("<I", data, 0xA0)
    root_level, chunk_root_level = struct.unpack_from("<BB", data, 0xC6)
    device, size = struct.unpack_from("<QQ", data, 0xC9)
    sound = 4096 <= node_size <= 65536 and not node_size & (node_size - 1)
    if not sound or chunks_size > _CHUNKS_SIZE or not devices:
        refuse("has a damaged superblock")
    if size > length:
        refuse("is truncated or damaged: it has {0} bytes, its place only {1}".format(size, length))
    own = data[0x20:0x30]
    return BtrfsSuperblock(
        str(uuid.UUID(bytes=own)),
        superblock_label(data),
        data[0x23B:0x24B] if incompatible & _METADATA_UUID else own,
        device,
        devices,
        node_size,
        root,
        root_level,
        chunk_root,
        chunk_root_level,
        bool(log_root),
        checksum,
        data[_CHUNKS : _CHUNKS + chunks_size],
    )


def parse_system_chunks(layout: BtrfsSuperblock, refuse: Refuse) -> Iterator[Chunk]:
    """The chunks in the superblock, which hold the tree with all chunks."""
    data = layout.chunks
    position = 0
    while position < len(data):
        if position + _KEY_SIZE + 48 > len(data):
            refuse("has a damaged superblock")
        _owner, kind, start = struct.unpack_from("<QBQ", data, position)
        (stripes,) = struct.unpack_from("<H", data, position + _KEY_SIZE + 44)
        end = position + _KEY_SIZE + 48 + 32 * stripes
        if kind != CHUNK_ITEM or end > len(data):
            refuse("has a damaged superblock")
        yield parse_chunk(start, data[position + _KEY_SIZE : end], layout, refuse)
        position = end


def parse_chunk(start: int, data: bytes, layout: BtrfsSuperblock, refuse: Refuse) -> Chunk:
    """A chunk that begins at the logical address `start`."""
    stripes = struct.unpack_from("<H", data, 44)[0] if len(data) >= 48 else 0
    if not stripes or len(data) < 48 + 32 * stripes:
        refuse("has a damaged chunk")
    length, _owner, _stripe_length, kind = struct.unpack_from("<QQQQ", data, 0)
    places = [struct.unpack_from("<QQ", data, 48 + 32 * index) for index in range(stripes)]
    if kind & _STRIPED and stripes > 1:
        return Chunk(start, length, (), "is striped over {0} devices".format(stripes))
    copies = tuple(offset for device, offset in places if device == layout.device)
    problem = "" if copies else "has data on another of its {0} devices".format(layout.devices)
    return Chunk(start, length, copies, problem)


def parse_inode(data: bytes, refuse: Refuse) -> BtrfsInode:
    """What an inode item says."""
    if len(data) < 160:
        refuse("has a damaged inode")
    (size,) = struct.unpack_from("<Q", data, 16)
    uid, _gid, mode = struct.unpack_from("<III", data, 44)
    if size >= 1 << 63:
        refuse("has a damaged inode")
    return BtrfsInode(mode, size, uid)


def parse_extent(position: int, data: bytes, refuse: Refuse) -> Extent:
    """An extent at byte `position` of a file; one that is only allocated reads as a hole."""
    if len(data) < 21:
        refuse("has a damaged extent")
    unpacked, compression, encryption, encoding, kind = struct.unpack_from("<QBBHB", data, 8)
    if encryption or encoding:
        refuse("has an extent in an encoding that is not known here")
    if kind == INLINE:
        return Extent(position, unpacked, compression, 0, len(data) - 21, unpacked, 0, data[21:])
    if kind not in {REGULAR, ALLOCATED} or len(data) < 53:
        refuse("has a damaged extent")
    place, stored, skip, length = struct.unpack_from("<QQQQ", data, 21)
    if kind == ALLOCATED or not place:
        return Extent(position, length, 0, 0, 0, 0, 0, None)
    if skip + length > unpacked or (not compression and skip + length > stored):
        refuse("has a damaged extent")
    return Extent(position, length, compression, place, stored, unpacked, skip, None)


def parse_entries(data: bytes, refuse: Refuse) -> Iterator[Tuple[bytes, Key]]:
    """Name and place of what a directory item names: an inode, or the root of another subvolume."""
    position = 0
    while position < len(data):
        if position + 30 > len(data):
            refuse("has a damaged directory")
        number, kind, offset, _transaction, extra, length = struct.unpack_from("<QBQQHH", data, position)
        end = position + 30 + length
        name = data[position + 30 : end]
        if not name or end + extra > len(data) or b"/" in name or b"\0" in name:
            refuse("has a damaged directory")
        yield name, (number, kind, offset)
        position = end + extra


def parse_root(data: bytes, refuse: Refuse) -> Root:
    """What a root item says of a subvolume."""
    if len(data) < 239:
        refuse("has a damaged subvolume")
    (address,) = struct.unpack_from("<Q", data, 176)
    flags, references = struct.unpack_from("<QI", data, 208)
    parent = data[263:279] if len(data) >= 279 else b""
    parent_uuid = str(uuid.UUID(bytes=parent)) if any(parent) else ""
    return Root(address, data[238], parent_uuid, bool(flags & 1), not references)


def parse_reference(data: bytes, refuse: Refuse) -> Tuple[int, bytes]:
    """The directory that has a subvolume, and its name there."""
    if len(data) < 18:
        refuse("has a damaged subvolume")
    directory, _sequence, length = struct.unpack_from("<QQH", data, 0)
    return directory, _name(data, 18, length, refuse)


def parse_inode_reference(data: bytes, refuse: Refuse) -> bytes:
    """The name of a directory in the one above it."""
    if len(data) < 10:
        refuse("has a damaged inode")
    (length,) = struct.unpack_from("<H", data, 8)
    return _name(data, 10, length, refuse)


def _name(data: bytes, start: int, length: int, refuse: Refuse) -> bytes:
    name = data[start : start + length]
    if not name or len(name) != length:
        refuse("has a damaged name")
    return name


def is_subvolume(number: int) -> bool:
    """Whether a tree of that number holds files."""
    return number == TOP_LEVEL or FIRST_NUMBER <= number <= _LAST_NUMBER
