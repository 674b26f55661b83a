# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Regions of a version as Azure's requests have them, and what of a version has to change."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.publishing import (
    Publishing,
    Region,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_changes import (
    changed_version,
    locked_regions,
)

SET = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/diskEncryptionSets/"
VERSION: dict[str, Any] = {
    "id": "/v/1.0.0",
    "name": "1.0.0",
    "location": "eastus",
    "tags": {"a": "b"},
    "properties": {
        "publishingProfile": {
            "targetRegions": [
                {
                    "name": "East US",
                    "regionalReplicaCount": 1,
                    "storageAccountType": "Standard_LRS",
                    "excludeFromLatest": False,
                },
                {
                    "name": "West US 2",
                    "regionalReplicaCount": 3,
                    "storageAccountType": "Premium_LRS",
                    "excludeFromLatest": True,
                    "encryption": {
                        "osDiskImage": {"securityProfile": {}, "diskEncryptionSetId": f"{SET}a"},
                        "dataDiskImages": [{"lun": 4, "diskEncryptionSetId": f"{SET}a"}],
                    },
                },
            ],
            "replicaCount": 1,
            "excludeFromLatest": False,
            "publishedDate": "2026-01-01T00:00:00.1234567+00:00",
            "endOfLifeDate": "2090-01-31T00:00:00+00:00",
            "storageAccountType": "Standard_LRS",
        },
        "storageProfile": {
            "osDiskImage": {"sizeInGB": 30, "hostCaching": "ReadWrite", "source": {"id": "/disk"}},
            "dataDiskImages": [{"lun": 4, "sizeInGB": 1, "hostCaching": "None", "source": {"id": "/data"}}],
        },
        "safetyProfile": {"reportedForPolicyViolation": False, "allowDeletionOfReplicatedLocations": False},
        "provisioningState": "Succeeded",
    },
}


def publishing(**options: Any) -> Publishing:
    return Publishing.from_options(options)


def changed(version: dict[str, Any] | None = None, **options: Any) -> list[str]:
    version = version or VERSION
    return changed_version(version, publishing(**options), version["tags"])[1]


def test_each_disk_is_encrypted_by_its_own_key_or_that_of_all() -> None:
    region = Region.from_options(
        "regions[0]",
        {
            "name": "East US",
            "disk_encryption_set": f"{SET}all",
            "os_disk_encryption_set": f"{SET}os",
            "data_disk_encryption_sets": [{"lun": 1, "disk_encryption_set": f"{SET}one"}],
            "confidential_encryption": "EncryptedWithCmk",
            "confidential_disk_encryption_set": f"{SET}guest",
        },
    )
    assert region.body([0, 1])["encryption"] == {
        "osDiskImage": {
            "diskEncryptionSetId": f"{SET}os",
            "securityProfile": {
                "confidentialVMEncryptionType": "EncryptedWithCmk",
                "secureVMDiskEncryptionSetId": f"{SET}guest",
            },
        },
        "dataDiskImages": [
            {"lun": 0, "diskEncryptionSetId": f"{SET}all"},
            {"lun": 1, "diskEncryptionSetId": f"{SET}one"},
        ],
    }
    assert Region("eastus").body([0, 1]) == {"name": "eastus"}


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ({"confidential_disk_encryption_set": "x"}, "it belongs to confidential_encryption EncryptedWithCmk"),
        ({"replicas": 0}, "regions[0].replicas: 0 is not between 1 and 100"),
        (
            {"data_disk_encryption_sets": [{"lun": 1, "disk_encryption_set": "a"}] * 2},
            "regions[0].data_disk_encryption_sets: LUN 1 is given more than once",
        ),
    ],
)
def test_what_cannot_be_of_a_region(region: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        publishing(regions=[{"name": "eastus", **region}])
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"regions": [{"name": "eastus"}, {"name": "West US 2"}]},
        {"regions": [{"name": "eastus", "exclude_from_latest": False}, {"name": "westus2", "replicas": 3}]},
        {"regions": [{"name": "westus2", "disk_encryption_set": f"{SET}A"}, {"name": "eastus"}]},
        {"exclude_from_latest": False, "end_of_life": "2090-01-31"},
        {"allow_deletion_of_replicated_locations": False, "block_deletion_before_end_of_life": False},
    ],
)
def test_what_is_as_it_is_asked_to_be_does_not_change(options: dict[str, Any]) -> None:
    assert changed(**options) == []


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"replicas": 2}, ["replicas", "regions"]),
        ({"regions": [{"name": "eastus"}]}, ["regions"]),
        ({"regions": [{"name": "eastus"}, {"name": "westus2"}, {"name": "uksouth"}]}, ["regions"]),
        ({"regions": [{"name": "eastus"}, {"name": "westus2", "exclude_from_latest": False}]}, ["regions"]),
        (
            {"regions": [{"name": "eastus"}, {"name": "westus2", "disk_encryption_set": f"{SET}b"}]},
            ["regions"],
        ),
        ({"end_of_life": "2090-02-01", "exclude_from_latest": True}, ["exclude_from_latest", "end_of_life"]),
        ({"block_deletion_before_end_of_life": True}, ["block_deletion_before_end_of_life"]),
    ],
)
def test_what_differs_is_named_by_its_option(options: dict[str, Any], names: list[str]) -> None:
    assert changed(**options) == names


def test_what_is_not_said_of_a_region_stays_and_what_azure_alone_says_is_not_sent() -> None:
    before = deepcopy(VERSION)
    body, names = changed_version(
        VERSION, publishing(regions=[{"name": "eastus"}, {"name": "westus2", "replicas": 5}]), {"a": "b"}
    )
    assert names == ["regions"]
    west = body["properties"]["publishingProfile"]["targetRegions"][1]
    assert (west["regionalReplicaCount"], west["storageAccountType"]) == (5, "Premium_LRS")
    assert west["encryption"]["osDiskImage"]["diskEncryptionSetId"] == f"{SET}a"
    assert "publishedDate" not in body["properties"]["publishingProfile"]
    assert body["properties"]["storageProfile"]["osDiskImage"] == {
        "hostCaching": "ReadWrite",
        "source": {"id": "/disk"},
    }
    assert body["properties"]["safetyProfile"] == {"allowDeletionOfReplicatedLocations": False}
    assert before == VERSION


def test_an_end_of_life_that_has_passed_is_not_sent_again() -> None:
    ended = deepcopy(VERSION)
    ended["properties"]["publishingProfile"]["endOfLifeDate"] = "2020-01-31T00:00:00.0000000+00:00"
    body, names = changed_version(ended, publishing(exclude_from_latest=True), ended["tags"])
    assert names == ["exclude_from_latest"]
    assert "endOfLifeDate" not in body["properties"]["publishingProfile"]


def test_regions_are_locked_unless_that_is_allowed_now_or_before() -> None:
    fewer = [{"name": "eastus"}]
    assert locked_regions(VERSION, publishing(regions=fewer)) == ["westus2"]
    assert locked_regions(VERSION, publishing()) == []
    allowed = publishing(regions=fewer, allow_deletion_of_replicated_locations=True)
    assert locked_regions(VERSION, allowed) == []
    open_version = deepcopy(VERSION)
    open_version["properties"]["safetyProfile"]["allowDeletionOfReplicatedLocations"] = True
    assert locked_regions(open_version, publishing(regions=fewer)) == []
    closed = publishing(regions=fewer, allow_deletion_of_replicated_locations=False)
    assert locked_regions(open_version, closed) == ["westus2"]
