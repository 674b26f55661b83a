# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""VMDK disks: a descriptor and the extents it lists, in the same file or in others.

VMware, "Virtual Disk Format 5.0".
"""

import re
from bisect import bisect_right
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.block_map import (
    Extents,
    fill_zeros,
    merged,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.parents import (
    OpenParent,
    check_may_name_others,
    parent_path,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.raw import RawReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    DiskReader,
    SourceFile,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vmdk_sparse import (
    ESX_MAGIC,
    HOSTED_MAGIC,
    SparseExtent,
    damaged,
    read_sparse_header,
)

DESCRIPTOR_MAGIC = b"# Disk DescriptorFile"

_MAX_DESCRIPTOR = 1 << 20
_NO_PARENT = 0xFFFFFFFF
_SETTING = re.compile(r'^\s*([A-Za-z][\w.]*)\s*=\s*"?([^"\r\n]*)"?\s*$')
_EXTENT = re.compile(
    r'^\s*(RW|RDONLY|NOACCESS)\s+(\d+)\s+([A-Z0-9]+)(?:\s+"([^"]+)"(?:\s+(\d+))?)?', re.ASCII
)
_FLAT = ("FLAT", "VMFS")
_SPARSE = ("SPARSE", "VMFSSPARSE")
_MAX_EXTENTS = 4096


class _Extent(NamedTuple):
    """`sectors` of the disk, in the file `name` from `offset` (sectors) on."""

    access: str
    sectors: int
    kind: str
    name: str
    offset: int


class _Descriptor(NamedTuple):
    settings: Dict[str, str]
    extents: List[_Extent]


class _Piece(NamedTuple):
    """Where an extent begins on the disk; `reader` None: zeros."""

    start: int
    length: int
    reader: Optional[DiskReader]


class VmdkReader(DiskReader):
    """A VMDK disk, monolithic or split, flat, sparse, stream-optimized or a snapshot's delta."""

    format = "vmdk"

    def __init__(self, file: SourceFile, open_parent: OpenParent) -> None:
        self._pieces = []  # type: List[_Piece]
        self._opened = []  # type: List[SourceFile]
        self.parent = None  # type: Optional[DiskReader]
        try:
            descriptor = self._read(file)
            super().__init__(file, sum(piece.length for piece in self._pieces))
            self._starts = [piece.start for piece in self._pieces]
            if descriptor is not None:
                self._content_id = descriptor.settings.get("cid", "")
                self._open_parent(descriptor, open_parent)
        except BaseException:
            self._close_parts()
            raise

    @property
    def content_id(self) -> str:
        """What a child remembers of its parent, eight hexadecimal digits."""
        return self._content_id.lower().rjust(8, "0")

    def _read(self, file: SourceFile) -> Optional[_Descriptor]:
        self._content_id = ""
        head = file.read_up_to(0, len(DESCRIPTOR_MAGIC))
        if head.startswith((HOSTED_MAGIC, ESX_MAGIC)):
            header = read_sparse_header(file)
            extent = SparseExtent(file, header)
            self._pieces.append(_Piece(0, extent.virtual_size, extent))
            if not header.descriptor_size:
                return None
            if header.descriptor_size > _MAX_DESCRIPTOR:
                raise damaged(file, "a descriptor of {0} bytes".format(header.descriptor_size))
            return _parse(file, file.read_up_to(header.descriptor_offset, header.descriptor_size))
        if file.size > _MAX_DESCRIPTOR:
            raise damaged(file, "a descriptor of {0} bytes".format(file.size))
        descriptor = _parse(file, file.read(0, file.size))
        self._open_extents(file, descriptor)
        return descriptor

    def _open_extents(self, file: SourceFile, descriptor: _Descriptor) -> None:
        if not 0 < len(descriptor.extents) <= _MAX_EXTENTS:
            raise damaged(file, "its descriptor lists {0} extents".format(len(descriptor.extents)))
        check_may_name_others(file, self.format)
        position = 0
        for extent in descriptor.extents:
            length = extent.sectors * SECTOR
            self._pieces.append(_Piece(position, length, self._open_extent(file, extent, length)))
            position += length
        if position == 0:
            raise damaged(file, "a disk of 0 bytes")

    def _open_extent(self, file: SourceFile, extent: _Extent, length: int) -> Optional[DiskReader]:
        if extent.kind == "ZERO":
            return None
        if extent.access == "NOACCESS" or extent.kind not in _FLAT + _SPARSE:
            raise DiskError(
                "{0}: has an extent of kind {1} {2}, which cannot be read; copy the disk with VMware's own "
                "tools first (vmkfstools -i, ovftool)".format(file.path, extent.access, extent.kind)
            )
        part = SourceFile(parent_path(file, extent.name, "extent"))
        self._opened.append(part)
        if extent.kind in _SPARSE:
            sparse = SparseExtent(part, read_sparse_header(part))
            if sparse.virtual_size < length:
                raise damaged(part, "it holds {0} bytes, but the descriptor says {1}".format(
                    sparse.virtual_size, length
                ))  # fmt: skip
            return sparse
        if (extent.offset + extent.sectors) * SECTOR > part.size:
            raise DiskError(
                "{0}: is truncated: the descriptor {1} says it has {2} bytes, but it has only {3}; "
                "copy it again".format(
                    part.path, file.path, (extent.offset + extent.sectors) * SECTOR, part.size
                )
            )
        return FlatExtent(part, extent.offset * SECTOR, length)

    def _open_parent(self, descriptor: _Descriptor, open_parent: OpenParent) -> None:
        parent_id = descriptor.settings.get("parentcid", "ffffffff")
        try:
            if int(parent_id, 16) == _NO_PARENT:
                return
        except ValueError:
            raise damaged(self.file, "its parent's id is {0!r}".format(parent_id)) from None
        name = descriptor.settings.get("parentfilenamehint", "")
        if not name:
            raise DiskError(
                "{0}: is a delta of another disk and does not name it; copy the whole disk with VMware's own "
                "tools (vmkfstools -i, ovftool)".format(self.path)
            )
        parent = open_parent(self.file, name.replace("\\", "/"), "vmdk")
        self.parent = parent
        if isinstance(parent, VmdkReader) and parent.content_id != parent_id.lower().rjust(8, "0"):
            raise DiskError(
                "{0}: its parent {1} has changed since the delta was made: their content ids differ".format(
                    self.path, parent.path
                )
            )
        for piece in self._pieces:
            if isinstance(piece.reader, SparseExtent):
                piece.reader.parent = ShiftedReader(parent, piece.start, piece.length)

    def extents(self) -> Extents:
        return merged(self._all_extents())

    def _all_extents(self) -> Iterator[Tuple[int, int]]:
        for piece in self._pieces:
            if piece.reader is not None:
                for offset, length in piece.reader.extents():
                    if offset < piece.length:
                        yield piece.start + offset, min(length, piece.length - offset)

    def read_into(self, offset: int, view: memoryview) -> None:
        self.check_bounds(offset, len(view))
        position, end = offset, offset + len(view)
        index = bisect_right(self._starts, offset) - 1
        while position < end:
            piece = self._pieces[index]
            stop = min(piece.start + piece.length, end)
            part = view[position - offset : stop - offset]
            if piece.reader is None:
                fill_zeros(part)
            else:
                piece.reader.read_into(position - piece.start, part)
            position = stop
            index += 1

    def files(self) -> List[SourceFile]:
        own = super().files() + self._opened
        return own + (self.parent.files() if self.parent is not None else [])

    def _close_parts(self) -> None:
        for part in self._opened:
            part.close()
        if self.parent is not None:
            self.parent.close()

    def close(self) -> None:
        super().close()
        self._close_parts()


