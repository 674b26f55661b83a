# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Capture: what came before managed images. Copies the VHD blobs and answers a template for new machines."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.body_types import checked
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, not_allowed
from tests.local_azure.kinds import ResourceKind, Verb, json_object
from tests.local_azure.providers.compute.vm_disks import MachineDisks
from tests.local_azure.providers.compute.vm_state import MachineState
from tests.local_azure.store import Json, Resource
from tests.local_azure.threads import in_thread

_SHAPE = {"vhdPrefix": str, "destinationContainerName": str, "overwriteVhds": bool}
_PREFIX = r"^[a-zA-Z0-9][a-zA-Z0-9_\-]{0,62}$"
_CONTAINER = re.compile(r"^[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){2,62}$")
_SCHEMA = "http://schema.management.azure.com/schemas/2014-04-01-preview/VM_IP.json"


class MachineCapture:
    def __init__(self, kind: ResourceKind, disks: MachineDisks, state: MachineState) -> None:
        self._kind = kind
        self._disks = disks
        self._state = state
        kind.define("capture", self._finish)

    def verbs(self) -> Mapping[str, Verb]:
        return {"capture": self._capture}

    async def _capture(self, call: Call) -> Reply:
        machine = self._kind.require(call)
        body = checked(json_object(call), _SHAPE)
        if not machine.hidden.get("vhds"):
            raise not_allowed(
                "The Capture action is only supported on a Virtual Machine with blob based disks. Please use "
                "the 'Image' resource APIs to create an Image from a managed Virtual Machine."
            )
        for key in _SHAPE:
            if key not in body:
                raise missing_parameter(key)
        self._state.refuse_when_busy(machine, "capture")
        if not machine.hidden.get("generalized"):
            raise not_allowed("Capture operation cannot be completed because the VM is not generalized.")
        prefix, container = body["vhdPrefix"], body["destinationContainerName"]
        if not re.match(_PREFIX, prefix):
            raise invalid_value(
                "vhdPrefix",
                f"'{prefix}' is not a valid captured VHD blob name prefix. A valid prefix matches regex "
                f"'{_PREFIX}'.",
            )
        if not _CONTAINER.match(container):
            raise invalid_value(
                "destinationContainerName", f"'{container}' is not a valid captured VHD container name."
            )
        arguments = {"prefix": prefix, "container": container, "version": call.api_version}
        await self._check_targets(machine, arguments, overwrite=body["overwriteVhds"])
        operation = self._kind.begin(call, machine, "capture", arguments, azure_seconds=1, shows_output=True)
        return Reply(202, None, self._kind.azure.operations.headers(operation, aao=True, location=True))

    def _targets(self, machine: Resource, arguments: Json) -> dict[str, BlobAddress]:
        """Where the copy of each disk goes, in the account where that disk is."""
        found = {}
        for key, source in self._disks.blobs.addresses(machine).items():
            word = "osDisk" if key == "os" else f"dataDisk-{key}"
            name = f"{arguments['prefix']}-{word}.{machine.properties['vmId']}.vhd"
            path = f"Microsoft.Compute/Images/{arguments['container']}/{name}"
            found[key] = BlobAddress(source.account, "system", path)
        return found

    async def _check_targets(self, machine: Resource, arguments: Json, *, overwrite: bool) -> None:
        if overwrite:
            return
        for target in self._targets(machine, arguments).values():
            if await in_thread(self._kind.azure.blobs.size, target) is not None:
                raise ArmError(
                    409,
                    "TargetDiskBlobAlreadyExists",
                    "Capture operation cannot continue because target image blob "
                    f"{self._url(machine, target)} already exists and the flag to overwrite VHD blobs is not "
                    "set. Either delete the blob or set the flag to overwrite VHD blobs and retry.",
                )

    def _url(self, machine: Resource, target: BlobAddress) -> str:
        """The blob's address as the machine's own disk has it: Azure's form of host, or the local one."""
        source: str = machine.properties["storageProfile"]["osDisk"]["vhd"]["uri"]
        own = self._disks.blobs.addresses(machine)["os"]
        base = source.partition(f"/{own.container}/")[0]
        return f"{base}/{target.container}/{target.blob}"

    async def _finish(self, machine: Resource, arguments: Json) -> Json:
        blobs = self._kind.azure.blobs
        sources = self._disks.blobs.addresses(machine)
        targets = self._targets(machine, arguments)
        for key, target in targets.items():
            await in_thread(blobs.copy, sources[key], target)
        return self._template(machine, targets, arguments["version"])

    def _template(self, machine: Resource, targets: dict[str, BlobAddress], version: str) -> Json:
        new = str(uuid.uuid4())
        profile = machine.properties["storageProfile"]

        def disk(entry: Json, key: str, word: str) -> Json:
            target = targets[key]
            place = BlobAddress(target.account, f"vmcontainer{new}", f"{word}.{new}.vhd")
            shown = {"osType": entry["osType"]} if key == "os" else {"lun": entry["lun"]}
            return {
                **shown,
                "name": target.blob.rpartition("/")[2],
                "createOption": "FromImage",
                "image": {"uri": self._url(machine, target)},
                "vhd": {"uri": self._url(machine, place)},
                "caching": entry["caching"],
            }

        storage: Json = {"osDisk": disk(profile["osDisk"], "os", "osDisk")}
        if profile["dataDisks"]:
            storage["dataDisks"] = [
                disk(entry, str(entry["lun"]), f"dataDisk-{entry['lun']}") for entry in profile["dataDisks"]
            ]
        size = machine.properties["hardwareProfile"]["vmSize"]
        return {
            "$schema": _SCHEMA,
            "contentVersion": "1.0.0.0",
            "parameters": {
                "vmName": {"type": "string"},
                "vmSize": {"type": "string", "defaultValue": size},
                "adminUserName": {"type": "string"},
                "adminPassword": {"type": "securestring"},
                "networkInterfaceId": {"type": "string"},
            },
            "resources": [
                {
                    "name": "[parameters('vmName')]",
                    "type": machine.type,
                    "location": machine.location,
                    "apiVersion": version,
                    "properties": {
                        "hardwareProfile": {"vmSize": "[parameters('vmSize')]"},
                        "provisioningState": 0,
                        "storageProfile": storage,
                        "osProfile": {
                            "computerName": "[parameters('vmName')]",
                            "adminUsername": "[parameters('adminUsername')]",
                            "adminPassword": "[parameters('adminPassword')]",
                        },
                        "networkProfile": {
                            "networkInterfaces": [{"id": "[parameters('networkInterfaceId')]"}]
                        },
                    },
                }
            ],
        }
