# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A place for machines of one test module: a group, a subnet, and requests that succeed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from azure.storage.blob import BlobServiceClient

from tests.local_azure.settings import Pace
from tests.unit.local_azure.arm_server import KEY, Arm, Json, compute, network_path, storage_path

# One core, boots both generations, may have premium disks; quotas count per region.
SIZE = "Standard_DS1_v2"
DEBIAN = {"publisher": "debian", "offer": "debian-12", "sku": "12", "version": "latest"}
UBUNTU = {"publisher": "Canonical", "offer": "UbuntuServer", "sku": "18.04-LTS", "version": "latest"}


class Place:
    """Everything is in `region`."""

    def __init__(self, arm: Arm, region: str) -> None:
        self.arm = arm
        self.region = region
        self.group = arm.group(region)
        properties = {
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "subnets": [{"name": "default", "properties": {"addressPrefix": "10.0.0.0/20"}}],
        }
        network = arm.make(
            network_path(self.group, "virtualNetworks", "net"),
            {"location": region, "properties": properties},
        )
        self.subnet = str(network["properties"]["subnets"][0]["id"])

    def interface(self, name: str) -> str:
        configuration = {"name": "ip", "properties": {"subnet": {"id": self.subnet}}}
        path = network_path(self.group, "networkInterfaces", name)
        body = {"location": self.region, "properties": {"ipConfigurations": [configuration]}}
        return str(self.arm.make(path, body)["id"])

    def body(self, name: str, reference: Json | None, **properties: Any) -> Json:
        """A request for a machine with an interface of its own; without a reference it has no osProfile."""
        storage: Json = {"osDisk": {"createOption": "FromImage"}}
        given: Json = {
            "hardwareProfile": {"vmSize": SIZE},
            "storageProfile": storage,
            "networkProfile": {"networkInterfaces": [{"id": self.interface(f"{name}-nic")}]},
        }
        if reference is not None:
            storage["imageReference"] = reference
            keys = [{"path": "/home/azureuser/.ssh/authorized_keys", "keyData": KEY}]
            given["osProfile"] = {
                "computerName": name,
                "adminUsername": "azureuser",
                "linuxConfiguration": {"disablePasswordAuthentication": True, "ssh": {"publicKeys": keys}},
            }
        return {"location": self.region, "properties": {**given, **properties}}

    def path(self, name: str) -> str:
        return compute(self.group, "virtualMachines", name)

    def machine(self, name: str, reference: Json | None = None, **properties: Any) -> Json:
        return self.arm.make(self.path(name), self.body(name, reference or DEBIAN, **properties))

    def post(self, name: str, verb: str, body: Any = None) -> requests.Response:
        return self.arm.send("POST", f"{self.path(name)}/{verb}", body)

    def stop_and_generalize(self, name: str) -> None:
        self.arm.done(self.post(name, "deallocate"))
        assert self.post(name, "generalize").status_code == 200

    def statuses(self, name: str) -> list[str]:
        return [s["code"] for s in self.arm.get(f"{self.path(name)}/instanceView")["statuses"]]

    def account(self, name: str) -> BlobServiceClient:
        """A storage account in the region, with its key."""
        path = storage_path(self.group, name)
        answer = self.arm.send("PUT", path, {"location": self.region, "sku": {"name": "Standard_LRS"}})
        while self.arm.send("GET", answer.headers["Location"]).status_code == 202:
            pass
        key = self.arm.send("POST", path + "/listKeys").json()["keys"][0]["value"]
        endpoint = self.arm.get(path)["properties"]["primaryEndpoints"]["blob"]
        bundle = str(self.arm.settings.state_dir / "ca.pem")
        return BlobServiceClient(endpoint.rstrip("/"), credential=key, connection_verify=bundle)


@contextmanager
def slowly(arm: Arm, speed: float) -> Iterator[None]:
    """What is begun meanwhile lasts long enough to be seen in progress: Azure's time divided by `speed`."""
    usual = arm.settings.pace
    object.__setattr__(arm.settings, "pace", Pace(speed=speed))
    try:
        yield
    finally:
        object.__setattr__(arm.settings, "pace", usual)


def message_of(answer: requests.Response) -> str:
    return str(answer.json()["error"]["message"])
