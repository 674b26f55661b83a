# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Decides how a machine gets back to a backup; nothing is changed here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    parse_resource_id,
    resource_id,
    same_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import Build, source_tag
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import (
    RESTORE_POINT,
    Backup,
    BackupDisk,
    disk_key,
    lun_of,
    tag_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import (
    AttachedDisk,
    Machine,
    get_by_id,
    machine_with_disks,
    read_machine,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_tags import (
    PLACE_TAG,
    RESTORE_OF_TAG,
    RESTORE_TAG,
    RESTORED_FROM_TAG,
    machine_described,
    replaced_by,
    start_of,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_FORMER_SUFFIX = re.compile(r"-r[0-9a-f]{8}$")
_LONGEST_STEM = 70


class RestoreOptions(NamedTuple):
    """`build` marks what is left behind by a run that was killed. `start`: whether the machine is to run in
    the end; None: if it ran when the backup was made, or runs now. `force`: restore it even if its disks are
    those of the backup already, for they may have been written to since."""

    waiter: Waiter
    build: Build
    remove_replaced_disks: bool = False
    start: bool | None = None
    force: bool = False


class NewDisk(NamedTuple):
    """A disk to be made of `content_id` by `create_option`. `made`: it as it is there already. `model`: the
    disk it is to be like. `replaces`: id of the disk it takes the place of."""

    lun: int | None
    id: str
    content_id: str
    create_option: str
    saved: BackupDisk | None
    model: Mapping[str, Any] | None
    made: Mapping[str, Any] | None
    replaces: str | None


class RestorePlan(NamedTuple):
    """`machine` None: an interrupted restore has deleted it. `description`: what such a restore has noted to
    make it of.

    `done`: there is nothing to do. `abandoned`: unattached disks of other restores that were interrupted.
    `stillborn`: what has been made anew never came up, and counts as not there.
    """

    vm_id: str
    machine: Machine | None
    description: Mapping[str, Any] | None
    backup: Backup
    restore_id: str
    disks: Sequence[NewDisk]
    abandoned: Sequence[Mapping[str, Any]]
    start: bool
    done: bool
    stillborn: bool = False

    @property
    def reborn(self) -> bool:
        """Whether the machine has to be deleted and made anew: Azure neither changes nor starts a generalized
        one."""
        return self.machine is not None and self.machine.state.generalized

    def to_attach(self) -> list[NewDisk]:
        """Those of the disks that are not yet in their places."""
        if self.machine is None:
            return list(self.disks)
        return [disk for disk in self.disks if not _is_attached(self.machine, disk)]


def _is_attached(machine: Machine, disk: NewDisk) -> bool:
    present = machine.disk_at(disk.lun)
    return present is not None and same_resource(present.id, disk.id)


def plan_restore(session: AzureSession, vm_id: str, backup: Backup, options: RestoreOptions) -> RestorePlan:
    """Look at the machine, at the backup's disks, and at what an interrupted restore has left.

    Raises InvalidInput when there is no such machine, and none that a restore was about to make anew.
    """
    body = read_machine(session, vm_id, Waiter(True, options.waiter.timeout, options.waiter.progress))
    machine = machine_with_disks(session, body) if body else None
    own = disks_under_way(session, vm_id, backup)
    source = source_tag(backup.id).casefold()
    current = [disk for disk in own if (tag_of(disk, RESTORED_FROM_TAG) or "").casefold() == source]
    noted = next((each for each in map(machine_described, current) if each is not None), None)
    stillborn = machine is not None and noted is not None and _never_came_up(machine)
    machine = None if stillborn else machine
    description = noted
    if machine is None and not stillborn:
        description = _described(vm_id, own, current)
    elif machine is not None and not current and not options.force and _restored_already(machine, backup):
        return RestorePlan(vm_id, machine, None, backup, "", (), (), False, True)
    restore_id = _restore_id(machine, backup, current)
    disks = _new_disks(session, machine, backup, restore_id, current)
    started = next((start_of(disk) for disk in current if start_of(disk) is not None), None)
    ids = {disk.id.casefold() for disk in disks}
    return RestorePlan(
        vm_id=machine.id if machine else vm_id,
        machine=machine,
        description=description,
        backup=backup,
        restore_id=restore_id,
        disks=disks,
        abandoned=[disk for disk in own if disk["id"].casefold() not in ids and not disk.get("managedBy")],
        start=_start(machine, backup, options.start if options.start is not None else started),
        done=False,
        stillborn=stillborn,
    )


def _never_came_up(machine: Machine) -> bool:
    return machine.state.provisioning.casefold() == "failed" and machine.state.power is None


def _start(machine: Machine | None, backup: Backup, asked: bool | None) -> bool:
    if asked is not None:
        return asked
    return backup.was_running is True or (machine is not None and machine.state.power == "running")


def disks_under_way(session: AzureSession, vm_id: str, backup: Backup) -> list[dict[str, Any]]:
    """Disks that restores of the machine have made, or given to it, and are not done with."""
    groups = {
        parse_resource_id(found).resource_group.casefold(): parse_resource_id(found).resource_group
        for found in (vm_id, *(disk.source_id for disk in backup.disks))
    }

    def listed(group: str) -> list[dict[str, Any]]:
        try:
            return session.compute.disks.list(group)
        except NotFound:
            return []

    wanted = source_tag(vm_id).casefold()
    return [
        disk
        for disks in in_parallel(listed, groups.values())
        for disk in disks
        if (tag_of(disk, RESTORE_OF_TAG) or "").casefold() == wanted
    ]


def _described(
    vm_id: str, own: Sequence[Mapping[str, Any]], current: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The machine that an interrupted restore has deleted."""
    name, group = parse_resource_id(vm_id).name, parse_resource_id(vm_id).resource_group
    for disk in own:
        found = machine_described(disk)
        if found is None:
            continue
        if disk not in current:
            other = tag_of(disk, RESTORED_FROM_TAG) or "another backup"
            raise InvalidInput(
                f"name: virtual machine {name} was about to be restored from {other}, and is not there until"
                " that restore is completed.",
                remedy=f"Restore it with backup: {other.rpartition('/')[2]} first.",
            )
        return found
    raise InvalidInput(
        f"name: there is no virtual machine {name} in resource group {group}, and no restore of it that was"
        " interrupted.",
        remedy="Check its name. Disks of a machine that was deleted can be made of its backup by hand.",
    )


def _restored_already(machine: Machine, backup: Backup) -> bool:
    if machine.state.generalized:
        return False
    wanted = source_tag(backup.id).casefold()
    attached = [machine.disk_at(disk.lun) for disk in backup.disks]
    return all(
        found is not None and (tag_of(found.disk or {}, RESTORED_FROM_TAG) or "").casefold() == wanted
        for found in attached
    )


def _restore_id(machine: Machine | None, backup: Backup, current: Sequence[Mapping[str, Any]]) -> str:
    """The one of the interrupted restore, or one that is the same for the same machine, disks and backup."""
    for disk in current:
        found = tag_of(disk, RESTORE_TAG)
        if found:
            return found
    attached = sorted(str(disk.id).casefold() for disk in (machine.disks if machine else ()))
    return hashlib.sha256("\n".join([backup.id.casefold(), *attached]).encode()).hexdigest()[:8]


def _new_disks(
    session: AzureSession,
    machine: Machine | None,
    backup: Backup,
    restore_id: str,
    current: Sequence[Mapping[str, Any]],
) -> list[NewDisk]:
    made = {str(disk["id"]).casefold(): disk for disk in current}
    option = "Restore" if backup.method == RESTORE_POINT else "Copy"

    def planned(saved: BackupDisk) -> NewDisk:
        new_id = _new_id(saved.source_id, saved.lun, restore_id)
        present = machine.disk_at(saved.lun) if machine else None
        if present is not None and same_resource(present.id, new_id):
            return NewDisk(
                saved.lun,
                new_id,
                str(saved.content_id),
                option,
                saved,
                None,
                present.disk,
                _tagged(present.disk),
            )
        there = made.get(new_id.casefold())
        replaces = present.id if present else _tagged(there)
        model = _model(session, saved, present)
        return NewDisk(saved.lun, new_id, str(saved.content_id), option, saved, model, there, replaces)

    disks = in_parallel(planned, backup.disks)
    if machine is not None and machine.state.generalized:
        disks += [
            _copied(extra, restore_id, made)
            for extra in machine.disks
            if extra.lun is not None
            and not any(disk.lun == extra.lun for disk in backup.disks)
            and goes(extra.entry)
        ]
    elif machine is None:
        planned_ids = {disk.id.casefold() for disk in disks}
        disks += [_remade(disk) for key, disk in made.items() if key not in planned_ids]
    return disks


def goes(entry: Mapping[str, Any]) -> bool:
    """Whether Azure deletes a disk, interface or address with its machine, by what the machine says of it."""
    return bool(entry.get("deleteOption") == "Delete")


def _tagged(disk: Mapping[str, Any] | None) -> str | None:
    return replaced_by(disk) if disk else None


def _model(
    session: AzureSession, saved: BackupDisk, present: AttachedDisk | None
) -> Mapping[str, Any] | None:
    """The disk that was backed up, if it is still there, or the one that has its place."""
    if present is not None and same_resource(present.id, saved.source_id):
        return present.disk
    found = get_by_id(session.compute.disks, saved.source_id)
    return found or (present.disk if present else None)


def _copied(extra: AttachedDisk, restore_id: str, made: Mapping[str, Mapping[str, Any]]) -> NewDisk:
    """A disk attached after the backup, which would be deleted with the machine: a copy takes its place."""
    new_id = _new_id(str(extra.id), extra.lun, restore_id)
    there = made.get(new_id.casefold())
    return NewDisk(extra.lun, new_id, str(extra.id), "Copy", None, extra.disk, there, extra.id)


def _remade(disk: Mapping[str, Any]) -> NewDisk:
    """Such a copy, after the machine has been deleted."""
    creation = disk["properties"]["creationData"]
    lun = lun_of(tag_of(disk, PLACE_TAG) or "os")
    return NewDisk(lun, disk["id"], creation["sourceResourceId"], "Copy", None, disk, disk, _tagged(disk))


def _new_id(source_id: str, lun: int | None, restore_id: str) -> str:
    """In the group of the disk that was backed up, with its name and the restore's mark."""
    parsed = parse_resource_id(source_id)
    stem = _FORMER_SUFFIX.sub("", parsed.name)
    if len(stem) > _LONGEST_STEM:
        digest = hashlib.sha256(f"{stem}/{disk_key(lun)}".encode()).hexdigest()[:8]
        stem = f"{stem[: _LONGEST_STEM - 9]}-{digest}"
    return resource_id(
        parsed.subscription, parsed.resource_group, "Microsoft.Compute", "disks", f"{stem}-r{restore_id}"
    )
