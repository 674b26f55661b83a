# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""How much of its quota a subscription uses in a region: cores, machines, disks, snapshots.

Cores count for every machine there is, running or deallocated.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError, not_allowed
from tests.local_azure.kinds import Verb, method_not_allowed
from tests.local_azure.providers.compute.machine_sizes import parse_size
from tests.local_azure.providers.compute.vm_sizes import find_vm_size, vm_sizes
from tests.local_azure.providers.disks.disk_sources import DISK, SNAPSHOT
from tests.local_azure.providers.marketplace.marketplace_images import place_of
from tests.local_azure.store import Resource

VIRTUAL_MACHINE = "Microsoft.Compute/virtualMachines"
AVAILABILITY_SET = "Microsoft.Compute/availabilitySets"
CORES, MACHINES, SETS = "cores", "virtualMachines", "availabilitySets"
_STORED = "/hidden/quota"


class Quota(NamedTuple):
    name: str
    localized: str
    #: As a refusal calls it.
    called: str
    limit: int


def _disk_quota(sku: str) -> str:
    kind, _unused, redundancy = sku.partition("_")
    return f"{kind}{redundancy if redundancy == 'ZRS' else ''}DiskCount"


_DISK_SKUS = ("Premium", "StandardSSD", "Standard", "UltraSSD", "PremiumV2", "PremiumZRS", "StandardSSDZRS")
_SNAPSHOTS = {"Standard_LRS": "StandardSnapshotCount", "Premium_LRS": "PremiumSnapshotCount"}


def quotas() -> Mapping[str, Quota]:
    """All that is counted, by name, in the order of the list."""
    found = [
        Quota(SETS, "Availability Sets", "Availability Sets", 2500),
        Quota(CORES, "Total Regional vCPUs", "Total Regional Cores", 100),
        Quota(MACHINES, "Virtual Machines", "Virtual Machines", 25000),
        Quota("virtualMachineScaleSets", "Virtual Machine Scale Sets", "Virtual Machine Scale Sets", 2500),
        Quota("lowPriorityCores", "Total Regional Low-priority vCPUs", "LowPriorityCores", 100),
    ]
    for family in dict.fromkeys(size.series.family for size in vm_sizes().values()):
        words = family.removeprefix("standard").removeprefix("Standard").removesuffix("Family")
        found.append(Quota(family, f"Standard {words} Family vCPUs", f"{family} Cores", 100))
    found += [
        Quota(f"{kind}DiskCount", f"{kind} Storage Managed Disks", f"{kind}DiskCount", 50000)
        for kind in _DISK_SKUS
    ]
    for name in (*_SNAPSHOTS.values(), "ZRSSnapshotCount"):
        found.append(Quota(name, name.removesuffix("SnapshotCount") + " Storage Snapshots", name, 50000))
    return {quota.name: quota for quota in found}


def _cores(vm_size: str) -> dict[str, int]:
    """In the region, and of the family where it is one of the listed ones."""
    size = find_vm_size(vm_size)
    if size is not None:
        return {CORES: size.cores, size.series.family: size.cores}
    parsed = parse_size(vm_size)
    return {CORES: parsed.cores} if parsed else {}


def _counted(resource: Resource) -> dict[str, int]:
    if resource.type == VIRTUAL_MACHINE:
        return {MACHINES: 1, **_cores(str((resource.properties.get("hardwareProfile") or {}).get("vmSize")))}
    if resource.type == AVAILABILITY_SET:
        return {SETS: 1}
    sku = str((resource.body.get("sku") or {}).get("name", ""))
    if resource.type == DISK:
        return {_disk_quota(sku): 1}
    return {_SNAPSHOTS.get(sku, "ZRSSnapshotCount"): 1}


def used(
    azure: LocalAzure,
    subscription: str,
    location: str,
    types: Sequence[str] = (VIRTUAL_MACHINE, AVAILABILITY_SET, DISK, SNAPSHOT),
) -> Counter[str]:
    """What the subscription has of these types in the region, by the names of `quotas`."""
    count: Counter[str] = Counter()
    for resource_type in types:
        for resource in azure.store.of_type(resource_type, None, subscription):
            if resource.location == location:
                count.update(_counted(resource))
    return count


