# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Proximity placement groups: machines that are to be close together. Nothing is placed by them here.

What is answered is as recorded with azure-mgmt-compute 12.0.0 and 20.0.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.azure import LocalAzure
from tests.local_azure.body_types import Shape, word
from tests.local_azure.call import Call
from tests.local_azure.errors import ArmError, invalid_value, not_allowed, property_change
from tests.local_azure.providers.compute.companion_kinds import (
    CompanionKind,
    given_properties,
    reference_in,
    referring,
)
from tests.local_azure.store import Json, Resource

PROXIMITY_GROUP = "Microsoft.Compute/proximityPlacementGroups"
_MEMBER = ("proximityPlacementGroup", "id")
_MEMBER_LISTS = {
    "virtualMachines": "Microsoft.Compute/virtualMachines",
    "virtualMachineScaleSets": "Microsoft.Compute/virtualMachineScaleSets",
    "availabilitySets": "Microsoft.Compute/availabilitySets",
}
_SHAPE: Mapping[str, Shape] = {
    "properties": {"proximityPlacementGroupType": str, "intent": {"vmSizes": [str]}}
}


class ProximityGroups(CompanionKind):
    type = PROXIMITY_GROUP
    envelope = ("zones",)
    shape = _SHAPE

    def render(self, resource: Resource, call: Call) -> Json:
        """Who is in it, stands in what is read, not in the answers to changes."""
        if call.method != "GET":
            return resource.body
        aligned = {"code": "Aligned", "level": "Info", "displayStatus": "Aligned"}
        told = call.query.get("includeColocationStatus", "").lower() == "true"
        colocation = {"colocationStatus": aligned} if told else {}
        lists = {}
        for name, kind in _MEMBER_LISTS.items():
            members = referring(self.azure, kind, _MEMBER, resource.id)
            lists[name] = [{"id": member.id, **colocation} for member in members]
        return {**resource.body, "properties": {**resource.properties, **lists, **colocation}}

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        del call
        kept = given_properties(body, existing, ("proximityPlacementGroupType", "intent"))
        kind = word(
            kept.get("proximityPlacementGroupType", "Standard"),
            ("Standard", "Ultra"),
            "proximityPlacementGroupType",
        )
        if existing is not None and kind != existing.properties["proximityPlacementGroupType"]:
            raise property_change("proximityPlacementGroupType")
        if body.get("zones") and not kept.get("intent"):
            raise invalid_value("zones", "A zone may only be given together with intended sizes.")
        return {**kept, "proximityPlacementGroupType": kind}

    def in_use(self, resource: Resource) -> ArmError | None:
        kinds = _MEMBER_LISTS.values()
        if any(any(referring(self.azure, kind, _MEMBER, resource.id)) for kind in kinds):
            return not_allowed(
                f"Proximity Placement Group {resource.name} cannot be deleted. Before deleting a Proximity "
                "Placement Group please ensure that it does not contain any resource."
            )
        return None


def require_proximity_group(azure: LocalAzure, given: Json, location: str) -> None:
    """Raises where properties name a proximity placement group that is missing or in another region."""
    wanted = reference_in(given, "proximityPlacementGroup")
    if wanted is None:
        return
    found = azure.store.get(wanted)
    if found is None or found.type != PROXIMITY_GROUP:
        raise ArmError(404, "NotFound", f"The Proximity Placement Group '{wanted}' cannot be found.")
    if found.location != location:
        raise invalid_value(
            "proximityPlacementGroup.id",
            f"The Proximity Placement Group '{wanted}' is in '{found.location}', not in '{location}'.",
        )


def check_same_proximity_group(given: Json, availability_set: Resource) -> None:
    """A machine is in the proximity placement group of its availability set."""
    own = (reference_in(given, "proximityPlacementGroup") or "").lower()
    its = (reference_in(availability_set.properties, "proximityPlacementGroup") or "").lower()
    if own != its:
        raise not_allowed(
            "The proximity placement group of a VM has to be that of its availability set "
            f"{availability_set.name}."
        )
