# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""VHD footers of managed disks, and what the platform says about blobs that lack a proper one."""

from __future__ import annotations

import struct
import uuid

from tests.local_azure.blobs import BlobAddress, BlobStore
from tests.local_azure.errors import ArmError

FOOTER_SIZE = 512
MIB = 1024 * 1024
GIB = 1024 * MIB
_FIXED = 2
_FEATURES_RESERVED = 2
_VERSION = 0x00010000
_NO_DATA_OFFSET = 0xFFFFFFFFFFFFFFFF
_EPOCH_2000 = 946684800
_FORGIVEN = 2 * MIB


def _geometry(size: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors per track, by the format's own rule for large disks."""
    total = min(size // 512, 65535 * 16 * 255)
    if total >= 65535 * 16 * 63:
        sectors, heads = 255, 16
        return total // sectors // heads, heads, sectors
    sectors = 17
    heads = max(4, (total // sectors + 1023) // 1024)
    if total // sectors >= heads * 1024 or heads > 16:
        sectors, heads = 31, 16
    if total // sectors >= heads * 1024:
        sectors, heads = 63, 16
    return total // sectors // heads, heads, sectors


def fixed_footer(size: int, moment: float) -> bytes:
    """The footer of a fixed disk of `size` bytes (Virtual Hard Disk Image Format Specification 1.0)."""
    cylinders, heads, sectors = _geometry(size)
    footer = bytearray(
        struct.pack(
            ">8sIIQI4sI4sQQHBBII16sB427x",
            b"conectix",
            _FEATURES_RESERVED,
            _VERSION,
            _NO_DATA_OFFSET,
            max(0, int(moment) - _EPOCH_2000),
            b"az  ",
            _VERSION,
            b"Wi2k",
            size,
            size,
            cylinders,
            heads,
            sectors,
            _FIXED,
            0,
            uuid.uuid4().bytes,
            0,
        )
    )
    struct.pack_into(">I", footer, 64, ~sum(footer) & 0xFFFFFFFF)
    return bytes(footer)


def write_footer(blobs: BlobStore, address: BlobAddress, size: int, moment: float) -> None:
    blobs.write(address, size, fixed_footer(size, moment))


def grow(blobs: BlobStore, address: BlobAddress, old: int, new: int, moment: float) -> None:
    """Makes the disk in the blob larger and moves its footer to the new end."""
    blobs.resize(address, new + FOOTER_SIZE)
    blobs.write(address, old, bytes(FOOTER_SIZE))
    write_footer(blobs, address, new, moment)


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
    if facts.disk_type != _FIXED or facts.virtual_size + FOOTER_SIZE != facts.size:
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
    return facts.virtual_size


def whole_gib(size: int) -> int:
    """Disks are billed and shown in whole GiB, rounded up.

    Platform images have a MiB or two more than they are shown with: 30 GiB and 1 MiB are "30", 127 GiB and
    2 MiB "127". How much Azure forgives is not known.
    """
    return max(1, -(-(size - _FORGIVEN) // GIB))
