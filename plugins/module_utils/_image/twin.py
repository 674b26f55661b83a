# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Makes a twin of a virtual machine, which is only read, and removes it with all that came with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    OperationFailed,
    WaitTimeout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    SOURCE_VM_ID_TAG,
    expiry,
    has_expired,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import refuse_if_any
from ansible_collections.goldenimage.azure.plugins.module_utils._image.temporary_group import TemporaryGroup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_body import twin_body
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_disks import (
    disk_id,
    ensure_disks,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_facts import twin_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_network import (
    ensure_network,
    interface_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_request import (
    PURPOSE,
    SNAPSHOTS,
    TwinRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_source import (
    SourceMachine,
    findings_about,
    read_disks,
    read_machine,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_facts import comparable_vm

if TYPE_CHECKING:
    from datetime import datetime

    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_MACHINES = "Microsoft.Compute/virtualMachines"


def ensure_twin(
    session: AzureSession, request: TwinRequest, *, check_mode: bool, waiter: Waiter, now: datetime
) -> Ensured:
    """The twin, made unless it is there. Raises Refused with all findings before the first change."""
    group = _group(session, request, waiter)
    twin_id = group.resource(_MACHINES, request.name)
    existing = group.find()
    twin = group.read(twin_id, **{"$expand": "instanceView"}) if existing else None
    source_machine = read_machine(session, request.source_id or "")
    if existing is not None and twin is not None and _is_whole(twin):
        return _unchanged(group, request, twin, source_machine, existing, check_mode=check_mode, now=now)
    if source_machine is None:
        raise InvalidInput(
            f"source_vm: there is no virtual machine {request.source_id}.",
            remedy="Check its name, its resource group and subscription_id.",
        )
    source = read_disks(session, source_machine)
    task = f"make a twin of virtual machine {request.source_name}"
    refuse_if_any(task, findings_about(session, request, source, goes_on=existing is not None))
    warnings = _warnings(request, source)
    body = twin_body(
        request, source, interface_id(group, request), lambda disk: disk_id(group, request, disk)
    )
    if check_mode:
        tags = {**group.tags, **_origin(source)}
        predicted = {"id": twin_id, "name": request.name, "tags": tags, **body}
        facts = twin_facts(session, group, predicted, source_machine, source.method(request), predicted=True)
        return Ensured(True, facts, {}, comparable_vm(facts), [f"Created {twin_id}"], warnings)
    gone = []
    if existing is not None and has_expired(existing, now):
        # Its copies are of a time that nobody has in mind any more.
        gone = [*group.check_own(), group.id]
        group.remove()
        existing = None
    made = _build(group, request, source, body, existing)
    facts = twin_facts(session, group, made, source_machine, source.method(request))
    return Ensured(
        changed=True,
        facts=facts,
        before={},
        after=comparable_vm(facts),
        actions=[*(f"Deleted {each}" for each in gone), *(f"Created {each}" for each in group.made)],
        warnings=warnings,
    )


def remove_twin(session: AzureSession, request: TwinRequest, *, check_mode: bool, waiter: Waiter) -> Ensured:
    """Delete the twin's group with all that is in it.

    Raises InvalidInput when something in it is not the build's.
    """
    group = _group(session, request, waiter)
    if group.find() is None:
        return Ensured(False, None, {}, {})
    gone = group.check_own()
    if not check_mode:
        group.remove()
    actions = [f"Deleted {each}" for each in (*gone, group.id)]
    return Ensured(True, None, {"resource_group": group.name, "resources": gone}, {}, actions)


def _group(session: AzureSession, request: TwinRequest, waiter: Waiter) -> TemporaryGroup:
    return TemporaryGroup(
        session,
        request.group,
        request.build,
        request.source_id,
        purpose=PURPOSE,
        tags=request.tags,
        waiter=waiter,
    )


def _is_whole(twin: Mapping[str, Any]) -> bool:
    return str(twin["properties"].get("provisioningState", "")).casefold() == "succeeded"


def _unchanged(
    group: TemporaryGroup,
    request: TwinRequest,
    twin: Mapping[str, Any],
    source_machine: Mapping[str, Any] | None,
    existing: Mapping[str, Any],
    *,
    check_mode: bool,
    now: datetime,
) -> Ensured:
    """The twin that is there; its expiry is put off when it has passed."""
    facts = twin_facts(group.session, group, twin, source_machine, None)
    differences = []
    if request.size and request.size.casefold() != str(facts["size"]).casefold():
        differences.append(f"its size is {facts['size']}, not {request.size}")
    if request.network.public_ip != bool(facts["public_ip_addresses"]):
        differences.append(f"it has {'a' if facts['public_ip_addresses'] else 'no'} public address")
    if differences:
        raise InvalidInput(
            f"Twin {facts['id']} exists and is another one: {'; '.join(differences)}.",
            remedy="Remove it first (state: absent), or give another build_id.",
        )
    expired = has_expired(existing, now)
    before = {"expires": _written(existing)}
    after = {"expires": group.tags["goldenimage_expires"] if expired else before["expires"]}
    facts["expires"] = after["expires"]
    if expired and not check_mode:
        group.create(str(existing["location"]), existing)
    actions = [f"Put the expiry of {group.id} off"] if expired else []
    return Ensured(expired, facts, before, after, actions)


def _written(resource: Mapping[str, Any]) -> str:
    found = expiry(resource)
    return found.isoformat() if found else ""


def _warnings(request: TwinRequest, source: SourceMachine) -> list[str]:
    if source.method(request) != SNAPSHOTS or not source.is_running or len(source.disks) < 2:
        return []
    said = (
        f"The disks of {request.source_name} are copied one by one while it runs: what spans several of them"
        " may not fit together. A restore point (method: restore_point) copies all of them at one moment."
    )
    return [said]


def _build(
    group: TemporaryGroup,
    request: TwinRequest,
    source: SourceMachine,
    body: Mapping[str, Any],
    existing: Mapping[str, Any] | None,
) -> Mapping[str, Any]:
    """Make, or go on making, everything; undo all of it when that fails."""
    twin_id = group.resource(_MACHINES, request.name)
    parts: list[Callable[[], object]] = [
        lambda: ensure_disks(group, request, source),
        lambda: ensure_network(group, request, source.place),
    ]
    try:
        group.create(str(source.machine["location"]), existing)
        in_parallel(_call, parts)
        group.ensure(twin_id, body, _origin(source))
        made = group.read(twin_id, **{"$expand": "instanceView"})
    except WaitTimeout as error:
        raise _with_remedy(
            error,
            f"What was made stays until {group.tags['goldenimage_expires']}: run the task again to go on.",
        ) from error
    except AzureError as error:
        raise _undone(group, error, keep=request.keep_on_failure) from error
    if made is None:
        raise AzureError(f"Azure made {twin_id}, but does not know it any more.", target=twin_id)
    return made


def _origin(source: SourceMachine) -> dict[str, str]:
    """The tag of the twin that goes over to images of it: they are images of the source."""
    return {SOURCE_VM_ID_TAG: str(source.properties.get("vmId", ""))}


def _call(work: Callable[[], object]) -> object:
    return work()


def _undone(group: TemporaryGroup, error: AzureError, *, keep: bool) -> AzureError:
    """The error, with what became of everything that had been made."""
    if keep:
        return _with_remedy(
            error, f"Resource group {group.name} is kept for a look: state: absent removes it."
        )
    try:
        # The group itself may be what could not be made.
        if group.find() is not None:
            group.remove()
    except AzureError as cleaning:
        return _with_remedy(
            error, f"Resource group {group.name} may be left ({cleaning.message}): state: absent removes it."
        )
    return _with_remedy(error, f"What had been made for it was removed; {group.source_name} was not touched.")


def _with_remedy(error: AzureError, remedy: str) -> AzureError:
    """The same failure, with one thing more to know."""
    kind = type(error) if isinstance(error, (WaitTimeout, OperationFailed, InvalidInput)) else AzureError
    return kind(
        error.message,
        code=error.code,
        status=error.status,
        target=error.target,
        request_id=error.request_id,
        remedy=f"{error.remedy} {remedy}" if error.remedy else remedy,
    )
