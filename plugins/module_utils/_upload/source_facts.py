# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What an upload needs to know of a disk before anything is created for it."""

from typing import List, NamedTuple, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.boot import read_boot_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import bootable_generations
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import data_bytes


class SourceFacts(NamedTuple):
    """Sizes in bytes.

    `data_bytes`: how much of the disk may hold data; `generations`: of "V1" and "V2" those it boots as, and
    `architecture` ("x64", "Arm64" or None) with where it was seen: only looked for on a disk to boot from.
    """

    path: str
    format: str
    virtual_size: int
    data_bytes: int
    generations: List[str]
    architecture: Optional[str]
    architecture_from: str


def source_facts(reader: DiskReader, boots: bool) -> SourceFacts:
    """Look at an open disk; a broken partition table raises DiskError.

    :param boots: whether a machine shall boot from it
    """
    generations: List[str] = []
    architecture, seen_in = None, ""
    if boots:
        generations = sorted(bootable_generations(reader))
        found = read_boot_facts(reader)
        architecture, seen_in = found.architecture, found.architecture_from
    return SourceFacts(
        reader.path,
        reader.format,
        reader.virtual_size,
        data_bytes(reader),
        generations,
        architecture,
        seen_in,
    )
