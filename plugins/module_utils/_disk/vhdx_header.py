# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What stands before the blocks of a VHDX: headers, regions and metadata ([MS-VHDX], sections 2.2, 2.6)."""

import struct
import uuid
from typing import Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.crc32c import crc32c_without
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, SourceFile

KIB = 1024
MIB = 1024 * KIB

_HEADERS = (64 * KIB, 128 * KIB)
_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
_HEADER_SIZE = 4 * KIB
_REGION_TABLES = (192 * KIB, 256 * KIB)
_REGION_TABLE_SIZE = 64 * KIB
_REGION = struct.Struct("<16sQII")
_TABLE_HEAD = struct.Struct("<4sIII")
_METADATA_ITEM = struct.Struct("<16sIIII")
_METADATA_TABLE_SIZE = 64 * KIB
_MAX_REGIONS = _MAX_ITEMS = 2047
_IS_REQUIRED = 4

_BAT = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_FILE_PARAMETERS = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_VIRTUAL_DISK_SIZE = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_DISK_ID = uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
_LOGICAL_SECTOR = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
_PHYSICAL_SECTOR = uuid.UUID("cda348c7-445d-4471-9cc9-e9885251c556")
_PARENT_LOCATOR = uuid.UUID("a8d35f2d-b30b-454d-abf7-d3d84834ab0c")
_KNOWN_ITEMS = (
    _FILE_PARAMETERS, _VIRTUAL_DISK_SIZE, _DISK_ID, _LOGICAL_SECTOR, _PHYSICAL_SECTOR, _PARENT_LOCATOR,
)  # fmt: skip
_VHDX_LOCATOR_TYPE = uuid.UUID("b04aefb7-d19e-4a81-b789-25b8e9445913")
_HAS_PARENT = 2

_MAX_DISK = 64 * 1024 * 1024 * MIB


class Header(NamedTuple):
    """The newer of the two headers. `log_id` is None when nothing waits in the log."""

    data_write_id: uuid.UUID
    log_id: Optional[uuid.UUID]
    log_offset: int
    log_length: int


class Layout(NamedTuple):
    """Sizes and offsets in bytes. `parent` holds the entries of the parent locator of a differencing disk."""

    bat_offset: int
    bat_length: int
    block_size: int
    virtual_size: int
    sector_size: int
    parent: Optional[Dict[str, str]]


def damaged(file: SourceFile, detail: str) -> DiskError:
    """The error for a VHDX that breaks its format."""
    return DiskError(
        "{0}: the VHDX is damaged: {1}; copy it again or export the disk once more".format(file.path, detail)
    )


def read_header(file: SourceFile) -> Header:
    """The valid header with the higher sequence number."""
    best = None  # type: Optional[Tuple[int, Header]]
    for offset in _HEADERS:
        data = file.read_up_to(offset, _HEADER_SIZE)
        if len(data) < _HEADER_SIZE:
            raise damaged(file, "it ends inside its headers")
        (
            signature, stored, sequence, _file_id, data_write, log, log_version, version, length, log_offset,
        ) = _HEADER.unpack(data[: _HEADER.size])  # fmt: skip
        if signature != b"head" or stored != crc32c_without(data, 4):
            continue
        if version != 1 or (any(log) and log_version != 0):
            raise DiskError("{0}: is a VHDX of version {1}, which is not known".format(file.path, version))
        if best is None or sequence > best[0]:
            log_id = uuid.UUID(bytes_le=log) if any(log) else None
            best = sequence, Header(uuid.UUID(bytes_le=data_write), log_id, log_offset, length)
    if best is None:
        raise damaged(file, "neither of its two headers has the right signature and checksum")
    return best[1]


def read_layout(file: SourceFile) -> Layout:
    """Where the block table is and how the disk is made, from regions and metadata."""
    regions = _read_regions(file)
    for needed, name in ((_BAT, "block table"), (_METADATA, "metadata")):
        if needed not in regions:
            raise damaged(file, "it has no region for its {0}".format(name))
    items = _read_items(file, *regions[_METADATA])
    block_size, flags = _numbers(file, items, _FILE_PARAMETERS, "<II")
    (virtual_size,) = _numbers(file, items, _VIRTUAL_DISK_SIZE, "<Q")
    (sector_size,) = _numbers(file, items, _LOGICAL_SECTOR, "<I")
    if not MIB <= block_size <= 256 * MIB or block_size & (block_size - 1):
        raise damaged(file, "its blocks have {0} bytes".format(block_size))
    if sector_size not in (512, 4096) or not 0 < virtual_size <= _MAX_DISK or virtual_size % sector_size:
        raise damaged(file, "a disk of {0} bytes in sectors of {1} bytes".format(virtual_size, sector_size))
    parent = None
    if flags & _HAS_PARENT:
        if _PARENT_LOCATOR not in items:
            raise damaged(file, "it is a differencing disk that does not say of which")
        parent = _read_locator(file, items[_PARENT_LOCATOR])
    return Layout(regions[_BAT][0], regions[_BAT][1], block_size, virtual_size, sector_size, parent)