def limit_of(azure: LocalAzure, subscription: str, location: str, quota: Quota) -> int:
    stored = azure.store.get(_STORED)
    limits = stored.hidden if stored else {}
    return int(limits.get(_key(subscription, location, quota.name), quota.limit))


def set_limit(azure: LocalAzure, subscription: str, location: str, name: str, limit: int) -> None:
    """Changes what a subscription may have in a region; KeyError for a quota that is not in `quotas`."""
    quota = quotas()[name]
    stored = azure.store.get(_STORED) or Resource(_STORED, "hidden", "", "quota", {}, {})
    stored.hidden[_key(subscription, location, quota.name)] = limit
    azure.store.put(stored)


def _key(subscription: str, location: str, name: str) -> str:
    return f"{subscription.lower()}/{location}/{name.lower()}"


def check_quota(
    azure: LocalAzure, subscription: str, location: str, vm_size: str, *, instead_of: str | None = None
) -> None:
    """Whether one more machine of that size may be made in the region; 409 OperationNotAllowed if not.

    `instead_of` is the size the machine has so far, when it only changes size.
    """
    wanted: Counter[str] = Counter(_cores(vm_size))
    if instead_of is None:
        wanted[MACHINES] = 1
    else:
        wanted.subtract(_cores(instead_of))
    _check(azure, subscription, location, wanted, VIRTUAL_MACHINE)


def check_disk_quota(azure: LocalAzure, disk: Resource) -> None:
    """Whether one more disk or snapshot like `disk`, which is not stored yet, may be made in its region."""
    wanted = Counter(_counted(disk))
    limit = limit_of(azure, disk.subscription, disk.location, quotas()[next(iter(wanted))])
    # Looking into each of them costs time, and is needed only where there are many.
    if azure.store.count_of_type(disk.type, disk.subscription) >= limit:
        _check(azure, disk.subscription, disk.location, wanted, disk.type)


def _check(
    azure: LocalAzure, subscription: str, location: str, wanted: Counter[str], resource_type: str
) -> None:
    present = used(azure, subscription, location, (resource_type,))
    for name, additional in wanted.items():
        quota = quotas()[name]
        limit = limit_of(azure, subscription, location, quota)
        if additional > 0 and present[name] + additional > limit:
            raise _exceeded(quota, subscription, location, (limit, present[name], additional))


def _exceeded(quota: Quota, subscription: str, location: str, numbers: tuple[int, int, int]) -> ArmError:
    limit, present, additional = numbers
    needed = present + additional
    properties = {"limit": needed, "unit": "Count", "name": {"value": quota.name}}
    request = {
        "subscriptionId": subscription,
        "command": "openQuotaApprovalBlade",
        "quotas": [
            {
                "location": location,
                "providerId": "Microsoft.Compute",
                "resourceName": quota.name,
                "quotaRequest": {"properties": properties},
            }
        ],
    }
    encoded = quote(json.dumps(request, separators=(",", ":")), safe=":,[]")
    return not_allowed(
        f"Operation could not be completed as it results in exceeding approved {quota.called} quota. "
        f"Additional details - Deployment Model: Resource Manager, Location: {location}, Current Limit: "
        f"{limit}, Current Usage: {present}, Additional Required: {additional}, (Minimum) New Limit "
        f"Required: {needed}. Submit a request for Quota increase at https://aka.ms/ProdportalCRP/#blade/"
        f"Microsoft_Azure_Capacity/UsageAndQuota.ReactView/Parameters/{encoded} by specifying parameters "
        "listed in the \u2018Details\u2019 section for deployment to succeed. Please read more about quota "
        "limits at https://docs.microsoft.com/en-us/azure/azure-supportability/regional-quota-requests"
    )


class Usage:
    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure

    def verbs(self) -> Mapping[str, Verb]:
        return {r"microsoft\.compute/locations/[^/]+/usages": self._usages}

    async def _usages(self, call: Call) -> Reply:
        if call.method != "GET":
            raise method_not_allowed(call)
        place = place_of(call, "locations/usages")
        present = used(self._azure, call.subscription, place)
        value = [
            {
                "limit": limit_of(self._azure, call.subscription, place, quota),
                "unit": "Count",
                "currentValue": present[quota.name],
                "name": {"value": quota.name, "localizedValue": quota.localized},
            }
            for quota in quotas().values()
        ]
        return Reply(200, {"value": value})
