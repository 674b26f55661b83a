# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What can be done to a virtual machine besides changing it: power, generalizing, eviction, conversion."""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError, not_allowed
from tests.local_azure.kinds import ResourceKind, Verb
from tests.local_azure.providers.compute.vm_disks import MachineDisks
from tests.local_azure.providers.compute.vm_power import MachinePower
from tests.local_azure.providers.compute.vm_state import MachineState, generalized, is_ephemeral, is_stopped
from tests.local_azure.store import Json, Resource

# Measured: 11 to 41 s for a deallocation, 18 s for switching off.
_POWER_SECONDS = 16


class MachineActions:
    def __init__(
        self, kind: ResourceKind, disks: MachineDisks, power: MachinePower, state: MachineState
    ) -> None:
        self._kind = kind
        self._disks = disks
        self._power = power
        self._state = state
        for name, work in (
            ("start", self._finish_start),
            ("restart", self._finish_restart),
            ("redeploy", self._finish_redeploy),
            ("poweroff", self._finish_power_off),
            ("deallocate", self._finish_deallocate),
            ("reapply", self._finish_reapply),
            ("convert", self._finish_convert),
            ("evict", self._finish_deallocate),
        ):
            kind.define(name, work)

    def verbs(self) -> Mapping[str, Verb]:
        return {
            "start": self._start,
            "restart": self._restart,
            "poweroff": self._power_off,
            "deallocate": self._deallocate,
            "redeploy": self._redeploy,
            "reapply": self._reapply,
            "generalize": self._generalize,
            "converttomanageddisks": self._convert,
            "simulateeviction": self._evict,
            "performmaintenance": self._maintain,
            "reimage": self._reimage,
        }

    # Power.

    def _begin(self, call: Call, work: str, interim: str | None, retry_after: int | None) -> Reply:
        machine = self._kind.require(call)
        verb = {"poweroff": "powerOff"}.get(work, work)
        self._state.refuse_when_busy(machine, verb)
        if work in ("start", "restart", "redeploy"):
            if machine.hidden.get("generalized"):
                raise generalized(f"{verb.capitalize()} VM", machine)
            self._disks.check_no_access(machine)
        machine.hidden["power_before"] = machine.hidden.get("power")
        if interim is not None and machine.hidden.get("power") not in (None, "deallocated"):
            machine.hidden["power"] = interim
        elif work == "start":
            machine.hidden["power"] = "starting"
        self._kind.azure.store.put(machine)
        skip = call.query.get("skipShutdown", "").lower() == "true"
        return self._accept(call, machine, work, {"skip": skip}, retry_after=retry_after)

    def _accept(
        self, call: Call, machine: Resource, work: str, arguments: Json, *, retry_after: int | None = None
    ) -> Reply:
        operation = self._kind.begin(
            call, machine, work, arguments, azure_seconds=_POWER_SECONDS, retry_after=retry_after
        )
        return Reply(202, None, self._kind.azure.operations.headers(operation, aao=True, location=True))

    async def _start(self, call: Call) -> Reply:
        return self._begin(call, "start", None, 10)

    async def _restart(self, call: Call) -> Reply:
        machine = self._kind.require(call)
        if self._power.seen(machine) != "running" and not self._kind.azure.operations.busy(machine.id):
            raise not_allowed(
                f"Operation 'restart' is not allowed on VM '{machine.name}' since the VM is not running."
            )
        return self._begin(call, "restart", None, None)

    async def _power_off(self, call: Call) -> Reply:
        return self._begin(call, "poweroff", "stopping", None)

    async def _deallocate(self, call: Call) -> Reply:
        if is_ephemeral(self._kind.require(call)):
            raise not_allowed(
                "Operation 'deallocate' is not supported for VMs or VM Scale Set instances using an "
                "ephemeral OS disk."
            )
        return self._begin(call, "deallocate", "deallocating", 10)

    async def _redeploy(self, call: Call) -> Reply:
        return self._begin(call, "redeploy", None, None)

    async def _reapply(self, call: Call) -> Reply:
        return self._begin(call, "reapply", None, None)

    async def _finish_start(self, machine: Resource, _arguments: Json) -> None:
        try:
            await self._power.start(machine)
        except ArmError:
            self._state.done(machine, "stopped")
            raise
        self._disks.moved(machine)
        self._state.done(machine, "running")

    async def _finish_restart(self, machine: Resource, arguments: Json) -> None:
        await self._power.stop(machine)
        await self._finish_start(machine, arguments)

    async def _finish_redeploy(self, machine: Resource, arguments: Json) -> None:
        """A machine that was off is on its new host, and still off."""
        if is_stopped(machine):
            self._state.done(machine)
        else:
            await self._finish_restart(machine, arguments)

    async def _finish_reapply(self, machine: Resource, _arguments: Json) -> None:
        self._state.done(machine)

    async def _finish_power_off(self, machine: Resource, arguments: Json) -> None:
        if machine.hidden.get("power") == "deallocated":
            self._state.done(machine)
            return
        await self._power.stop(machine, hard=bool(arguments.get("skip")))
        self._state.done(machine, "stopped")

    async def _finish_deallocate(self, machine: Resource, _arguments: Json) -> None:
        await self._power.stop(machine)
        self._power.release_addresses(machine)
        self._disks.moved(machine)
        self._state.done(machine, "deallocated")

    # Generalizing: a mark on the machine, set at once and never taken away.

    async def _generalize(self, call: Call) -> Reply:
        machine = self._kind.require(call)
        self._state.refuse_when_busy(machine, "generalize")
        if not is_stopped(machine):
            raise not_allowed(
                f"Operation 'generalize' is not allowed on VM '{machine.name}' since the VM is running. "
                "Please power off explicitly in case you shut down the VM from inside the guest operating "
                "system."
            )
        machine.hidden["generalized"] = True
        self._state.touch(machine)
        return Reply(200)

    # The rest.

    async def _convert(self, call: Call) -> Reply:
        machine = self._kind.require(call)
        if not machine.hidden.get("vhds"):
            raise not_allowed(f"VM '{machine.name}' is already using managed disks.")
        self._state.refuse_when_busy(machine, "convertToManagedDisks")
        if machine.hidden.get("power") != "deallocated":
            raise not_allowed(
                f"Operation 'convertToManagedDisks' is not allowed on VM '{machine.name}' since the VM is "
                "not deallocated."
            )
        return self._accept(call, machine, "convert", {})

    async def _finish_convert(self, machine: Resource, _arguments: Json) -> None:
        await self._disks.convert(machine)
        self._state.done(machine)

    async def _evict(self, call: Call) -> Reply:
        """A Spot machine is taken away before long, as its policy says; there is no operation to see."""
        machine = self._kind.require(call)
        if machine.properties.get("priority") != "Spot":
            raise not_allowed("Operation 'simulateEviction' is allowed only for Spot Virtual Machines")
        self._state.refuse_when_busy(machine, "simulateEviction")
        delete = machine.properties.get("evictionPolicy") == "Delete"
        self._kind.begin(call, machine, "delete" if delete else "evict", azure_seconds=600)
        return Reply(204)

    async def _maintain(self, call: Call) -> Reply:
        machine = self._kind.require(call)
        raise not_allowed(
            f"Operation 'performMaintenance' is not allowed on VM '{machine.name}' since the Subscription of "
            "this VM is not eligible."
        )

    async def _reimage(self, call: Call) -> Reply:
        machine = self._kind.require(call)
        if is_ephemeral(machine):
            return self._begin(call, "redeploy", None, None)
        raise not_allowed(
            "The Reimage and OSUpgrade Virtual Machine actions require that the virtual machine has "
            "Automatic OS Upgrades enabled."
        )
