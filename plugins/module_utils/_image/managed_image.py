# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Brings a managed image into the wanted state.

Azure answers success to a PUT over an existing image with other sources, and changes nothing. So what exists
is compared here, and a difference is refused, or the image is replaced when that was asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    InvalidInput,
    NotFound,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import check
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import refuse_if_any
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_differences import (
    Wanted,
    differences,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_facts import (
    comparable,
    image_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import (
    DiskRequest,
    ImageRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_tags import PLAN_TAG, SOURCES_TAG
from ansible_collections.goldenimage.azure.plugins.module_utils._image.resource_groups import group_location
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import plan_text
from ansible_collections.goldenimage.azure.plugins.module_utils._image.sources import (
    Source,
    find_source,
    find_source_vm,
    references,
    vm_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    MANAGED_IMAGE,
    TargetFacts,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_DEFAULT_GENERATION = "V1"

_RULES = ("source-region", "generation-mismatch", "generation-unknown", "os-type-mismatch")
_OPTIONS = {
    "generation-mismatch": "hyper_v_generation",
    "generation-unknown": "hyper_v_generation",
    "os-type-mismatch": "os_disk.os_type",
}


class _Found(NamedTuple):
    """The sources of a request, looked up and checked, in the order of its disks."""

    location: str
    generation: str
    os_type: str | None
    sources: list[Source]
    identity: str | None
    plan: str = ""


def ensure_image(
    session: AzureSession, request: ImageRequest, *, check_mode: bool, waiter: Waiter
) -> Ensured:
    """Create, update or (with `request.replace`) replace the image. Bad input raises before any change."""
    current = _read(session, request, waiter)
    if current is None:
        if not request.source_vm and not request.os_disk:
            raise InvalidInput(
                f"There is no image {request.name} in resource group {request.resource_group} to update.",
                remedy="Give source_vm, or os_disk, to create it.",
            )
        return _create(session, request, None, check_mode=check_mode, waiter=waiter)
    found = differences(current, request, _wanted(session, request))
    if not found:
        return _update_tags(session, request, current, check_mode=check_mode, waiter=waiter)
    if not request.replace:
        raise InvalidInput(
            f"Image {request.name} in resource group {request.resource_group} exists and is another one:"
            f" {'; '.join(found)}.",
            remedy="Azure does not change that of an existing image. Set replace: true to delete it and"
            " create it anew, or give another name.",
        )
    return _create(session, request, current, check_mode=check_mode, waiter=waiter)


def remove_image(
    session: AzureSession, request: ImageRequest, *, check_mode: bool, waiter: Waiter
) -> Ensured:
    """Delete the image; its sources stay."""
    try:
        current = session.compute.images.get(request.resource_group, request.name)
    except NotFound:
        current = None
    if current is None:
        return Ensured(False, None, {}, {})
    if not check_mode:
        session.compute.images.delete(request.resource_group, request.name, waiter)
    return Ensured(True, None, comparable(image_facts(current)), {}, [f"Deleted image {current['id']}"])


def _read(session: AzureSession, request: ImageRequest, waiter: Waiter) -> dict[str, Any] | None:
    def read() -> dict[str, Any] | None:
        return session.compute.images.get(request.resource_group, request.name)

    return settled(f"Image {request.name}", read(), read, waiter)


def _wanted(session: AzureSession, request: ImageRequest) -> Wanted:
    """What to compare an existing image with. Its sources may be gone by now: that is no difference."""
    if request.source_vm:
        source_id = vm_id(request.source_vm, session.subscription_id, request.resource_group)
        identity = _identity_if_there(session, request)
        return Wanted(source_id, [], identity)
    by_disk = [references(disk, session.subscription_id, request.resource_group) for disk in request.disks]
    return Wanted(None, by_disk, _identity_if_there(session, request))


def _identity_if_there(session: AzureSession, request: ImageRequest) -> str | None:
    try:
        if request.source_vm:
            return _identity([(None, find_source_vm(session, request.source_vm, request.resource_group))])
        return _identity(
            [(disk.lun, find_source(session, disk, request.resource_group)) for disk in request.disks]
        )
    except InvalidInput:
        # Not there, or not usable for a new image: then nothing is known about it beyond its name.
        return None


def _identity(sources: list[tuple[int | None, Source]]) -> str | None:
    """A digest that tells sources of the same names apart; None when one is known by its name alone."""
    if not sources or any(source.identity is None for _unused, source in sources):
        return None
    lines = sorted(
        f"{'os' if lun is None else lun}={str(source.identity).lower()}" for lun, source in sources
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _find(session: AzureSession, request: ImageRequest) -> _Found:
    """Look up and check everything the new image needs; nothing has been changed until here."""
    home = group_location(session, request.resource_group)
    if request.source_vm:
        named: list[tuple[str, int | None, Source]] = [
            ("source_vm", None, find_source_vm(session, request.source_vm, request.resource_group))
        ]
    else:
        named = [
            (f"{disk.option}.source", disk.lun, find_source(session, disk, request.resource_group))
            for disk in request.disks
        ]
    location = request.location or named[0][2].location or home
    _refuse(request, named, location)
    first = named[0][2]
    return _Found(
        location=location,
        generation=request.hyper_v_generation or first.generation or _DEFAULT_GENERATION,
        os_type=_os_type(request, first),
        sources=[source for _option, _lun, source in named],
        identity=_identity([(lun, source) for _option, lun, source in named]),
        plan=plan_text(first.plan) if first.plan else "",
    )


def _refuse(request: ImageRequest, named: Sequence[tuple[str, int | None, Source]], location: str) -> None:
    """Raise Refused where a source does not fit the image, with the option that says otherwise."""
    target = TargetFacts(
        MANAGED_IMAGE,
        f"image {request.name}",
        location=location,
        generation=request.hyper_v_generation,
        os_type=request.os_disk.os_type if request.os_disk else None,
    )
    found = []
    for place, (option, _lun, source) in enumerate(named):
        # Only the operating system's disk has a generation and a system.
        verdicts = check(source.facts, target, _RULES if place == 0 else _RULES[:1])
        found += [each.as_finding(_OPTIONS.get(each.id, option)) for each in verdicts]
    refuse_if_any(f"make image {request.name}", found)


def _os_type(request: ImageRequest, source: Source) -> str | None:
    if request.os_disk is None:
        return source.os_type
    asked = request.os_disk.os_type
    if not asked and not source.os_type:
        raise InvalidInput(
            f"os_disk.os_type: Azure does not know which operating system {source.reference.value} holds.",
            remedy="Set os_type to Linux or Windows.",
        )
    return asked or source.os_type


def _create(
    session: AzureSession,
    request: ImageRequest,
    current: dict[str, Any] | None,
    *,
    check_mode: bool,
    waiter: Waiter,
) -> Ensured:
    found = _find(session, request)
    body = _body(request, found, (current or {}).get("tags"))
    image_id = resource_id(
        session.subscription_id, request.resource_group, "Microsoft.Compute", "images", request.name
    )
    before = comparable(image_facts(current)) if current else {}
    verb = "Replaced" if current else "Created"
    if check_mode:
        predicted = image_facts({"id": image_id, "name": request.name, **body})
        return Ensured(True, predicted, before, comparable(predicted), [f"{verb} image {image_id}"])
    if current:
        session.compute.images.delete(request.resource_group, request.name, Waiter(True, waiter.timeout))
    facts = image_facts(_put(session, request, body, waiter))
    return Ensured(True, facts, before, comparable(facts), [f"{verb} image {image_id}"])


def _put(
    session: AzureSession, request: ImageRequest, body: dict[str, Any], waiter: Waiter
) -> dict[str, Any]:
    try:
        return session.compute.images.put(request.resource_group, request.name, body, waiter)
    except OperationFailed:
        # A failed image stays behind under its name and would stand in the way of the next run.
        remains = session.compute.images.get(request.resource_group, request.name)
        if remains is not None and remains["properties"].get("provisioningState") == "Failed":
            session.compute.images.delete(request.resource_group, request.name, Waiter(True, waiter.timeout))
        raise


def _body(request: ImageRequest, found: _Found, tags: dict[str, str] | None) -> dict[str, Any]:
    properties: dict[str, Any] = {"hyperVGeneration": found.generation}
    storage: dict[str, Any] = {}
    if request.os_disk is None:
        properties["sourceVirtualMachine"] = {"id": found.sources[0].reference.value}
    else:
        pairs = zip(request.disks, found.sources, strict=True)
        wired = [{**source.reference.as_wire(), **_settings(disk)} for disk, source in pairs]
        state = request.os_disk.os_state or "Generalized"
        storage["osDisk"] = {"osType": found.os_type, "osState": state, **wired[0]}
        storage["dataDisks"] = [
            {"lun": disk.lun, **wire} for disk, wire in zip(request.data_disks, wired[1:], strict=True)
        ]
    if request.zone_resilient is not None:
        storage["zoneResilient"] = request.zone_resilient
    if storage:
        properties["storageProfile"] = storage
    return {
        "location": found.location,
        "tags": _tags(request, tags, found.identity, found.plan),
        "properties": properties,
    }


def _settings(disk: DiskRequest) -> dict[str, Any]:
    wire = {
        "caching": disk.caching,
        "storageAccountType": disk.storage_account_type,
        "diskSizeGB": disk.disk_size_gb,
        "diskEncryptionSet": {"id": disk.disk_encryption_set} if disk.disk_encryption_set else None,
    }
    return {name: value for name, value in wire.items() if value is not None}


def _tags(
    request: ImageRequest, current: dict[str, str] | None, identity: str | None, plan: str | None = None
) -> dict[str, str]:
    """The tags the image should have; those that tell what it was made of stay, whatever the user's tags.

    :param plan: the plan of its sources, "" for none; None: as it is tagged
    """
    present = current or {}
    kept = {
        SOURCES_TAG: identity or present.get(SOURCES_TAG),
        PLAN_TAG: present.get(PLAN_TAG) if plan is None else plan,
    }
    tags = merged_tags(current, request.tags, request.append_tags)
    if plan == "" and PLAN_TAG not in (request.tags or {}):
        # It was that of the image that is replaced.
        tags.pop(PLAN_TAG, None)
    return {**tags, **{name: value for name, value in kept.items() if value}}


def _update_tags(
    session: AzureSession, request: ImageRequest, current: dict[str, Any], *, check_mode: bool, waiter: Waiter
) -> Ensured:
    facts = image_facts(current)
    tags = _tags(request, facts["tags"], facts["tags"].get(SOURCES_TAG))
    if tags == facts["tags"]:
        return Ensured(False, facts, comparable(facts), comparable(facts))
    after = {**facts, "tags": tags}
    if not check_mode:
        after = image_facts(
            session.compute.images.update(request.resource_group, request.name, {"tags": tags}, waiter)
        )
    return Ensured(
        True, after, comparable(facts), comparable(after), [f"Changed the tags of image {facts['id']}"]
    )
