# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Looks managed images, managed disks, snapshots and virtual machines up, as sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import (
    COMPUTE_API,
    DISK_API,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    parse_resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_tags import (
    SOURCES_TAG,
    STATE_TAG,
    plan_of_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.machine_sizes import (
    architecture_of_size,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    GENERALIZED,
    SCSI,
    SPECIALIZED,
    STANDARD,
    SourceDisk,
    SourceFacts,
    plan_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    KIND_WORDS,
    MANAGED_IMAGE,
    VIRTUAL_MACHINE,
    ArmResource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import read_state

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

    #: A disk of a machine: its entry in the storageProfile, and the managed disk, None where there is none.
    Attached: TypeAlias = "tuple[Mapping[str, Any], Mapping[str, Any] | None]"


def describe_resource(session: AzureSession, source: ArmResource) -> SourceFacts:
    """A resource by its id. Raises NotFound when it, or its resource group, is not there."""
    if source.kind == VIRTUAL_MACHINE:
        machine = _read(session, source, COMPUTE_API, **{"$expand": "instanceView"})
        return machine_facts(machine, _disks_of(session, machine), source)
    if source.kind == MANAGED_IMAGE:
        return _managed_image(_read(session, source, COMPUTE_API), source)
    return disk_facts(_read(session, source, DISK_API), source)


def _read(session: AzureSession, source: ArmResource, api_version: str, **query: str) -> dict[str, Any]:
    missing = NotFound(
        f"there is no {KIND_WORDS[source.kind]} {source.name} in resource group"
        f" {source.resource_group} of subscription {source.subscription}.",
        code="ResourceNotFound",
        remedy="Check its name, and give its id when it is in another resource group.",
    )
    try:
        # By id, since it may be in another subscription.
        found = session.arm.get(source.id, api_version, **query)
    except NotFound as error:
        raise missing from error
    if found is None:
        raise missing
    return found


def _common(resource: Mapping[str, Any], source: ArmResource) -> dict[str, Any]:
    return {
        "kind": source.kind,
        "name": source.name,
        "reference": str(source),
        "pinned": str(source),
        "id": str(resource["id"]),
        "subscription": source.subscription,
        "location": normalize_location(resource["location"]),
        "regions": (normalize_location(resource["location"]),),
        "provisioning_state": (resource.get("properties") or {}).get("provisioningState"),
        "tags": dict(resource.get("tags") or {}),
    }


def _managed_image(image: Mapping[str, Any], source: ArmResource) -> SourceFacts:
    properties = image.get("properties") or {}
    storage = properties.get("storageProfile") or {}
    os_disk = storage.get("osDisk") or {}
    return SourceFacts(
        **_common(image, source),
        # Azure has no other mark of an image; where it is ours, the tag changes with its sources.
        identity=f"{source} {(image.get('tags') or {}).get(SOURCES_TAG, '')}".rstrip(),
        os_type=os_disk.get("osType"),
        os_state=os_disk.get("osState"),
        generation=properties.get("hyperVGeneration") or "V1",
        security_type=STANDARD,
        # It has no features, and without them machines start from SCSI disks.
        disk_controllers=(SCSI,),
        plan=plan_of_tags(image.get("tags")),
        os_disk=_image_disk(os_disk),
        data_disks=tuple(map(_image_disk, storage.get("dataDisks") or [])),
    )


def _image_disk(disk: Mapping[str, Any]) -> SourceDisk:
    return SourceDisk(
        lun=int(disk["lun"]) if "lun" in disk else None,
        size_gb=disk.get("diskSizeGB"),
        storage_account_type=disk.get("storageAccountType"),
        caching=disk.get("caching"),
        encryption_set=(disk.get("diskEncryptionSet") or {}).get("id"),
    )


def disk_facts(disk: Mapping[str, Any], source: ArmResource) -> SourceFacts:
    """A managed disk or snapshot in wire shape."""
    properties = disk.get("properties") or {}
    state = {"generalized": GENERALIZED, "specialized": SPECIALIZED}
    return SourceFacts(
        **_common(disk, source),
        identity=properties.get("uniqueId"),
        os_type=properties.get("osType"),
        os_state=state.get((disk.get("tags") or {}).get(STATE_TAG, "")),
        generation=properties.get("hyperVGeneration"),
        architecture=_capability(disk, "architecture"),
        security_type=(properties.get("securityProfile") or {}).get("securityType") or STANDARD,
        disk_controllers=_controllers(disk),
        plan=plan_of(properties.get("purchasePlan")),
        os_disk=source_disk(None, {"name": source.name}, disk),
    )


def _capability(disk: Mapping[str, Any] | None, name: str) -> str | None:
    found = ((disk or {}).get("properties") or {}).get("supportedCapabilities") or {}
    return found.get(name)


def _controllers(disk: Mapping[str, Any]) -> tuple[str, ...] | None:
    text = _capability(disk, "diskControllerTypes")
    return tuple(part.strip() for part in text.split(",")) if text else None


def source_disk(
    lun: int | None, attached: Mapping[str, Any], resource: Mapping[str, Any] | None
) -> SourceDisk:
    """A disk of a machine, or one by itself, from its entry in the machine and the managed disk."""
    managed = attached.get("managedDisk") or {}
    properties = (resource or {}).get("properties") or {}
    disk_id = (resource or {}).get("id") or managed.get("id")
    return SourceDisk(
        lun=lun,
        name=attached.get("name"),
        id=disk_id,
        size_gb=properties.get("diskSizeGB") or attached.get("diskSizeGB"),
        storage_account_type=((resource or {}).get("sku") or {}).get("name")
        or managed.get("storageAccountType"),
        caching=attached.get("caching"),
        state=properties.get("diskState"),
        completion_percent=properties.get("completionPercent"),
        managed=bool(disk_id),
        missing=bool(disk_id) and resource is None,
        ephemeral=bool(attached.get("diffDiskSettings")),
        shared=int(properties.get("maxShares") or 1) > 1,
        guest_encrypted=bool((properties.get("encryptionSettingsCollection") or {}).get("enabled")),
        encryption_set=(properties.get("encryption") or {}).get("diskEncryptionSetId"),
    )


def _disks_of(session: AzureSession, machine: Mapping[str, Any]) -> list[Attached]:
    """The operating system's first, then by LUN."""
    storage = (machine.get("properties") or {}).get("storageProfile") or {}
    data = sorted(storage.get("dataDisks") or [], key=lambda disk: int(disk["lun"]))

    def with_resource(entry: Mapping[str, Any]) -> Attached:
        disk_id = (entry.get("managedDisk") or {}).get("id")
        if not disk_id:
            return entry, None
        try:
            return entry, session.arm.get(disk_id, DISK_API)
        except NotFound:
            return entry, None

    return in_parallel(with_resource, [storage.get("osDisk") or {}, *data])


def _machine_identity(properties: Mapping[str, Any], disks: Sequence[Attached]) -> str | None:
    """The machine and its disks, any of which can be made anew or swapped under its name."""
    known = [(disk or {}).get("properties", {}).get("uniqueId") for _entry, disk in disks]
    parts = [properties.get("vmId"), *known]
    return " ".join(map(str, parts)) if all(parts) else None


def machine_facts(
    machine: Mapping[str, Any], disks: Sequence[Attached], source: ArmResource | None = None
) -> SourceFacts:
    """A machine in wire shape, with its instance view, and its disks, the operating system's first."""
    name = source or ArmResource(VIRTUAL_MACHINE, str(parse_resource_id(machine["id"])))
    properties = machine.get("properties") or {}
    state = read_state(machine)
    os_entry, os_disk = disks[0]
    os_properties = (os_disk or {}).get("properties") or {}
    storage = properties.get("storageProfile") or {}
    size = str((properties.get("hardwareProfile") or {}).get("vmSize", ""))
    return SourceFacts(
        **_common(machine, name),
        identity=_machine_identity(properties, disks),
        os_type=os_entry.get("osType") or os_properties.get("osType"),
        os_state=GENERALIZED if state.generalized else SPECIALIZED,
        generation=(properties.get("instanceView") or {}).get("hyperVGeneration")
        or os_properties.get("hyperVGeneration"),
        # Not every disk says it, but a machine runs on what its size has.
        architecture=_capability(os_disk, "architecture") or architecture_of_size(size),
        security_type=(properties.get("securityProfile") or {}).get("securityType") or STANDARD,
        disk_controllers=(storage.get("diskControllerType") or SCSI,),
        plan=plan_of(machine.get("plan")),
        os_disk=source_disk(None, os_entry, os_disk),
        data_disks=tuple(source_disk(int(entry["lun"]), entry, disk) for entry, disk in disks[1:]),
        power_state=state.power,
    )
