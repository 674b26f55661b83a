# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""How large a disk may be, checked before anything is created.

Managed disk: 20 MiB to 32,767 GiB (REST reference, "Disks - Create Or Update", uploadSizeBytes, which counts
the footer); disks that are booted from: 2 TiB by BIOS (the
limit of an MBR) and 4,095 GiB by UEFI ("Azure managed disk types", OS disk). Page blob: 8 TiB with the footer
(REST reference, "Put Blob").
"""

from typing import Optional

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FOOTER_SIZE
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.plan import rounded_size
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.scan import MIB

GIB = 1 << 30
MIN_DISK = 20 * MIB
MAX_DISK = 32767 * GIB
MAX_OS_DISK = {"V1": 2 << 40, "V2": 4095 * GIB}
MAX_PAGE_BLOB = 8 << 40


def check_managed_disk_size(path: str, virtual_size: int, generation: Optional[str]) -> None:
    """Refuse a disk that cannot become a managed disk.

    :param generation: "V1" or "V2" for a disk to boot from, None for a data disk
    """
    size = rounded_size(virtual_size)
    if size < MIN_DISK:
        raise DiskError(
            "{0}: the disk has {1} bytes, but a managed disk that is uploaded has at least {2} (20 MiB); "
            "grow it first: qemu-img resize {0} 20M".format(path, virtual_size, MIN_DISK)
        )
    largest = MAX_OS_DISK.get(generation or "", MAX_DISK)
    if size > largest:
        kind = "an OS disk of generation {0}".format(generation) if generation else "a managed disk"
        raise DiskError(
            "{0}: the disk has {1} bytes, but {2} has at most {3} bytes; shrink its file systems and "
            "partitions, then the disk".format(path, virtual_size, kind, largest)
        )


def check_page_blob_size(path: str, virtual_size: int) -> None:
    """Refuse a disk that does not fit into a page blob."""
    if rounded_size(virtual_size) + FOOTER_SIZE > MAX_PAGE_BLOB:
        raise DiskError(
            "{0}: the disk has {1} bytes, but a page blob has at most {2} (8 TiB) with the VHD footer; "
            "upload it as a managed disk".format(path, virtual_size, MAX_PAGE_BLOB)
        )
