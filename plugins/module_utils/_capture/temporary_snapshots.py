# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Snapshots of the disks that a capture reads, which live no longer than it does.

They have names that a run after a kill finds again, and tags by which anybody may collect them once expired.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    resource_id,
    same_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    belongs_to,
    build_id_of,
    has_expired,
    new_build,
    temporary_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.times import moment
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import (
    COMPUTE,
    CaptureRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceDisk, SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import disk_key
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_snapshots import same_protection
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_MACHINE_LENGTH = 8


class TemporarySnapshots:
    """Those of one capture, in the machine's resource group."""

    def __init__(self, session: AzureSession, request: CaptureRequest, waiter: Waiter) -> None:
        self._snapshots = session.compute.snapshots
        self._subscription = session.subscription_id
        self._request = request
        self._waiter = Waiter(True, waiter.timeout, waiter.progress)

    def name(self, lun: int | None) -> str:
        """No two machines have the same, also where their builds are called the same."""
        machine = build_id_of(self._request.vm_id.casefold())[:_MACHINE_LENGTH]
        return f"goldenimage-{self._request.build_id}-{machine}-{disk_key(lun)}"

    def id(self, lun: int | None) -> str:
        return resource_id(self._subscription, self._request.vm_group, COMPUTE, "snapshots", self.name(lun))

    def read(self, lun: int | None) -> dict[str, Any] | None:
        """The snapshot, when Azure has made it. Raises InvalidInput for one that is not this capture's."""

        def look() -> dict[str, Any] | None:
            return self._snapshots.get(self._request.vm_group, self.name(lun))

        found = settled(f"Snapshot {self.name(lun)}", look(), look, self._waiter)
        if found is not None and not belongs_to(found, self._request.build_id, self._request.vm_id):
            raise InvalidInput(
                f"Snapshot {self.name(lun)} exists and its tags do not say that this capture made it.",
                remedy="Find out who made it; give another build_id to leave it alone.",
            )
        return found

    def make(self, source: SourceVm, disks: list[SourceDisk], now: datetime) -> None:
        """Make them all, or take those that a killed run has made, if nothing was written since."""
        build = new_build(self._request.build_id, self._request.expires_after, now)
        tags = temporary_tags(build, "capture", self._request.vm_id)

        def made(disk: SourceDisk) -> None:
            present = self.read(disk.lun)
            if present is not None:
                if _is_of(present, disk) and not _is_stale(present, disk, now):
                    return
                self.remove(disk.lun)
            body = {
                "location": source.location,
                "sku": {"name": "Standard_LRS"},
                "tags": tags,
                "properties": {
                    "creationData": {"createOption": "Copy", "sourceResourceId": disk.id},
                    "incremental": True,
                    **same_protection(disk.properties),
                },
            }
            self._snapshots.put(self._request.vm_group, self.name(disk.lun), body, self._waiter)

        in_parallel(made, disks)

    def remove_all(self, luns: Iterable[int | None]) -> None:
        """Delete them, that of the operating system disk last: it tells whether others may be left."""
        listed = list(luns)
        in_parallel(self.remove, [lun for lun in listed if lun is not None])
        in_parallel(self.remove, [lun for lun in listed if lun is None])

    def remove(self, lun: int | None) -> None:
        """Delete it, whoever may still read it."""
        present = self.read(lun)
        if present is None:
            return
        group, name = self._request.vm_group, self.name(lun)
        if str(present["properties"].get("diskState", "")).startswith("ActiveSAS"):
            self._snapshots.action(group, name, "endGetAccess", None, self._waiter)
        self._snapshots.delete(group, name, self._waiter)


def _is_of(snapshot: Mapping[str, Any], disk: SourceDisk) -> bool:
    """Whether it was made, and of this disk, not of another that had its name or place before."""
    properties = snapshot["properties"]
    creation = properties.get("creationData") or {}
    unique = creation.get("sourceUniqueId")
    return (
        str(properties.get("provisioningState", "")).casefold() == "succeeded"
        and same_resource(creation.get("sourceResourceId"), disk.id)
        and unique in (None, disk.properties.get("uniqueId", unique))
    )


def _is_stale(snapshot: Mapping[str, Any], disk: SourceDisk, now: datetime) -> bool:
    """Whether the disk may have been written to by a machine that was started after the snapshot was made."""
    created = moment(str(snapshot["properties"].get("timeCreated", "")))
    moved = moment(str(disk.properties.get("LastOwnershipUpdateTime", "")))
    return has_expired(snapshot, now) or created is None or (moved is not None and moved > created)
