# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""How a version is published: its regions with their replicas and keys, its end of life, its protection.

Source: Gallery Image Versions - Create Or Update of Azure's REST reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import check_replicas, future

SHALLOW = "Shallow"
_COMMON = {
    "replicas": "replicaCount",
    "storage_account_type": "storageAccountType",
    "exclude_from_latest": "excludeFromLatest",
    "end_of_life": "endOfLifeDate",
}
_SAFETY = {
    "block_deletion_before_end_of_life": "blockDeletionBeforeEndOfLife",
    "allow_deletion_of_replicated_locations": "allowDeletionOfReplicatedLocations",
}


def said(wire: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is left to Azure."""
    return {name: value for name, value in wire.items() if value is not None}


@dataclass(frozen=True)
class Region:
    """One region of a gallery version; None stands for the version's own setting.

    `disk_encryption_set` is for all disks that have none of their own in `os_disk_encryption_set` and
    `data_disk_encryption_sets` (by LUN). `confidential_encryption` is one of Azure's types for confidential
    machines, `confidential_disk_encryption_set` its key.
    """

    name: str
    replicas: int | None = None
    storage_account_type: str | None = None
    exclude_from_latest: bool | None = None
    disk_encryption_set: str | None = None
    os_disk_encryption_set: str | None = None
    data_disk_encryption_sets: tuple[tuple[int, str], ...] = ()
    confidential_encryption: str | None = None
    confidential_disk_encryption_set: str | None = None

    @classmethod
    def from_options(cls, option: str, given: Mapping[str, Any]) -> Region:
        """Read one of the option `regions`."""
        check_replicas(f"{option}.replicas", given.get("replicas"))
        values = {name: value for name, value in given.items() if value not in (None, "", [])}
        sets = values.pop("data_disk_encryption_sets", ())
        by_lun = tuple((int(each["lun"]), str(each["disk_encryption_set"])) for each in sets)
        repeated = [lun for lun, count in Counter(lun for lun, _set in by_lun).items() if count > 1]
        if repeated:
            raise InvalidInput(
                f"{option}.data_disk_encryption_sets: LUN {repeated[0]} is given more than once."
            )
        name = normalize_location(str(values.pop("name")))
        region = cls(name, data_disk_encryption_sets=by_lun, **values)
        if region.confidential_disk_encryption_set and region.confidential_encryption != "EncryptedWithCmk":
            raise InvalidInput(
                f"{option}.confidential_disk_encryption_set: it belongs to confidential_encryption"
                " EncryptedWithCmk alone."
            )
        return region

    def body(self, luns: Sequence[int]) -> dict[str, Any]:
        """As one of a version's targetRegions; `luns` of its data disks."""
        wire = {
            "name": self.name,
            "regionalReplicaCount": self.replicas,
            "storageAccountType": self.storage_account_type,
            "excludeFromLatest": self.exclude_from_latest,
            "encryption": self._encryption(luns) or None,
        }
        return said(wire)

    def _encryption(self, luns: Sequence[int]) -> dict[str, Any]:
        wire: dict[str, Any] = {}
        system: dict[str, Any] = said(
            {"diskEncryptionSetId": self.os_disk_encryption_set or self.disk_encryption_set}
        )
        if self.confidential_encryption:
            profile = {
                "confidentialVMEncryptionType": self.confidential_encryption,
                "secureVMDiskEncryptionSetId": self.confidential_disk_encryption_set,
            }
            system["securityProfile"] = said(profile)
        if system:
            wire["osDiskImage"] = system
        own = dict(self.data_disk_encryption_sets)
        sets = {lun: own.get(lun, self.disk_encryption_set) for lun in (*luns, *own)}
        data = [{"lun": lun, "diskEncryptionSetId": key} for lun, key in sorted(sets.items()) if key]
        if data:
            wire["dataDiskImages"] = data
        return wire


@dataclass(frozen=True)
class Publishing:
    """How a version is to be published; None, and no regions, stand for "not said"."""

    regions: tuple[Region, ...] = ()
    replicas: int | None = None
    storage_account_type: str | None = None
    exclude_from_latest: bool | None = None
    end_of_life: str | None = None
    replication_mode: str | None = None
    block_deletion_before_end_of_life: bool | None = None
    allow_deletion_of_replicated_locations: bool | None = None

    @classmethod
    def from_options(cls, given: Mapping[str, Any], option: str = "") -> Publishing:
        """Read the options of a version. `option` is where they stand, with a dot at its end, if deeper."""
        check_replicas(f"{option}replicas", given.get("replicas"))
        regions = tuple(
            Region.from_options(f"{option}regions[{place}]", each)
            for place, each in enumerate(given.get("regions") or ())
        )
        repeated = [name for name, count in Counter(region.name for region in regions).items() if count > 1]
        if repeated:
            raise InvalidInput(f"{option}regions: {repeated[0]} is given more than once.")
        end = given.get("end_of_life")
        names = ("replicas", "storage_account_type", "exclude_from_latest", "replication_mode", *_SAFETY)
        return cls(
            regions=regions,
            end_of_life=future(f"{option}end_of_life", str(end)) if end else None,
            **{name: given[name] for name in names if given.get(name) not in (None, "")},
        )

    def common(self) -> dict[str, tuple[str, Any]]:
        """What holds for all regions and was said: by option, its member of Azure's profile and the value."""
        values = {option: (member, getattr(self, option)) for option, member in _COMMON.items()}
        return {option: (member, value) for option, (member, value) in values.items() if value is not None}

    def safety(self) -> dict[str, tuple[str, bool]]:
        """The same of the safety profile."""
        values = {option: (member, getattr(self, option)) for option, member in _SAFETY.items()}
        return {option: (member, value) for option, (member, value) in values.items() if value is not None}

    def profile(self, home: str, luns: Sequence[int]) -> dict[str, Any]:
        """The publishing profile of a new version in region `home`; `luns` of its data disks."""
        wire = dict(self.common().values())
        if self.replication_mode:
            wire["replicationMode"] = self.replication_mode
        regions = self.regions or (Region(home),)
        return {"targetRegions": [region.body(luns) for region in regions], **wire}

    def new_profiles(self, home: str, luns: Sequence[int]) -> dict[str, Any]:
        """The profiles of a new version: how it is published, and its safety where that was said."""
        safety = dict(self.safety().values())
        profiles: dict[str, Any] = {"publishingProfile": self.profile(home, luns)}
        return {**profiles, "safetyProfile": safety} if safety else profiles
