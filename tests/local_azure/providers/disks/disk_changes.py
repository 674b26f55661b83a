# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What may be changed of a disk or snapshot that is there, and when."""

from __future__ import annotations

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.vhd import whole_gib
from tests.local_azure.errors import invalid_value, not_allowed, property_change
from tests.local_azure.providers.disks import disk_rules
from tests.local_azure.providers.disks.disk_access import active_access
from tests.local_azure.providers.disks.disk_sources import named_source
from tests.local_azure.store import Json, Resource

_CREATION = ("createOption", "sourceResourceId", "sourceUri", "uploadSizeBytes")
# A disk that grows past this size cannot be in use.
_ONLINE_LIMIT_GB = 4096


def check_unchanged(resource: Resource, body: Json, properties: Json) -> None:
    """Where a disk came from, its generation and its zones are for life."""
    creation = properties.get("creationData") or {}
    if not isinstance(creation, dict):
        raise invalid_value("creationData")
    if "sourceResourceId" in resource.properties["creationData"] and named_source(creation) is not None:
        creation = {**creation, "sourceResourceId": named_source(creation), "sourceUri": None}
    for key in _CREATION:
        old = resource.properties["creationData"].get(key)
        # Ids are the same in any case.
        if creation.get(key) is not None and str(creation[key]).lower() != str(old).lower():
            raise property_change(f"creationData.{key}")
    for key in ("hyperVGeneration", "incremental"):
        old = resource.properties.get(key)
        if properties.get(key) is not None and old is not None and properties[key] != old:
            raise property_change(key)
    disk_rules.check_same_zones(resource.name, resource.body.get("zones"), body)


def tier_change(resource: Resource, given: Json) -> str | None:
    """The tier asked for, unless it only repeats what is shown: a client may send back what it read."""
    tier = given.get("tier")
    return None if tier == resource.properties.get("tier") else tier


def check_sku_change(azure: LocalAzure, resource: Resource, sku: str, parameter: str) -> None:
    old = resource.body["sku"]["name"]
    if sku == old:
        return
    if "UltraSSD" in old + sku or old.endswith("_ZRS") != sku.endswith("_ZRS"):
        raise not_allowed(
            f"Changing the account type of {parameter} {resource.name} from {old} to {sku} is not permitted."
        )
    owner = _running_owner(azure, resource)
    if owner is not None:
        raise not_allowed(
            f"Cannot change the account type of disk {resource.name} while it is attached to running VM "
            f"{owner.id}. Please stop your VM and retry the operation."
        )


def _running_owner(azure: LocalAzure, resource: Resource) -> Resource | None:
    owner = azure.store.get(resource.body.get("managedBy", ""))
    return owner if owner is not None and owner.hidden.get("power") != "deallocated" else None


def check_growth(azure: LocalAzure, resource: Resource, wanted: int) -> None:
    """`wanted` in GiB. Data disks grow while in use, within limits; disks of an operating system do not."""
    size = resource.hidden.get("size")
    if size is None or wanted <= whole_gib(size):
        return
    owner = _running_owner(azure, resource)
    crosses = whole_gib(size) <= _ONLINE_LIMIT_GB < wanted
    if owner is not None and (crosses or resource.properties.get("osType")):
        raise not_allowed(
            f"Cannot resize disk {resource.name} while it is attached to running VM {owner.id}. Resizing a "
            "disk of an Azure Virtual Machine requires the virtual machine to be deallocated. Please stop "
            "your VM and retry the operation."
        )
    if resource.hidden.get("access"):
        raise active_access(resource)


def check_network_change(azure: LocalAzure, resource: Resource, given: Json) -> None:
    """Checks what a request says of the networks; a disk access goes with the policy that needed it."""
    if "networkAccessPolicy" not in given and "diskAccessId" not in given:
        return
    merged = {**resource.properties, **given}
    if "diskAccessId" not in given and given["networkAccessPolicy"] != "AllowPrivate":
        merged.pop("diskAccessId", None)
    disk_rules.check_network(azure, merged)
    if "diskAccessId" not in merged:
        resource.properties.pop("diskAccessId", None)
