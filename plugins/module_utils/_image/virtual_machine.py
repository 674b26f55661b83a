# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Brings a virtual machine into the wanted state: made from an image, updated, switched on or off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    InvalidInput,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import in_transition, settled
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_creation import (
    create_vm,
    provisioning_failed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_differences import (
    immutable_differences,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_facts import comparable_vm, vm_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_power import (
    action_sentences,
    carry_out,
    power_plan,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import read_state

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


def ensure_vm(session: AzureSession, request: VmRequest, *, check_mode: bool, waiter: Waiter) -> Ensured:
    """Create or update the machine. Bad input raises before any change."""

    def read() -> dict[str, Any] | None:
        machines = session.compute.virtual_machines
        return machines.get(request.resource_group, request.name, expand="instanceView")

    machine = settled(f"Virtual machine {request.name}", read(), read, waiter)
    if machine is None:
        return create_vm(session, request, check_mode=check_mode, waiter=waiter)
    facts = vm_facts(session, machine)
    if in_transition(machine):
        # Not waited for: nothing can be compared or changed until Azure is done with it.
        return Ensured(False, facts, comparable_vm(facts), comparable_vm(facts))
    return _update(session, request, machine, facts, check_mode=check_mode, waiter=waiter)


def _update(
    session: AzureSession,
    request: VmRequest,
    machine: dict[str, Any],
    facts: dict[str, Any],
    *,
    check_mode: bool,
    waiter: Waiter,
) -> Ensured:
    warnings = _provisioning_problem(machine)
    found = immutable_differences(machine, facts, request, session.subscription_id)
    if found:
        raise InvalidInput(
            f"Virtual machine {request.name} in resource group {request.resource_group} exists and is another"
            f" one: {'; '.join(found)}.",
            remedy="That cannot be changed. Delete the machine first (state: absent), give the options it was"
            " made with, or another name.",
        )
    change, after = _changes(request, facts)
    state = read_state(machine)
    if change and state.generalized:
        raise InvalidInput(
            f"Virtual machine {request.name} is generalized, Azure does not change its"
            f" {' or '.join(_changed_options(facts, after))} any more.",
            remedy="Set the tags on the image made of it.",
        )
    plan = power_plan(request, state)
    after.update(power_state=plan.power, generalized=plan.generalized)
    actions = [
        f"Changed {option} of virtual machine {request.name}" for option in _changed_options(facts, after)
    ]
    if not check_mode and (change or plan.verbs):
        machines = session.compute.virtual_machines
        if change:
            step = Waiter(True, waiter.timeout, waiter.progress) if plan.verbs else waiter
            machines.update(request.resource_group, request.name, change, step)
        carry_out(session, request, plan, waiter)
        if waiter.wait:
            current = machines.get(request.resource_group, request.name, expand="instanceView")
            after = vm_facts(session, current) if current else after
    return Ensured(
        changed=bool(change or plan.verbs),
        facts=after,
        before=comparable_vm(facts),
        after=comparable_vm(after),
        actions=[*actions, *action_sentences(request, plan)],
        warnings=warnings,
    )


def _changes(request: VmRequest, facts: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body of the PATCH (empty: nothing to change) and the facts it leads to."""
    change: dict[str, Any] = {}
    after = dict(facts)
    tags = merged_tags(facts["tags"], request.tags, request.append_tags)
    if tags != facts["tags"]:
        change["tags"] = after["tags"] = tags
    if request.size and request.size.lower() != str(facts["size"]).lower():
        change["properties"] = {"hardwareProfile": {"vmSize": request.size}}
        after["size"] = request.size
    return change, after


def _changed_options(facts: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [option for option in ("tags", "size") if facts[option] != after[option]]


def _provisioning_problem(machine: Mapping[str, Any]) -> list[str]:
    """Raises OperationFailed for a machine that never came up; returns a warning for a later failure."""
    state = read_state(machine)
    if state.provisioning.lower() != "failed":
        return []
    code, message = state.failure or ("ProvisioningFailed", "Azure gave no reason")
    if state.power == "running" and not code.startswith("OSProvisioning"):
        return [f"The last change of virtual machine {machine['name']} failed: {code}: {message}"]
    failure = OperationFailed(
        f"Virtual machine {machine['name']} exists, but its provisioning failed: {code}: {message}", code=code
    )
    raise provisioning_failed(failure, str(machine["id"]))
