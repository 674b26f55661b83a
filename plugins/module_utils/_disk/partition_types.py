# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Names of partition types and flags.

GPT: UEFI specification 5.3, the Discoverable Partitions Specification, Microsoft's PARTITION_INFORMATION_GPT.
"""

from typing import Dict, List

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.partitions import Partition

_GPT: Dict[str, str] = {
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "EFI system",
    "21686148-6449-6e6f-744e-656564454649": "BIOS boot",
    "024dee41-33e7-11d3-9d69-0008c781f39f": "MBR partition scheme",
    "bc13c2ff-59e6-4262-a352-b275fd6f7172": "Linux extended boot",
    "0fc63daf-8483-4772-8e79-3d69d8477de4": "Linux file system",
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "Linux root (x86-64)",
    "b921b045-1df0-41c3-af44-4c6f280d3fae": "Linux root (ARM-64)",
    "44479540-f297-41b2-9af7-d131d5f0458a": "Linux root (x86)",
    "8484680c-9521-48c6-9c11-b0720656f69e": "Linux /usr (x86-64)",
    "b0e01050-ee5f-4390-949a-9101b17104e9": "Linux /usr (ARM-64)",
    "933ac7e1-2eb4-4f13-b844-0e14e2aef915": "Linux home",
    "3b8f8425-20e0-4f3b-907f-1a25a76f98e8": "Linux server data",
    "4d21b016-b534-45c2-a9fb-5c16e091fd2d": "Linux /var",
    "7ec6f557-3bc5-4aca-b293-16ef5df639d1": "Linux /var/tmp",
    "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "Linux swap",
    "e6d6d379-f507-44c2-a23c-238f2a3df928": "Linux LVM",
    "a19d880f-05fc-4d3b-a006-743f0f84911e": "Linux RAID",
    "ca7d7ccb-63ed-4c53-861c-1742536059cc": "LUKS",
    "8da63339-0007-60c0-c436-083ac8230908": "Linux reserved",
    "e3c9e316-0b5c-4db8-817d-f92df00215ae": "Microsoft reserved",
    "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "Microsoft basic data",
    "de94bba4-06d1-4d40-a16a-bfd50179d6ac": "Windows recovery",
    "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "Windows LDM metadata",
    "af9b60a0-1431-4f62-bc68-3311714a69ad": "Windows LDM data",
    "e75caf8f-f680-4cee-afa3-b001e56efc2d": "Windows storage spaces",
    "83bd6b9d-7f41-11dc-be0b-001560b84f0f": "FreeBSD boot",
    "516e7cb6-6ecf-11d6-8ff8-00022d09712b": "FreeBSD UFS",
    "516e7cba-6ecf-11d6-8ff8-00022d09712b": "FreeBSD ZFS",
    "516e7cb5-6ecf-11d6-8ff8-00022d09712b": "FreeBSD swap",
}
_MBR: Dict[str, str] = {
    "0x01": "FAT12",
    "0x04": "FAT16",
    "0x05": "extended",
    "0x06": "FAT16",
    "0x07": "NTFS or exFAT",
    "0x0b": "FAT32",
    "0x0c": "FAT32 (LBA)",
    "0x0e": "FAT16 (LBA)",
    "0x0f": "extended (LBA)",
    "0x27": "Windows recovery",
    "0x42": "Windows LDM",
    "0x82": "Linux swap",
    "0x83": "Linux file system",
    "0x85": "Linux extended",
    "0x8e": "Linux LVM",
    "0xa5": "FreeBSD",
    "0xee": "GPT protective",
    "0xef": "EFI system",
    "0xfd": "Linux RAID",
}
_GPT_FLAGS = {
    0: "required",
    1: "no_block_io",
    2: "legacy_boot",
    59: "grow",
    60: "read_only",
    61: "shadow_copy",
    62: "hidden",
    63: "no_automount",
}


def type_name(partition: Partition) -> str:
    """What the partition's type is called; empty for a type that is not known here."""
    return _GPT.get(partition.type_id) or _MBR.get(partition.type_id, "")


def flag_names(partition: Partition) -> List[str]:
    """The partition's flags: "active" on an MBR; on a GPT for example "legacy_boot"."""
    if partition.type_id.startswith("0x"):
        return ["active"] if partition.bootable else []
    return [name for bit, name in sorted(_GPT_FLAGS.items()) if partition.attributes >> bit & 1]
