# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Facts about a virtual machine, in the words of the module's options, with its addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import parse_resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.snake_case import to_snake
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_network import NETWORK_API
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import read_state

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# What changes without anybody changing the machine.
_VOLATILE = (
    "provisioning_state",
    "public_ip_addresses",
    "private_ip_addresses",
    "network_interfaces",
    "vm_id",
)


def vm_facts(session: AzureSession, machine: Mapping[str, Any]) -> dict[str, Any]:
    """The returned form of a machine in wire shape, read with its instance view; looks its addresses up."""
    facts = facts_without_addresses(machine)
    for interface_id in facts["network_interfaces"]:
        private, public = _addresses(session, interface_id)
        facts["private_ip_addresses"] += private
        facts["public_ip_addresses"] += public
    return facts


def listed_vm_facts(session: AzureSession, listed: Mapping[str, Any]) -> dict[str, Any] | None:
    """As `vm_facts`, for a machine out of a list, without instance view; None when it has gone meanwhile."""
    parsed = parse_resource_id(listed["id"])
    try:
        machine = session.compute.virtual_machines.get(
            parsed.resource_group, listed["name"], expand="instanceView"
        )
    except NotFound:
        return None
    return vm_facts(session, machine) if machine else None


def facts_without_addresses(machine: Mapping[str, Any]) -> dict[str, Any]:
    """As `vm_facts`, from the machine alone: what a prediction can tell. Sizes are GiB."""
    properties = machine.get("properties") or {}
    storage = properties.get("storageProfile") or {}
    profile = properties.get("osProfile") or {}
    interfaces = (properties.get("networkProfile") or {}).get("networkInterfaces") or []
    state = read_state(machine)
    os_disk = storage.get("osDisk") or {}
    data_disks = sorted(storage.get("dataDisks") or [], key=lambda disk: int(disk["lun"]))
    return {
        "id": machine["id"],
        "name": machine["name"],
        "resource_group": parse_resource_id(machine["id"]).resource_group,
        "location": machine["location"],
        "zones": list(machine.get("zones") or []),
        "tags": dict(machine.get("tags") or {}),
        "size": (properties.get("hardwareProfile") or {}).get("vmSize"),
        "image": to_snake(storage.get("imageReference") or {}),
        "os_type": os_disk.get("osType"),
        "computer_name": profile.get("computerName"),
        "admin_username": profile.get("adminUsername"),
        "os_disk": _disk_facts(os_disk),
        "data_disks": [{"lun": disk["lun"], **_disk_facts(disk)} for disk in data_disks],
        "network_interfaces": [interface["id"] for interface in interfaces],
        "public_ip_addresses": [],
        "private_ip_addresses": [],
        "security_type": (properties.get("securityProfile") or {}).get("securityType"),
        "user_assigned_identities": list((machine.get("identity") or {}).get("userAssignedIdentities") or {}),
        "power_state": state.power,
        "generalized": state.generalized,
        "provisioning_state": state.provisioning or None,
        "vm_id": properties.get("vmId"),
    }


def _disk_facts(disk: Mapping[str, Any]) -> dict[str, Any]:
    managed = disk.get("managedDisk") or {}
    return {
        "name": disk.get("name"),
        "id": managed.get("id"),
        "size_gb": disk.get("diskSizeGB"),
        "storage_account_type": managed.get("storageAccountType"),
        "caching": disk.get("caching"),
        "create_option": disk.get("createOption"),
        "delete_option": disk.get("deleteOption"),
    }


def _addresses(session: AzureSession, interface_id: str) -> tuple[list[str], list[str]]:
    """Private and public addresses of an interface."""
    private: list[str] = []
    public: list[str] = []
    for configuration in ip_configurations(_get(session, interface_id)):
        if configuration.get("privateIPAddress"):
            private.append(configuration["privateIPAddress"])
        public_id = (configuration.get("publicIPAddress") or {}).get("id")
        address = _get(session, public_id) if public_id else None
        if address and address["properties"].get("ipAddress"):
            public.append(address["properties"]["ipAddress"])
    return private, public


def ip_configurations(interface: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The properties of an interface's address configurations."""
    configurations = ((interface or {}).get("properties") or {}).get("ipConfigurations") or []
    return [configuration.get("properties") or {} for configuration in configurations]


def _get(session: AzureSession, part: str) -> dict[str, Any] | None:
    try:
        return session.arm.get(part, NETWORK_API)
    except NotFound:
        return None


def comparable_vm(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a diff shows: the facts without what changes by itself or is known only afterwards."""
    return {name: value for name, value in (facts or {}).items() if name not in _VOLATILE}
