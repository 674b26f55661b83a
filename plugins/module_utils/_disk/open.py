# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The one way to open a disk file: its content decides the format, not its name."""

from ansible_collections.goldenimage.azure.plugins.module_utils._disk import qcow2_header, signatures
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import read_partition_table
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.qcow2 import Qcow2Reader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.raw import RawReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import (
    SECTOR,
    DiskError,
    DiskReader,
    SourceFile,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd import FixedVhdReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    FOOTER_SIZE,
    has_cookie,
)


def open_disk(path: str, allow_unpartitioned: bool = False) -> DiskReader:
    """Open a raw, fixed VHD or qcow2 disk.

    Everything else raises :class:`DiskError`: a file of another format is named with the command that
    converts it; a file that is no disk at all is refused. A raw file shows only by its content that it is a
    disk: without a partition table or a known file system it is refused unless `allow_unpartitioned` is true.
    """
    file = SourceFile(path)
    try:
        return _open(file, allow_unpartitioned)
    except BaseException:
        file.close()
        raise


def _open(file: SourceFile, allow_unpartitioned: bool) -> DiskReader:
    head = file.read_up_to(0, signatures.HEAD_SIZE)
    if head.startswith(qcow2_header.MAGIC):
        return Qcow2Reader(file)
    if file.size > FOOTER_SIZE and has_cookie(file.read(file.size - FOOTER_SIZE, FOOTER_SIZE)):
        return FixedVhdReader(file)
    if has_cookie(head):
        raise DiskError(
            "{0}: begins like a dynamic VHD, but has no footer at its end: it is truncated; "
            "copy it again".format(file.path)
        )
    foreign = signatures.find_foreign(head)
    if foreign is not None:
        raise DiskError(
            "{0}: is {1}, not a raw, fixed VHD or qcow2 disk; {2}".format(
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
