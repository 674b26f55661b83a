# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the platform says about blobs that are no proper VHD, and how it counts their size."""

from __future__ import annotations

from tests.local_azure.blob_storage.blob_vhd import FIXED, FOOTER_SIZE
from tests.local_azure.blob_storage.blobs import BlobAddress, BlobStore
from tests.local_azure.errors import ArmError

MIB = 1024 * 1024
GIB = 1024 * MIB
_FORGIVEN = 2 * MIB
# The least that is uploaded, and the most that a page blob was to hold for a disk.
_SMALLEST, _LARGEST = 20 * MIB, 4095 * GIB


def bad_cookie(disk: str, url: str, code: str = "InvalidVhd", target: str | None = None) -> ArmError:
    return ArmError(
        400,
        code,
        f"The specified cookie value in VHD footer indicates that disk '{disk}' with blob {url} is not a "
        "supported VHD. Disk is expected to have cookie value 'conectix'.",
        target=target,
    )


def disk_size(blobs: BlobStore, address: BlobAddress, disk: str, url: str, *, importing: bool) -> int:
    """Bytes of the fixed VHD in the blob; raises what the platform answers when it is not one.

    `importing`: a user's blob becomes an image or a disk, not a finished upload; the words differ.
    """
    facts = blobs.inspect_vhd(address)
    code, target = ("InvalidParameter", "disks") if importing else ("InvalidVhd", None)
    if importing and not facts.exists:
        raise ArmError(400, code, f"The source blob {url} is not accessible.", target=target)
    if importing and not facts.is_page_blob:
        raise ArmError(400, code, f"The source blob {url} is not a page blob.", target=target)
    if not facts.cookie_ok or facts.virtual_size is None:
        raise bad_cookie(disk, url, code, target)
    if facts.disk_type != FIXED or facts.virtual_size + FOOTER_SIZE != facts.size:
        raise ArmError(400, code, "Only blobs formatted as VHDs can be imported.", target=target)
    if facts.virtual_size % MIB:
        raise ArmError(
            400,
            code,
            f"The VHD {url} has an unsupported virtual size of {facts.virtual_size} bytes. The size must "
            "be a "
            "whole number (in MBs).",
            target=target,
        )
    if importing and not _SMALLEST <= facts.virtual_size <= _LARGEST:
        raise ArmError(
            400,
            "VHDSizeInvalid",
            f"The specified disk size value of {facts.virtual_size} for disk '{disk}' with blob {url} is "
            f"invalid. Disk size must be between {_SMALLEST} and {_LARGEST}.",
            target=target,
        )
    return facts.virtual_size


def whole_gib(size: int) -> int:
    """Disks are billed and shown in whole GiB, rounded up.

    Platform images have a MiB or two more than they are shown with: 30 GiB and 1 MiB are "30", 127 GiB and
    2 MiB "127". How much Azure forgives is not known.
    """
    return max(1, -(-(size - _FORGIVEN) // GIB))
