# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The disks a machine is restored with: made of the backup, marked as its own, and what becomes of the old
ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import parse_resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    source_tag,
    temporary_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import disk_key, tag_of
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import get_by_id
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_snapshots import same_protection
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_plan import (
    NewDisk,
    RestoreOptions,
    RestorePlan,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_tags import (
    DELETE_OPTION_TAG,
    PLACE_TAG,
    REPLACED_OF_TAG,
    REPLACED_TAG,
    RESTORE_OF_TAG,
    RESTORE_TAG,
    RESTORED_FROM_TAG,
    lasting_tags,
    replaces_tag,
    start_tag,
    users_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# Members of a disk that a copy does not take over by itself.
_KEPT = ("burstingEnabled", "optimizedForFrequentAttach", "supportsHibernation")
_CHOSEN_PERFORMANCE = ("diskIOPSReadWrite", "diskMBpsReadWrite")
DEFAULT_TYPE = "Standard_LRS"


def make_disks(session: AzureSession, plan: RestorePlan, options: RestoreOptions) -> list[NewDisk]:
    """Make those that are not there yet, all at the same time; returns all of them as they are then.

    When one cannot be made, those made here are deleted again: the machine has not been touched.
    """
    waiter = Waiter(True, options.waiter.timeout, options.waiter.progress)
    made: list[str] = []

    def make(disk: NewDisk) -> NewDisk:
        parsed = parse_resource_id(disk.id)
        disks = session.compute.disks

        def read() -> dict[str, Any] | None:
            return disks.get(parsed.resource_group, parsed.name)

        present = settled(f"Disk {parsed.name}", dict(disk.made), read, waiter) if disk.made else None
        if present is not None and present["properties"].get("provisioningState") == "Failed":
            disks.delete(parsed.resource_group, parsed.name, waiter)
            present = None
        if present is None:
            made.append(disk.id)
            present = disks.put(parsed.resource_group, parsed.name, _body(plan, disk, options), waiter)
        return disk._replace(made=present)

    try:
        return in_parallel(make, plan.disks)
    except AzureError:
        delete_disks(session, made, waiter)
        raise


def delete_disks(session: AzureSession, ids: Sequence[str], waiter: Waiter) -> None:
    def delete(disk_id: str) -> bool:
        parsed = parse_resource_id(disk_id)
        return session.compute.disks.delete(parsed.resource_group, parsed.name, waiter)

    in_parallel(delete, ids)


def storage_type_of(disk: NewDisk) -> str:
    """As it was when it was backed up."""
    saved = disk.saved.storage_account_type if disk.saved else None
    model = ((disk.model or {}).get("sku") or {}).get("name")
    return str(saved or model or DEFAULT_TYPE)


def _body(plan: RestorePlan, disk: NewDisk, options: RestoreOptions) -> dict[str, Any]:
    model = disk.model or {}
    properties: Mapping[str, Any] = model.get("properties") or {}
    sku = storage_type_of(disk)
    zones = model.get("zones") or (plan.machine.body.get("zones") if plan.machine else None)
    security = (properties.get("securityProfile") or {}).get("securityType")
    wanted: dict[str, Any] = {
        "creationData": {"createOption": disk.create_option, "sourceResourceId": disk.content_id},
        **same_protection(properties),
        **{name: properties[name] for name in _KEPT if properties.get(name)},
        **({"securityProfile": {"securityType": security}} if security == "TrustedLaunch" else {}),
    }
    if disk.lun is None:
        wanted.update(
            {name: properties[name] for name in ("osType", "hyperVGeneration") if properties.get(name)}
        )
    if sku.casefold() == "premiumv2_lrs":
        wanted.update({name: properties[name] for name in _CHOSEN_PERFORMANCE if properties.get(name)})
    location = plan.machine.location if plan.machine else model["location"]
    return {
        "location": location,
        "sku": {"name": sku},
        **({"zones": list(zones)} if zones and not sku.endswith("_ZRS") else {}),
        "tags": {
            **users_tags(model),
            **temporary_tags(options.build, "restore", plan.vm_id),
            **_own_tags(plan, disk),
        },
        "properties": wanted,
    }


def _own_tags(plan: RestorePlan, disk: NewDisk) -> dict[str, str]:
    present = plan.machine.disk_at(disk.lun) if plan.machine else None
    noted = tag_of(disk.made or {}, DELETE_OPTION_TAG)
    option = present.entry.get("deleteOption") if present else noted
    return {
        RESTORE_OF_TAG: source_tag(plan.vm_id),
        RESTORE_TAG: plan.restore_id,
        PLACE_TAG: disk_key(disk.lun),
        RESTORED_FROM_TAG: source_tag(plan.backup.id),
        **replaces_tag(disk.replaces),
        **({DELETE_OPTION_TAG: option} if option else {}),
    }


def committed_tags(plan: RestorePlan, disk: NewDisk, more: Mapping[str, str]) -> dict[str, str]:
    """What the disk has from the moment on that the machine is changed: it is not temporary any more."""
    first = start_tag(plan.start) if disk.lun is None else {}
    return {**lasting_tags(disk.made or {}), **_own_tags(plan, disk), **first, **more}


def commit_disks(session: AzureSession, plan: RestorePlan, more: Mapping[str, str]) -> None:
    """Mark the disks as the machine's own before it is changed.

    `more`: tags of the operating system disk.
    """

    def commit(disk: NewDisk) -> None:
        wanted = committed_tags(plan, disk, more if disk.lun is None else {})
        _set_tags(session, disk.made or {}, wanted)

    # The operating system disk's comes last: what it says holds only when all others are safe.
    in_parallel(commit, plan.disks[1:])
    commit(plan.disks[0])


def _set_tags(session: AzureSession, disk: Mapping[str, Any], wanted: Mapping[str, str]) -> None:
    if dict(disk.get("tags") or {}) == dict(wanted):
        return
    parsed = parse_resource_id(str(disk["id"]))
    session.compute.disks.update(parsed.resource_group, parsed.name, {"tags": dict(wanted)}, Waiter(True))


def saved_copy_name(disk: NewDisk, restore_id: str) -> str:
    """The snapshot of an old disk that Azure deletes with its machine."""
    return f"{str(disk.replaces).rpartition('/')[2][:70]}-r{restore_id}"


def finish_disks(session: AzureSession, plan: RestorePlan, options: RestoreOptions) -> list[str]:
    """Tag or delete each old disk, then take the marks of the restore off the new one; ids of what is kept.

    Only called when the machine is as it was: until then no old disk is lost. In this order, a run that is
    killed between leaves marks by which the next one finds what is still to do.
    """

    def finish(disk: NewDisk) -> str | None:
        kept = _put_away(session, plan, disk, options) if disk.replaces else None
        current = get_by_id(session.compute.disks, disk.id)
        if current is not None:
            _set_tags(session, current, lasting_tags(current))
        return kept

    kept = [each for each in in_parallel(finish, plan.disks) if each is not None]
    delete_disks(session, [str(disk["id"]) for disk in plan.abandoned], options.waiter)
    return kept


def _put_away(session: AzureSession, plan: RestorePlan, disk: NewDisk, options: RestoreOptions) -> str | None:
    """The id of the old disk, or of the snapshot that is left of it; None when nothing is."""
    old = get_by_id(session.compute.disks, str(disk.replaces))
    collection = session.compute.disks
    if old is None:
        parsed = parse_resource_id(str(disk.replaces))
        collection = session.compute.snapshots
        old = collection.get(parsed.resource_group, saved_copy_name(disk, plan.restore_id))
    if old is None or old.get("managedBy"):
        return None
    parsed = parse_resource_id(str(old["id"]))
    if options.remove_replaced_disks:
        collection.delete(parsed.resource_group, parsed.name, Waiter(True, options.waiter.timeout))
        return None
    if tag_of(old, REPLACED_OF_TAG) is None:
        wanted = {**lasting_tags(old), **replaced_tags(plan.vm_id)}
        collection.update(parsed.resource_group, parsed.name, {"tags": wanted}, Waiter(True))
    return str(old["id"])


def replaced_tags(vm_id: str) -> dict[str, str]:
    """Of a disk that was taken out of a machine, for the user to find it."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {REPLACED_TAG: now, REPLACED_OF_TAG: source_tag(vm_id)}
