# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The instance view of a virtual machine."""

from __future__ import annotations

from tests.local_azure.store import Json, Resource

_POWER = {
    "running": "VM running",
    "starting": "VM starting",
    "stopping": "VM stopping",
    "stopped": "VM stopped",
    "deallocating": "VM deallocating",
    "deallocated": "VM deallocated",
}
_PROVISIONING = {
    "Creating": ("ProvisioningState/creating", "Creating"),
    "Updating": ("ProvisioningState/updating", "Updating"),
    "Deleting": ("ProvisioningState/deleting", "Deleting"),
    "Succeeded": ("ProvisioningState/succeeded", "Provisioning succeeded"),
}


def _status(code: str, display: str, time: str | None = None, level: str = "Info") -> Json:
    status: Json = {"code": code, "level": level, "displayStatus": display}
    if time is not None:
        status["time"] = time
    return status


def instance_view(machine: Resource, power: str | None) -> Json:
    """`power` is what the guest really does, where there is one."""
    changed = machine.hidden.get("changed") or machine.hidden.get("created")
    view: Json = {}
    if machine.hidden.get("agent") and power == "running":
        ready = {
            **_status("ProvisioningState/succeeded", "Ready", changed),
            "message": "Guest Agent is running",
        }
        view["computerName"] = machine.properties["osProfile"]["computerName"]
        view["vmAgent"] = {"vmAgentVersion": "2.9.1.1", "statuses": [ready], "extensionHandlers": []}
    profile = machine.properties["storageProfile"]
    view["disks"] = [
        {
            "name": disk["name"],
            "statuses": [_status("ProvisioningState/succeeded", "Provisioning succeeded", changed)],
        }
        for disk in (profile["osDisk"], *profile.get("dataDisks", []))
    ]
    view["hyperVGeneration"] = machine.hidden.get("generation", "V1")
    view["statuses"] = _statuses(machine, power, changed)
    return view


def _statuses(machine: Resource, power: str | None, changed: str | None) -> list[Json]:
    statuses = []
    if machine.hidden.get("generalized"):
        statuses.append(_status("OSState/generalized", "VM generalized"))
    elif machine.hidden.get("specialized"):
        statuses.append(_status("OSState/specialized", "VM specialized"))
    failure = machine.hidden.get("failure")
    if machine.state == "Failed":
        code = "ProvisioningState/failed" + (f"/{failure['code']}" if failure else "")
        failed = _status(code, "Provisioning failed", changed, level="Error")
        if failure:
            failed["message"] = failure["message"]
        statuses.append(failed)
    else:
        code, display = _PROVISIONING[machine.state]
        statuses.append(_status(code, display, changed))
    if power is not None:
        statuses.append(_status(f"PowerState/{power}", _POWER[power]))
    return statuses
