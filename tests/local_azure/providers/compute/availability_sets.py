# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Availability sets: machines that are never down at the same time. Nothing is placed by them here.

What is answered is as recorded with azure-mgmt-compute 4.6.2, 12.0.0 and 20.0.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.azure import LocalAzure
from tests.local_azure.body_types import Shape, word
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import ArmError, invalid_value, not_allowed, property_change
from tests.local_azure.kinds import Verb
from tests.local_azure.providers.compute.companion_kinds import (
    CompanionKind,
    given_properties,
    reference_in,
    referring,
)
from tests.local_azure.providers.compute.proximity_groups import (
    check_same_proximity_group,
    require_proximity_group,
)
from tests.local_azure.providers.compute.usage import AVAILABILITY_SET, VIRTUAL_MACHINE
from tests.local_azure.providers.compute.vm_sizes import vm_sizes
from tests.local_azure.store import Json, Resource

_KEPT = ("proximityPlacementGroup", "scheduledEventsPolicy")
_MEMBER = ("availabilitySet", "id")
_UPDATE_DOMAINS = 20
# A classic set may always have three; of managed disks' there are three in these regions.
_FAULT_DOMAINS = 3
_THREE_MANAGED = frozenset(
    {"canadacentral", "centralus", "eastus", "eastus2", "northcentralus", "northeurope"}
    | {"southcentralus", "westeurope", "westus"}
)
_SHAPE: Mapping[str, Shape] = {
    "sku": {"name": str},
    "properties": {
        "platformUpdateDomainCount": int,
        "platformFaultDomainCount": int,
        "proximityPlacementGroup": {"id": str},
        "scheduledEventsPolicy": dict,
    },
}


class AvailabilitySets(CompanionKind):
    type = AVAILABILITY_SET
    created_status = 200
    envelope = ("sku",)
    shape = _SHAPE

    def verbs(self) -> Mapping[str, Verb]:
        return {"get vmsizes": self._sizes}

    def render(self, resource: Resource, call: Call) -> Json:
        """Who is in it, stands in what is read, not in the answers to changes."""
        if call.method != "GET":
            return resource.body
        machines = referring(self.azure, VIRTUAL_MACHINE, _MEMBER, resource.id)
        members = [{"id": shouted(machine.id)} for machine in machines]
        return {**resource.body, "properties": {**resource.properties, "virtualMachines": members}}

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        del call
        given = properties_of(body)
        place = existing.location if existing else body["location"]
        sku = (body.get("sku") or {}).get("name") or (existing.body["sku"]["name"] if existing else "Classic")
        body["sku"] = {"name": word(sku, ("Classic", "Aligned"), "sku.name")}
        aligned = body["sku"]["name"] == "Aligned"
        most = _FAULT_DOMAINS if not aligned or place in _THREE_MANAGED else 2
        if existing is not None:
            self._check_change(existing, given, aligned=aligned)
        present = existing.properties if existing else {}
        counts: Json = {"platformUpdateDomainCount": 5, "platformFaultDomainCount": most}
        counts = {name: given.get(name, present.get(name, usual)) for name, usual in counts.items()}
        require_proximity_group(self.azure, given, place)
        _check_range("update", "platformUpdateDomainCount", counts, _UPDATE_DOMAINS)
        _check_range("fault", "platformFaultDomainCount", counts, most)
        return {
            **counts,
            **given_properties(body, existing, _KEPT),
        }

    def _check_change(self, existing: Resource, given: Json, *, aligned: bool) -> None:
        was_aligned = existing.body["sku"]["name"] == "Aligned"
        if was_aligned and not aligned:
            raise property_change("sku.name")
        members = any(referring(self.azure, VIRTUAL_MACHINE, _MEMBER, existing.id))
        for name in ("platformUpdateDomainCount", "platformFaultDomainCount"):
            # A set that becomes a managed one may have to lose a fault domain.
            if given.get(name, existing.properties[name]) != existing.properties[name] and (
                members or aligned == was_aligned
            ):
                raise property_change(name)

    def in_use(self, resource: Resource) -> ArmError | None:
        if any(referring(self.azure, VIRTUAL_MACHINE, _MEMBER, resource.id)):
            return not_allowed(
                f"Availability Set {resource.name} cannot be deleted. Before deleting an Availability Set "
                "please ensure that it does not contain any VM."
            )
        return None

    async def _sizes(self, call: Call) -> Reply:
        self.require(call)
        offered = [size.body() for size in vm_sizes().values() if not size.series.restricted]
        return Reply(200, {"value": offered})


def join_availability_set(azure: LocalAzure, machine: Resource, body: Json, *, managed: bool) -> Json | None:
    """The reference as a new machine shows it; raises where the machine does not go with the set.

    `managed`: its disks are managed ones.
    """
    given = properties_of(body)
    require_proximity_group(azure, given, machine.location)
    wanted = reference_in(given, "availabilitySet")
    if wanted is None:
        return None
    found = azure.store.get(wanted)
    if found is None or found.type != AVAILABILITY_SET:
        raise ArmError(404, "NotFound", f"The Availability Set '{wanted}' cannot be found.")
    if found.location != machine.location:
        raise invalid_value(
            "availabilitySet.id",
            f"The Availability Set '{wanted}' is in '{found.location}', not in '{machine.location}'.",
        )
    if body.get("zones"):
        raise ArmError(
            400,
            "BadRequest",
            "Virtual Machine cannot be created because both Availability Zone and Availability Set were "
            "specified. Deploying an Availability Set to an Availability Zone isn\u2019t supported.",
        )
    if given.get("priority") in ("Spot", "Low"):
        raise not_allowed("Azure Spot Virtual Machine is not supported in Availability Set.")
    if managed != (found.body["sku"]["name"] == "Aligned"):
        raise ArmError(
            409,
            "OperationNotAllowed",
            "Addition of a VM with managed disks to non-managed Availability Set or addition of a VM with "
            "blob based disks to managed Availability Set is not supported. Please create an Availability "
            "Set with 'Aligned' SKU in order to add a VM with managed disks to it.",
            target=machine.name,
        )
    check_same_proximity_group(given, found)
    return {"id": shouted(found.id)}


def shouted(resource_id: str) -> str:
    """The id as machines and sets write one another's: the names of group and resource in capitals."""
    parts = resource_id.split("/")
    parts[4], parts[-1] = parts[4].upper(), parts[-1].upper()
    return "/".join(parts)


def _check_range(called: str, name: str, counts: Mapping[str, int], most: int) -> None:
    if not 1 <= counts[name] <= most:
        raise invalid_value(
            name, f"The specified {called} domain count {counts[name]} must fall in the range 1 to {most}."
        )
