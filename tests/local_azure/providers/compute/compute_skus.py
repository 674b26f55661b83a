# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Microsoft.Compute/skus and locations/{region}/vmSizes: what may be made where, and what it can do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import invalid_value
from tests.local_azure.kinds import Verb, method_not_allowed
from tests.local_azure.locations import LOCATIONS, find_location
from tests.local_azure.providers.compute.vm_sizes import VmSize, vm_sizes
from tests.local_azure.providers.disks import disk_shapes
from tests.local_azure.providers.marketplace.marketplace_images import place_of
from tests.local_azure.store import Json

_FILTER = re.compile(r"\s*location\s+eq\s+'([^']*)'\s*", re.IGNORECASE)
# Regions without availability zones.
_ZONELESS = frozenset({"westus", "westcentralus", "northcentralus"})


def zones_of(location: str) -> list[str]:
    """The availability zones of a region, by its plain name; empty where it has none."""
    return [] if location in _ZONELESS else ["1", "2", "3"]


class ComputeSkus:
    def verbs(self) -> Mapping[str, Verb]:
        return {
            r"microsoft\.compute/skus": self._skus,
            r"microsoft\.compute/locations/[^/]+/vmsizes": self._sizes,
        }

    async def _skus(self, call: Call) -> Reply:
        if call.method != "GET":
            raise method_not_allowed(call)
        places = [place.name for place in LOCATIONS]
        wanted = call.query.get("$filter")
        if wanted:
            match = _FILTER.fullmatch(wanted)
            if match is None:
                raise invalid_value("$filter", "Only 'location eq' is supported in the filter of SKUs.")
            place = find_location(match[1])
            places = [place.name] if place else []
        return Reply(200, {"value": [entry for name in places for entry in _entries(name)]})

    async def _sizes(self, call: Call) -> Reply:
        if call.method != "GET":
            raise method_not_allowed(call)
        place_of(call, "locations/vmSizes")
        return Reply(200, {"value": [size.body() for size in vm_sizes().values()]})


def _entries(location: str) -> Iterator[Json]:
    for size in vm_sizes().values():
        yield _size(size, location)
    for sku in disk_shapes.SKUS:
        zonal = not sku.endswith("_ZRS")
        for tier, smallest, largest, facts in disk_shapes.size_tiers(sku):
            capabilities = {"MaxSizeGiB": largest, "MinSizeGiB": smallest, **facts}
            yield {
                "resourceType": "disks",
                "name": sku,
                "tier": disk_shapes.tier_of(sku),
                **({"size": tier} if tier else {}),
                **_places(location, zonal=zonal),
                "capabilities": _capabilities(capabilities),
                "restrictions": [],
            }
    for sku in disk_shapes.SNAPSHOT_SKUS:
        yield {
            "resourceType": "snapshots",
            "name": sku,
            "tier": disk_shapes.tier_of(sku),
            **_places(location, zonal=False),
            "restrictions": [],
        }


def _places(location: str, *, zonal: bool) -> Json:
    info: Json = {"location": location, "zones": zones_of(location) if zonal else []}
    if zonal:
        info["zoneDetails"] = []
    return {"locations": [location], "locationInfo": [info]}


def _capabilities(values: Mapping[str, object]) -> list[Json]:
    """Everything is text here: numbers as digits, and True or False."""
    return [{"name": name, "value": str(value)} for name, value in values.items()]


def _size(size: VmSize, location: str) -> Json:
    series = size.series
    memory = size.memory_mb / 1024
    capabilities: dict[str, object] = {
        "MaxResourceVolumeMB": size.resource_disk_mb,
        "OSVhdSizeMB": 1047552,
        "vCPUs": size.cores,
        "MemoryPreservingMaintenanceSupported": True,
        "HyperVGenerations": ",".join(series.generations),
    }
    if series.controllers != ("SCSI",):
        capabilities["DiskControllerTypes"] = ",".join(series.controllers)
    capabilities |= {
        "MemoryGB": int(memory) if memory == int(memory) else memory,
        "MaxDataDiskCount": size.data_disks,
        "CpuArchitectureType": series.architecture,
        "LowPriorityCapable": True,
        "PremiumIO": series.premium,
        "VMDeploymentTypes": "IaaS",
        "vCPUsAvailable": size.cores,
        "vCPUsPerCore": 1 if size.cores == 1 else 2,
        "EphemeralOSDiskSupported": series.ephemeral,
        "EncryptionAtHostSupported": series.premium,
        "CapacityReservationSupported": False,
        "AcceleratedNetworkingEnabled": series.accelerated,
        "RdmaEnabled": False,
        "MaxNetworkInterfaces": max(2, min(size.cores, 8)),
    }
    if series.hibernation:
        capabilities["HibernationSupported"] = True
    if not series.trusted_launch:
        capabilities["TrustedLaunchDisabled"] = True
    if series.confidential:
        capabilities["ConfidentialComputingType"] = "SNP"
    places = _places(location, zonal=True)
    zones = zones_of(location)
    if series.ultra and zones:
        ultra = _capabilities({"UltraSSDAvailable": True})
        places["locationInfo"][0]["zoneDetails"] = [{"Name": zones, "capabilities": ultra}]
    return {
        "resourceType": "virtualMachines",
        "name": size.name,
        "tier": "Standard",
        "size": size.name.removeprefix("Standard_"),
        "family": series.family,
        **places,
        "capabilities": _capabilities(capabilities),
        "restrictions": _restrictions(location, zones) if series.restricted else [],
    }


def _restrictions(location: str, zones: list[str]) -> list[Json]:
    """For a size the subscription may not use: in the region, and in each of its zones."""
    info: Json = {"locations": [location]}
    both = [("Location", info)] + ([("Zone", {**info, "zones": zones})] if zones else [])
    return [
        {
            "type": kind,
            "values": [location],
            "restrictionInfo": restricted,
            "reasonCode": "NotAvailableForSubscription",
        }
        for kind, restricted in both
    ]
