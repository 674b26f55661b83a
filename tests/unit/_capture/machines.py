# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Machines as Azure describes them, without Azure."""

from __future__ import annotations

from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.source import SourceDisk, SourceVm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import read_state

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/web"


def request(**options: Any) -> CaptureRequest:
    given = {
        "source_vm": "web",
        "resource_group": "rg",
        "targets": [{"type": "managed_image", "name": "web"}],
        **options,
    }
    return CaptureRequest.from_options(given, SUBSCRIPTION)


def disk(lun: int | None, os_type: str = "Linux", **properties: Any) -> SourceDisk:
    name = "os" if lun is None else f"data{lun}"
    disk_id = f"{GROUP}/providers/Microsoft.Compute/disks/{name}"
    attached: dict[str, Any] = {"name": name, "managedDisk": {"id": disk_id}}
    attached |= {"osType": os_type} if lun is None else {"lun": lun}
    resource = {
        "id": disk_id,
        "sku": {"name": "Premium_LRS"},
        "properties": {"uniqueId": f"unique-{name}", "diskSizeGB": 4, **properties},
    }
    return SourceDisk(lun, attached, resource)


def machine(
    *disks: SourceDisk,
    power: str = "stopped",
    flagged: bool = False,
    tags: dict[str, str] | None = None,
    body: dict[str, Any] | None = None,
    **properties: Any,
) -> SourceVm:
    """A machine with vmId "one"; without disks it has an operating system disk alone."""
    statuses = [{"code": f"PowerState/{power}"}, *[{"code": "OSState/generalized"}] * flagged]
    described = {
        "id": VM,
        "name": "web",
        "location": "West Europe",
        "tags": tags or {},
        **(body or {}),
        "properties": {
            "vmId": "one",
            "provisioningState": "Succeeded",
            "instanceView": {"statuses": statuses, "hyperVGeneration": "V2"},
            "storageProfile": {"osDisk": {"osType": "Linux"}},
            **properties,
        },
    }
    return SourceVm(described, read_state(described), disks or [disk(None)])
