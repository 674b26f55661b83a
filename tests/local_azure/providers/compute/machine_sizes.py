# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the name of a VM size says by Azure's naming convention, and what follows for images and disks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tests.local_azure.providers.compute.vm_sizes import VmSize, find_vm_size

_NAME = re.compile(
    r"^(?P<tier>Standard|Basic)_(?P<family>[A-Z]+)(?P<cores>\d+)(?:-\d+)?"
    r"(?P<features>[a-z]*)(?:_[A-Z][A-Za-z0-9]*)*(?:_v(?P<version>\d+))?(?:_Promo)?$"
)
# The B series' own letters are part of its family name (B2s, B2ms, B2ats_v2).
_PREMIUM_LETTERS = ("DS", "GS", "FS")
_TRUSTED_SINCE = 2
_ONLY_SECOND_GENERATION_SINCE = 6
_OLD_FAMILIES = ("A", "D", "G")


@dataclass(frozen=True)
class MachineSize:
    """A VM size. `cores` are vCPUs; `generations` those of the hypervisor that it boots."""

    name: str
    cores: int
    architecture: Literal["x64", "Arm64"]
    premium: bool
    generations: tuple[str, ...]
    confidential: bool
    trusted_launch: bool
    local_disk: bool
    ultra: bool
    #: Offered, but not to this subscription.
    restricted: bool = False
    controllers: tuple[str, ...] = ("SCSI",)


def size_of(name: str) -> MachineSize | None:
    """The size from the table of those offered, otherwise what its name says; None for no size's name."""
    listed = find_vm_size(name)
    return _from_table(listed) if listed else parse_size(name)


def _from_table(size: VmSize) -> MachineSize:
    series = size.series
    return MachineSize(
        name=size.name,
        cores=size.cores,
        architecture=series.architecture,
        premium=series.premium,
        generations=series.generations,
        confidential=series.confidential,
        trusted_launch=series.trusted_launch and "V2" in series.generations and not series.confidential,
        local_disk=series.ephemeral,
        ultra=series.ultra,
        restricted=series.restricted,
        controllers=series.controllers,
    )


def parse_size(name: str) -> MachineSize | None:
    """None for what is not the name of a size."""
    match = _NAME.match(name)
    if match is None:
        return None
    family, features = match["family"], match["features"]
    version = int(match["version"] or 1)
    arm = "p" in features
    premium = family in _PREMIUM_LETTERS or "s" in features
    confidential = family in ("DC", "EC") and version >= (5 if family == "EC" else 2)
    if match["tier"] == "Basic" or family == "A" or (not premium and family in _OLD_FAMILIES and version < 4):
        generations: tuple[str, ...] = ("V1",)
    elif arm or confidential or version >= _ONLY_SECOND_GENERATION_SINCE or name.endswith("_A100_v4"):
        generations = ("V2",)
    elif family == "DS" and version < _TRUSTED_SINCE:
        generations = ("V1",)
    else:
        generations = ("V1", "V2")
    modern = version >= (5 if family in ("D", "E") else 7)
    return MachineSize(
        name=name,
        cores=int(match["cores"]),
        architecture="Arm64" if arm else "x64",
        premium=premium,
        generations=generations,
        confidential=confidential,
        trusted_launch="V2" in generations and not arm and not confidential,
        local_disk="d" in features or not modern,
        ultra=premium and version >= 3,
        controllers=("NVMe",) if version >= _ONLY_SECOND_GENERATION_SINCE else ("SCSI",),
    )
