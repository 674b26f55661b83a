# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What every change to a virtual machine has in common: who may, and what is noted at its end."""

from __future__ import annotations

from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import ArmError, not_allowed
from tests.local_azure.kinds import ResourceKind
from tests.local_azure.store import Resource

_STOPPED = ("stopped", "deallocated")


class MachineState:
    def __init__(self, kind: ResourceKind) -> None:
        self._kind = kind

    def refuse_when_busy(self, machine: Resource, verb: str) -> None:
        if self._kind.azure.operations.busy(machine.id):
            raise not_allowed(
                f"Operation '{verb}' is not allowed on VM '{machine.name}' since another operation is in "
                "progress."
            )
        if machine.state == "Deleting":
            raise not_allowed(
                f"Operation '{verb}' is not allowed on VM '{machine.name}' since the VM is marked for "
                "deletion. You can only retry the Delete operation (or wait for an ongoing one to complete)."
            )

    def touch(self, machine: Resource) -> None:
        """A change that shows in the ETag; kept."""
        machine.hidden["version"] = machine.hidden.get("version", 0) + 1
        self._kind.keep(machine)

    def done(self, machine: Resource, power: str | None = None) -> None:
        """The end of an operation that went well, with the power state it leads to."""
        machine.hidden["changed"] = wire_time(now())
        machine.hidden.pop("failure", None)
        machine.hidden.pop("power_before", None)
        if power is not None:
            machine.hidden["power"] = power
        machine.properties["provisioningState"] = "Succeeded"
        self.touch(machine)


def is_stopped(machine: Resource) -> bool:
    return machine.hidden.get("power") in _STOPPED


def is_ephemeral(machine: Resource) -> bool:
    return bool(machine.properties["storageProfile"]["osDisk"].get("diffDiskSettings"))


def generalized(operation: str, machine: Resource) -> ArmError:
    return not_allowed(
        f"Operation '{operation}' is not allowed on VM '{machine.name}' since the VM is generalized."
    )
