# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Dynamic and differencing VHDs (Microsoft, "Virtual Hard Disk Image Format Specification", 1.0, 2006).

A block is a bitmap of its sectors followed by their data; a sector whose bit is 0 is the parent's, or zeros.
"""

import struct
import sys
from array import array
from typing import List, NamedTuple, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.block_map import (
    ABSENT,
    SPECIAL,
    BlockReader,
    fill_zeros,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.parents import OpenParent
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    DiskReader,
    SourceFile,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    DIFFERENCING,
    FOOTER_SIZE,
    Footer,
    FooterError,
    checksum,
    parse_footer,
)

_HEADER = struct.Struct(">8sQQIIII16sII512s")
_HEADER_SIZE = 1024
_COOKIE = b"cxsparse"
_CHECKSUM_OFFSET = 36
_LOCATOR = struct.Struct(">4sIIIQ")
_LOCATORS_OFFSET = 576
_VERSION = 0x00010000
_UNUSED = 0xFFFFFFFF
_ENTRIES_PER_TABLE = 8192
_MAX_BLOCK_SIZE = 1 << 28


class _Header(NamedTuple):
    table_offset: int
    entries: int
    block_size: int
    parent_id: bytes
    parent_names: List[str]


class DynamicVhdReader(BlockReader):
    """The disk in a dynamic or differencing VHD."""

    format = "vhd"

    def __init__(self, file: SourceFile, footer: Footer, open_parent: OpenParent) -> None:
        self._check_first_footer(file, footer)
        header = _read_header(file, footer)
        super().__init__(file, footer.current_size, header.block_size, _ENTRIES_PER_TABLE)
        if header.entries * header.block_size < footer.current_size:
            raise _damaged(
                file,
                "{0} blocks of {1} bytes are too few for a disk of {2} bytes".format(
                    header.entries, header.block_size, footer.current_size
                ),
            )
        self._table_offset = header.table_offset
        self._blocks = -(-footer.current_size // header.block_size)
        # Sectors of the bitmap that stands before a block's data.
        self._bitmap_size = -(-header.block_size // SECTOR // 8 // SECTOR) * SECTOR
        self._unique_id = footer.unique_id
        self.check_map()
        if footer.disk_type == DIFFERENCING:
            self.parent = self._open_parent(header, open_parent)

    @property
    def unique_id(self) -> bytes:
        """What a child calls its parent by."""
        return self._unique_id

    @staticmethod
    def _check_first_footer(file: SourceFile, footer: Footer) -> None:
        try:
            first = parse_footer(file.read_up_to(0, FOOTER_SIZE))
        except FooterError as error:
            raise _damaged(file, "the copy of the footer at its beginning: {0}".format(error)) from None
        if first.unique_id != footer.unique_id or first.current_size != footer.current_size:
            raise _damaged(file, "the footer at its end and its copy at the beginning differ")

    def _open_parent(self, header: _Header, open_parent: OpenParent) -> DiskReader:
        failures = []
        for name in header.parent_names:
            try:
                parent = open_parent(self.file, name, "vpc")
            except DiskError as error:
                failures.append(str(error))
                continue
            found = getattr(parent, "unique_id", None)
            if found == header.parent_id:
                return parent
            parent.close()
            failures.append(
                "{0}: is not the disk that the child was made from: their ids differ".format(name)
            )
        raise DiskError(
            "{0}: is a differencing VHD and its parent cannot be used: {1}".format(
                self.path, "; ".join(failures) or "the file does not name it"
            )
        )

    def load_table(self, index: int) -> Optional["array[int]"]:
        first = index * self.blocks_per_table
        count = min(self.blocks_per_table, self._blocks - first)
        raw = array("I")
        raw.frombytes(self.file.read(self._table_offset + first * 4, count * 4))
        if sys.byteorder == "little":
            raw.byteswap()
        table = array("Q", [ABSENT]) * count
        for number, sector in enumerate(raw):
            if sector != _UNUSED:
                place = sector * SECTOR
                self.check_place(place, first + number, self._bitmap_size + self._data_size(first + number))
                table[number] = SPECIAL | place
        return table if any(table) else None

    def _data_size(self, block: int) -> int:
        return min(self.block_size, self.virtual_size - block * self.block_size)

    def read_special(self, entry: int, block: int, skip: int, view: memoryview) -> None:
        place = entry & ~SPECIAL
        first, last = skip // SECTOR, -(-(skip + len(view)) // SECTOR)
        bitmap = self.file.read(place + first // 8, -(-last // 8) - first // 8)
        base = first // 8 * 8
        position, end = skip, skip + len(view)
        while position < end:
            sector = position // SECTOR
            present = _bit(bitmap, sector - base)
            while sector < last and _bit(bitmap, sector - base) == present:
                # Whole bytes of equal bits are the rule.
                sector += 8 if _eight_alike(bitmap, sector - base, present) else 1
            stop = min(sector * SECTOR, end)
            part = view[position - skip : stop - skip]
            if present:
                self.file.read_into(place + self._bitmap_size + position, part)
            elif self.parent is not None:
                self.read_parent(block * self.block_size + position, part)
            else:
                fill_zeros(part)
            position = stop


def _bit(bitmap: bytes, number: int) -> bool:
    return bool(bitmap[number // 8] & 0x80 >> number % 8)


def _eight_alike(bitmap: bytes, number: int, present: bool) -> bool:
    return number % 8 == 0 and bitmap[number // 8] == (0xFF if present else 0)


def _damaged(file: SourceFile, detail: str) -> DiskError:
    return DiskError(
        "{0}: the VHD is damaged: {1}; copy it again or export the disk once more".format(file.path, detail)
    )


def _read_header(file: SourceFile, footer: Footer) -> _Header:
    offset = footer.data_offset
    if offset % SECTOR or offset + _HEADER_SIZE > file.size:
        raise _damaged(file, "its header should be at byte {0}, which is outside of the file".format(offset))
    data = file.read(offset, _HEADER_SIZE)
    (
        cookie, _next, table_offset, version, entries, block_size, stored, parent_id, _time, _reserved, name,
    ) = _HEADER.unpack(data[: _HEADER.size])  # fmt: skip
    if cookie != _COOKIE:
        raise _damaged(file, "its header does not begin with the cookie 'cxsparse'")
    computed = checksum(data, _CHECKSUM_OFFSET)
    if stored != computed:
        raise _damaged(
            file, "the header's checksum is {0:08x}, but its bytes give {1:08x}".format(stored, computed)
        )
    if version != _VERSION:
        raise DiskError("{0}: is a VHD of version {1:#x}, which is not known".format(file.path, version))
    if block_size < SECTOR or block_size > _MAX_BLOCK_SIZE or block_size & (block_size - 1):
        raise _damaged(file, "its blocks have {0} bytes".format(block_size))
    if table_offset % SECTOR or table_offset + entries * 4 > file.size:
        raise _damaged(file, "its block table is outside of the file")
    return _Header(table_offset, entries, block_size, parent_id, _parent_names(file, data, name))


def _parent_names(file: SourceFile, header: bytes, name: bytes) -> List[str]:
    """The paths by which the parent may be found, the most portable first."""
    relative = []  # type: List[str]
    absolute = []  # type: List[str]
    for number in range(8):
        code, _space, length, _reserved, offset = _LOCATOR.unpack_from(
            header, _LOCATORS_OFFSET + number * _LOCATOR.size
        )
        if code not in (b"W2ru", b"W2ku") or length > 4096 or offset + length > file.size:
            continue
        text = file.read(offset, length).decode("utf-16-le", "replace").rstrip("\0")
        # Windows writes backslashes; its drive letters mean nothing here, so the file's own name is tried.
        text = text.replace("\\", "/")
        (relative if code == b"W2ru" else absolute).append(text)
    short = name.decode("utf-16-be", "replace").partition("\0")[0].replace("\\", "/")
    names = relative + [text.rpartition("/")[2] for text in absolute] + [short.rpartition("/")[2]]
    return [text for number, text in enumerate(names) if text and text not in names[:number]]
