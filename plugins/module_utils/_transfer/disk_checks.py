# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What Azure would refuse of a managed disk's settings, asked before anything is created."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    NotFound,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_SKUS_API = "2021-07-01"
_ENCRYPTION_SETS_API = "2024-03-02"
_CONFIDENTIAL = "ConfidentialVmEncryptedWithCustomerKey"
_CUSTOMER_KEY = "EncryptionAtRestWithCustomerKey"


def check_sku_and_zone(session: AzureSession, location: str, sku: str, zone: str | None) -> None:
    """Refuse a kind of disk that the region, or its zone, does not offer to this subscription.

    An identity that may not list what a subscription is offered is left to what Azure says later.
    """
    path = f"/subscriptions/{session.subscription_id}/providers/Microsoft.Compute/skus"
    try:
        answer = session.arm.get(path, _SKUS_API, **{"$filter": f"location eq '{location}'"})
    except AzureError as error:
        if error.status == 403:
            return
        raise
    offered = [item for item in (answer or {}).get("value", []) if item.get("resourceType") == "disks"]
    if not offered:
        return
    same = [item for item in offered if item.get("name") == sku and not _restricted(item, location)]
    if not same:
        names = sorted({str(item["name"]) for item in offered if not _restricted(item, location)})
        raise InvalidInput(
            f"sku: region {location} has no disks of type {sku} for this subscription.",
            remedy=f"It has {', '.join(names)}.",
        )
    zones = sorted({number for item in same for number in _zones(item, location)})
    if zone is not None and zone not in zones:
        raise InvalidInput(
            f"zone: region {location} has no disks of type {sku} in zone {zone}.",
            remedy=f"It has them in {', '.join(zones)}." if zones else "Leave zone out.",
        )


def _restricted(item: Mapping[str, Any], location: str) -> bool:
    return any(
        restriction.get("type") == "Location"
        and location in {normalize_location(value) for value in restriction.get("values") or []}
        for restriction in item.get("restrictions") or []
    )


def _zones(item: Mapping[str, Any], location: str) -> Iterator[str]:
    closed = {
        str(number)
        for restriction in item.get("restrictions") or []
        if restriction.get("type") == "Zone"
        for number in (restriction.get("restrictionInfo") or {}).get("zones") or []
    }
    for info in item.get("locationInfo") or []:
        if normalize_location(info.get("location", "")) == location:
            yield from (str(number) for number in info.get("zones") or [] if str(number) not in closed)


def encryption_type(session: AzureSession, set_id: str, location: str) -> str:
    """The encryption type of disks that this disk encryption set encrypts.

    A set that is missing, is in another region or is for confidential VMs alone raises InvalidInput.
    """
    name = set_id.rstrip("/").rpartition("/")[2]
    found = session.arm.get(set_id, _ENCRYPTION_SETS_API)
    if found is None:
        raise NotFound(
            f"disk_encryption_set: there is no disk encryption set {name} at {set_id}.",
            code="ResourceNotFound",
            remedy="Create it first, or correct its id.",
        )
    where = normalize_location(found["location"])
    if where != location:
        raise InvalidInput(
            f"disk_encryption_set: {name} is in {where}, but the disk is to be in {location}.",
            remedy="Use a disk encryption set of the disk's region.",
        )
    kind = str((found.get("properties") or {}).get("encryptionType") or _CUSTOMER_KEY)
    if kind == _CONFIDENTIAL:
        raise InvalidInput(
            f"disk_encryption_set: {name} encrypts disks of confidential VMs alone, which cannot be uploaded"
            " without the state of such a VM.",
            remedy="Use a disk encryption set of another encryption type.",
        )
    return kind
