# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Makes a generalized machine anew, with its name, interfaces, identities and settings, from restored disks.

Azure neither starts nor changes a machine that was marked generalized, nor takes the mark away. So it is
deleted and made again of disks as they are (createOption Attach). What Azure deletes with it is saved before:
its description stands in the tags of the new operating system disk until it is there again, old disks that go
with it are kept as snapshots, public addresses are told to stay, and interfaces are made again as they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import parse_resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import (
    AttachedDisk,
    Machine,
    disk_entries,
    get_by_id,
    read_machine,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_snapshots import (
    same_protection,
    wait_for_snapshots,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_waiting import wait_until_done
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_disks import (
    replaced_tags,
    saved_copy_name,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_plan import (
    NewDisk,
    RestorePlan,
    goes,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_swap import (
    attachment,
    lasting_machine_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_network import NETWORK_API

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_BODY = ("location", "extendedLocation", "zones", "plan")
# Without osProfile, which a machine of disks as they are cannot have, and without what Azure fills in.
_PROPERTIES = (
    "hardwareProfile",
    "scheduledEventsPolicy",
    "additionalCapabilities",
    "securityProfile",
    "diagnosticsProfile",
    "availabilitySet",
    "virtualMachineScaleSet",
    "proximityPlacementGroup",
    "priority",
    "evictionPolicy",
    "billingProfile",
    "host",
    "hostGroup",
    "licenseType",
    "extensionsTimeBudget",
    "platformFaultDomain",
    "scheduledEventsProfile",
    "capacityReservation",
    "applicationProfile",
)
_INTERFACE = (
    "networkSecurityGroup",
    "dnsSettings",
    "enableAcceleratedNetworking",
    "enableIPForwarding",
    "disableTcpStateTracking",
    "auxiliaryMode",
    "auxiliarySku",
    "nicType",
    "workloadType",
)
_CONFIGURATION = (
    "subnet",
    "primary",
    "privateIPAddressVersion",
    "privateIPAddressPrefixLength",
    "publicIPAddress",
    "loadBalancerBackendAddressPools",
    "loadBalancerInboundNatRules",
    "applicationGatewayBackendAddressPools",
    "applicationSecurityGroups",
    "virtualNetworkTaps",
    "gatewayLoadBalancer",
)


def describe_machine(session: AzureSession, plan: RestorePlan) -> dict[str, Any]:
    """All that it takes to make the machine anew: `body` for its PUT, and of what goes with it `interfaces`
    and `addresses`, by id; `lost`, sentences about what cannot be made anew."""
    machine = plan.machine
    if machine is None:
        raise AssertionError("there is a machine to describe")
    going = [
        str(each["id"])
        for each in (machine.properties.get("networkProfile") or {}).get("networkInterfaces") or []
        if goes(each.get("properties") or {})
    ]
    noted = (plan.description or {}).get("addresses") or []
    found = in_parallel(lambda each: session.arm.get(each, NETWORK_API), going)
    interfaces = {each["id"]: _interface_body(each) for each in found if each is not None}
    return {
        "body": _machine_body(session, plan, machine),
        "interfaces": interfaces,
        # A run that was interrupted may have told some of them to stay already.
        "addresses": sorted({*_addresses_going(session, interfaces.values()), *noted}),
        "lost": _lost(machine),
    }


def _machine_body(session: AzureSession, plan: RestorePlan, machine: Machine) -> dict[str, Any]:
    properties = {name: machine.properties[name] for name in _PROPERTIES if machine.properties.get(name)}
    storage = machine.properties.get("storageProfile") or {}
    new = {disk.lun: attachment(disk, machine) for disk in plan.disks}
    os_disk = {**new[None], "osType": (storage.get("osDisk") or {}).get("osType")}
    staying = [
        {**attachment(_as_new(attached), machine)}
        for attached in machine.disks
        if attached.lun is not None and attached.lun not in new
    ]
    coming = [entry for lun, entry in new.items() if lun is not None]
    properties["storageProfile"] = {
        "osDisk": os_disk,
        "dataDisks": sorted([*staying, *coming], key=lambda entry: int(entry["lun"])),
        **(
            {"diskControllerType": storage["diskControllerType"]} if storage.get("diskControllerType") else {}
        ),
    }
    network = machine.properties.get("networkProfile") or {}
    properties["networkProfile"] = {
        "networkInterfaces": [
            {key: each[key] for key in ("id", "properties") if each.get(key)}
            for each in network.get("networkInterfaces") or []
        ]
    }
    user_data = _user_data(session, machine)
    if user_data:
        properties["userData"] = user_data
    identity = machine.body.get("identity")
    return {
        **{name: machine.body[name] for name in _BODY if machine.body.get(name)},
        **({"identity": _identity(identity)} if identity else {}),
        "tags": lasting_machine_tags(machine),
        "properties": properties,
    }


def _as_new(attached: AttachedDisk) -> NewDisk:
    """A data disk that stays, in the form of one that comes."""
    return NewDisk(attached.lun, str(attached.id), "", "", None, None, attached.disk, None)


def _user_data(session: AzureSession, machine: Machine) -> str | None:
    found = session.compute.virtual_machines.get(machine.resource_group, machine.name, expand="userData")
    data = ((found or {}).get("properties") or {}).get("userData")
    return str(data) if data else None


def _identity(identity: Mapping[str, Any]) -> dict[str, Any]:
    assigned: dict[str, Any] = {name: {} for name in identity.get("userAssignedIdentities") or {}}
    return {"type": identity["type"], **({"userAssignedIdentities": assigned} if assigned else {})}


def _interface_body(interface: Mapping[str, Any]) -> dict[str, Any]:
    """For its PUT. Its private addresses are asked for by number, so that it gets the same ones again."""
    properties = interface["properties"]
    configurations = []
    for configuration in properties.get("ipConfigurations") or []:
        inner = configuration["properties"]
        settings = {name: _reference(inner[name]) for name in _CONFIGURATION if inner.get(name)}
        if inner.get("privateIPAddress"):
            settings["privateIPAddress"] = inner["privateIPAddress"]
            settings["privateIPAllocationMethod"] = "Static"
        configurations.append({"name": configuration["name"], "properties": settings})
    kept = {name: _reference(properties[name]) for name in _INTERFACE if properties.get(name)}
    servers = (properties.get("dnsSettings") or {}).get("dnsServers")
    kept.pop("dnsSettings", None)
    label = (properties.get("dnsSettings") or {}).get("internalDnsNameLabel")
    dns = {
        **({"dnsServers": servers} if servers else {}),
        **({"internalDnsNameLabel": label} if label else {}),
    }
    return {
        "location": interface["location"],
        **{name: interface[name] for name in ("tags", "extendedLocation") if interface.get(name)},
        "properties": {**kept, **({"dnsSettings": dns} if dns else {}), "ipConfigurations": configurations},
    }


def _reference(value: Any) -> Any:
    """What another resource is only named by: its id."""
    if isinstance(value, Mapping) and "id" in value:
        return {"id": value["id"]}
    if isinstance(value, list):
        return [_reference(each) for each in value]
    return value


def _addresses_going(session: AzureSession, interfaces: Any) -> list[str]:
    """Public addresses that Azure deletes with the interfaces."""
    ids = [
        configuration["properties"]["publicIPAddress"]["id"]
        for interface in interfaces
        for configuration in interface["properties"]["ipConfigurations"]
        if configuration["properties"].get("publicIPAddress")
    ]
    found = in_parallel(lambda each: session.arm.get(each, NETWORK_API), ids)
    return [
        str(each["id"])
        for each in found
        if each is not None and (each.get("properties") or {}).get("deleteOption") == "Delete"
    ]


def _lost(machine: Machine) -> list[str]:
    lost = []
    extensions = [
        str(each.get("name") or each["id"].rpartition("/")[2]) for each in machine.body.get("resources") or []
    ]
    if extensions:
        lost.append(f"Its extensions have to be installed again: {', '.join(extensions)}.")
    if "systemassigned" in str((machine.body.get("identity") or {}).get("type", "")).casefold():
        lost.append("Its system-assigned identity is a new one, without the roles of the old one.")
    return lost


def disks_to_save(plan: RestorePlan) -> list[NewDisk]:
    """New disks in places of disks that Azure deletes with the machine: a snapshot is kept of those."""
    machine = plan.machine
    if machine is None or not plan.reborn:
        return []
    return [
        disk
        for disk in plan.disks
        if disk.saved is not None
        and (present := machine.disk_at(disk.lun)) is not None
        and present.id
        and goes(present.entry)
    ]


def save_old_disks(session: AzureSession, plan: RestorePlan, waiter: Waiter) -> None:
    """Snapshots of them, tagged like the disks that stay."""
    machine = plan.machine
    if machine is None:
        return

    def save(disk: NewDisk) -> str:
        old = get_by_id(session.compute.disks, str(disk.replaces)) or {}
        parsed = parse_resource_id(str(disk.replaces))
        name = saved_copy_name(disk, plan.restore_id)
        snapshots = session.compute.snapshots
        present = snapshots.get(parsed.resource_group, name)
        if present is not None and present["properties"].get("provisioningState") == "Failed":
            snapshots.delete(parsed.resource_group, name, waiter)
            present = None
        if present is None:
            body = {
                "location": machine.location,
                "sku": {"name": "Standard_LRS"},
                "tags": replaced_tags(plan.vm_id),
                "properties": {
                    "creationData": {"createOption": "Copy", "sourceResourceId": disk.replaces},
                    "incremental": True,
                    **same_protection(old.get("properties") or {}),
                },
            }
            present = snapshots.put(parsed.resource_group, name, body, waiter)
        return str(present["id"])

    wait_for_snapshots(session, in_parallel(save, disks_to_save(plan)), waiter)


def delete_machine(session: AzureSession, vm_id: str, description: Mapping[str, Any], waiter: Waiter) -> None:
    """The point of no return; the description has to be safe by now."""
    keep_addresses(session, description, "Detach", waiter)
    parsed = parse_resource_id(vm_id)
    session.compute.virtual_machines.delete(parsed.resource_group, parsed.name, waiter)


def keep_addresses(
    session: AzureSession, description: Mapping[str, Any], option: str, waiter: Waiter
) -> None:
    """Whether public addresses go with the machine: Detach while it is away, Delete as before."""

    def change(address_id: str) -> None:
        address = session.arm.get(address_id, NETWORK_API)
        if address is None or (address.get("properties") or {}).get("deleteOption") == option:
            return
        body: dict[str, Any] = {
            name: address[name]
            for name in ("location", "tags", "sku", "zones", "extendedLocation")
            if name in address
        }
        kept = {
            name: value
            for name, value in address["properties"].items()
            if name not in ("provisioningState", "resourceGuid", "ipConfiguration", "ipAddress")
        }
        body["properties"] = {**kept, "deleteOption": option}
        session.arm.put(address_id, body, NETWORK_API, waiter)

    in_parallel(change, description.get("addresses") or [])


def create_machine(session: AzureSession, vm_id: str, description: Mapping[str, Any], waiter: Waiter) -> None:
    """Make the interfaces that went with the machine, then the machine, which runs at once.

    Nothing goes with it before `settle_machine`: should it not come up, it can be deleted and made again.
    """
    in_parallel(
        lambda item: _create_interface(session, item[0], item[1], waiter),
        list((description.get("interfaces") or {}).items()),
    )
    parsed = parse_resource_id(vm_id)
    body = {**description["body"], "properties": _with_parts_staying(description["body"]["properties"])}
    session.compute.virtual_machines.put(parsed.resource_group, parsed.name, body, waiter)


def _with_parts_staying(properties: Mapping[str, Any]) -> dict[str, Any]:
    storage = properties["storageProfile"]
    return {
        **properties,
        "storageProfile": {
            **storage,
            "osDisk": {**storage["osDisk"], "deleteOption": "Detach"},
            "dataDisks": [{**disk, "deleteOption": "Detach"} for disk in storage["dataDisks"]],
        },
        "networkProfile": {
            "networkInterfaces": [
                {**each, "properties": {**(each.get("properties") or {}), "deleteOption": "Detach"}}
                for each in properties["networkProfile"]["networkInterfaces"]
            ]
        },
    }


def settle_machine(session: AzureSession, vm_id: str, description: Mapping[str, Any], waiter: Waiter) -> None:
    """Have Azure delete with the machine what it would have deleted with it before."""
    wanted = description["body"]["properties"]
    present = read_machine(session, vm_id, waiter) or {"properties": {}}
    if _delete_options(present["properties"]) != _delete_options(wanted):
        storage = {name: wanted["storageProfile"][name] for name in ("osDisk", "dataDisks")}
        change = {"storageProfile": storage, "networkProfile": wanted["networkProfile"]}
        parsed = parse_resource_id(vm_id)
        session.compute.virtual_machines.update(
            parsed.resource_group, parsed.name, {"properties": change}, waiter
        )
    keep_addresses(session, description, "Delete", waiter)


def _delete_options(properties: Mapping[str, Any]) -> set[str]:
    """Ids of the machine's disks and interfaces that Azure deletes with it, in small letters."""
    going = [entry for _lun, entry in disk_entries({"properties": properties}) if goes(entry)]
    interfaces = (properties.get("networkProfile") or {}).get("networkInterfaces") or []
    ids = [entry["managedDisk"]["id"] for entry in going]
    ids += [each["id"] for each in interfaces if goes(each.get("properties") or {})]
    return {str(each).casefold() for each in ids}


def _create_interface(
    session: AzureSession, interface_id: str, body: Mapping[str, Any], waiter: Waiter
) -> None:
    """Azure deletes interfaces some time after their machine: the old one has to be gone, or free."""
    seen: list[dict[str, Any] | None] = []

    def look() -> str | None:
        found = session.arm.get(interface_id, NETWORK_API)
        seen[:] = [found]
        state = str(((found or {}).get("properties") or {}).get("provisioningState", ""))
        held = bool(((found or {}).get("properties") or {}).get("virtualMachine"))
        return f"{interface_id.rpartition('/')[2]} is {state}" if held or state == "Deleting" else None

    wait_until_done(f"The deletion of interface {interface_id.rpartition('/')[2]}", look, waiter)
    if not seen or seen[0] is None:
        session.arm.put(interface_id, body, NETWORK_API, waiter)


def deletable(machine: Machine) -> Sequence[str]:
    """Ids of all that Azure deletes with the machine, itself included: a lock on them stands in the way."""
    disks = [str(disk.id) for disk in machine.disks if disk.id and goes(disk.entry)]
    interfaces = [
        str(each["id"])
        for each in (machine.properties.get("networkProfile") or {}).get("networkInterfaces") or []
        if goes(each.get("properties") or {})
    ]
    return [machine.id, *disks, *interfaces]
