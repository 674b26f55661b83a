# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The disks of a twin: copies of the source's disks as they were at one moment.

That moment is a restore point, which Azure takes of all disks at once, or else one snapshot of each disk.
Both are in the twin's group. Sources: "Overview of VM restore points" and "Create an incremental snapshot for
managed disks" of Azure's documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_snapshots import same_protection
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_waiting import wait_until_done
from ansible_collections.goldenimage.azure.plugins.module_utils._image.temporary_group import TemporaryGroup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_request import (
    RESTORE_POINT,
    TwinRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_source import (
    INCREMENTAL_ONLY,
    SourceDisk,
    SourceMachine,
)

_COMPUTE = "Microsoft.Compute"
_POINT = "source"
_MODES = {
    "crash": "CrashConsistent",
    "file_system": "FileSystemConsistent",
    "application": "ApplicationConsistent",
}
# What a copy keeps of the disk it is made of; Azure takes none of it from a snapshot.
_KEPT = (
    "osType",
    "hyperVGeneration",
    "purchasePlan",
    "supportedCapabilities",
    "securityProfile",
    "supportsHibernation",
    "networkAccessPolicy",
    "publicNetworkAccess",
    "diskAccessId",
)
# Given for kinds of disks that let one choose; other kinds have them by their size.
_CHOSEN = ("diskIOPSReadWrite", "diskMBpsReadWrite")
# Snapshots are kept on the cheapest kind of storage; they are read once.
_SNAPSHOT_SKU = {"name": "Standard_LRS"}


def disk_id(group: TemporaryGroup, request: TwinRequest, disk: SourceDisk) -> str:
    """Id of the twin's disk that stands for the source's."""
    return group.resource(f"{_COMPUTE}/disks", f"{request.name}-{disk.ending}")


def ensure_disks(group: TemporaryGroup, request: TwinRequest, source: SourceMachine) -> None:
    """Make every disk of the twin, of one moment of the source."""
    if source.method(request) == RESTORE_POINT:
        option, contents = "Restore", _of_restore_point(group, request, source)
    else:
        option, contents = "Copy", _of_snapshots(group, request, source)

    def make(disk: SourceDisk) -> None:
        body = disk_body(source, disk, {"createOption": option, "sourceResourceId": contents[disk.lun]})
        group.ensure(disk_id(group, request, disk), body)

    in_parallel(make, source.disks)


def disk_body(source: SourceMachine, disk: SourceDisk, creation: dict[str, Any]) -> dict[str, Any]:
    """The body of a new disk that is as the source's: kind of storage, size, zone, encryption, security."""
    given = disk.properties
    properties: dict[str, Any] = {name: given[name] for name in _KEPT if given.get(name) is not None}
    sector = (given.get("creationData") or {}).get("logicalSectorSize")
    properties["creationData"] = {**creation, **({"logicalSectorSize": sector} if sector else {})}
    if given.get("diskSizeGB"):
        properties["diskSizeGB"] = given["diskSizeGB"]
    if disk.sku in INCREMENTAL_ONLY:
        properties.update({name: given[name] for name in _CHOSEN if given.get(name)})
    encryption = given.get("encryption") or {}
    if encryption.get("diskEncryptionSetId"):
        properties["encryption"] = dict(encryption)
    body: dict[str, Any] = {**source.place, "sku": {"name": disk.sku}, "properties": properties}
    if disk.disk.get("zones"):
        body["zones"] = list(disk.disk["zones"])
    return body


# A restore point.


def _of_restore_point(
    group: TemporaryGroup, request: TwinRequest, source: SourceMachine
) -> dict[int | None, str]:
    """Ids of the disk restore points by LUN."""
    kind = f"{_COMPUTE}/restorePointCollections"
    collection = f"{request.name}-restore-points"
    place = {"location": source.machine["location"]}
    group.ensure(
        group.resource(kind, collection), {**place, "properties": {"source": {"id": source.machine["id"]}}}
    )
    point = group.ensure(
        group.resource(f"{kind}/restorePoints", collection, _POINT),
        {"properties": {"consistencyMode": _MODES[request.consistency]}},
    )
    storage = point["properties"]["sourceMetadata"]["storageProfile"]
    kept = [(None, storage["osDisk"]), *((int(disk["lun"]), disk) for disk in storage.get("dataDisks") or ())]
    found = {lun: disk["diskRestorePoint"]["id"] for lun, disk in kept if disk.get("diskRestorePoint")}
    _check_same_disks(source, {lun: disk.get("managedDisk") for lun, disk in kept}, point["id"])
    return found


def _check_same_disks(source: SourceMachine, kept: Mapping[int | None, Any], where: str) -> None:
    """A moment taken by an earlier run may be one before a disk was attached or detached."""
    attached = {disk.lun: str(disk.disk["id"]).casefold() for disk in source.disks}
    taken = {lun: str((disk or {}).get("id", "")).casefold() for lun, disk in kept.items()}
    if attached != taken:
        raise InvalidInput(
            f"The disks of {source.machine['name']} are not those that an earlier run copied ({where}).",
            remedy="Remove the twin first (state: absent).",
        )


# Snapshots.


def _of_snapshots(
    group: TemporaryGroup, request: TwinRequest, source: SourceMachine
) -> dict[int | None, str]:
    """Ids of the snapshots by LUN, when all of them hold everything."""
    ids = {
        disk.lun: group.resource(f"{_COMPUTE}/snapshots", f"{request.name}-{disk.ending}")
        for disk in source.disks
    }
    there = dict(zip(ids, in_parallel(group.read, ids.values()), strict=True)) if group.goes_on else {}
    if not all(there.get(lun) for lun in ids):
        # Those of an interrupted run are of another moment than the ones that are still to be made.
        in_parallel(group.delete, [str(old["id"]) for old in there.values() if old])
    in_parallel(lambda disk: _snapshot(group, source, disk, ids[disk.lun]), source.disks)
    in_parallel(lambda each: _wait_until_whole(group, each), ids.values())
    return ids


def _snapshot(group: TemporaryGroup, source: SourceMachine, disk: SourceDisk, wanted_id: str) -> None:
    creation = {"createOption": "Copy", "sourceResourceId": disk.disk["id"]}
    body: dict[str, Any] = {
        **source.place,
        "sku": _SNAPSHOT_SKU,
        "properties": {"creationData": creation, "incremental": True, **same_protection(disk.properties)},
    }
    try:
        group.ensure(wanted_id, body)
    except AzureError as error:
        if error.code != "OperationNotAllowed" or disk.sku in INCREMENTAL_ONLY:
            raise
        # A disk has no more than so many incremental snapshots; a whole one costs more and is as good.
        group.ensure(wanted_id, {**body, "properties": {**body["properties"], "incremental": False}})


def _wait_until_whole(group: TemporaryGroup, snapshot_id: str) -> None:
    """Of some kinds of disks Azure goes on copying when the snapshot's creation has succeeded."""

    def look() -> str | None:
        properties = (group.read(snapshot_id) or {}).get("properties") or {}
        problem = properties.get("copyCompletionError")
        if problem:
            raise OperationFailed(
                f"Azure could not complete {snapshot_id}: {problem.get('errorMessage')}",
                code=problem.get("errorCode"),
                target=snapshot_id,
            )
        done = properties.get("completionPercent", 100)
        return f"{done:g} percent" if done < 100 else None

    wait_until_done(f"Snapshot {snapshot_id}", look, group.waiter)
