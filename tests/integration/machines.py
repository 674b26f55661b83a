# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""An image to make machines from, and the options for such a machine."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from tests.integration.cloud import LocalAzure

COMPUTE = "Microsoft.Compute"


def public_key(name: str = "tester") -> str:
    """A well-formed ed25519 key that nobody has the other half of."""
    kind = b"ssh-ed25519"
    wire = len(kind).to_bytes(4, "big") + kind + (32).to_bytes(4, "big") + name.encode().ljust(32, b"\1")
    return f"ssh-ed25519 {base64.b64encode(wire).decode()} {name}"


def golden_image(azure: LocalAzure, group: str) -> str:
    """Id of a managed image with a data disk at LUN 3."""
    system = azure.disk(group, "golden-os", size_gb=4, osType="Linux", hyperVGeneration="V1")
    data = azure.disk(group, "golden-data")
    image_id = azure.id(group, f"{COMPUTE}/images", "golden")
    storage = {
        "osDisk": {"osType": "Linux", "osState": "Generalized", "managedDisk": {"id": system}},
        "dataDisks": [{"lun": 3, "managedDisk": {"id": data}}],
    }
    properties = {"storageProfile": storage, "hyperVGeneration": "V1"}
    azure.put(image_id, {"location": "eastus", "properties": properties})
    return image_id


def wanted(group: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "resource_group": group,
        "name": name,
        "image": "golden",
        "admin_username": "ops",
        "ssh_public_keys": [public_key()],
        **more,
    }


def machine_body(
    azure: LocalAzure, group: str, name: str, storage: Mapping[str, Any], size: str
) -> dict[str, Any]:
    """The request for a Linux machine in eastus, in the network that captures.interface makes."""
    subnet = azure.id(group, "Microsoft.Network/virtualNetworks", "capture-net/subnets/default")
    address = {"name": "one", "properties": {"subnet": {"id": subnet}, "primary": True}}
    nic = {"name": "nic", "properties": {"primary": True, "ipConfigurations": [address]}}
    keys = [{"path": "/home/ops/.ssh/authorized_keys", "keyData": public_key()}]
    return {
        "location": "eastus",
        "properties": {
            "hardwareProfile": {"vmSize": size},
            "storageProfile": dict(storage),
            "osProfile": {
                "computerName": name,
                "adminUsername": "ops",
                "linuxConfiguration": {
                    "disablePasswordAuthentication": True,
                    "ssh": {"publicKeys": keys},
                },
            },
            "networkProfile": {"networkApiVersion": "2024-05-01", "networkInterfaceConfigurations": [nic]},
        },
    }
