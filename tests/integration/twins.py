# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A machine to make twins of, and what may never change about it."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.integration.cloud import LocalAzure
from tests.integration.machines import COMPUTE, public_key

LUNS = (0, 5)


class Source(NamedTuple):
    """`body` is the machine as it was when it had been made."""

    azure: LocalAzure
    id: str
    body: dict[str, Any]

    def disk_ids(self, machine: dict[str, Any] | None = None) -> list[str]:
        """Of this or another machine's disks, the operating system's first."""
        storage = (machine or self.body)["properties"]["storageProfile"]
        return [disk["managedDisk"]["id"] for disk in (storage["osDisk"], *storage["dataDisks"])]

    def disks(self, machine: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """The disks' properties."""
        return [self.azure.get(disk)["properties"] for disk in self.disk_ids(machine)]

    def state(self) -> dict[str, Any]:
        """Everything of the machine, its disks and its interfaces that a write could change."""
        machine = self.azure.get(self.id, query="&$expand=instanceView")
        interfaces = machine["properties"]["networkProfile"]["networkInterfaces"]
        parts = [*self.disk_ids(machine), *(interface["id"] for interface in interfaces)]
        return {"machine": machine, "parts": [self.azure.get(part) for part in parts]}


def make_source(azure: LocalAzure, group: str, name: str, **body: Any) -> Source:
    """A running machine of the image "golden" in the group, with 1 GiB data disks at LUNs 0 and 5."""
    network = azure.id(group, "Microsoft.Network/virtualNetworks", f"{name}-net")
    subnet = {"name": "default", "properties": {"addressPrefix": "10.6.0.0/24"}}
    space = {"addressSpace": {"addressPrefixes": ["10.6.0.0/16"]}, "subnets": [subnet]}
    azure.put(network, {"location": "eastus", "properties": space})
    interface = azure.id(group, "Microsoft.Network/networkInterfaces", f"{name}-nic")
    address = {"name": "one", "properties": {"subnet": {"id": f"{network}/subnets/default"}}}
    azure.put(interface, {"location": "eastus", "properties": {"ipConfigurations": [address]}})
    system = azure.disk(group, f"{name}-golden", size_gb=4, osType="Linux", hyperVGeneration="V1")
    image = azure.id(group, f"{COMPUTE}/images", f"{name}-golden")
    of_disk = {"osType": "Linux", "osState": "Generalized", "managedDisk": {"id": system}}
    storage = {"storageProfile": {"osDisk": of_disk}, "hyperVGeneration": "V1"}
    azure.put(image, {"location": "eastus", "properties": storage})
    keys = [{"path": "/home/ops/.ssh/authorized_keys", "keyData": public_key()}]
    linux = {"disablePasswordAuthentication": True, "ssh": {"publicKeys": keys}}
    caching = dict(zip(LUNS, ("ReadOnly", "None"), strict=True))
    wanted: dict[str, Any] = {
        "location": "eastus",
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
            "storageProfile": {
                "imageReference": {"id": image},
                "osDisk": {"createOption": "FromImage", "caching": "ReadWrite"},
                "dataDisks": [
                    {"lun": lun, "createOption": "Empty", "diskSizeGB": 1 + lun, "caching": caching[lun]}
                    for lun in LUNS
                ],
            },
            "osProfile": {"computerName": name, "adminUsername": "ops", "linuxConfiguration": linux},
            "networkProfile": {"networkInterfaces": [{"id": interface}]},
        },
        **body,
    }
    machine_id = azure.id(group, f"{COMPUTE}/virtualMachines", name)
    return Source(azure, machine_id, azure.put(machine_id, wanted))


def of_twin(properties: dict[str, Any]) -> dict[str, Any]:
    """What a machine and its twin have in common: the members that say how each disk is attached."""
    storage = properties["storageProfile"]
    disks = [storage["osDisk"], *storage["dataDisks"]]
    return {
        "disks": [
            {
                "lun": disk.get("lun"),
                "caching": disk["caching"],
                "size": disk["diskSizeGB"],
                "kind": disk["managedDisk"]["storageAccountType"],
            }
            for disk in disks
        ],
        "os_type": storage["osDisk"]["osType"],
        "security": properties.get("securityProfile"),
    }


def temporary_resources(azure: LocalAzure, group: str) -> list[tuple[str, dict[str, str]]]:
    """Type and tags of everything in a group."""
    listed = azure.get(f"{azure.id(group)}/resources")["value"]
    return [(resource["type"], resource.get("tags") or {}) for resource in listed]
