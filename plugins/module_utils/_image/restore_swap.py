# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Gives a machine other disks: the operating system disk is swapped, data disks take the old ones' LUNs.

Azure refuses to put another data disk at a LUN in one step ("Changing property 'dataDisk.name' is not
allowed"), so the old ones go first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import same_resource
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import tag_of
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import Machine
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_plan import (
    NewDisk,
    RestorePlan,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_tags import DELETE_OPTION_TAG
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import GENERALIZED_TAG

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# What a machine says of a disk besides which one it is.
_SETTINGS = ("caching", "writeAcceleratorEnabled", "deleteOption")


def attachment(disk: NewDisk, machine: Machine) -> dict[str, Any]:
    """How the machine is to have the disk: as it had it when it was backed up."""
    present = machine.disk_at(disk.lun)
    settings = {
        name: present.entry[name]
        for name in _SETTINGS
        if present is not None and present.entry.get(name) is not None
    }
    noted = tag_of(disk.made or {}, DELETE_OPTION_TAG)
    if present is None and noted:
        settings["deleteOption"] = noted
    if disk.saved is not None:
        settings["caching"] = disk.saved.caching or settings.get("caching", "None")
        settings["writeAcceleratorEnabled"] = disk.saved.write_accelerator
    if not settings.get("writeAcceleratorEnabled"):
        settings.pop("writeAcceleratorEnabled", None)
    return {
        **({} if disk.lun is None else {"lun": disk.lun}),
        "name": disk.id.rpartition("/")[2],
        "createOption": "Attach",
        "managedDisk": {"id": disk.id},
        **settings,
    }


def swap_disks(session: AzureSession, plan: RestorePlan, waiter: Waiter) -> None:
    """Deallocate the machine and give it the plan's disks, without what an interrupted run has done already.

    Data disks at LUNs that the backup does not know stay where they are.
    """
    machine = plan.machine
    if machine is None or not plan.to_attach():
        return
    machines = session.compute.virtual_machines
    group, name = machine.resource_group, machine.name
    if machine.state.power != "deallocated":
        machines.action(group, name, "deallocate", None, waiter)
    new = {disk.lun: disk for disk in plan.disks}
    staying = [
        _as_it_is(attached.entry)
        for attached in machine.disks
        if attached.lun is not None
        and (attached.lun not in new or same_resource(attached.id, new[attached.lun].id))
    ]
    leaving = [attached for attached in machine.disks if attached.lun is not None]
    os_disk = machine.disk_at(None)
    first: dict[str, Any] = {}
    if os_disk is None or not same_resource(os_disk.id, new[None].id):
        # An OS disk that is swapped keeps how it first came to the machine.
        option = (os_disk.entry if os_disk else {}).get("createOption", "FromImage")
        first["osDisk"] = {**attachment(new[None], machine), "createOption": option}
    if len(staying) < len(leaving):
        first["dataDisks"] = staying
    if first:
        change: dict[str, Any] = {"properties": {"storageProfile": first}}
        if lasting_machine_tags(machine) != (machine.body.get("tags") or {}):
            change["tags"] = lasting_machine_tags(machine)
        machines.update(group, name, change, waiter)
    coming = [attachment(disk, machine) for disk in plan.to_attach() if disk.lun is not None]
    if coming:
        wanted = sorted([*staying, *coming], key=lambda entry: int(entry["lun"]))
        machines.update(group, name, {"properties": {"storageProfile": {"dataDisks": wanted}}}, waiter)


def lasting_machine_tags(machine: Machine) -> dict[str, str]:
    """The machine's tags without the proof that its guest was generalized: its new disks are not."""
    tags = machine.body.get("tags") or {}
    return {name: value for name, value in tags.items() if name.casefold() != GENERALIZED_TAG}


def _as_it_is(entry: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("lun", "name", "createOption", *_SETTINGS)
    return {
        **{name: entry[name] for name in kept if entry.get(name) is not None},
        "managedDisk": {"id": entry["managedDisk"]["id"]},
    }
