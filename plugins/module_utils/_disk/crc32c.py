# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""CRC-32C (Castagnoli, RFC 3720 appendix B.4), which the standard library does not have."""

from typing import List

_POLYNOMIAL = 0x82F63B78  # reflected


def _table() -> List[int]:
    table = []
    for byte in range(256):
        value = byte
        for _unused in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    """The checksum of `data`; about 10 MB/s, enough for the few structures that carry one."""
    value = 0xFFFFFFFF
    table = _TABLE
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def crc32c_without(structure: bytes, field: int) -> int:
    """The checksum of a structure whose own four bytes of checksum at `field` count as zeros."""
    return crc32c(structure[:field] + bytes(4) + structure[field + 4 :])
