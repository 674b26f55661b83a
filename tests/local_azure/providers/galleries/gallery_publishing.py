# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Publishing and safety profile of an image version: regions, replicas, encryption, end of life."""

from __future__ import annotations

from tests.local_azure.azure import LocalAzure
from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import ArmError, invalid_value, property_change
from tests.local_azure.locations import find_location
from tests.local_azure.providers.galleries import gallery_fields as fields
from tests.local_azure.store import Json

_PATH = "galleryArtifactVersion.properties.publishingProfile"
_STORAGE_TYPES = ("Standard_LRS", "Standard_ZRS", "Premium_LRS", "PremiumV2_LRS")
_EDGE_STORAGE_TYPES = ("Standard_LRS", "Standard_ZRS", "StandardSSD_LRS", "Premium_LRS")
_MODES = ("Full", "Shallow")
_MOST_REPLICAS = 100
# Since then a version shows for each region whether it is left out of the latest there.
_REGIONAL_LATEST_SINCE = "2024-03-03"
_COMPLETE_SET = (
    "Deletion of previously replicated locations is not allowed, and you need to specify a complete set of "
    "target locations in the update request or specify null or empty set for target regions in the update "
    "request or set allow deletion of replicated locations under safety profile property. To figure out "
    "complete set of target locations, you can perform a get first on gallery artifact"
)
_SAFETY_SINCE = "2022-03-03"
_BLOCK_SINCE = "2024-03-03"


def display_name(region: str) -> str:
    place = find_location(region)
    return place.display_name if place else region


def region_name(shown: str) -> str:
    """eastus2 for "East US 2", as replication status and operations spell it."""
    place = find_location(shown)
    return place.name if place else shown.replace(" ", "").lower()


def regions_of(profile: Json) -> list[str]:
    return [region_name(entry["name"]) for entry in profile["targetRegions"]]


