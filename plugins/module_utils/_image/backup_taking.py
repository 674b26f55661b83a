# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Takes backups of a virtual machine, finds them again, and removes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    InvalidInput,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.quotas import snapshots_wanted
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    parse_resource_id,
    resource_group_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import source_tag
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import (
    RESTORE_POINT,
    SNAPSHOTS,
    Backup,
    default_backup_name,
    moment,
    tag_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import (
    Machine,
    machine_with_disks,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_points import (
    begin_point,
    find_points,
    remove_point,
    wait_for_point,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_refusals import (
    Needs,
    machine_findings,
    needs_findings,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_snapshots import (
    begin_snapshots,
    find_snapshot_sets,
    remove_snapshots,
    wait_for_snapshots,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import (
    Finding,
    refuse_if_any,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_tags import (
    RESTORE_OF_TAG,
    RESTORED_FROM_TAG,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_STILL = ("stopped", "deallocated")
# Azure keeps that many restore points in a collection, whose tags are 50 at most.
MOST_KEPT = 40


class BackupOptions(NamedTuple):
    """How to back up. `name` None: one is made up, unless a backup is there that nothing can have changed
    since; `method` None: a restore point wherever the disks allow. `resource_group` None: the machine's.
    `keep`: how many backups of the machine stay, this one included; None keeps all. `reuse_since`: a backup
    of the same build that is not older is what is wanted, unless the machine was restored from it."""

    waiter: Waiter
    name: str | None = None
    method: str | None = None
    consistency: str = "crash"
    resource_group: str | None = None
    build_id: str | None = None
    tags: Mapping[str, str] | None = None
    keep: int | None = None
    reuse_since: datetime | None = None


class BackupPlan(NamedTuple):
    """`current`: a backup that is as wanted, complete or on its way. Otherwise one is made by `name` and
    `method`, after `broken` ones of that name are removed. `outdated`: what is not kept afterwards."""

    machine: Machine
    current: Backup | None
    name: str
    method: str
    broken: Sequence[Backup]
    outdated: Sequence[Backup]

    @property
    def changes(self) -> bool:
        return self.current is None or bool(self.outdated)


def find_backups(session: AzureSession, vm_id: str, resource_group: str | None = None) -> list[Backup]:
    """All backups of ours of the machine, which need not be there any more; the newest comes first."""
    group = resource_group or parse_resource_id(vm_id).resource_group
    found = in_parallel(lambda find: find(session, vm_id, group), (find_points, find_snapshot_sets))
    backups = [backup for each in found for backup in each]
    return sorted(backups, key=lambda backup: (backup.created, backup.name), reverse=True)


def plan_backup(session: AzureSession, vm: Mapping[str, Any], options: BackupOptions) -> BackupPlan:
    """What `take_backup` would do. `vm` is in wire shape with its instance view. Raises Refused."""
    machine = machine_with_disks(session, vm)
    backups = find_backups(session, machine.id, options.resource_group)
    method = options.method or _best_method(machine, options.consistency)
    current = _current(machine, backups, options)
    name = current.name if current else options.name or default_backup_name(datetime.now(timezone.utc))
    broken = [each for each in backups if each.name == name and each is not current]
    if current is None:
        _refuse(session, machine, options, method)
    others = [each for each in backups if each is not current and each not in broken]
    return BackupPlan(machine, current, name, method, broken, _outdated(others, options.keep))


def take_backup(session: AzureSession, vm: Mapping[str, Any], options: BackupOptions) -> Backup:
    """Back the machine up, unless that is done already; returns when the backup can be restored.

    `vm` is in wire shape with its instance view. Raises Refused before anything is changed, OperationFailed
    when Azure cannot make the backup, of which nothing is left then.
    """
    return carry_out_backup(session, plan_backup(session, vm, options), options)


def carry_out_backup(session: AzureSession, plan: BackupPlan, options: BackupOptions) -> Backup:
    """Do what the plan says."""
    machine, waiter = plan.machine, options.waiter
    for broken in plan.broken:
        remove_backup(session, broken, Waiter(True, waiter.timeout, waiter.progress))
    backup = plan.current
    if backup is None:
        backup = _make(session, plan, options)
    if not backup.complete and waiter.wait:
        backup = _awaited(session, machine.id, backup, options)
    if backup.complete:
        # Older ones go only when the new one can be gone back to.
        for outdated in plan.outdated:
            remove_backup(session, outdated, waiter)
    return backup


def remove_backup(session: AzureSession, backup: Backup, waiter: Waiter) -> None:
    """Delete the backup; one that is half deleted already, too."""
    remove = remove_point if backup.method == RESTORE_POINT else remove_snapshots
    remove(session, backup, waiter)


def _best_method(machine: Machine, consistency: str) -> str:
    """A restore point, which has all disks at one moment, unless it cannot hold one of them."""
    types = [(disk.storage_account_type or "").casefold() for disk in machine.disks]
    return SNAPSHOTS if consistency == "crash" and "premiumv2_lrs" in types else RESTORE_POINT


def _current(machine: Machine, backups: Sequence[Backup], options: BackupOptions) -> Backup | None:
    """The backup that is as good as one made now, or as the one that was asked for by its name."""
    usable = [each for each in backups if not each.failed and options.method in (None, each.method)]
    if options.name is not None:
        return next((each for each in usable if each.name == options.name), None)
    under_way = [each for each in usable if not each.complete and each.build_id == options.build_id]
    if under_way:
        return under_way[0]
    if options.reuse_since is not None:
        own = [each for each in usable if each.build_id == options.build_id]
        if own and own[0].created >= options.reuse_since and not _is_of(machine, own[0]):
            return own[0]
    if not usable or not usable[0].complete or machine.state.power not in _STILL:
        return None
    same_disks = {disk.source_id.casefold() for disk in usable[0].disks} == {
        str(disk.id).casefold() for disk in machine.disks
    }
    return usable[0] if same_disks and _stopped_before(machine, usable[0].created) else None


def _is_of(machine: Machine, backup: Backup) -> bool:
    """Whether the machine was restored from the backup: whatever it has lived through since is not in it."""
    os_disk = machine.disk_at(None)
    restored_from = tag_of((os_disk.disk if os_disk else None) or {}, RESTORED_FROM_TAG)
    return (restored_from or "").casefold() == source_tag(backup.id).casefold()


def _stopped_before(machine: Machine, created: datetime) -> bool:
    """Whether nothing was done to the machine since: its instance view has the time of the last change."""
    statuses = (machine.properties.get("instanceView") or {}).get("statuses") or []
    times = [moment(str(status["time"])) for status in statuses if status.get("time")]
    return bool(times) and all(time < created for time in times)


def _outdated(others: Sequence[Backup], keep: int | None) -> list[Backup]:
    """Of the other backups, the newest first, those that go: too old ones and failed ones."""
    if keep is None:
        return []
    complete = [each for each in others if each.complete]
    return complete[max(keep - 1, 0) :] + [each for each in others if each.failed]


def _refuse(session: AzureSession, machine: Machine, options: BackupOptions, method: str) -> None:
    group = resource_group_id(session.subscription_id, options.resource_group or machine.resource_group)
    needs = Needs(
        location=machine.location,
        actions={group: _actions(method, options.keep is not None)},
        change=[group],
        delete=[],
        quotas=snapshots_wanted(len(machine.disks)) if method == SNAPSHOTS else {},
    )
    found = machine_findings(machine) + _half_restored(machine)
    if method == RESTORE_POINT and options.consistency == "crash":
        found += [
            Finding(
                "not-crash-consistent",
                "It is a Premium SSD v2, of which Azure makes no crash consistent restore points.",
                f"the data disk at LUN {disk.lun}",
                "Leave out method, or set it to snapshots, or set consistency to application.",
            )
            for disk in machine.disks
            if (disk.storage_account_type or "").casefold() == "premiumv2_lrs"
        ]
    refuse_if_any(f"back up virtual machine {machine.name}", found + needs_findings(session, needs))


def _half_restored(machine: Machine) -> list[Finding]:
    """A backup of a machine with some of its disks restored, others not, is of no moment there ever was."""
    if not any(tag_of(disk.disk or {}, RESTORE_OF_TAG) for disk in machine.disks):
        return []
    return [
        Finding(
            "restore-under-way",
            "A restore of it was interrupted.",
            machine.name,
            "Complete it first, with state: restored.",
        )
    ]


def _actions(method: str, removing: bool) -> list[str]:
    kinds = ["Microsoft.Compute/snapshots"]
    if method == RESTORE_POINT:
        points = "Microsoft.Compute/restorePointCollections"
        kinds = [points, f"{points}/restorePoints"]
    verbs = ["read", "write", *(["delete"] if removing else [])]
    return [f"{kind}/{verb}" for kind in kinds for verb in verbs]


def _make(session: AzureSession, plan: BackupPlan, options: BackupOptions) -> Backup:
    machine = plan.machine
    group = options.resource_group or machine.resource_group
    tags = dict(options.tags or {})
    try:
        if plan.method == RESTORE_POINT:
            begin_point(
                session,
                machine,
                plan.name,
                group,
                options.build_id,
                tags,
                options.consistency,
                options.waiter,
            )
        else:
            begin_snapshots(session, machine, plan.name, group, options.build_id, tags, options.waiter)
    except OperationFailed:
        _remove_failed(session, machine.id, plan.name, options)
        raise
    return _found(session, machine.id, plan.name, options)


def _found(session: AzureSession, vm_id: str, name: str, options: BackupOptions) -> Backup:
    for backup in find_backups(session, vm_id, options.resource_group):
        if backup.name == name:
            return backup
    raise OperationFailed(f"Backup {name} was made, but has been deleted meanwhile.")


def _remove_failed(session: AzureSession, vm_id: str, name: str, options: BackupOptions) -> None:
    for backup in find_backups(session, vm_id, options.resource_group):
        if backup.name == name and not backup.complete:
            remove_backup(session, backup, Waiter(True, options.waiter.timeout))


def _awaited(session: AzureSession, vm_id: str, backup: Backup, options: BackupOptions) -> Backup:
    if backup.method == RESTORE_POINT:
        wait_for_point(session, backup.id, options.waiter)
    else:
        wait_for_snapshots(session, backup.parts, options.waiter)
    done = _found(session, vm_id, backup.name, options)
    if done.failed or not done.complete:
        raise OperationFailed(
            f"Backup {backup.name} cannot be restored, Azure could not make all of it.",
            remedy="Run the task again; what is left of this one is removed then.",
        )
    return done


def backup_to_use(backups: Sequence[Backup], name: str | None, vm_id: str) -> Backup:
    """The backup of that name, or the newest one that is complete. Raises InvalidInput if there is none."""
    if name is None:
        chosen = next((each for each in backups if each.complete), None)
    else:
        chosen = next((each for each in backups if each.name == name), None)
    if chosen is not None and chosen.complete:
        return chosen
    vm = vm_id.rpartition("/")[2]
    if chosen is not None:
        state = "has failed" if chosen.failed else "is not complete"
        raise InvalidInput(
            f"backup: {name} of virtual machine {vm} {state}.",
            remedy="Wait for it (state: present), or give another one.",
        )
    known = ", ".join(each.name for each in backups) or "none"
    which = "complete backup" if name is None else f"backup {name}"
    raise InvalidInput(
        f"backup: there is no {which} of virtual machine {vm}. There are: {known}.",
        remedy="Check the names with vm_backup_info, and backup_resource_group.",
    )