def _read_regions(file: SourceFile) -> Dict[uuid.UUID, Tuple[int, int]]:
    for offset in _REGION_TABLES:
        data = file.read_up_to(offset, _REGION_TABLE_SIZE)
        if len(data) < _REGION_TABLE_SIZE:
            raise damaged(file, "it ends inside its region tables")
        signature, stored, count, _reserved = _TABLE_HEAD.unpack(data[: _TABLE_HEAD.size])
        if signature == b"regi" and stored == crc32c_without(data, 4) and count <= _MAX_REGIONS:
            return _regions(file, data, count)
    raise damaged(file, "neither of its two region tables has the right signature and checksum")


def _regions(file: SourceFile, table: bytes, count: int) -> Dict[uuid.UUID, Tuple[int, int]]:
    regions = {}
    for number in range(count):
        raw, offset, length, flags = _REGION.unpack_from(table, _TABLE_HEAD.size + number * _REGION.size)
        kind = uuid.UUID(bytes_le=raw)
        if kind not in (_BAT, _METADATA):
            if flags & 1:
                raise DiskError(
                    "{0}: has a region of kind {1} that a reader must know, but it is not known here".format(
                        file.path, kind
                    )
                )
            continue
        if offset % MIB or offset < MIB or offset + length > file.size:
            raise damaged(file, "a region of {0} bytes at byte {1} is outside of it".format(length, offset))
        regions[kind] = (offset, length)
    return regions


def _read_items(file: SourceFile, offset: int, length: int) -> Dict[uuid.UUID, bytes]:
    table = file.read_up_to(offset, min(length, _METADATA_TABLE_SIZE))
    if len(table) < _METADATA_TABLE_SIZE or table[:8] != b"metadata":
        raise damaged(file, "its metadata table has the wrong signature")
    (count,) = struct.unpack_from("<H", table, 10)
    if count > _MAX_ITEMS:
        raise damaged(file, "its metadata table has {0} entries".format(count))
    items = {}
    for number in range(count):
        raw, at, size, flags, _reserved = _METADATA_ITEM.unpack_from(table, 32 + number * _METADATA_ITEM.size)
        kind = uuid.UUID(bytes_le=raw)
        if kind not in _KNOWN_ITEMS:
            if flags & _IS_REQUIRED:
                raise DiskError(
                    "{0}: has metadata of kind {1} that a reader must know, but it is not known here".format(
                        file.path, kind
                    )
                )
            continue
        if size > MIB or at + size > length:
            raise damaged(file, "metadata of {0} bytes is outside of its region".format(size))
        items[kind] = file.read(offset + at, size)
    return items


def _numbers(
    file: SourceFile, items: Dict[uuid.UUID, bytes], kind: uuid.UUID, layout: str
) -> Tuple[int, ...]:
    data = items.get(kind, b"")
    if len(data) < struct.calcsize(layout):
        raise damaged(file, "the metadata item {0} is missing or too short".format(kind))
    return struct.unpack_from(layout, data)


def _read_locator(file: SourceFile, data: bytes) -> Dict[str, str]:
    if len(data) < 20 or uuid.UUID(bytes_le=data[:16]) != _VHDX_LOCATOR_TYPE:
        raise DiskError("{0}: names its parent in a way that is not known here".format(file.path))
    (count,) = struct.unpack_from("<H", data, 18)
    entries = {}
    for number in range(count):
        at = 20 + number * 12
        if at + 12 > len(data):
            raise damaged(file, "its parent locator is too short")
        key_at, value_at, key_length, value_length = struct.unpack_from("<IIHH", data, at)
        key = _text(data, key_at, key_length)
        entries[key] = _text(data, value_at, value_length)
    return entries


def _text(data: bytes, offset: int, length: int) -> str:
    return data[offset : offset + length].decode("utf-16-le", "replace")


def parent_names(locator: Dict[str, str]) -> List[str]:
    """The paths by which the parent may be found, the most portable first."""
    relative = locator.get("relative_path", "").replace("\\", "/")
    absolute = [locator.get(key, "").replace("\\", "/") for key in ("absolute_win32_path", "volume_path")]
    # Windows' drive letters mean nothing here, so the file's own name is tried beside the child.
    names = [relative] + [text.rpartition("/")[2] for text in absolute]
    return [text for number, text in enumerate(names) if text and text not in names[:number]]
