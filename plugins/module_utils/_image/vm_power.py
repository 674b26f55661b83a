# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Starts, stops and deallocates a virtual machine and marks it generalized."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import VmState

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_DONE = {"start": "Started", "powerOff": "Stopped", "deallocate": "Deallocated", "generalize": "Generalized"}
_NOT_RUNNING = ("stopped", "deallocated")


class PowerPlan(NamedTuple):
    """Azure's actions in their order, and the state they lead to."""

    verbs: tuple[str, ...]
    power: str | None
    generalized: bool


def power_plan(request: VmRequest, state: VmState) -> PowerPlan:
    """What has to be done. Raises InvalidInput for what Azure would refuse."""
    if state.generalized and request.power_state == "running":
        raise InvalidInput(
            f"power_state: virtual machine {request.name} is generalized, Azure does not start it any more.",
            remedy="Make an image of it and a new machine from the image.",
        )
    if state.generalized and request.generalized is False:
        raise InvalidInput(
            f"generalized: virtual machine {request.name} is generalized, which cannot be undone.",
            remedy="Make an image of it and a new machine from the image.",
        )
    verbs: list[str] = []
    power = state.power
    wanted = request.power_state
    if wanted == "running" and power != "running":
        verbs, power = ["start"], "running"
    elif wanted == "stopped" and power not in _NOT_RUNNING:
        verbs, power = ["powerOff"], "stopped"
    elif wanted == "deallocated" and power != "deallocated":
        verbs, power = ["deallocate"], "deallocated"
    generalized = state.generalized
    if request.generalized and not generalized:
        if power not in _NOT_RUNNING:
            raise InvalidInput(
                f"generalized: virtual machine {request.name} is {power or 'not known to be stopped'},"
                " Azure marks only a stopped one.",
                remedy="Generalize its operating system, then set power_state to deallocated or stopped.",
            )
        verbs.append("generalize")
        generalized = True
    return PowerPlan(tuple(verbs), power, generalized)


def carry_out(session: AzureSession, request: VmRequest, plan: PowerPlan, waiter: Waiter) -> list[str]:
    """Do what the plan says; returns a sentence for each action."""
    machines = session.compute.virtual_machines
    for verb in plan.verbs:
        query = {"skip_shutdown": False} if verb == "powerOff" else {}
        # The last action alone may go on unwatched: each needs the one before it to be complete.
        last = verb == plan.verbs[-1]
        step = waiter if last else Waiter(True, waiter.timeout, waiter.progress)
        machines.action(request.resource_group, request.name, verb, None, step, **query)
    return action_sentences(request, plan)


def action_sentences(request: VmRequest, plan: PowerPlan) -> list[str]:
    return [f"{_DONE[verb]} virtual machine {request.name}" for verb in plan.verbs]
