# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The one way to open a disk file: its content decides the format, not its name."""

from functools import partial
from typing import Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk import (
    qcow2_header,
    signatures,
    vhdx,
    vmdk,
    vmdk_sparse,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.parents import (
    Chain,
    OpenParent,
    check_may_name_others,
    parent_path,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import read_partition_table
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.qcow2 import Qcow2Reader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.raw import RawReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    DiskReader,
    SourceFile,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd import FixedVhdReader, read_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_dynamic import DynamicVhdReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    DIFFERENCING,
    DYNAMIC,
    FIXED,
    FOOTER_SIZE,
    has_cookie,
)

#: What a child may call the format of its parent, and what our readers call it.
_FORMAT_NAMES = {"vpc": "vhd"}


def open_disk(path: str, allow_unpartitioned: bool = False) -> DiskReader:
    """Open a raw, VHD, VHDX, qcow2 or VMDK disk, with the parents that it needs.

    Everything else raises :class:`DiskError`: a file of another format is named with the command that
    converts it; a file that is no disk at all is refused. A raw file shows only by its content that it is a
    disk: without a partition table or a known file system it is refused unless `allow_unpartitioned` is true.
    """
    return _open_path(path, allow_unpartitioned, Chain())


def _open_path(path: str, allow_unpartitioned: bool, chain: Chain, declared: bool = False) -> DiskReader:
    """Open a file; `declared`: whether something else than its content says of which format it is."""
    file = SourceFile(path)
    try:
        return _open(file, allow_unpartitioned, chain.extended(file), declared)
    except BaseException:
        file.close()
        raise


def _by_name(open_parent: OpenParent, disk_format: str) -> OpenParent:
    """Opens parents of a file only if its own name says that it is of the format."""

    def opened(child: SourceFile, name: str, declared: Optional[str]) -> DiskReader:
        check_may_name_others(child, disk_format)
        return open_parent(child, name, declared)

    return opened


def _open_parent(chain: Chain, child: SourceFile, name: str, declared: Optional[str]) -> DiskReader:
    # A child that says "raw" means it, whatever the content looks like: guests write it.
    path = parent_path(child, name)
    if declared == "raw":
        file = SourceFile(path)
        chain.extended(file)
        return RawReader(file, file.size // SECTOR * SECTOR)
    parent = _open_path(path, False, chain, declared is not None)
    if declared is not None and parent.format != _FORMAT_NAMES.get(declared, declared):
        found = parent.format
        parent.close()
        raise DiskError(
            "{0}: its parent {1} should be a {2} disk, but is a {3} disk".format(
                child.path, path, declared, found
            )
        )
    return parent


def _open(file: SourceFile, allow_unpartitioned: bool, chain: Chain, declared: bool) -> DiskReader:
    head = file.read_up_to(0, signatures.HEAD_SIZE)
    parents = partial(_open_parent, chain)

    def parents_of(disk_format: str) -> OpenParent:
        return parents if declared else _by_name(parents, disk_format)

    if head.startswith(qcow2_header.MAGIC):
        return Qcow2Reader(file, parents_of("qcow2"))
    if head.startswith(vhdx.MAGIC):
        return vhdx.VhdxReader(file, parents_of("vhdx"))
    if head.startswith((vmdk_sparse.HOSTED_MAGIC, vmdk_sparse.ESX_MAGIC, vmdk.DESCRIPTOR_MAGIC)):
        return vmdk.VmdkReader(file, parents_of("vmdk"))
    if file.size > FOOTER_SIZE and has_cookie(file.read(file.size - FOOTER_SIZE, FOOTER_SIZE)):
        return _open_vhd(file, parents_of("vhd"))
    if has_cookie(head):
        raise DiskError(
            "{0}: begins like a dynamic VHD, but has no footer at its end: it is truncated; "
            "copy it again".format(file.path)
        )
    return _open_raw(file, head, allow_unpartitioned)


def _open_vhd(file: SourceFile, open_parent: OpenParent) -> DiskReader:
    footer = read_footer(file)
    if footer.disk_type in (DYNAMIC, DIFFERENCING):
        return DynamicVhdReader(file, footer, open_parent)
    if footer.disk_type != FIXED:
        raise DiskError(
            "{0}: the VHD footer has disk type {1}, which is unknown".format(file.path, footer.disk_type)
        )
    return FixedVhdReader(file, footer)


def _open_raw(file: SourceFile, head: bytes, allow_unpartitioned: bool) -> DiskReader:
    foreign = signatures.find_foreign(head)
    if foreign is not None:
        raise DiskError(
            "{0}: is {1}, not a raw, VHD, VHDX, qcow2 or VMDK disk; {2}".format(
                file.path, foreign.name, foreign.remedy.format(file.path)
            )
        )
    if signatures.is_text(head) and not allow_unpartitioned:
        raise DiskError("{0}: is a text file; give the path of a disk file instead".format(file.path))
    if file.size % SECTOR:
        raise DiskError(
            "{0}: is no disk: a raw disk consists of whole sectors of 512 bytes, but the file has {1} bytes; "
            "it is truncated or something else".format(file.path, file.size)
        )
    reader = RawReader(file, file.size)
    if allow_unpartitioned or signatures.find_content(head) is not None:
        return reader
    if read_partition_table(reader).scheme == "none":
        raise DiskError(
            "{0}: has no partition table and no known file system, so it is probably no disk; "
            "if it is one, set allow_unpartitioned to true".format(file.path)
        )
    return reader
