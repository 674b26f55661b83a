# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Makes a virtual machine from an image, after everything that can be checked beforehand was checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    OperationFailed,
    WaitTimeout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import (
    check,
    findings,
    refusals,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import refuse_if_any
from ansible_collections.goldenimage.azure.plugins.module_utils._image.login import (
    check_admin_password,
    check_admin_username,
    check_ssh_public_key,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import check_computer_name
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import group_location
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import STANDARD, plan_of
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    VIRTUAL_MACHINE,
    TargetFacts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_body import Decided, vm_body
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_facts import (
    comparable_vm,
    facts_without_addresses,
    vm_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_image import (
    VmImage,
    find_image,
    image_source,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_network import (
    OwnNetwork,
    find_connection,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_power import (
    action_sentences,
    carry_out,
    power_plan,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import VmState

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_RULES = (
    "source-not-ready",
    "source-region",
    "source-ended",
    "source-deprecated",
    "source-deprecation-announced",
    "machine-security-type",
    "machine-plan-missing",
    "terms-not-accepted",
    "disk-smaller",
)
_OPTIONS = {
    "machine-security-type": "security_type",
    "machine-plan-missing": "plan",
    "terms-not-accepted": "plan",
    "disk-smaller": "os_disk.size_gb",
}
_RUNNING = VmState("running", False, "Succeeded", None)


def create_vm(session: AzureSession, request: VmRequest, *, check_mode: bool, waiter: Waiter) -> Ensured:
    """Create the machine, with a network of its own unless one was given."""
    plan = power_plan(request, _RUNNING)
    if plan.verbs and not waiter.wait:
        raise InvalidInput(
            "wait: power_state and generalized can be set only after a new machine was waited for.",
            remedy="Leave wait at true, or leave these two out.",
        )
    image, decided = _decide(session, request)
    network = OwnNetwork(session, request.resource_group, request.name) if request.network.own else None
    if network:
        network.check_free()
        connection = network.connection
    else:
        connection = find_connection(session, request, decided.location)
    body = vm_body(request, image, decided, connection)
    machine_id = resource_id(
        session.subscription_id, request.resource_group, "Microsoft.Compute", "virtualMachines", request.name
    )
    actions = [f"Created virtual machine {machine_id}", *action_sentences(request, plan)]
    if check_mode:
        facts = facts_without_addresses({"id": machine_id, "name": request.name, **body})
        facts.update(power_state=plan.power, generalized=plan.generalized, os_type=decided.os_type)
        return Ensured(True, facts, {}, comparable_vm(facts), actions, decided.warnings)
    machine = _put(session, request, body, machine_id=machine_id, network=network, waiter=waiter)
    if waiter.wait:
        carry_out(session, request, plan, waiter)
        machines = session.compute.virtual_machines
        machine = machines.get(request.resource_group, request.name, expand="instanceView") or machine
    facts = vm_facts(session, machine)
    return Ensured(True, facts, {}, comparable_vm(facts), actions, decided.warnings)


def _put(
    session: AzureSession,
    request: VmRequest,
    body: dict[str, Any],
    *,
    machine_id: str,
    network: OwnNetwork | None,
    waiter: Waiter,
) -> dict[str, Any]:
    made = False
    try:
        if network:
            made = not network.existing()
            network.create(request, body["location"])
        return session.compute.virtual_machines.put(request.resource_group, request.name, body, waiter)
    except WaitTimeout:
        raise
    except AzureError as error:
        try:
            there = session.compute.virtual_machines.get(request.resource_group, request.name) is not None
            if network and made and not there:
                network.remove(waiter.timeout)
        except AzureError as cleaning:
            raise _with_remedy(
                error, f"What was made for it may be left ({cleaning.message}): state: absent removes it."
            ) from error
        if there:
            raise provisioning_failed(error, machine_id) from error
        raise


def _with_remedy(error: AzureError, remedy: str) -> OperationFailed:
    """The same failure, with one thing more to do."""
    return OperationFailed(
        error.message,
        code=error.code,
        status=error.status,
        target=error.target,
        request_id=error.request_id,
        remedy=f"{error.remedy} {remedy}" if error.remedy else remedy,
    )


def provisioning_failed(error: AzureError, machine_id: str) -> OperationFailed:
    """The same failure, with where to look and how to get rid of what is left."""
    guest = (
        " The guest did not report that it was set up: usually the image was not generalized, or has neither"
        " cloud-init nor the Azure Linux Agent."
        if (error.code or "").startswith("OSProvisioning")
        else ""
    )
    return _with_remedy(
        error,
        f"The machine is left as it is.{guest} Its console is shown by:"
        f" az vm boot-diagnostics get-boot-log --ids {machine_id}. state: absent removes it.",
    )


def _decide(session: AzureSession, request: VmRequest) -> tuple[VmImage, Decided]:
    """Look up what the request refers to and check the request against it."""
    if not request.image:
        raise InvalidInput(
            f"There is no virtual machine {request.name} in resource group {request.resource_group}.",
            remedy="Give image to create it.",
        )
    home = group_location(session, request.resource_group)
    source = image_source(request.image, session.subscription_id, request.resource_group)
    image = find_image(session, source, request.location or home)
    location = request.location or image.location or home
    plan = request.plan or (image.facts.plan if image.facts else None) or {}
    warnings = _check_fit(request, image, location, plan)
    if image.os_type and request.os_type and image.os_type != request.os_type:
        raise InvalidInput(f"os_type: {request.os_type} was asked for, but the image holds {image.os_type}.")
    os_type = image.os_type or request.os_type or "Linux"
    _check_disks(request, image)
    with_profile = _wants_os_profile(request, image)
    if with_profile:
        _check_login(request, os_type)
    computer_name = (request.computer_name or request.name) if with_profile else None
    if computer_name:
        check_computer_name(computer_name, os_type)
    return image, Decided(location, os_type, computer_name, with_profile, plan, warnings)


def _check_fit(request: VmRequest, image: VmImage, location: str, plan: Mapping[str, str]) -> list[str]:
    """Refuse an image of which Azure would make no such machine; returns what should be known beside that."""
    if image.facts is None:
        return []
    target = TargetFacts(
        VIRTUAL_MACHINE,
        f"machine {request.name}",
        location=location,
        security_type=request.security_type or STANDARD,
        plan=plan_of(plan),
        os_disk_size_gb=request.os_disk.size_gb,
    )
    verdicts = check(image.facts, target, _RULES)
    where = findings(refusals(verdicts), lambda verdict: _OPTIONS.get(verdict.id, "image"))
    refuse_if_any(f"make virtual machine {request.name}", where)
    return [f"image: {verdict.reason} {verdict.remedy}" for verdict in verdicts]


def _check_disks(request: VmRequest, image: VmImage) -> None:
    taken = {disk["lun"] for disk in image.data_disks}
    for position, disk in enumerate(request.data_disks):
        if disk.lun in taken:
            raise InvalidInput(
                f"data_disks[{position}].lun: LUN {disk.lun} is a data disk of the image.",
                remedy=f"The image has LUN {', '.join(map(str, sorted(taken)))}; choose another one.",
            )


def _wants_os_profile(request: VmRequest, image: VmImage) -> bool:
    """A specialized image keeps its accounts and host name; Azure refuses to be told others."""
    given = [
        option
        for option in ("admin_username", "ssh_public_keys", "admin_password", "computer_name", "custom_data")
        if getattr(request, option)
    ]
    if image.generalized is False and given:
        raise InvalidInput(
            f"{given[0]}: the image is specialized, its machine keeps the accounts and the host name it has.",
            remedy=f"Leave out {', '.join(given)}.",
        )
    return bool(image.generalized or given)


def _check_login(request: VmRequest, os_type: str) -> None:
    if not request.admin_username:
        raise InvalidInput(
            "admin_username: the image is generalized, its machine needs an administrator's name."
        )
    check_admin_username(request.admin_username, os_type)
    for position, key in enumerate(request.ssh_public_keys):
        check_ssh_public_key(position, key)
    if request.admin_password:
        check_admin_password(request.admin_password, os_type)
    if os_type == "Windows":
        if request.ssh_public_keys:
            raise InvalidInput(
                "ssh_public_keys: Azure installs SSH keys on Linux only.", remedy="Leave it out."
            )
        if not request.admin_password:
            raise InvalidInput("admin_password: Windows needs one.")
    elif not request.ssh_public_keys and not request.admin_password:
        raise InvalidInput(
            "ssh_public_keys: neither a key nor admin_password was given, nobody could log in.",
            remedy="Give ssh_public_keys, such as lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub').",
        )
