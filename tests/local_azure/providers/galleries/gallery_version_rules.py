# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Which sources fit an image definition, and what Azure says of the ones that do not."""

from __future__ import annotations

import json
import re

from tests.local_azure.azure import LocalAzure
from tests.local_azure.errors import ArmError, invalid_value
from tests.local_azure.providers.galleries.gallery_images import security_type_of
from tests.local_azure.store import Json, Resource

_IMAGE = "Microsoft.Compute/images"
_MACHINE = "Microsoft.Compute/virtualMachines"
_WITH_GUEST_STATE = (_MACHINE, "Microsoft.Compute/disks", "Microsoft.Compute/snapshots")
_VERSION_NAME = re.compile(r"^(\d{1,10})\.(\d{1,10})\.(\d{1,10})$", re.ASCII)
_STANDARD = "Standard"
_MAX_INT = 2**31 - 1


def version_key(name: str) -> tuple[int, int, int] | None:
    """The three numbers of a version's name; None when it is no version."""
    match = _VERSION_NAME.match(name)
    if match is None:
        return None
    major, minor, patch = (int(part) for part in match.groups())
    return (major, minor, patch) if max(major, minor, patch) <= _MAX_INT else None


def check_version_name(name: str) -> None:
    if version_key(name) is None:
        raise invalid_value(
            "galleryImageVersionName",
            "The image version name is invalid. The image version name should follow "
            "Major(int).Minor(int).Patch(int) format, for e.g: 1.0.0, 2018.12.1 etc.",
        )


def check_machine(azure: LocalAzure, definition: Resource, machine: Resource) -> None:
    """Refuses at once a machine in the wrong state or with disks that no version is made of."""
    wanted = definition.properties["osState"]
    state = "Generalized" if machine.hidden.get("generalized") else "Specialized"
    if state != wanted:
        raise ArmError(
            400,
            "BadRequest",
            f"The resource with id '{machine.id}' has a different OS state ['{state}'] than the parent "
            f"gallery image OS state ['{wanted}'].",
        )
    profile = machine.properties["storageProfile"]
    if (profile["osDisk"].get("diffDiskSettings") or {}).get("option"):
        raise _unusable(f"Source virtual machine {machine.id} cannot contain an ephemeral OS disk")
    for disk in (profile["osDisk"], *(profile.get("dataDisks") or [])):
        managed = (disk.get("managedDisk") or {}).get("id")
        if managed is None:
            raise _unusable(f"Source virtual machine {machine.id} must be created from Managed Disks")
        found = azure.store.get(managed)
        if found is not None and (found.body.get("sku") or {}).get("name") == "UltraSSD_LRS":
            raise _unusable(
                f"Source virtual machine {machine.id} cannot contain disk ['{found.id}'] stored in an "
                "UltraSSD account type"
            )


def check_security_of_source(definition: Resource, source: Resource) -> None:
    """Definitions for machines with and without Trusted Launch take no machine, disk or snapshot."""
    security = security_type_of(definition) or ""
    if source.type in _WITH_GUEST_STATE and security.endswith("Supported"):
        raise ArmError(
            400,
            "InvalidParameter",
            f"The security type '{security}' is not supported for the source id '{source.id}'. Currently "
            "only Vhd Blob, User Image and Gallery Image Version sources are supported for "
            f"'{security}' images.",
        )


def mismatch(azure: LocalAzure, definition: Resource, source: Resource) -> ArmError | None:
    """What a version of this source fails with once its operation looks into the source."""
    wanted = definition.properties
    found = _facts(azure, source)
    if source.type == _IMAGE and found["osState"] != wanted["osState"]:
        return ArmError(
            409,
            "Conflict",
            f"Cannot create Gallery Image Version from: {source.id} since the OS State in the parent gallery "
            f"image ({wanted['osState']}) is not {found['osState']}.",
        )
    for key, theirs, ours in (
        ("osState", "OS state", "OS state"),
        ("osType", "OS type", "OS type generation"),
        ("hyperVGeneration", "Hypervisor generation", "Hypervisor generation"),
        ("architecture", "architecture", "architecture"),
    ):
        if key in found and found[key] != wanted.get(key):
            return _different(source, theirs, found[key], ours, str(wanted.get(key)))
    security, in_definition = found.get("securityType"), security_type_of(definition)
    if security is not None and not _same_security(security, in_definition or _STANDARD):
        return _different(source, "security type", security, "security type", in_definition or "null")
    plan, in_definition_plan = found.get("plan"), wanted.get("purchasePlan")
    if plan is not None and not _same_plan(plan, in_definition_plan):
        return _different(
            source,
            "plan",
            json.dumps(plan, separators=(",", ":")),
            "plan",
            json.dumps(in_definition_plan, separators=(",", ":")) if in_definition_plan else "null",
        )
    return None


def _facts(azure: LocalAzure, source: Resource) -> Json:
    """What is known of a source under the names that the definition has for it."""
    if source.type == _IMAGE:
        disk = source.properties["storageProfile"]["osDisk"]
        facts: Json = {
            "osState": disk["osState"],
            "osType": disk["osType"],
            "hyperVGeneration": source.properties.get("hyperVGeneration") or "V1",
            "architecture": source.hidden.get("architecture"),
            "securityType": _STANDARD,
        }
        return {key: value for key, value in facts.items() if value is not None}
    if source.type == _MACHINE:
        facts = {
            "osType": source.properties["storageProfile"]["osDisk"].get("osType"),
            "hyperVGeneration": source.hidden.get("generation") or "V1",
            "architecture": source.hidden.get("architecture"),
        }
        security = (source.properties.get("securityProfile") or {}).get("securityType")
        facts["securityType"] = security or _STANDARD
        if source.body.get("plan"):
            facts["plan"] = source.body["plan"]
        return {key: value for key, value in facts.items() if value is not None}
    parent = azure.store.get(source.id.rpartition("/versions/")[0])
    if parent is None:
        return {}
    keys = ("osState", "osType", "hyperVGeneration", "architecture")
    facts = {key: parent.properties[key] for key in keys}
    security = security_type_of(parent) or _STANDARD
    facts["securityType"] = _STANDARD if security.endswith("Supported") else security
    return facts


def _same_security(source: str, definition: str) -> bool:
    """A source without a guest state of its own fits definitions that leave the choice to machines."""
    return source == definition or (source == _STANDARD and definition.endswith("Supported"))


def _different(source: Resource, theirs: str, found: str, ours: str, wanted: str) -> ArmError:
    return ArmError(
        409,
        "Conflict",
        f"The resource with id '{source.id}' has a different {theirs} ['{found}'] than the parent gallery "
        f"image {ours} ['{wanted}'].",
    )


def _same_plan(plan: Json, other: Json | None) -> bool:
    if other is None:
        return False
    return all(
        str(plan.get(k)).lower() == str(other.get(k)).lower() for k in ("name", "publisher", "product")
    )


def _unusable(message: str) -> ArmError:
    return ArmError(
        400, "InvalidParameter", message, target="galleryArtifactVersion.properties.storageProfile"
    )
