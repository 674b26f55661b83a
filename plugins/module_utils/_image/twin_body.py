# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Builds the request that creates a twin: the source machine again, with copies of its disks.

Left out is what would make the twin act for the source, or cost more than it has to: identities, extensions,
availability sets, scale sets, hosts, Spot and reservations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_request import TwinRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_source import (
    SourceDisk,
    SourceMachine,
)

_ATTACHED = ("caching", "writeAcceleratorEnabled")


def twin_body(
    request: TwinRequest, source: SourceMachine, interface: str, disk_id: Callable[[SourceDisk], str]
) -> dict[str, Any]:
    """The body of the PUT, in wire shape and without tags."""
    given = source.properties
    hardware = {**(given.get("hardwareProfile") or {})}
    if request.size:
        hardware = {"vmSize": request.size}
    properties: dict[str, Any] = {
        "hardwareProfile": hardware,
        "storageProfile": _storage(source, disk_id),
        "networkProfile": {
            "networkInterfaces": [
                {"id": interface, "properties": {"primary": True, "deleteOption": "Detach"}}
            ]
        },
        "diagnosticsProfile": {"bootDiagnostics": {"enabled": True}},
    }
    for profile in ("securityProfile", "licenseType"):
        if given.get(profile):
            properties[profile] = given[profile]
    if (given.get("additionalCapabilities") or {}).get("ultraSSDEnabled"):
        properties["additionalCapabilities"] = {"ultraSSDEnabled": True}
    body: dict[str, Any] = {**source.place, "properties": properties}
    for member in ("zones", "plan"):
        if source.machine.get(member):
            body[member] = source.machine[member]
    return body


def _storage(source: SourceMachine, disk_id: Callable[[SourceDisk], str]) -> dict[str, Any]:
    system, *data = source.disks
    storage: dict[str, Any] = {
        "osDisk": {"osType": system.attachment.get("osType"), **_attached(system, disk_id(system))},
        "dataDisks": [{"lun": disk.lun, **_attached(disk, disk_id(disk))} for disk in data],
    }
    controller = (source.properties.get("storageProfile") or {}).get("diskControllerType")
    if controller:
        storage["diskControllerType"] = controller
    return storage


def _attached(disk: SourceDisk, copy_id: str) -> dict[str, Any]:
    given: Mapping[str, Any] = disk.attachment
    return {
        "createOption": "Attach",
        "managedDisk": {"id": copy_id},
        # What a twin that failed was made of is there for the next one; all of it goes with the group.
        "deleteOption": "Detach",
        **{name: given[name] for name in _ATTACHED if given.get(name) is not None},
    }
