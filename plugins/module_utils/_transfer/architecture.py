# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The processor architecture of a disk in Azure: what the disk shows, against what the user says."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.boot import read_boot_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.programs import ARM64
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskReader


def architecture_for(reader: DiskReader, os_type: str | None, wanted: str | None) -> str | None:
    """What to ask Azure for, "x64" or "Arm64"; None to leave it to Azure, which takes x64.

    A value that the programs on the disk contradict raises InvalidInput.
    """
    if os_type is None:
        return wanted
    boot = read_boot_facts(reader)
    found = boot.architecture
    if wanted is None:
        return found if found == ARM64 else None
    if found is not None and found != wanted:
        raise InvalidInput(
            f"{reader.path}: architecture is {wanted}, but the disk is for {found}"
            f" ({boot.architecture_from}).",
            remedy="Correct architecture, or leave it out.",
        )
    return wanted
