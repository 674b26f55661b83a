# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What is to be made of a source, as far as the compatibility rules need to know it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import (
    controllers_of,
    feature_values,
    plan_of,
    security_type_of,
)

MANAGED_IMAGE = "managed_image"
GALLERY_VERSION = "gallery_version"
VIRTUAL_MACHINE = "virtual_machine"
MANAGED_DISK = "managed_disk"
VHD_BLOB = "vhd_blob"
TARGETS = (MANAGED_IMAGE, GALLERY_VERSION, VIRTUAL_MACHINE, MANAGED_DISK, VHD_BLOB)


@dataclass(frozen=True)
class MachineSize:
    """What a VM size can do; None: not known. `zones` are those of the region where it is offered."""

    name: str
    generations: Sequence[str] | None = None
    architecture: str | None = None
    disk_controllers: Sequence[str] | None = None
    trusted_launch: bool | None = None
    confidential: bool | None = None
    zones: Sequence[str] | None = None
    restricted: bool = False


@dataclass(frozen=True)
class TargetFacts:
    """A target as it is wanted. None stands for "not said": it then goes by the source.

    Of a gallery version, the properties are those of its image definition: `security_type` is the feature,
    `plan` the purchase plan, {} for none, `regions` those it is replicated to. Of a machine, `plan` is the
    one that the request has, and `with_login` says whether it names an administrator. `encryption` is how
    the disks are encrypted: platform, customer, double, or one of Azure's for confidential machines.
    """

    kind: str
    name: str = "the target"
    subscription: str | None = None
    location: str | None = None
    regions: Sequence[str] | None = None
    zone: str | None = None
    os_type: str | None = None
    os_state: str | None = None
    generation: str | None = None
    architecture: str | None = None
    security_type: str | None = None
    disk_controllers: Sequence[str] | None = None
    plan: Mapping[str, str] | None = None
    encryption: str | None = None
    size: MachineSize | None = None
    os_disk_size_gb: int | None = None
    replication_mode: str | None = None
    with_login: bool | None = None


def definition_target(
    definition: Mapping[str, Any],
    *,
    location: str | None = None,
    regions: Sequence[str] | None = None,
    replication_mode: str | None = None,
    encryption: str | None = None,
    subscription: str | None = None,
) -> TargetFacts:
    """A version to be made of an image definition, which is in wire shape.

    :param location: region of the version itself, where its source has to be
    :param regions: those it is replicated to
    """
    properties = definition.get("properties") or {}
    features = feature_values(properties.get("features"))
    return TargetFacts(
        kind=GALLERY_VERSION,
        name=f"definition {definition.get('name', '')}".rstrip(),
        subscription=subscription,
        location=normalize_location(location) if location else None,
        regions=tuple(map(normalize_location, regions)) if regions is not None else None,
        os_type=properties.get("osType"),
        os_state=properties.get("osState"),
        generation=properties.get("hyperVGeneration") or "V1",
        architecture=properties.get("architecture") or "x64",
        security_type=security_type_of(features),
        disk_controllers=controllers_of(features),
        plan=plan_of(properties.get("purchasePlan")),
        replication_mode=replication_mode,
        encryption=encryption,
    )