class PublishingProfiles:
    """Fills in, checks and merges the profiles as they stand in requests."""

    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure

    def new(self, given: Json, location: str, subscription: str) -> Json:
        """The profile of a new version in `location`, complete and in Azure's order."""
        common = _common(given)
        regions = self._regions(given, common, subscription) or [
            _region({"name": location}, common, display_name(location))
        ]
        _check_contains(regions, location)
        profile: Json = {
            "targetRegions": regions,
            "replicaCount": common.get("replicaCount", 1),
            "excludeFromLatest": common.get("excludeFromLatest", False),
            "publishedDate": wire_time(now()),
        }
        if "endOfLifeDate" in common:
            profile["endOfLifeDate"] = common["endOfLifeDate"]
        profile["storageAccountType"] = common.get("storageAccountType", "Standard_LRS")
        edges = self._edge_zones(given, common, subscription)
        if edges:
            profile["targetExtendedLocations"] = edges
        if "replicationMode" in common:
            profile["replicationMode"] = common["replicationMode"]
        return profile

    def merged(
        self, present: Json, given: Json, location: str, subscription: str, *, name: str, may_remove: bool
    ) -> Json:
        """The profile after an update. Regions are only taken away where the safety profile allows it."""
        common = _common(given)
        mode = common.pop("replicationMode", None)
        if mode is not None and mode != present.get("replicationMode", "Full"):
            raise property_change("galleryImageVersion.properties.publishingProfile.replicationMode")
        profile = {**present, **common}
        regions = self._regions(given, {**present, **common}, subscription)
        if regions:
            _check_contains(regions, location)
            gone = set(regions_of(present)) - {region_name(r["name"]) for r in regions}
            if gone and not may_remove:
                raise _incomplete(name)
            profile["targetRegions"] = regions
        edges = self._edge_zones(given, {**present, **common}, subscription)
        if edges:
            profile["targetExtendedLocations"] = edges
        return profile

    def _regions(self, given: Json, common: Json, subscription: str) -> list[Json]:
        path = f"{_PATH}.targetRegions"
        regions: list[Json] = []
        for entry in fields.entries(given, "targetRegions", path):
            place = find_location(fields.required_text(entry, "name", f"{path}.name"))
            if place is None:
                raise invalid_value(f"{path}.name")
            if any(r["name"] == place.display_name for r in regions):
                raise invalid_value(path, "Duplicate regions are not allowed in target publishing regions.")
            region = _region(entry, common, place.display_name)
            encryption = fields.section(entry, "encryption", f"{path}.encryption")
            if encryption:
                region["encryption"] = self._encryption(encryption, f"{path}.encryption", subscription)
            left_out = fields.flag(entry, "excludeFromLatest", f"{path}.excludeFromLatest")
            if left_out is not None:
                region["excludeFromLatest"] = left_out
            sets = fields.entries(entry, "additionalReplicaSets", f"{path}.additionalReplicaSets")
            if sets:
                region["additionalReplicaSets"] = sets
            regions.append(region)
        return regions

    def _edge_zones(self, given: Json, common: Json, subscription: str) -> list[Json]:
        path = f"{_PATH}.targetExtendedLocations"
        zones = []
        for entry in fields.entries(given, "targetExtendedLocations", path):
            place = find_location(fields.required_text(entry, "name", f"{path}.name"))
            zone = fields.section(entry, "extendedLocation", f"{path}.extendedLocation")
            if place is None or not zone:
                raise invalid_value(f"{path}.name" if place is None else f"{path}.extendedLocation")
            count_path = f"{path}.extendedLocationReplicaCount"
            count = fields.number(entry, "extendedLocationReplicaCount", count_path, 1, _MOST_REPLICAS)
            storage_path = f"{path}.storageAccountType"
            storage = fields.choice(entry, "storageAccountType", storage_path, _EDGE_STORAGE_TYPES)
            shown: Json = {
                "name": place.display_name,
                "extendedLocation": zone,
                "extendedLocationReplicaCount": count or common.get("replicaCount", 1),
                "storageAccountType": storage or common.get("storageAccountType", "Standard_LRS"),
            }
            encryption = fields.section(entry, "encryption", f"{path}.encryption")
            if encryption:
                shown["encryption"] = self._encryption(encryption, f"{path}.encryption", subscription)
            zones.append(shown)
        return zones

    def _encryption(self, given: Json, path: str, subscription: str) -> Json:
        shown: Json = {}
        os_disk = fields.section(given, "osDiskImage", f"{path}.osDiskImage")
        if os_disk:
            security = fields.section(os_disk, "securityProfile", f"{path}.osDiskImage.securityProfile")
            shown["osDiskImage"] = {"securityProfile": security}
            set_id = self._encryption_set(os_disk, f"{path}.osDiskImage", subscription)
            if set_id:
                shown["osDiskImage"]["diskEncryptionSetId"] = set_id
        disks: list[Json] = []
        for disk in fields.entries(given, "dataDiskImages", f"{path}.dataDiskImages"):
            lun = fields.number(disk, "lun", f"{path}.dataDiskImages.lun", 0, 63)
            if any(d["lun"] == lun for d in disks):
                raise invalid_value(
                    f"{path}.dataDiskImages",
                    f"Duplicate luns '{lun}' were specified in {path}.dataDiskImages",
                )
            set_id = self._encryption_set(disk, f"{path}.dataDiskImages", subscription)
            disks.append({"lun": lun, **({"diskEncryptionSetId": set_id} if set_id else {})})
        if disks:
            shown["dataDiskImages"] = disks
        return shown

    def _encryption_set(self, disk: Json, path: str, subscription: str) -> str | None:
        set_id = fields.text(disk, "diskEncryptionSetId", f"{path}.diskEncryptionSetId")
        if set_id is None:
            return None
        parts = set_id.lower().split("/")
        if len(parts) != 9 or parts[1] != "subscriptions" or parts[7] != "diskencryptionsets":
            raise invalid_value(f"{path}.diskEncryptionSetId")
        if parts[2] != subscription.lower():
            raise invalid_value(
                f"{path}.diskEncryptionSetId",
                f"The disk encryption set '{set_id}' must be in the same subscription '{subscription}' as "
                "the gallery resource",
            )
        found = self._azure.store.get(set_id)
        if found is None:
            raise ArmError(
                404,
                "NotFound",
                f"The disk encryption set '{set_id}' was not found.",
                target=f"{path}.diskEncryptionSetId",
            )
        return found.id


