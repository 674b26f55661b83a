# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Backups as restore points: all disks of a machine at one moment, in a collection of the machine's own.

Source: Restore Points and Restore Point Collections of Azure's REST reference, api-version 2024-07-01.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import COMPUTE_API
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    resource_group_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import source_tag
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import (
    BACKUP_OF_TAG,
    RESTORE_POINT,
    Backup,
    BackupDisk,
    collection_name,
    moment,
    packed_facts,
    point_tag,
    tag_of,
    unpacked_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import Machine
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_waiting import wait_until_done

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_KIND = "restorePointCollections"
# Of the 50 tags a resource may have.
_MOST_FACTS = 40
_MODES = {"crash": "CrashConsistent", "application": None}


def find_points(session: AzureSession, vm_id: str, resource_group: str) -> list[Backup]:
    """Restore points of ours of the machine, also of former machines of its name."""
    listing = (
        f"{resource_group_id(session.subscription_id, resource_group)}/providers/Microsoft.Compute/{_KIND}"
    )
    try:
        collections = session.arm.list(listing, COMPUTE_API)
    except NotFound:
        return []
    wanted = source_tag(vm_id).casefold()
    ours = [found for found in collections if (tag_of(found, BACKUP_OF_TAG) or "").casefold() == wanted]

    def read(collection: Mapping[str, Any]) -> dict[str, Any] | None:
        return session.arm.get(collection["id"], COMPUTE_API, **{"$expand": "restorePoints"})

    return [
        _backup(vm_id, collection, point)
        for collection in in_parallel(read, ours)
        if collection is not None
        for point in collection["properties"].get("restorePoints") or []
    ]


def _backup(vm_id: str, collection: Mapping[str, Any], point: Mapping[str, Any]) -> Backup:
    properties = point.get("properties") or {}
    facts = unpacked_facts(tag_of(collection, point_tag(point["name"])))
    storage = (properties.get("sourceMetadata") or {}).get("storageProfile") or {}
    entries: list[tuple[int | None, Mapping[str, Any]]] = [(None, storage.get("osDisk") or {})]
    entries += [(int(disk["lun"]), disk) for disk in storage.get("dataDisks") or []]
    disks = [_disk(lun, entry) for lun, entry in entries]
    state = str(properties.get("provisioningState", "")).casefold()
    return Backup(
        id=point["id"],
        name=point["name"],
        method=RESTORE_POINT,
        vm_id=vm_id,
        created=moment(properties.get("timeCreated")),
        complete=state == "succeeded" and all(disk.content_id for disk in disks),
        failed=state in ("failed", "canceled"),
        disks=disks,
        parts=[point["id"]],
        build_id=facts.get("build"),
        was_running=facts.get("running"),
    )


def _disk(lun: int | None, entry: Mapping[str, Any]) -> BackupDisk:
    managed = entry.get("managedDisk") or {}
    return BackupDisk(
        lun=lun,
        name=str(entry.get("name") or ""),
        source_id=str(managed.get("id") or ""),
        content_id=(entry.get("diskRestorePoint") or {}).get("id"),
        size_gb=entry.get("diskSizeGB"),
        storage_account_type=managed.get("storageAccountType"),
        caching=entry.get("caching"),
        write_accelerator=bool(entry.get("writeAcceleratorEnabled")),
    )


def begin_point(  # noqa: PLR0917 - what a backup is made of
    session: AzureSession,
    machine: Machine,
    name: str,
    resource_group: str,
    build_id: str | None,
    tags: Mapping[str, str],
    consistency: str,
    waiter: Waiter,
) -> str:
    """Make the restore point, with its collection where there is none yet; returns its id.

    The collection's tag with the facts comes first: a point is never there without it. `consistency`: crash
    or application.
    """
    collection_id = resource_id(
        session.subscription_id, resource_group, "Microsoft.Compute", _KIND, collection_name(machine.body)
    )
    present = session.arm.get(collection_id, COMPUTE_API, **{"$expand": "restorePoints"})
    facts = packed_facts(build=build_id, running=machine.state.power == "running")
    wanted = {
        **_worth_keeping(present),
        **tags,
        BACKUP_OF_TAG: source_tag(machine.id),
        point_tag(name): facts,
    }
    at_once = Waiter(True, waiter.timeout, waiter.progress)
    if present is None:
        body = {"location": machine.location, "tags": wanted, "properties": {"source": {"id": machine.id}}}
        session.arm.put(collection_id, body, COMPUTE_API, at_once)
    else:
        session.arm.patch(collection_id, {"tags": wanted}, COMPUTE_API, at_once)
    point_id = f"{collection_id}/restorePoints/{name}"
    mode = _MODES[consistency]
    session.arm.put(point_id, {"properties": {"consistencyMode": mode} if mode else {}}, COMPUTE_API, waiter)
    return point_id


def _worth_keeping(collection: Mapping[str, Any] | None) -> dict[str, str]:
    """The collection's tags, with the facts of so many of its restore points only as there is room for."""
    points = ((collection or {}).get("properties") or {}).get("restorePoints") or []
    newest = sorted(points, key=lambda point: str(point["properties"].get("timeCreated")), reverse=True)
    told = {point["name"].casefold() for point in newest[:_MOST_FACTS]}
    prefix = point_tag("").casefold()
    return {
        tag: value
        for tag, value in ((collection or {}).get("tags") or {}).items()
        if not tag.casefold().startswith(prefix) or tag.casefold().removeprefix(prefix) in told
    }


def wait_for_point(session: AzureSession, point_id: str, waiter: Waiter) -> None:
    """Until each of its disks can be copied to a new one, or will never be."""

    def look() -> str | None:
        point = session.arm.get(point_id, COMPUTE_API, **{"$expand": "instanceView"})
        properties = (point or {}).get("properties") or {}
        state = str(properties.get("provisioningState", "Deleted"))
        if state.casefold() in ("creating", "updating"):
            return state
        view = (properties.get("instanceView") or {}).get("diskRestorePoints") or []
        percents = [(disk.get("replicationStatus") or {}).get("completionPercent") for disk in view]
        open_ones = [percent for percent in percents if percent is not None and percent < 100]
        return f"{min(open_ones):g} percent of a disk" if open_ones else None

    wait_until_done(f"Restore point {point_id.rpartition('/')[2]}", look, waiter)


def remove_point(session: AzureSession, backup: Backup, waiter: Waiter) -> None:
    """Delete the restore point and what its collection says of it, and a collection that is empty then."""
    collection_id = backup.id.rpartition("/restorePoints/")[0]
    at_once = Waiter(True, waiter.timeout, waiter.progress)
    session.arm.delete(backup.id, COMPUTE_API, at_once)
    collection = session.arm.get(collection_id, COMPUTE_API, **{"$expand": "restorePoints"})
    if collection is None:
        return
    left = {point["name"].casefold() for point in collection["properties"].get("restorePoints") or []}
    if not left - {backup.name.casefold()}:
        session.arm.delete(collection_id, COMPUTE_API, waiter)
        return
    kept = _worth_keeping(collection)
    if kept != (collection.get("tags") or {}):
        session.arm.patch(collection_id, {"tags": kept}, COMPUTE_API, at_once)
