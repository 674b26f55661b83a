# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a backup of a virtual machine's disks is, and what it is called.

A backup is a restore point, or one snapshot of each disk. Everything of ours is found again by its tags.
Limits of names: "Naming rules and restrictions for Azure resources" of Azure's documentation.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput

RESTORE_POINT = "restore_point"
SNAPSHOTS = "snapshots"

# On a collection of restore points and on every snapshot: which machine's. On snapshots: which backup's,
# which disk's, and what Azure does not keep of the machine.
BACKUP_OF_TAG = "goldenimage_backup_of"
BACKUP_TAG = "goldenimage_backup"
DISK_TAG = "goldenimage_backup_disk"
FACTS_TAG = "goldenimage_backup_facts"

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,38}[A-Za-z0-9])?")
_VM_PART = 24
_COLLECTION_VM_PART = 60


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

    `parts`: ids of the restore point or of all snapshots. `complete`: every disk's content can be restored.
    `failed`: it never will. `was_running`: whether the machine ran when it was made, None if not known.
    """

    id: str
    name: str
    method: str
    vm_id: str
    created: datetime
    complete: bool
    failed: bool
    disks: Sequence[BackupDisk]
    parts: Sequence[str]
    build_id: str | None
    was_running: bool | None

    def facts(self) -> dict[str, Any]:
        """As the modules return it."""
        return {
            "id": self.id,
            "name": self.name,
            "method": self.method,
            "vm_id": self.vm_id,
            "created": self.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "complete": self.complete,
            "failed": self.failed,
            "build_id": self.build_id,
            "was_running": self.was_running,
            "disks": [disk._asdict() for disk in self.disks],
        }


def check_backup_name(name: str) -> None:
    """Raises InvalidInput for a name that cannot be part of Azure's names."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"backup: {name!r} is no name for a backup.",
            remedy="Use 1 to 40 letters, digits, or any of . _ -, with a letter or digit at both ends.",
        )


def default_backup_name(now: datetime) -> str:
    """`now` has a time zone."""
    return now.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def disk_key(lun: int | None) -> str:
    """What tells a machine's disks apart: "os", or "lun" with the number."""
    return "os" if lun is None else f"lun{lun}"


def lun_of(key: str) -> int | None:
    return None if key == "os" else int(key.removeprefix("lun"))


def snapshot_name(vm_id: str, backup: str, lun: int | None) -> str:
    """Of one disk's snapshot; no two machines have the same, whatever their groups."""
    digest = hashlib.sha256(vm_id.casefold().encode()).hexdigest()[:8]
    vm = vm_id.rpartition("/")[2][:_VM_PART]
    return f"{vm}-{digest}-{backup}-{disk_key(lun)}"


def collection_name(machine: Mapping[str, Any]) -> str:
    """Of the machine's collection of restore points. Another machine of the same name has another one."""
    unique = str((machine.get("properties") or {}).get("vmId", ""))[:8]
    return f"{machine['name'][:_COLLECTION_VM_PART]}-{unique}-backups"


def point_tag(backup: str) -> str:
    """The tag of a collection with the facts of one of its restore points, which have no tags themselves."""
    return f"{FACTS_TAG}_{backup}"


def packed_facts(**facts: Any) -> str:
    """Facts as the value of a tag; those that are None are left out."""
    return json.dumps({k: v for k, v in facts.items() if v is not None}, separators=(",", ":"))


def unpacked_facts(text: str | None) -> dict[str, Any]:
    """Of a tag that somebody may have changed: what cannot be read is not there."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def tag_of(resource: Mapping[str, Any], name: str) -> str | None:
    """A tag's value; Azure takes no notice of the case of its name."""
    for key, value in (resource.get("tags") or {}).items():
        if key.casefold() == name.casefold():
            return str(value)
    return None


def moment(text: str | None) -> datetime:
    """A time of Azure's, such as 2024-08-26T05:58:14.9256607+00:00, to the second."""
    found = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?", text or "")
    if found is None:
        return datetime(1970, 1, 1, tzinfo=timezone.utc)
    offset = found.group(2) or "+00:00"
    whole = datetime.fromisoformat(found.group(1) + ("+00:00" if offset == "Z" else offset))
    return whole.astimezone(timezone.utc)
