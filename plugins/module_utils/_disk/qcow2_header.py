# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The header of a qcow2 file, versions 2 and 3 (QEMU, docs/interop/qcow2.txt). Numbers are big-endian."""

import os
import struct
from typing import NamedTuple, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, SourceFile

MAGIC = b"QFI\xfb"

_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3 = struct.Struct(">QQQII")
_DIRTY, _CORRUPT, _EXTERNAL_DATA, _COMPRESSION_TYPE, _EXTENDED_L2 = 1, 2, 4, 8, 16
_ZLIB = 0
_COMPRESSION_NAMES = {1: "zstd"}
_EXTENSION = struct.Struct(">II")
_END_OF_EXTENSIONS, _BACKING_FORMAT = 0, 0xE2792ACA
_MAX_NAME = 1023
_MAX_EXTENSIONS = 64
_MAX_L1_BYTES = 32 << 20  # the limit QEMU itself sets


class Header(NamedTuple):
    """What a reader needs of the header. Sizes and offsets in bytes."""

    version: int
    cluster_bits: int
    virtual_size: int
    l1_entries: int
    l1_offset: int
    backing_name: str
    backing_format: Optional[str]


def read_header(file: SourceFile) -> Header:
    """Read and judge the header; whatever cannot be read faithfully raises :class:`DiskError`."""
    path = file.path
    if file.size < _V2.size:
        raise DiskError("{0}: is a qcow2 file cut off inside its header; copy it again".format(path))
    (
        _magic, version, backing_offset, backing_size, cluster_bits, virtual_size, encryption,
        l1_entries, l1_offset, _refcounts, _refcount_clusters, _snapshots, _snapshots_offset,
    ) = _V2.unpack(file.read(0, _V2.size))  # fmt: skip
    if version not in (2, 3):
        raise DiskError(
            "{0}: is qcow version {1}; convert it: qemu-img convert -O qcow2 {0} new.qcow2".format(
                path, version
            )
        )
    if not 9 <= cluster_bits <= 21:
        raise DiskError(
            "{0}: the qcow2 header is damaged: cluster bits {1} are not between 9 and 21".format(
                path, cluster_bits
            )
        )
    if encryption:
        raise DiskError(
            "{0}: is encrypted; convert it with its key to an unencrypted file first "
            "(qemu-img convert with --object secret)".format(path)
        )
    if version == 3:
        _check_features(file)
    needed = -(-virtual_size // (1 << (2 * cluster_bits - 3)))
    if virtual_size == 0 or l1_entries < needed or l1_entries * 8 > _MAX_L1_BYTES:
        raise DiskError(
            "{0}: the qcow2 header is damaged: {1} L1 entries for a disk of {2} bytes".format(
                path, l1_entries, virtual_size
            )
        )
    backing_name = _backing_name(file, backing_offset, backing_size) if backing_offset else ""
    backing_format = _backing_format(file, _extensions_offset(file, version)) if backing_name else None
    return Header(version, cluster_bits, virtual_size, needed, l1_offset, backing_name, backing_format)


def _backing_name(file: SourceFile, offset: int, size: int) -> str:
    if not 0 < size <= _MAX_NAME or offset + size > file.size:
        raise DiskError(
            "{0}: the qcow2 header is damaged: the name of the backing file is not in the file".format(
                file.path
            )
        )
    return os.fsdecode(file.read(offset, size))


def _extensions_offset(file: SourceFile, version: int) -> int:
    if version == 2:
        return _V2.size
    length: int = _V3.unpack(file.read(_V2.size, _V3.size))[4]
    return length


def _backing_format(file: SourceFile, offset: int) -> Optional[str]:
    """The format that the header extensions give for the backing file; None when they say nothing."""
    for _unused in range(_MAX_EXTENSIONS):
        if offset + _EXTENSION.size > file.size:
            return None
        kind, length = _EXTENSION.unpack(file.read(offset, _EXTENSION.size))
        offset += _EXTENSION.size
        if kind == _END_OF_EXTENSIONS or offset + length > file.size:
            return None
        if kind == _BACKING_FORMAT and length <= _MAX_NAME:
            return file.read(offset, length).decode("ascii", "replace")
        offset += -(-length // 8) * 8
    return None


def _check_features(file: SourceFile) -> None:
    path = file.path
    if file.size < _V2.size + _V3.size:
        raise DiskError("{0}: is a qcow2 file cut off inside its header; copy it again".format(path))
    incompatible, _compatible, _autoclear, _order, length = _V3.unpack(file.read(_V2.size, _V3.size))
    if incompatible & _CORRUPT:
        raise DiskError("{0}: is marked corrupt; repair it first: qemu-img check -r all {0}".format(path))
    if incompatible & _DIRTY:
        raise DiskError(
            "{0}: is marked dirty: it was not closed properly, or a machine is using it; shut the machine "
            "down, then run: qemu-img check -r all {0}".format(path)
        )
    if incompatible & _EXTERNAL_DATA:
        raise DiskError(
            "{0}: keeps its data in another file; put both into one: "
            "qemu-img convert -O qcow2 {0} new.qcow2".format(path)
        )
    if incompatible & _EXTENDED_L2:
        raise DiskError(
            "{0}: uses subclusters (extended L2 entries), which cannot be read; convert it: "
            "qemu-img convert -O qcow2 {0} new.qcow2".format(path)
        )
    if incompatible & _COMPRESSION_TYPE and length > 104:
        kind = file.read(104, 1)[0]
        if kind != _ZLIB:
            raise DiskError(
                "{0}: is compressed with {1}, but only zlib can be read; convert it: "
                "qemu-img convert -O qcow2 {0} new.qcow2".format(
                    path, _COMPRESSION_NAMES.get(kind, "method {0}".format(kind))
                )
            )
    unknown = incompatible & ~(_DIRTY | _CORRUPT | _EXTERNAL_DATA | _COMPRESSION_TYPE | _EXTENDED_L2)
    if unknown:
        raise DiskError(
            "{0}: uses qcow2 features that are not known here (bits {1:#x}); convert it: "
            "qemu-img convert -O raw {0} new.raw".format(path, unknown)
        )
