# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The managed disk or snapshot that a copy shall become, in the shapes of requests, facts and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    same_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_disk_name,
    check_resource_group_name,
    check_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_result import OWN_TAGS
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.disk_request import (
    DATA_ONLY_SKUS,
    can_become,
    check_zone_and_encryption,
    disk_facts,
)

_MOST_OWN_TAGS = 3
# What only disks have.
_DISK_FACTS = ("zone", "disk_state", "managed_by")
_FAILED = ("failed", "canceled")
_COMPLETE = 100
_NO_SKUS = {
    "disk": ("Standard_ZRS",),
    "snapshot": ("StandardSSD_LRS", "StandardSSD_ZRS", "Premium_ZRS", "PremiumV2_LRS", "UltraSSD_LRS"),
}


class ResourceTarget(NamedTuple):
    """What the user wants; `kind` is disk or snapshot, None elsewhere says that nothing was asked for."""

    kind: str
    resource_group: str
    name: str
    location: str | None
    sku: str | None
    zone: str | None
    incremental: bool | None
    disk_encryption_set: str | None
    os_type: str | None
    generation: str | None
    tags: Mapping[str, Any] | None
    append_tags: bool
    encryption_type: str = "EncryptionAtRestWithCustomerKey"

    def check(self) -> None:
        """Refuse what Azure would refuse; raises InvalidInput."""
        check_resource_group_name(self.resource_group)
        check_disk_name(f"{self.kind}_name", self.name)
        check_tags(self.tags, own=_MOST_OWN_TAGS)
        for name in self.tags or {}:
            if name.lower() in OWN_TAGS:
                raise InvalidInput(
                    f"tags: {name} is written by the copy itself.", remedy="Use another name for your tag."
                )
        foreign = _NO_SKUS[self.kind]
        if self.sku in foreign:
            raise InvalidInput(f"sku: no {self.kind} is of type {self.sku}.", remedy="Use another type.")
        if self.kind == "snapshot" and self.zone:
            raise InvalidInput("zone: a snapshot is in no zone.", remedy="Leave zone out.")
        if self.kind == "disk" and self.incremental is not None:
            raise InvalidInput("incremental: a disk is always whole.", remedy="Leave incremental out.")
        if bool(self.os_type) != bool(self.generation):
            raise InvalidInput(
                "os_type, hyper_v_generation: nothing tells how a blob boots: one is of no use without the"
                " other.",
                remedy="Set both, or leave both out if this is a data disk.",
            )
        check_zone_and_encryption(self.sku, self.zone, self.disk_encryption_set)

    def check_bootable(self, os_type: str | None) -> None:
        """Refuse a kind of storage that no machine boots from; raises InvalidInput.

        :param os_type: of the system on the source, None for a data disk
        """
        if os_type and self.sku in DATA_ONLY_SKUS:
            raise InvalidInput(
                f"sku: a disk of type {self.sku} cannot be booted from.",
                remedy="Use Premium_LRS, StandardSSD_LRS or Standard_LRS.",
            )

    def body(self, location: str, creation: Mapping[str, Any], *, sku: str | None) -> dict[str, Any]:
        """The request that creates it, without tags."""
        properties: dict[str, Any] = {"creationData": dict(creation)}
        if self.kind == "snapshot":
            properties["incremental"] = bool(self.incremental)
        if self.os_type:
            properties["osType"] = self.os_type
            properties["hyperVGeneration"] = self.generation
        if self.disk_encryption_set:
            properties["encryption"] = {
                "type": self.encryption_type,
                "diskEncryptionSetId": self.disk_encryption_set,
            }
        body: dict[str, Any] = {"location": location, "properties": properties}
        if sku:
            body["sku"] = {"name": sku}
        if self.zone:
            body["zones"] = [self.zone]
        return body

    def predicted(
        self, body: Mapping[str, Any], resource_id: str, inherited: Mapping[str, Any], size: int
    ) -> dict[str, Any]:
        """The resource that a request creates; `inherited`: its source's properties, `size`: in bytes."""
        sizes = {"diskSizeBytes": size, "diskSizeGB": -(-size // (1 << 30)), "diskState": "Unattached"}
        properties = {**inherited, **body["properties"], **sizes}
        return {**body, "id": resource_id, "name": self.name, "properties": properties}

    def final_tags(self, current: Mapping[str, str] | None, marks: Mapping[str, str]) -> dict[str, str]:
        """The tags of the complete copy: the user's and those that tell of what it is a copy."""
        others = {name: value for name, value in (current or {}).items() if name not in OWN_TAGS}
        return {**merged_tags(others, self.tags, self.append_tags), **marks}

    def facts(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """The returned value `disk` or `snapshot`."""
        facts = disk_facts(resource, self.resource_group)
        if self.kind == "disk":
            return facts
        properties = resource["properties"]
        kept = {name: value for name, value in facts.items() if name not in _DISK_FACTS}
        return {
            **kept,
            "incremental": bool(properties.get("incremental")),
            "completion_percent": properties.get("completionPercent"),
        }

    def differences(self, resource: Mapping[str, Any]) -> list[str]:
        """What cannot be changed in one that exists, and is not as it is wanted."""
        facts = self.facts(resource)
        wanted = {
            "zone": self.zone,
            "incremental": self.incremental,
            "os_type": self.os_type,
            "hyper_v_generation": self.generation,
            "location": normalize_location(self.location) if self.location else None,
        }
        found = [
            f"its {option} is {facts[option]}, not {value}"
            for option, value in wanted.items()
            if value is not None and facts[option] != value
        ]
        if self.kind == "disk" and self.sku is not None and not can_become(str(facts["sku"]), self.sku):
            found.append(f"its sku is {facts['sku']}, which Azure does not change to {self.sku}")
        own_key = facts["disk_encryption_set"]
        if self.disk_encryption_set and not same_resource(own_key, self.disk_encryption_set):
            found.append("it is encrypted with another disk encryption set")
        return found


def copy_failure(resource: Mapping[str, Any]) -> str | None:
    """Why the copy that a disk or snapshot is made by has failed; None when it has not."""
    properties = resource["properties"]
    error = properties.get("copyCompletionError")
    if error:
        return f"{error.get('errorCode')}: {error.get('errorMessage', '')}"
    state = str(properties.get("provisioningState", ""))
    return f"it is in state {state}" if state.lower() in _FAILED else None


def completion(resource: Mapping[str, Any]) -> float:
    """Percent of the copy that are done; a copy within its region has no percentage and is whole at once."""
    properties = resource["properties"]
    if properties.get("provisioningState", "Succeeded") != "Succeeded":
        return 0.0
    return float(properties.get("completionPercent", _COMPLETE))


def is_whole(resource: Mapping[str, Any]) -> bool:
    """Whether the copy is complete; that its operation has succeeded does not say so."""
    return copy_failure(resource) is None and completion(resource) >= _COMPLETE
