# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Finds what a managed image is to be made from, and tells what Azure would refuse about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    ResourceId,
    is_resource_id,
    normalize_location,
    parse_resource_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.compatibility import check, findings
from ansible_collections.goldenimage.azure.plugins.module_utils._image.disk_state import check_content
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import refuse_if_any
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import DiskRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    SourceFacts,
    plan_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    COMPUTE,
    MANAGED_DISK,
    SNAPSHOT,
    VHD_BLOB,
    VIRTUAL_MACHINE,
    ArmResource,
    VhdBlob,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_parsing import SourceParser
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_resources import (
    disk_facts,
    machine_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import (
    MANAGED_IMAGE,
    TargetFacts,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

STORAGE_API = "2024-01-01"
_MEMBERS = {"disks": "managedDisk", "snapshots": "snapshot"}
_KINDS = {"disks": "managed disk", "snapshots": "snapshot"}
_KIND_OF = {
    "managedDisk": MANAGED_DISK,
    "snapshot": SNAPSHOT,
    "blobUri": VHD_BLOB,
    "sourceVirtualMachine": VIRTUAL_MACHINE,
}
_DISK_RULES = (
    "source-not-ready",
    "security-type-managed-image",
    "shared-disk",
    "unsupported-disk",
    "encrypted-disk",
    "disk-busy",
    "disk-smaller",
)
_MACHINE_RULES = ("security-type-managed-image", "ephemeral-os-disk", "not-generalized")


class Reference(NamedTuple):
    """How an image's disk names its source: `member` is managedDisk, snapshot or blobUri."""

    member: str
    value: str

    def as_wire(self) -> dict[str, Any]:
        return {self.member: self.value if self.member == "blobUri" else {"id": self.value}}


class Source(NamedTuple):
    """What an image can be made from. `identity` changes when the source is deleted and made anew; `plan` {}
    is that of a source without a Marketplace plan."""

    reference: Reference
    location: str | None
    os_type: str | None = None
    generation: str | None = None
    size_gb: int | None = None
    identity: str | None = None
    plan: Mapping[str, str] = {}

    @property
    def facts(self) -> SourceFacts:
        """As the compatibility rules see it."""
        return SourceFacts(
            kind=_KIND_OF[self.reference.member],
            name=self.reference.value,
            location=self.location,
            os_type=self.os_type,
            generation=self.generation,
        )


def references(disk: DiskRequest, subscription: str, resource_group: str) -> list[Reference]:
    """What `disk.source` can stand for: an id and a URL one thing, a name a managed disk or a snapshot."""
    text = disk.source
    option = f"{disk.option}.source"
    if "/" not in text:
        return [
            Reference(member, resource_id(subscription, resource_group, COMPUTE, kind, text))
            for kind, member in _MEMBERS.items()
        ]
    source = SourceParser(subscription, resource_group, option).parse(text)
    if isinstance(source, VhdBlob):
        return [Reference("blobUri", source.url)]
    if not isinstance(source, ArmResource) or source.kind not in (MANAGED_DISK, SNAPSHOT):
        raise InvalidInput(
            f"{option}: {text} is neither a managed disk nor a snapshot.",
            remedy="Give the id or name of a managed disk or snapshot, or the URL of a page blob;"
            " for a virtual machine use source_vm.",
        )
    parsed = _own_resource(disk.option, parse_resource_id(source.id), subscription)
    return [Reference(_MEMBERS[parsed.types[0].lower()], source.id)]


def _own_resource(option: str, parsed: ResourceId, subscription: str) -> ResourceId:
    if parsed.subscription.lower() != subscription.lower():
        raise InvalidInput(
            f"{option}: {parsed} is in another subscription than the image.",
            remedy="A managed image and its sources belong to one subscription: set subscription_id to it,"
            " or copy the source.",
        )
    return parsed


def find_source(session: AzureSession, disk: DiskRequest, resource_group: str) -> Source:
    """Look the disk's source up and check it. Raises InvalidInput with what Azure would refuse, and where."""
    candidates = references(disk, session.subscription_id, resource_group)
    if candidates[0].member == "blobUri":
        return Source(candidates[0], _account_location(session, candidates[0].value))
    found = [
        (candidate, resource)
        for candidate in candidates
        if (resource := _read(session, candidate)) is not None
    ]
    if not found:
        what = "managed disk or snapshot" if len(candidates) > 1 else _kind(candidates[0])
        raise InvalidInput(
            f"{disk.option}.source: there is no {what} {disk.source}"
            + (f" in resource group {resource_group}." if len(candidates) > 1 else "."),
            remedy="Check its name, and give the id when it is in another resource group.",
        )
    if len(found) > 1:
        raise InvalidInput(
            f"{disk.option}.source: {disk.source} is a disk as well as a snapshot of {resource_group}.",
            remedy="Give the id of the one that is meant.",
        )
    reference, resource = found[0]
    _check_readable(disk, reference, resource)
    properties = resource["properties"]
    return Source(
        reference=Reference(reference.member, resource["id"]),
        location=normalize_location(resource["location"]),
        os_type=properties.get("osType"),
        generation=properties.get("hyperVGeneration"),
        size_gb=properties.get("diskSizeGB"),
        identity=properties.get("uniqueId"),
        plan=plan_of(properties.get("purchasePlan")),
    )


def _kind(reference: Reference) -> str:
    return _KINDS[parse_resource_id(reference.value).types[0].lower()]


def _read(session: AzureSession, reference: Reference) -> dict[str, Any] | None:
    parsed = parse_resource_id(reference.value)
    collection = session.compute.disks if reference.member == "managedDisk" else session.compute.snapshots
    try:
        return collection.get(parsed.resource_group, parsed.name)
    except NotFound:
        return None


def _check_readable(disk: DiskRequest, reference: Reference, resource: dict[str, Any]) -> None:
    where = f"{disk.option}.source: {_kind(reference)} {resource['name']}"
    check_content(where, resource)
    source = ArmResource(_KIND_OF[reference.member], reference.value)
    target = TargetFacts(MANAGED_IMAGE, os_disk_size_gb=disk.disk_size_gb)
    verdicts = check(disk_facts(resource, source), target, _DISK_RULES)
    task = f"make an image of {_kind(reference)} {resource['name']}"
    options = {"disk-smaller": f"{disk.option}.disk_size_gb"}
    refuse_if_any(task, findings(verdicts, lambda each: options.get(each.id, f"{disk.option}.source")))


def _account_location(session: AzureSession, url: str) -> str | None:
    """The region of the storage account that a blob is in; None when the session cannot see that account."""
    account = account_of_blob(session, url)
    return normalize_location(account["location"]) if account else None


def account_of_blob(session: AzureSession, url: str) -> dict[str, Any] | None:
    """The storage account of the subscription that a blob is in; None when there is none."""
    path = f"/subscriptions/{session.subscription_id}/providers/Microsoft.Storage/storageAccounts"
    for account in session.arm.list(path, STORAGE_API):
        endpoint = ((account.get("properties") or {}).get("primaryEndpoints") or {}).get("blob") or ""
        if endpoint and url.lower().startswith(endpoint.lower().rstrip("/") + "/"):
            return account
    return None


def vm_id(option_value: str, subscription: str, resource_group: str) -> str:
    """The id of the machine that option source_vm names."""
    if not is_resource_id(option_value):
        return resource_id(subscription, resource_group, COMPUTE, "virtualMachines", option_value)
    parsed = _own_resource("source_vm", parse_resource_id(option_value), subscription)
    if parsed.resource_type.lower() != "microsoft.compute/virtualmachines":
        raise InvalidInput(f"source_vm: {option_value} is no virtual machine.", remedy="Use os_disk.")
    return str(parsed)


def find_source_vm(session: AzureSession, option_value: str, resource_group: str) -> Source:
    """Look the source machine up and check that Azure makes a managed image of it as it is now."""
    parsed = parse_resource_id(vm_id(option_value, session.subscription_id, resource_group))
    missing = InvalidInput(
        f"source_vm: there is no virtual machine {parsed.name} in resource group {parsed.resource_group}.",
        remedy="Check its name, and give the id when it is in another resource group.",
    )
    try:
        machine = session.compute.virtual_machines.get(
            parsed.resource_group, parsed.name, expand="instanceView"
        )
    except NotFound as error:
        raise missing from error
    if machine is None:
        raise missing
    properties = machine["properties"]
    storage = properties.get("storageProfile") or {}
    os_disk = storage.get("osDisk") or {}
    facts = machine_facts(machine, [(entry, None) for entry in (os_disk, *(storage.get("dataDisks") or []))])
    verdicts = check(facts, TargetFacts(MANAGED_IMAGE), _MACHINE_RULES)
    refuse_if_any(f"make an image of {parsed.name}", findings(verdicts, lambda _verdict: "source_vm"))
    return Source(
        reference=Reference("sourceVirtualMachine", machine["id"]),
        location=normalize_location(machine["location"]),
        os_type=os_disk.get("osType"),
        generation=_vm_generation(session, properties, os_disk),
        size_gb=os_disk.get("diskSizeGB"),
        identity=properties.get("vmId"),
        plan=plan_of(machine.get("plan")),
    )


def _vm_generation(session: AzureSession, properties: dict[str, Any], os_disk: dict[str, Any]) -> str | None:
    """The instance view tells it as long as the machine has one; the disk keeps it afterwards."""
    seen = (properties.get("instanceView") or {}).get("hyperVGeneration")
    if seen:
        return str(seen)
    disk_id = (os_disk.get("managedDisk") or {}).get("id")
    if not disk_id:
        return None
    parsed = parse_resource_id(disk_id)
    disk = session.compute.disks.get(parsed.resource_group, parsed.name)
    return disk["properties"].get("hyperVGeneration") if disk else None
