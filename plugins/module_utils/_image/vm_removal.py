# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Removes a virtual machine with everything that came with it, and nothing else.

What came with it: its disks made from an image, disks, interfaces and public addresses that Azure was told to
delete with it, and the network that was made for it. Azure deletes according to the delete options that the
machine has. What is to be kept is taken out of them first; what Azure leaves behind is deleted afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import parse_resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_facts import (
    comparable_vm,
    ip_configurations,
    vm_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_network import (
    NETWORK_API,
    OwnNetwork,
    delete_when_free,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


class _Parts(NamedTuple):
    """Ids of what goes with the machine; `storage` is what to set first so that nothing else goes."""

    disks: list[str]
    interfaces: list[str]
    addresses: list[str]
    storage: dict[str, Any] | None


def remove_vm(session: AzureSession, request: VmRequest, *, check_mode: bool, waiter: Waiter) -> Ensured:
    """Delete the machine and what came with it, without `request.keep`; also what an earlier run left."""
    try:
        machine = session.compute.virtual_machines.get(
            request.resource_group, request.name, expand="instanceView"
        )
    except NotFound:
        return Ensured(False, None, {}, {})
    network = OwnNetwork(session, request.resource_group, request.name)
    if machine is None:
        return _remove_remains(network, check_mode=check_mode, waiter=waiter)
    before = comparable_vm(vm_facts(session, machine))
    parts = _parts(session, machine, request.keep)
    everything = [machine["id"], *parts.disks, *parts.interfaces, *parts.addresses]
    actions = [f"Deleted {part}" for part in (*everything, *network.existing())]
    if not check_mode:
        machines = session.compute.virtual_machines
        if parts.storage:
            change = {"properties": {"storageProfile": parts.storage}}
            machines.update(request.resource_group, request.name, change, Waiter(True, waiter.timeout))
        machines.delete(request.resource_group, request.name, waiter)
        if waiter.wait:
            _delete_left_over(session, parts, waiter)
            network.remove(waiter.timeout)
    return Ensured(True, None, before, {}, actions)


def _remove_remains(network: OwnNetwork, *, check_mode: bool, waiter: Waiter) -> Ensured:
    """The machine is gone but its network may be there: a run that did not wait, or that was interrupted."""
    remains = network.existing()
    if remains and not check_mode:
        network.remove(waiter.timeout)
    before = {"remains": remains} if remains else {}
    return Ensured(bool(remains), None, before, {}, [f"Deleted {part}" for part in remains])


def _parts(session: AzureSession, machine: Mapping[str, Any], keep: tuple[str, ...]) -> _Parts:
    storage = machine["properties"].get("storageProfile") or {}
    os_disk = storage.get("osDisk") or {}
    wanted_os = _with_option(os_disk, "os_disk" not in keep)
    data_disks = storage.get("dataDisks") or []
    wanted_data = [_with_option(disk, "data_disks" not in keep) for disk in data_disks]
    going = [disk for disk in (wanted_os, *wanted_data) if disk.get("deleteOption") == "Delete"]
    pairs = zip((os_disk, *data_disks), (wanted_os, *wanted_data), strict=True)
    # A generalized machine refuses every update, so there is none unless something has to be saved.
    saved = any(has.get("deleteOption") == "Delete" != wish.get("deleteOption") for has, wish in pairs)
    interfaces, addresses = _network_parts(session, machine)
    return _Parts(
        disks=[disk["managedDisk"]["id"] for disk in going if (disk.get("managedDisk") or {}).get("id")],
        interfaces=interfaces,
        addresses=addresses,
        storage={"osDisk": wanted_os, "dataDisks": wanted_data} if saved else None,
    )


def _with_option(disk: Mapping[str, Any], may_go: bool) -> dict[str, Any]:
    """The disk with the delete option it should have: one that existed before the machine survives it."""
    came_with_it = disk.get("createOption") == "FromImage" or disk.get("deleteOption") == "Delete"
    wanted = "Delete" if may_go and came_with_it else "Detach"
    if disk.get("deleteOption", "Detach") == wanted:
        return dict(disk)
    return {**disk, "deleteOption": wanted}


def _network_parts(session: AzureSession, machine: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Interfaces and public addresses that Azure deletes with the machine."""
    interfaces: list[str] = []
    addresses: list[str] = []
    for interface in (machine["properties"].get("networkProfile") or {}).get("networkInterfaces") or []:
        if (interface.get("properties") or {}).get("deleteOption") != "Delete":
            continue
        interfaces.append(interface["id"])
        for configuration in ip_configurations(session.arm.get(interface["id"], NETWORK_API)):
            address = configuration.get("publicIPAddress") or {}
            if (address.get("properties") or {}).get("deleteOption") == "Delete":
                addresses.append(address["id"])
    return interfaces, addresses


def _delete_left_over(session: AzureSession, parts: _Parts, waiter: Waiter) -> None:
    """Azure's own deletion is best effort: what is still there goes now."""
    for part in (*parts.interfaces, *parts.addresses):
        if session.arm.get(part, NETWORK_API) is not None:
            delete_when_free(session.arm, part, waiter.timeout)
    for disk in parts.disks:
        parsed = parse_resource_id(disk)
        if session.compute.disks.get(parsed.resource_group, parsed.name) is not None:
            session.compute.disks.delete(parsed.resource_group, parsed.name, waiter)