def _incomplete(version: str) -> ArmError:
    artifact = f"'{version}' and type 'GalleryImageVersion'"
    return ArmError(
        400,
        "BadRequest",
        f"Complete set of target locations not specified while updating gallery artifact {artifact}. "
        + _COMPLETE_SET,
    )


def _common(given: Json) -> Json:
    """What a request says for all regions together."""
    found = {
        "replicaCount": fields.number(given, "replicaCount", f"{_PATH}.replicaCount", 1, _MOST_REPLICAS),
        "excludeFromLatest": fields.flag(given, "excludeFromLatest", f"{_PATH}.excludeFromLatest"),
        "endOfLifeDate": fields.future_date(given, "endOfLifeDate", f"{_PATH}.endOfLifeDate"),
        "storageAccountType": fields.choice(
            given, "storageAccountType", f"{_PATH}.storageAccountType", _STORAGE_TYPES
        ),
        "replicationMode": fields.choice(given, "replicationMode", f"{_PATH}.replicationMode", _MODES),
    }
    return {key: value for key, value in found.items() if value is not None}


def _region(entry: Json, common: Json, shown_name: str) -> Json:
    path = f"{_PATH}.targetRegions"
    count = fields.number(
        entry, "regionalReplicaCount", f"{path}.regionalReplicaCount", 1, _MOST_REPLICAS
    ) or common.get("replicaCount", 1)
    storage = fields.choice(entry, "storageAccountType", f"{path}.storageAccountType", _STORAGE_TYPES)
    return {
        "name": shown_name,
        "regionalReplicaCount": count,
        "storageAccountType": storage or common.get("storageAccountType", "Standard_LRS"),
    }


def _check_contains(regions: list[Json], location: str) -> None:
    names = [region_name(r["name"]) for r in regions]
    if location not in names:
        raise invalid_value(
            "galleryImageVersion.properties.publishingProfile.targetRegions",
            f"Gallery image version publishing profile regions '{','.join(names)}' must contain the location "
            f"of image version '{display_name(location)}'.",
        )


def safety(present: Json, given: Json) -> Json:
    """The safety profile as kept: what is shown of it depends on the version asked for."""
    path = "galleryArtifactVersion.properties.safetyProfile"
    profile: Json = {
        "reportedForPolicyViolation": False,
        "allowDeletionOfReplicatedLocations": False,
        **present,
    }
    for key in ("allowDeletionOfReplicatedLocations", "blockDeletionBeforeEndOfLife"):
        value = fields.flag(given, key, f"{path}.{key}")
        if value is not None:
            profile[key] = value
    return profile


def show_as_of(properties: Json, api_version: str) -> None:
    """Takes away, or adds, what `api_version` does not know yet, or always shows."""
    profile = properties["publishingProfile"]
    for region in profile["targetRegions"]:
        if api_version >= _REGIONAL_LATEST_SINCE:
            region.setdefault("excludeFromLatest", False)
        else:
            region.pop("excludeFromLatest", None)
    safe = properties["safetyProfile"]
    if api_version < _SAFETY_SINCE:
        del properties["safetyProfile"]
    elif api_version >= _BLOCK_SINCE:
        safe.setdefault("blockDeletionBeforeEndOfLife", False)
    else:
        safe.pop("blockDeletionBeforeEndOfLife", None)


def removal_is_free(api_version: str) -> bool:
    """Clients of the time before the safety profile may take regions away as they like."""
    return api_version < _SAFETY_SINCE