class FlatExtent(RawReader):
    """Part of a file that is a part of a disk, byte for byte."""

    format = "vmdk"

    def __init__(self, file: SourceFile, start: int, length: int) -> None:
        super().__init__(file, length)
        self._start = start

    def extents(self) -> Extents:
        for offset, length in self.file.data_extents(self._start + self.virtual_size):
            first = max(offset, self._start)
            if offset + length > first:
                yield first - self._start, offset + length - first

    def read_into(self, offset: int, view: memoryview) -> None:
        self.check_bounds(offset, len(view))
        self.file.read_into(self._start + offset, view)


class ShiftedReader(DiskReader):
    """The part of a parent disk that one extent of its child covers."""

    format = "vmdk"

    def __init__(self, disk: DiskReader, start: int, length: int) -> None:
        super().__init__(disk.file, max(0, min(length, disk.virtual_size - start)))
        self._disk = disk
        self._start = start

    def extents(self) -> Extents:
        end = self._start + self.virtual_size
        for offset, length in self._disk.extents():
            first, last = max(offset, self._start), min(offset + length, end)
            if last > first:
                yield first - self._start, last - first

    def read_into(self, offset: int, view: memoryview) -> None:
        self.check_bounds(offset, len(view))
        self._disk.read_into(self._start + offset, view)


def _parse(file: SourceFile, data: bytes) -> _Descriptor:
    text = data.partition(b"\0")[0].decode("utf-8", "replace")
    if not text.lstrip().startswith("# Disk DescriptorFile"):
        raise damaged(file, "its descriptor does not begin like one")
    settings = {}
    extents = []
    for line in text.splitlines():
        extent = _EXTENT.match(line)
        if extent:
            access, sectors, kind, name, offset = extent.groups()
            extents.append(_Extent(access, int(sectors), kind, name or "", int(offset or 0)))
            continue
        setting = _SETTING.match(line)
        if setting:
            settings[setting.group(1).lower()] = setting.group(2).strip()
    if settings.get("encryption.keysafe") or settings.get("encryption.keySafe"):
        raise DiskError("{0}: is encrypted; decrypt the machine in VMware first".format(file.path))
    return _Descriptor(settings, extents)
