# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Backups of a virtual machine's disks, to go back to when an image could not be made of it.

A backup is a restore point, or one snapshot of each disk. Everything of ours is found again by its tags.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

RESTORE_POINT = "restore_point"
SNAPSHOTS = "snapshots"


class BackupDisk(NamedTuple):
    """One disk as it was. `lun` None: the operating system disk. `content_id`: the disk restore point or
    snapshot, None while it is being made. `size_gb` is GiB."""

    lun: int | None
    name: str
    source_id: str
    content_id: str | None
    size_gb: int | None
    storage_account_type: str | None
    caching: str | None
    write_accelerator: bool


class Backup(NamedTuple):
    """`id`: the restore point, or the operating system disk's snapshot. `method`: restore_point or snapshots.

    `complete`: every disk's content can be restored. `failed`: it never will. `was_running`: whether the
    machine ran when it was made, None when that is not known.
    """

    id: str
    name: str
    method: str
    vm_id: str
    created: datetime
    complete: bool
    failed: bool
    disks: Sequence[BackupDisk]
    build_id: str | None
    was_running: bool | None
