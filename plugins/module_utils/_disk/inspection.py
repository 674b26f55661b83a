# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Everything about a disk file that matters before it goes to Azure, as plain values."""

import os
from typing import Any, Dict, List, Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.boot import BootFacts, read_boot_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.filesystems import FileSystem, identify
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partition_types import (
    flag_names,
    type_name,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import (
    Partition,
    PartitionTable,
    read_partition_table,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd import read_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import DIFFERENCING, DYNAMIC

_VHD_TYPES = {DYNAMIC: "dynamic", DIFFERENCING: "differencing"}
_STAT_BLOCK = 512  # stat(2): st_blocks counts these, whatever the file system's blocks are


def inspect_disk(reader: DiskReader) -> Dict[str, Any]:
    """The returned value `disk` of the module disk_info; sizes in bytes.

    A broken partition table raises :class:`DiskError`.
    """
    table = read_partition_table(reader)
    boot = read_boot_facts(reader)
    files = _files(reader)
    return {
        "path": reader.path,
        "format": reader.format,
        "files": files,
        "virtual_size": reader.virtual_size,
        "allocated_size": sum(file["allocated_size"] for file in files),
        "data_size": sum(length for _offset, length in reader.extents()),
        "footer": _footer(reader) if reader.format == "vhd" else None,
        "partition_table": table.scheme,
        "partitions": [_partition(reader, partition) for partition in table.partitions],
        "file_system": _bare_file_system(reader, table),
        "boot": _boot(boot),
        "hyper_v_generation": preferred_generation(boot),
        "architecture": boot.architecture,
        "problems": boot.problems,
    }


def preferred_generation(boot: BootFacts) -> Optional[str]:
    """ "V2" for a disk that boots by UEFI, whatever else it can; "V1" by BIOS only; None when it does not
    boot."""
    return max(boot.generations) if boot.generations else None


def _files(reader: DiskReader) -> List[Dict[str, Any]]:
    return [
        {
            "path": file.path,
            "size": file.size,
            "allocated_size": os.stat(file.path).st_blocks * _STAT_BLOCK,
        }
        for file in reader.files()
    ]


def _footer(reader: DiskReader) -> Dict[str, Any]:
    footer = read_footer(reader.file)
    return {
        "type": _VHD_TYPES.get(footer.disk_type, "fixed"),
        "creator": footer.creator.decode("ascii", "replace").strip("\0 "),
        "unique_id": footer.unique_id.hex(),
        "size": footer.current_size,
    }


def _bare_file_system(reader: DiskReader, table: PartitionTable) -> Optional[Dict[str, str]]:
    """What a disk without partitions holds."""
    if table.scheme != "none":
        return None
    return _file_system(identify(reader, 0, reader.virtual_size))


def _file_system(found: Optional[FileSystem]) -> Optional[Dict[str, str]]:
    return None if found is None else dict(found._asdict())


def _partition(reader: DiskReader, partition: Partition) -> Dict[str, Any]:
    return {
        "number": partition.number,
        "offset": partition.offset,
        "size": partition.length,
        "type": partition.type_id,
        "type_name": type_name(partition),
        "name": partition.name,
        "unique_id": partition.unique_id,
        "flags": flag_names(partition),
        "file_system": _file_system(identify(reader, partition.offset, partition.length)),
    }


def _boot(boot: BootFacts) -> Dict[str, Any]:
    return {
        "generations": boot.generations,
        "efi_partitions": boot.efi_partitions,
        "efi_loaders": [dict(loader._asdict()) for loader in boot.loaders],
        "bios_code": boot.bios_code,
        "bios_boot_partition": boot.bios_boot_partition,
        "architecture_from": boot.architecture_from,
    }
