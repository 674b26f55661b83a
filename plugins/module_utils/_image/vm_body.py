# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Builds the request that creates a virtual machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_image import VmImage
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import (
    DEFAULT_SIZE,
    VmDisk,
    VmRequest,
)

# Version of Microsoft.Network by which Microsoft.Compute makes the interface described in the machine.
NETWORK_API_IN_VM = "2022-11-01"


class Connection(NamedTuple):
    """What the machine is connected to, as ids: existing interfaces, or a subnet and a security group."""

    subnet_id: str | None = None
    security_group_id: str | None = None
    network_interface_ids: tuple[str, ...] = ()


class Decided(NamedTuple):
    """What a request leaves open and the image or the resource group decides."""

    location: str
    os_type: str
    computer_name: str | None
    with_os_profile: bool
    plan: Mapping[str, str] = {}
    warnings: Sequence[str] = ()


def vm_body(request: VmRequest, image: VmImage, decided: Decided, connection: Connection) -> dict[str, Any]:
    """The body of the PUT, in wire shape. It holds the password and the custom data: never show it."""
    properties: dict[str, Any] = {
        "hardwareProfile": {"vmSize": request.size or DEFAULT_SIZE},
        "storageProfile": {
            "imageReference": image.reference,
            "osDisk": _os_disk(request.os_disk),
            "dataDisks": [_image_data_disk(disk) for disk in image.data_disks]
            + [_empty_data_disk(disk) for disk in request.data_disks],
        },
        "networkProfile": _network_profile(request, connection),
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": request.boot_diagnostics}},
    }
    if decided.with_os_profile:
        properties["osProfile"] = _os_profile(request, decided)
    if request.security_type:
        properties["securityProfile"] = _security_profile(request.security_type)
    body: dict[str, Any] = {
        "location": decided.location,
        "tags": merged_tags({}, request.tags, True),
        "properties": properties,
    }
    if request.zone:
        body["zones"] = [request.zone]
    if decided.plan:
        body["plan"] = {name: value for name, value in decided.plan.items() if value}
    if request.user_assigned_identities:
        identities: dict[str, Any] = {name: {} for name in request.user_assigned_identities}
        body["identity"] = {"type": "UserAssigned", "userAssignedIdentities": identities}
    return body


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _disk_members(disk: VmDisk) -> dict[str, Any]:
    sku = disk.storage_account_type
    return _given(
        {
            "name": disk.name,
            "caching": disk.caching,
            "diskSizeGB": disk.size_gb,
            "deleteOption": disk.delete_option,
            "managedDisk": {"storageAccountType": sku} if sku else None,
        }
    )


def _os_disk(disk: VmDisk) -> dict[str, Any]:
    return {"createOption": "FromImage", **_disk_members(disk)}


def _image_data_disk(image_disk: Mapping[str, Any]) -> dict[str, Any]:
    """Azure would add the image's data disks unasked, but would leave them behind when the machine goes."""
    sku = image_disk.get("storageAccountType")
    return _given(
        {
            "lun": image_disk["lun"],
            "createOption": "FromImage",
            "caching": image_disk.get("caching"),
            "deleteOption": "Delete",
            "managedDisk": {"storageAccountType": sku} if sku else None,
        }
    )


def _empty_data_disk(disk: VmDisk) -> dict[str, Any]:
    return {"lun": disk.lun, "createOption": "Empty", **_disk_members(disk)}


def _os_profile(request: VmRequest, decided: Decided) -> dict[str, Any]:
    profile = _given(
        {
            "computerName": decided.computer_name,
            "adminUsername": request.admin_username,
            "adminPassword": request.admin_password,
            "customData": request.custom_data_base64,
        }
    )
    if decided.os_type == "Windows":
        return {**profile, "windowsConfiguration": {"provisionVMAgent": True}}
    linux: dict[str, Any] = {"disablePasswordAuthentication": not request.admin_password}
    if request.ssh_public_keys:
        path = f"/home/{request.admin_username}/.ssh/authorized_keys"
        linux["ssh"] = {"publicKeys": [{"path": path, "keyData": key} for key in request.ssh_public_keys]}
    return {**profile, "linuxConfiguration": linux}


def _security_profile(security_type: str) -> dict[str, Any]:
    if security_type == "Standard":
        return {"securityType": security_type}
    return {"securityType": security_type, "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True}}


def _network_profile(request: VmRequest, connection: Connection) -> dict[str, Any]:
    if connection.network_interface_ids:
        return {
            "networkInterfaces": [
                {"id": interface, "properties": {"primary": position == 0}}
                for position, interface in enumerate(connection.network_interface_ids)
            ]
        }
    address: dict[str, Any] = {"primary": True, "subnet": {"id": connection.subnet_id}}
    if request.network.public_ip:
        address["publicIPAddressConfiguration"] = {
            "name": f"{request.name}-ip",
            "sku": {"name": "Standard", "tier": "Regional"},
            "properties": {"deleteOption": "Delete", "publicIPAllocationMethod": "Static"},
        }
    interface: dict[str, Any] = {
        "primary": True,
        "deleteOption": "Delete",
        "ipConfigurations": [{"name": "primary", "properties": address}],
    }
    if connection.security_group_id:
        interface["networkSecurityGroup"] = {"id": connection.security_group_id}
    return {
        "networkApiVersion": NETWORK_API_IN_VM,
        "networkInterfaceConfigurations": [{"name": f"{request.name}-nic", "properties": interface}],
    }
