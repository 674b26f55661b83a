# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""For which processor a program is made, by its first bytes.

PE as in Microsoft's "PE Format", ELF as in the generic ABI (e_machine).
"""

import struct

X64, ARM64 = "x64", "Arm64"

_PE = {0x8664: X64, 0xAA64: ARM64, 0x014C: "x86", 0x01C0: "Arm", 0x01C2: "Arm"}
_PE_POINTER = 0x3C
# A userland of 32 bits runs on an x64 machine.
_ELF = {62: X64, 3: X64, 183: ARM64}


def efi_architecture(head: bytes) -> str:
    """ "x64", "Arm64", "x86" or "Arm" of an EFI program; "" for something else.

    :param head: the program's first 4096 bytes, fewer if it is smaller
    """
    if not head.startswith(b"MZ") or len(head) < _PE_POINTER + 4:
        return ""
    place = struct.unpack_from("<I", head, _PE_POINTER)[0]
    if head[place : place + 4] != b"PE\0\0" or len(head) < place + 6:
        return ""
    return _PE.get(struct.unpack_from("<H", head, place + 4)[0], "")


def elf_architecture(head: bytes) -> str:
    """ "x64" or "Arm64" of an ELF program; "" for something else."""
    if not head.startswith(b"\x7fELF") or len(head) < 20:
        return ""
    order = ">" if head[5] == 2 else "<"
    return _ELF.get(struct.unpack_from(order + "H", head, 18)[0], "")
