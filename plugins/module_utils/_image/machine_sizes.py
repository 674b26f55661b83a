# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a VM size can do in a region. Source: Resource Skus - List, of Azure's REST reference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import SCSI
from ansible_collections.goldenimage.azure.plugins.module_utils._image.target_facts import MachineSize

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_API = "2021-07-01"
_NAME = re.compile(r"(?:Standard|Basic)_[A-Z]+\d+(?:-\d+)?(?P<features>[a-z]*)(?:_\w+)?")


def architecture_of_size(name: str) -> str | None:
    """The processors that the letters in a size's name tell of: a p in front of _v5 stands for Arm64.

    Source: "Azure virtual machine sizes naming conventions". None for what is no such name.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    return "Arm64" if "p" in found["features"] else "x64"


def find_size(session: AzureSession, name: str, location: str) -> MachineSize:
    """The size as it is offered in the region. Raises InvalidInput when it is not."""
    path = f"/subscriptions/{session.subscription_id}/providers/Microsoft.Compute/skus"
    listed = session.arm.list(path, _API, **{"$filter": f"location eq '{location}'"})
    found = next((each for each in listed if _is(each, name)), None)
    if found is None:
        raise InvalidInput(
            f"size: there is no VM size {name} in {location}.",
            remedy=f"List them with: az vm list-sizes --location {location}",
        )
    return size_of(found, location)


def _is(sku: Mapping[str, Any], name: str) -> bool:
    return sku.get("resourceType") == "virtualMachines" and str(sku["name"]).casefold() == name.casefold()


def size_of(sku: Mapping[str, Any], location: str) -> MachineSize:
    """A size in wire shape, as the compatibility rules see it."""
    able = {str(each["name"]): str(each["value"]) for each in sku.get("capabilities") or []}
    here = [
        each
        for each in sku.get("locationInfo") or []
        if normalize_location(str(each.get("location", ""))) == location
    ]
    barred = list(_barred_zones(sku.get("restrictions") or []))
    zones = [zone for each in here for zone in each.get("zones") or [] if zone not in barred]
    generations = tuple(_listed(able.get("HyperVGenerations"))) or ("V1",)
    confidential = bool(able.get("ConfidentialComputingType"))
    trusted = "V2" in generations and able.get("TrustedLaunchDisabled", "").casefold() != "true"
    return MachineSize(
        name=str(sku["name"]),
        generations=generations,
        architecture=able.get("CpuArchitectureType"),
        disk_controllers=tuple(_listed(able.get("DiskControllerTypes"))) or (SCSI,),
        trusted_launch=trusted and not confidential,
        confidential=confidential,
        zones=tuple(sorted(zones)),
        restricted=any(each.get("type") == "Location" for each in sku.get("restrictions") or []),
    )


def _barred_zones(restrictions: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for each in restrictions:
        if each.get("type") == "Zone":
            yield from (each.get("restrictionInfo") or {}).get("zones") or []


def _listed(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
