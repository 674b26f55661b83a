# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Backups as snapshots, one of each disk: where a restore point cannot hold the disks, or is not wanted.

The snapshots are taken at the same time, but not at one moment: of a running machine they may differ by some
seconds. Source: Snapshots of Azure's REST reference, api-version 2024-03-02.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    NotFound,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import parse_resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import BUILD_TAG, source_tag
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import (
    BACKUP_OF_TAG,
    BACKUP_TAG,
    DISK_TAG,
    FACTS_TAG,
    SNAPSHOTS,
    Backup,
    BackupDisk,
    disk_key,
    lun_of,
    moment,
    packed_facts,
    snapshot_name,
    tag_of,
    unpacked_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import (
    AttachedDisk,
    Machine,
    get_by_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_waiting import wait_until_done

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


def find_snapshot_sets(session: AzureSession, vm_id: str, resource_group: str) -> list[Backup]:
    """Backups of ours of the machine among the group's snapshots."""
    try:
        snapshots = session.compute.snapshots.list(resource_group)
    except NotFound:
        return []
    wanted = source_tag(vm_id).casefold()
    sets: dict[str, list[dict[str, Any]]] = {}
    for snapshot in snapshots:
        name = tag_of(snapshot, BACKUP_TAG)
        if (
            name
            and tag_of(snapshot, DISK_TAG)
            and (tag_of(snapshot, BACKUP_OF_TAG) or "").casefold() == wanted
        ):
            sets.setdefault(name, []).append(snapshot)
    return [_backup(vm_id, name, members) for name, members in sets.items()]


def _backup(vm_id: str, name: str, members: Sequence[Mapping[str, Any]]) -> Backup:
    by_lun = {lun_of(tag_of(member, DISK_TAG) or "os"): member for member in members}
    # The operating system disk's is looked at first; of a set that was never completed it may be missing.
    order = sorted(by_lun, key=lambda lun: -1 if lun is None else lun)
    first = by_lun[order[0]]
    facts = unpacked_facts(tag_of(first, FACTS_TAG))
    states = [str(member["properties"].get("provisioningState", "")).casefold() for member in members]
    failed = "failed" in states or None not in by_lun or len(members) != facts.get("disks")
    return Backup(
        id=first["id"],
        name=name,
        method=SNAPSHOTS,
        vm_id=vm_id,
        created=min(moment(member["properties"].get("timeCreated")) for member in members),
        complete=not failed and all(_progress(member) is None for member in members),
        failed=failed,
        disks=[_disk(lun, by_lun[lun]) for lun in order],
        parts=[by_lun[lun]["id"] for lun in order],
        build_id=tag_of(first, BUILD_TAG),
        was_running=facts.get("running"),
    )


def _disk(lun: int | None, snapshot: Mapping[str, Any]) -> BackupDisk:
    properties = snapshot["properties"]
    facts = unpacked_facts(tag_of(snapshot, FACTS_TAG))
    source = str((properties.get("creationData") or {}).get("sourceResourceId") or "")
    return BackupDisk(
        lun=lun,
        name=source.rpartition("/")[2],
        source_id=source,
        content_id=snapshot["id"],
        size_gb=properties.get("diskSizeGB"),
        storage_account_type=facts.get("type"),
        caching=facts.get("caching"),
        write_accelerator=bool(facts.get("accelerated")),
    )


def _progress(snapshot: Mapping[str, Any]) -> str | None:
    """What is still to come of it; None when it can be copied to a disk, or has failed."""
    properties = snapshot.get("properties") or {}
    state = str(properties.get("provisioningState", ""))
    if state.casefold() in ("creating", "updating"):
        return state
    percent = properties.get("completionPercent", 100)
    return f"{percent:g} percent of {snapshot['name']}" if percent < 100 else None


def begin_snapshots(  # noqa: PLR0917 - what a backup is made of
    session: AzureSession,
    machine: Machine,
    name: str,
    resource_group: str,
    build_id: str | None,
    tags: Mapping[str, str],
    waiter: Waiter,
) -> list[str]:
    """Take a snapshot of every disk, incremental ones, which cost and copy only what is in use; their ids."""

    def take(attached: AttachedDisk) -> str:
        facts = packed_facts(
            disks=len(machine.disks),
            running=machine.state.power == "running",
            type=attached.storage_account_type,
            caching=attached.entry.get("caching"),
            accelerated=attached.entry.get("writeAcceleratorEnabled") or None,
        )
        body = {
            "location": machine.location,
            "sku": {"name": "Standard_LRS"},
            "tags": {
                **tags,
                **({BUILD_TAG: build_id} if build_id else {}),
                BACKUP_OF_TAG: source_tag(machine.id),
                BACKUP_TAG: name,
                DISK_TAG: disk_key(attached.lun),
                FACTS_TAG: facts,
            },
            "properties": {
                "creationData": {"createOption": "Copy", "sourceResourceId": attached.id},
                "incremental": True,
                **same_protection((attached.disk or {}).get("properties") or {}),
            },
        }
        called = snapshot_name(machine.id, name, attached.lun)
        made = session.compute.snapshots.put(resource_group, called, body, waiter)
        return str(made["id"])

    return in_parallel(take, machine.disks)


def same_protection(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a disk that say who can read it and by which keys, for a copy of it."""
    kept = {
        name: properties[name]
        for name in ("networkAccessPolicy", "diskAccessId", "publicNetworkAccess", "dataAccessAuthMode")
        if properties.get(name)
    }
    encryption = properties.get("encryption") or {}
    if encryption.get("diskEncryptionSetId"):
        kept["encryption"] = {
            name: encryption[name] for name in ("type", "diskEncryptionSetId") if encryption.get(name)
        }
    return kept


def wait_for_snapshots(session: AzureSession, ids: Sequence[str], waiter: Waiter) -> None:
    """Until disks can be made of all of them. Raises OperationFailed for one of which none ever can."""
    open_ones = list(ids)

    def look() -> str | None:
        found = in_parallel(lambda each: get_by_id(session.compute.snapshots, each), open_ones)
        states: dict[str, str] = {}
        for snapshot_id, snapshot in zip(open_ones, found, strict=True):
            _check_not_failed(snapshot_id, snapshot)
            state = _progress(snapshot or {})
            if state is not None:
                states[snapshot_id] = state
        open_ones[:] = list(states)
        return ", ".join(states.values()) or None

    wait_until_done("The backup's snapshots", look, waiter)


def _check_not_failed(snapshot_id: str, snapshot: Mapping[str, Any] | None) -> None:
    name = snapshot_id.rpartition("/")[2]
    if snapshot is None:
        raise OperationFailed(f"Snapshot {name} has been deleted while it was waited for.")
    properties = snapshot["properties"]
    error = properties.get("copyCompletionError") or {}
    if error or str(properties.get("provisioningState")).casefold() == "failed":
        raise OperationFailed(
            f"Snapshot {name} has failed: {error.get('errorMessage', 'Azure gave no reason')}",
            code=error.get("errorCode"),
            remedy="Run the task again.",
        )


def remove_snapshots(session: AzureSession, backup: Backup, waiter: Waiter) -> None:
    """Delete them all, the operating system disk's last."""

    def delete(snapshot_id: str) -> bool:
        parsed = parse_resource_id(snapshot_id)
        return session.compute.snapshots.delete(parsed.resource_group, parsed.name, waiter)

    in_parallel(delete, list(backup.parts)[1:])
    in_parallel(delete, list(backup.parts)[:1])
