# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The instance view of a virtual machine."""

from __future__ import annotations

from tests.local_azure.clock import now, wire_time
from tests.local_azure.guest_environment.record import AgentStatus, Heard
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
# Agents that were in use with the recorded machines.
_LINUX_AGENT, _WINDOWS_AGENT = "2.11.1.4", "2.7.41491.1008"
_RELEASES = {
    "Linux": ("ubuntu", "22.04"),
    "Windows": ("Windows Server 2022 Datacenter", "Microsoft Windows NT 10.0.20348.0"),
}


def status(code: str, display: str, time: str | None = None, level: str = "Info") -> Json:
    """One entry of the statuses that Compute shows of everything."""
    shown: Json = {"code": code, "level": level, "displayStatus": display}
    if time is not None:
        shown["time"] = time
    return shown


def succeeded(time: str | None = None, display: str = "Provisioning succeeded") -> Json:
    return status("ProvisioningState/succeeded", display, time)


def instance_view(
    machine: Resource, state: str, power: str | None, extensions: list[Json], heard: Heard | None = None
) -> Json:
    """`state` is the machine's provisioning state as it is shown; `power` what the guest really does, where
    there is one, and `heard` what it has told the platform; `extensions` the extensions' views.
    """
    changed = machine.hidden.get("changed") or machine.hidden.get("created")
    view: Json = {}
    if power == "running" and heard is not None and heard.agent is None:
        view["vmAgent"] = _silent_agent()
    elif power == "running" and (heard is not None or machine.hidden.get("agent")):
        view |= _agent(machine, changed, extensions, heard.agent if heard else None)
    profile = machine.properties["storageProfile"]
    view["disks"] = [
        {"name": disk["name"], "statuses": [succeeded(changed)]}
        for disk in (profile["osDisk"], *profile.get("dataDisks", []))
        if "name" in disk
    ]
    if extensions:
        view["extensions"] = extensions
    diagnostics = (machine.properties.get("diagnosticsProfile") or {}).get("bootDiagnostics") or {}
    if diagnostics.get("enabled"):
        view["bootDiagnostics"] = machine.hidden.get("boot_diagnostics", {})
    view["hyperVGeneration"] = machine.hidden.get("generation", "V1")
    view["statuses"] = _statuses(machine, state, power, changed)
    return view


def _silent_agent() -> Json:
    """An agent that has not reported its status, or none at all."""
    waiting = status("ProvisioningState/Unavailable", "Not Ready", wire_time(now()), level="Warning")
    waiting["message"] = "VM status blob is found but not yet populated."
    return {"vmAgentVersion": "Unknown", "statuses": [waiting]}


def _agent(machine: Resource, changed: str | None, extensions: list[Json], said: AgentStatus | None) -> Json:
    """What the guest's agent reports: `said` by a real one."""
    windows = machine.properties["storageProfile"]["osDisk"]["osType"] == "Windows"
    name, version = (
        (said.os_name, said.os_version)
        if said
        else machine.hidden.get("os_release") or _RELEASES["Windows" if windows else "Linux"]
    )
    # The agent's own clock has whole seconds.
    changed = said.time if said else changed
    when = changed.partition(".")[0] + "+00:00" if changed and "." in changed else changed
    message = "GuestAgent is running and processing the extensions." if windows else "Guest Agent is running"
    ready = {**succeeded(None, "Ready"), "message": message, "time": when}
    handlers = [
        {
            "type": extension["type"],
            "typeHandlerVersion": extension["typeHandlerVersion"],
            "status": {**succeeded(None, "Ready"), "message": "Plugin enabled."},
        }
        for extension in extensions
        if "type" in extension
    ]
    return {
        "computerName": said.computer_name
        if said
        else (machine.properties.get("osProfile") or {}).get("computerName", machine.name),
        "osName": name,
        "osVersion": version,
        "vmAgent": {
            "vmAgentVersion": said.version if said else (_WINDOWS_AGENT if windows else _LINUX_AGENT),
            "statuses": [ready],
            "extensionHandlers": handlers,
        },
    }


def _statuses(machine: Resource, state: str, power: str | None, changed: str | None) -> list[Json]:
    statuses = []
    if machine.hidden.get("generalized"):
        statuses.append(status("OSState/generalized", "VM generalized"))
    elif machine.hidden.get("specialized"):
        statuses.append(status("OSState/specialized", "VM specialized"))
    failure = machine.hidden.get("failure")
    if state == "Failed":
        code = "ProvisioningState/failed" + (f"/{failure['code']}" if failure else "")
        failed = status(code, "Provisioning failed", changed, level="Error")
        if failure:
            failed["message"] = failure["message"]
        statuses.append(failed)
    else:
        code, display = _PROVISIONING[state]
        # What is at work has no time yet.
        statuses.append(status(code, display, changed if state == "Succeeded" else None))
        if state == "Creating" and power == "running" and not machine.hidden.get("specialized"):
            statuses.append(status(f"{code}/osProvisioningInProgress", "OS Provisioning In progress"))
    if power is not None:
        statuses.append(status(f"PowerState/{power}", _POWER[power]))
    return statuses
