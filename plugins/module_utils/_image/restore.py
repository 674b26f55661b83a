# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Brings a virtual machine back to a backup: new disks of the backup take the places of those it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import OperationFailed
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.quotas import (
    disks_wanted,
    snapshots_wanted,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    parse_resource_id,
    resource_group_id,
    same_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import Backup, tag_of
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import (
    Machine,
    read_machine,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_refusals import (
    Needs,
    machine_findings,
    needs_findings,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import (
    Finding,
    refuse_if_any,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_disks import (
    commit_disks,
    committed_tags,
    finish_disks,
    make_disks,
    storage_type_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_plan import (
    RestoreOptions,
    RestorePlan,
    plan_restore,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_rebirth import (
    create_machine,
    deletable,
    delete_machine,
    describe_machine,
    disks_to_save,
    save_old_disks,
    settle_machine,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_swap import swap_disks
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_tags import (
    RESTORED_FROM_TAG,
    fits,
    machine_tags,
    users_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import read_state

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


class Restored(NamedTuple):
    """`disks`: ids of the machine's restored disks. `kept`: ids of the old disks that stay, or of snapshots
    of those that Azure deleted with the machine. `running`: whether the machine runs now."""

    changed: bool
    disks: Sequence[str]
    kept: Sequence[str]
    running: bool
    actions: Sequence[str]
    warnings: Sequence[str]


def checked_restore(
    session: AzureSession, vm_id: str, backup: Backup, options: RestoreOptions
) -> RestorePlan:
    """The plan of a restore, with everything checked that could stop it. Raises Refused, InvalidInput."""
    plan = plan_restore(session, vm_id, backup, options)
    if plan.done:
        return plan
    machine = plan.machine
    findings: list[Finding] = []
    if not backup.complete:
        findings.append(
            Finding(
                "incomplete-backup",
                f"Backup {backup.name} is not complete.",
                "backup",
                "Wait for it, or give another one.",
            )
        )
    if plan.reborn:
        plan = plan._replace(description=describe_machine(session, plan))
        findings += _too_much_to_note(plan)
    if machine is not None:
        luns = {disk.lun for disk in plan.disks}
        findings += machine_findings(machine._replace(disks=[d for d in machine.disks if d.lun in luns]))
        if options.remove_replaced_disks:
            findings += _strangers(machine, plan)
    findings += needs_findings(session, _needs(session, plan, options))
    refuse_if_any(f"restore virtual machine {parse_resource_id(vm_id).name}", findings)
    return plan


def _strangers(machine: Machine, plan: RestorePlan) -> list[Finding]:
    """Disks in places of the backup that it holds nothing of: they are put away, and never deleted."""
    found = []
    for disk in plan.to_attach():
        present = machine.disk_at(disk.lun)
        if present is None or disk.saved is None or same_resource(present.id, disk.saved.source_id):
            continue
        if tag_of(present.disk or {}, RESTORED_FROM_TAG) is None:
            found.append(
                Finding(
                    "another-disk",
                    f"Disk {present.id} has the place that disk {disk.saved.name} had when the backup was"
                    " made. It is in no backup, and would be deleted.",
                    "the operating system disk" if disk.lun is None else f"the data disk at LUN {disk.lun}",
                    "Leave out remove_replaced_disks: then it is kept.",
                )
            )
    return found


def _too_much_to_note(plan: RestorePlan) -> list[Finding]:
    """The tags of one disk have to hold all that it takes to make the machine anew."""
    os_disk = plan.disks[0]
    noted = committed_tags(plan, os_disk, machine_tags(plan.description or {}))
    if fits({**users_tags(os_disk.model or {}), **noted}):
        return []
    return [
        Finding(
            "too-much-to-note",
            "What it takes to make it anew does not fit into the tags of its disk.",
            parse_resource_id(plan.vm_id).name,
            "Remove tags of its operating system disk, or user data that is not needed any more.",
        )
    ]


def _needs(session: AzureSession, plan: RestorePlan, options: RestoreOptions) -> Needs:
    machines, disks = "Microsoft.Compute/virtualMachines", "Microsoft.Compute/disks"
    home = resource_group_id(session.subscription_id, parse_resource_id(plan.vm_id).resource_group)
    actions: dict[str, list[str]] = {home: [f"{machines}/read", f"{machines}/write"]}
    actions[home] += [f"{machines}/{verb}/action" for verb in ("deallocate", "start")]
    away = plan.machine is None
    if plan.reborn or plan.stillborn:
        actions[home].append(f"{machines}/delete")
    if plan.reborn or away:
        description = plan.description or {}
        actions[home].append("Microsoft.Network/networkInterfaces/join/action")
        for part, kind in (("interfaces", "networkInterfaces"), ("addresses", "publicIPAddresses")):
            actions[home] += [f"Microsoft.Network/{kind}/write"] if description.get(part) else []
    for disk in plan.disks:
        group = resource_group_id(session.subscription_id, parse_resource_id(disk.id).resource_group)
        wanted = actions.setdefault(group if group.casefold() != home.casefold() else home, [])
        new = [
            f"{disks}/read",
            f"{disks}/write",
            *([f"{disks}/delete"] if options.remove_replaced_disks else []),
        ]
        wanted += [action for action in new if action not in wanted]
    missing = [disk for disk in plan.disks if disk.made is None]
    saved = disks_to_save(plan)
    location = plan.machine.location if plan.machine else str((plan.description or {})["body"]["location"])
    replaced = [str(disk.replaces) for disk in plan.to_attach() if disk.replaces]
    deleting = list(deletable(plan.machine)) if plan.machine is not None and plan.reborn else []
    return Needs(
        location=location,
        actions=actions,
        change=[plan.vm_id, *(disk.id for disk in plan.disks)],
        delete=[*deleting, *(replaced if options.remove_replaced_disks else [])],
        quotas={
            **disks_wanted(storage_type_of(disk) for disk in missing),
            **(snapshots_wanted(len(saved)) if saved else {}),
        },
    )


def restore_backup(session: AzureSession, vm_id: str, backup: Backup, options: RestoreOptions) -> Restored:
    """Restore the machine; also goes on with a restore that was interrupted, at any point.

    Waits for everything. Raises Refused before anything is changed; after other errors the machine has either
    not been touched, or the next call goes on.
    """
    return carry_out_restore(session, checked_restore(session, vm_id, backup, options), options)


def carry_out_restore(session: AzureSession, plan: RestorePlan, options: RestoreOptions) -> Restored:
    """Do what the plan says."""
    disks = [disk.id for disk in plan.disks]
    if plan.done:
        machine = plan.machine
        present = [str(disk.id) for disk in (machine.disks if machine else ())]
        running = machine is not None and machine.state.power == "running"
        return Restored(False, present, [], running, [], [])
    waiter = Waiter(True, options.waiter.timeout, options.waiter.progress)
    actions = planned_actions(plan, options)
    # The disks of a machine that is away have all been made: its description names them.
    if plan.machine is not None:
        plan = plan._replace(disks=make_disks(session, plan, options))
    description = plan.description
    if plan.reborn:
        save_old_disks(session, plan, waiter)
        commit_disks(session, plan, machine_tags(description or {}))
    elif plan.machine is not None and plan.to_attach():
        description = None  # of a machine that somebody has replaced since
        commit_disks(session, plan, {})
        swap_disks(session, plan, waiter)
    if description is not None:
        if plan.reborn or plan.stillborn:
            delete_machine(session, plan.vm_id, description, waiter)
        if plan.reborn or plan.machine is None:
            create_machine(session, plan.vm_id, description, waiter)
        settle_machine(session, plan.vm_id, description, waiter)
    _set_power(session, plan, waiter)
    kept = finish_disks(session, plan, options)
    lost = list((description or {}).get("lost") or [])
    return Restored(True, disks, kept, plan.start, actions, lost)


def _set_power(session: AzureSession, plan: RestorePlan, waiter: Waiter) -> None:
    """Start the machine, or switch it off where it is made anew but did not run."""
    parsed = parse_resource_id(plan.vm_id)
    machines = session.compute.virtual_machines
    present = read_machine(session, plan.vm_id, waiter)
    if present is None:
        raise OperationFailed(f"Virtual machine {parsed.name} has been deleted while it was restored.")
    power = read_state(present).power
    if plan.start and power != "running":
        machines.action(parsed.resource_group, parsed.name, "start", None, waiter)
    elif not plan.start and power != "deallocated":
        machines.action(parsed.resource_group, parsed.name, "deallocate", None, waiter)


def planned_actions(plan: RestorePlan, options: RestoreOptions) -> list[str]:
    """One sentence for each change."""
    vm = parse_resource_id(plan.vm_id).name
    if plan.done:
        return []
    made = [f"Made disk {disk.id} of {disk.content_id}" for disk in plan.disks if disk.made is None]
    changes = []
    if plan.reborn or plan.machine is None:
        changes = [] if plan.machine is None else [f"Deleted generalized virtual machine {vm}"]
        changes.append(f"Made virtual machine {vm} anew from restored disks")
    elif plan.to_attach():
        changes = [f"Swapped the disks of virtual machine {vm}"]
    changes.append(f"{'Started' if plan.start else 'Left deallocated:'} virtual machine {vm}")
    verb = "Deleted" if options.remove_replaced_disks else "Kept"
    return [*made, *changes, *(f"{verb} old disk {disk.replaces}" for disk in plan.disks if disk.replaces)]


def disks_by_place(plan: RestorePlan, *, after: bool) -> Mapping[str, Any]:
    """What a diff shows: the disk at each place of the machine."""
    old = {disk.lun: disk.id for disk in (plan.machine.disks if plan.machine else ())}
    new = {**old, **{disk.lun: disk.id for disk in plan.disks}}
    chosen = new if after else old
    return {"os" if lun is None else f"lun {lun}": disk_id for lun, disk_id in chosen.items()}
