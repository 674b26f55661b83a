# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The processor architecture of a disk in Azure: what the disk shows, against what the user says."""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.programs import ARM64
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.source_facts import SourceFacts


def architecture_for(disk: SourceFacts, os_type: str | None, wanted: str | None) -> str | None:
    """What to ask Azure for, "x64" or "Arm64"; None to leave it to Azure, which takes x64.

    A value that the programs on the disk contradict raises InvalidInput.
    """
    if os_type is None:
        return wanted
    found = disk.architecture
    if wanted is None:
        return found if found == ARM64 else None
    if found is not None and found != wanted:
        raise InvalidInput(
            f"{disk.path}: architecture is {wanted}, but the disk is for {found} ({disk.architecture_from}).",
            remedy="Correct architecture, or leave it out.",
        )
    return wanted
