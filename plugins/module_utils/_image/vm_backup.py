# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Brings the backups of a virtual machine into the wanted state: one is there, none is, or it is restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    parse_resource_id,
    resource_group_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    derived_build_id,
    new_build,
    source_tag,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import (
    Backup,
    check_backup_name,
    tag_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import read_machine
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_refusals import (
    Needs,
    needs_findings,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_taking import (
    MOST_KEPT,
    BackupOptions,
    backup_to_use,
    carry_out_backup,
    find_backups,
    plan_backup,
    remove_backup,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import (
    Finding,
    refuse_if_any,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_resource_group_name,
    check_tags,
    check_vm_name,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore import (
    carry_out_restore,
    checked_restore,
    disks_by_place,
    planned_actions,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_plan import (
    RestoreOptions,
    disks_under_way,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_tags import RESTORED_FROM_TAG

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# Tags of our own that a snapshot of a backup has.
_OWN_TAGS = 5
# A month: a backup that old is none of the machine any more.
_MOST_HOURS = 24 * 31


@dataclass(frozen=True)
class VmBackupRequest:
    """What the module is asked for. `keep`: how many backups stay; `start`: see RestoreOptions."""

    resource_group: str
    name: str
    backup: str | None = None
    method: str | None = None
    consistency: str = "crash"
    backup_resource_group: str | None = None
    keep: int | None = None
    reuse_hours: int | None = None
    remove_replaced_disks: bool = False
    start: bool | None = None
    force: bool = False
    build_id: str | None = None
    expires_after: int = 24
    tags: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> VmBackupRequest:
        """Read the module's options. Raises InvalidInput for what is wrong whatever there is in Azure."""
        names = ("backup", "method", "backup_resource_group", "keep", "reuse_hours", "start", "build_id")
        request = cls(
            resource_group=options["resource_group"],
            name=options["name"],
            **{name: options.get(name) if options.get(name) != "" else None for name in names},
            consistency=options.get("consistency") or "crash",
            remove_replaced_disks=bool(options.get("remove_replaced_disks")),
            force=bool(options.get("force")),
            expires_after=options.get("expires_after") or 24,
            tags={
                name: "" if value is None else str(value)
                for name, value in (options.get("tags") or {}).items()
            },
        )
        request._check()
        return request

    def _check(self) -> None:
        check_resource_group_name(self.resource_group)
        check_vm_name(self.name)
        if self.backup_resource_group is not None:
            check_resource_group_name(self.backup_resource_group)
        if self.backup is not None:
            check_backup_name(self.backup)
        if self.keep is not None and not 0 <= self.keep <= MOST_KEPT:
            raise InvalidInput(f"keep: {self.keep} is not between 0 and {MOST_KEPT}.")
        if self.reuse_hours is not None:
            if not 1 <= self.reuse_hours <= _MOST_HOURS:
                raise InvalidInput(
                    f"reuse_hours: {self.reuse_hours} is not a number of hours from 1 to {_MOST_HOURS}."
                )
            if self.backup is not None:
                raise InvalidInput(
                    "reuse_hours: a backup that has a name is used by that, however old it is.",
                    remedy="Leave one of the two out.",
                )
        check_tags(self.tags, own=_OWN_TAGS)
        if self.build_id is not None:
            new_build(self.build_id, 1, datetime.now(timezone.utc))

    def vm_id(self, subscription: str) -> str:
        """The id of the machine."""
        return resource_id(
            subscription, self.resource_group, "Microsoft.Compute", "virtualMachines", self.name
        )

    def build(self, subscription: str) -> str:
        """The id of the build: that which was given, or the same one for the same machine."""
        return self.build_id or derived_build_id(self.vm_id(subscription), "backup")


class Done(NamedTuple):
    """`result` is what the module returns; `before` and `after` are for the diff."""

    changed: bool
    result: dict[str, Any]
    before: dict[str, Any]
    after: dict[str, Any]
    actions: list[str]
    warnings: list[str]


def ensure_backup(
    session: AzureSession, request: VmBackupRequest, *, check_mode: bool, waiter: Waiter
) -> Done:
    """A backup is there that can be restored, and no more backups than are to be kept."""
    if request.keep == 0:
        raise InvalidInput(
            "keep: 0 would not even keep the backup that is made now.", remedy="Give 1 or more."
        )
    vm_id = request.vm_id(session.subscription_id)
    vm = read_machine(session, vm_id, waiter)
    if vm is None:
        raise InvalidInput(
            f"name: there is no virtual machine {request.name} in resource group {request.resource_group}.",
            remedy="Check its name, and subscription_id.",
        )
    options = BackupOptions(
        waiter=waiter,
        name=request.backup,
        method=request.method,
        consistency=request.consistency,
        resource_group=request.backup_resource_group,
        build_id=request.build(session.subscription_id),
        tags=request.tags,
        keep=request.keep,
        reuse_since=_hours_ago(request.reuse_hours),
    )
    plan = plan_backup(session, vm, options)
    removed = [*plan.broken, *plan.outdated]
    actions = [f"Removed backup {each.name} ({each.id})" for each in plan.broken]
    if plan.current is None:
        actions.append(f"Made backup {plan.name} of virtual machine {request.name} ({plan.method})")
    actions += [f"Removed backup {each.name} ({each.id})" for each in plan.outdated]
    warnings = _missing_from(plan.current) if check_mode else []
    made = plan.current if check_mode else carry_out_backup(session, plan, options)
    facts = made.facts() if made else None
    before = {each.name: each.method for each in (*removed, *([plan.current] if plan.current else []))}
    return Done(
        changed=plan.changes,
        result={
            "backup": facts or {"name": plan.name, "method": plan.method, "vm_id": vm_id, "complete": False},
            "removed": [each.name for each in removed],
        },
        before={"backups": before},
        after={"backups": {plan.name: plan.method}},
        actions=actions,
        warnings=warnings,
    )


def _hours_ago(hours: int | None) -> datetime | None:
    return None if hours is None else datetime.now(timezone.utc) - timedelta(hours=hours)


def _missing_from(current: Backup | None) -> list[str]:
    if current is None or current.complete:
        return []
    return [f"Backup {current.name} is still being made."]


def ensure_restored(
    session: AzureSession, request: VmBackupRequest, *, check_mode: bool, waiter: Waiter
) -> Done:
    """The machine's disks are those of the backup."""
    subscription = session.subscription_id
    vm_id = request.vm_id(subscription)
    backups = find_backups(session, vm_id, request.backup_resource_group)
    backup = backup_to_use(backups, request.backup, vm_id)
    options = RestoreOptions(
        waiter=waiter,
        build=new_build(request.build(subscription), request.expires_after, datetime.now(timezone.utc)),
        remove_replaced_disks=request.remove_replaced_disks,
        start=request.start,
        force=request.force,
    )
    plan = checked_restore(session, vm_id, backup, options)
    before, after = disks_by_place(plan, after=False), disks_by_place(plan, after=True)
    result: dict[str, Any] = {"backup": backup.facts(), "disks": dict(after)}
    if check_mode:
        kept: list[str] = []
        if not request.remove_replaced_disks:
            kept = [disk.replaces for disk in plan.disks if disk.replaces]
        result.update(kept_disks=kept, recreated=plan.reborn or plan.machine is None, running=plan.start)
        actions = planned_actions(plan, options)
        lost = list((plan.description or {}).get("lost") or [])
        return Done(not plan.done, result, {"disks": before}, {"disks": after}, actions, lost)
    done = carry_out_restore(session, plan, options)
    result.update(
        kept_disks=list(done.kept),
        recreated=not plan.done and (plan.reborn or plan.machine is None),
        running=done.running,
    )
    return Done(
        done.changed, result, {"disks": before}, {"disks": after}, list(done.actions), list(done.warnings)
    )


def ensure_no_backup(
    session: AzureSession, request: VmBackupRequest, *, check_mode: bool, waiter: Waiter
) -> Done:
    """The backup of that name is not there, or with `keep`, none but the newest."""
    if (request.backup is None) == (request.keep is None):
        raise InvalidInput(
            "backup: what to remove is not said.",
            remedy="Give either backup, its name, or keep, how many of the newest stay (0 for none).",
        )
    vm_id = request.vm_id(session.subscription_id)
    backups = find_backups(session, vm_id, request.backup_resource_group)
    going = [each for each in backups if each.name == request.backup]
    if request.keep is not None:
        complete = [each for each in backups if each.complete]
        unfinished = [each for each in backups if not each.complete and not each.failed and request.keep]
        going = [each for each in backups if each not in (*complete[: request.keep], *unfinished)]
    if going:
        _refuse_removal(session, request, going)
    if not check_mode:
        for each in going:
            remove_backup(session, each, waiter)
    return Done(
        changed=bool(going),
        result={"backup": None, "removed": [each.name for each in going]},
        before={"backups": {each.name: each.method for each in backups}},
        after={"backups": {each.name: each.method for each in backups if each not in going}},
        actions=[f"Removed backup {each.name} ({each.id})" for each in going],
        warnings=[],
    )


def _refuse_removal(session: AzureSession, request: VmBackupRequest, going: Sequence[Backup]) -> None:
    group = request.backup_resource_group or request.resource_group
    kinds = {"Microsoft.Compute/" + parse_resource_id(each.id).types[0] for each in going}
    needs = Needs(
        location="",
        actions={
            resource_group_id(session.subscription_id, group): [f"{kind}/delete" for kind in sorted(kinds)]
        },
        change=[],
        delete=[part for each in going for part in each.parts],
        quotas={},
    )
    found = needs_findings(session, needs)
    vm_id = request.vm_id(session.subscription_id)
    for backup in going:
        used = source_tag(backup.id).casefold()
        disks = disks_under_way(session, vm_id, backup)
        if any((tag_of(disk, RESTORED_FROM_TAG) or "").casefold() == used for disk in disks):
            found.append(
                Finding(
                    "restore-under-way",
                    "A restore from it was interrupted.",
                    f"backup {backup.name}",
                    "Complete it first, with state: restored.",
                )
            )
    refuse_if_any(f"remove backups of virtual machine {request.name}", found)
