# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure refuses of a disk, what can be changed later, and what an API version shows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.local_azure.azure import LocalAzure
from tests.local_azure.errors import ArmError
from tests.local_azure.providers.compute.usage import quotas
from tests.local_azure.providers.disks import disk_shapes
from tests.local_azure.providers.disks.disk_changes import check_growth
from tests.local_azure.store import Resource, Store
from tests.unit.local_azure.arm_server import Arm, Json, compute, error_of

_EMPTY = {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}}


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group("westus2")


def body(
    *, sku: str = "Standard_LRS", zones: Any = None, location: str = "westus2", **properties: Any
) -> Json:
    made: Json = {"location": location, "sku": {"name": sku}, "properties": {**_EMPTY, **properties}}
    if zones is not None:
        made["zones"] = zones
    return made


@pytest.mark.parametrize(
    ("request_body", "code"),
    [
        (body(zones=["4"]), "InvalidAvailabilityZone"),
        (body(zones=["1"], location="westus"), "InvalidAvailabilityZone"),
        (body(zones=["1", "2"]), "InvalidParameter"),
        (body(zones=["1"], sku="Premium_ZRS"), "InvalidParameter"),
        (body(zones="1"), "InvalidRequestContent"),
        (body(sku="Fastest_LRS"), "InvalidParameter"),
        (body(networkAccessPolicy="AllowSome"), "InvalidParameter"),
        (body(networkAccessPolicy="AllowPrivate"), "InvalidParameter"),
        (body(publicNetworkAccess=True), "InvalidParameter"),
        (body(maxShares=2), "InvalidParameter"),
        (body(maxShares=3, sku="Premium_LRS", diskSizeGB=256), "InvalidParameter"),
        (body(maxShares=True, sku="Premium_LRS"), "InvalidParameter"),
        (body(tier="P1", sku="Premium_LRS", diskSizeGB=64), "InvalidParameter"),
        (body(burstingEnabled=True, sku="Premium_LRS", diskSizeGB=512), "InvalidParameter"),
        (body(encryption={"type": "Rot13"}), "InvalidParameter"),
        (body(encryption={"type": "EncryptionAtRestWithCustomerKey"}), "InvalidParameter"),
        (body(securityProfile={"securityType": "TrustedLaunch"}, hyperVGeneration="V1"), "InvalidParameter"),
        (body(securityProfile={"securityType": "Lockdown"}), "InvalidParameter"),
        (body(hyperVGeneration="V3"), "InvalidParameter"),
        (body(creationData={"createOption": "UploadPreparedSecure"}), "InvalidParameter"),
    ],
)
def test_what_a_disk_cannot_be(arm: Arm, group: str, request_body: Json, code: str) -> None:
    path = compute(group, "disks", "refused")
    assert error_of(arm.send("PUT", path, request_body)) == (400, code)
    assert arm.send("GET", path).status_code == 404


def test_zone_is_for_life(arm: Arm, group: str) -> None:
    path = compute(group, "disks", "zonal")
    assert arm.make(path, body(zones=["2"]))["zones"] == ["2"]
    answer = arm.send("PUT", path, body(zones=["1"]))
    assert error_of(answer) == (400, "ResourceAvailabilityZonesCannotBeModified")
    arm.done(arm.send("PUT", path, body(zones=["2"])))


def test_tier_can_be_raised_and_ends_with_premium(arm: Arm, group: str) -> None:
    path = compute(group, "disks", "tiered")
    made = arm.make(path, body(sku="Premium_LRS", diskSizeGB=4, tier="P10"))["properties"]
    assert (made["tier"], made["diskIOPSReadWrite"]) == ("P10", 500)
    arm.done(arm.send("PATCH", path, {"sku": {"name": "StandardSSD_LRS"}}))
    changed = arm.get(path)
    assert "tier" not in changed["properties"]
    assert changed["sku"] == {"name": "StandardSSD_LRS", "tier": "Standard"}


def test_performance_is_chosen_where_the_sku_lets_one(arm: Arm, group: str) -> None:
    given: Json = {"diskIOPSReadWrite": 4000, "diskMBpsReadWrite": 200}
    chosen = arm.make(compute(group, "disks", "fast"), body(sku="PremiumV2_LRS", zones=["1"], **given))
    assert {k: chosen["properties"][k] for k in given} == given
    ignored = arm.make(compute(group, "disks", "slow"), body(**given))
    assert ignored["properties"]["diskIOPSReadWrite"] == 500


def test_settings_that_can_be_changed_are(arm: Arm, group: str) -> None:
    path = compute(group, "disks", "changing")
    made = arm.make(path, body())
    change = {"properties": {"networkAccessPolicy": "DenyAll", "publicNetworkAccess": "Disabled"}}
    first = arm.send("PATCH", path, change)
    assert first.json()["properties"]["provisioningState"] == "Updating"
    arm.done(first)
    properties = arm.get(path)["properties"]
    assert (properties["networkAccessPolicy"], properties["publicNetworkAccess"]) == ("DenyAll", "Disabled")
    assert properties["uniqueId"] == made["properties"]["uniqueId"]
    reading = {"access": "Read", "durationInSeconds": 60}
    assert error_of(arm.send("POST", path + "/beginGetAccess", reading)) == (409, "OperationNotAllowed")
    ultra = {"sku": {"name": "UltraSSD_LRS"}}
    assert error_of(arm.send("PATCH", path, ultra)) == (409, "OperationNotAllowed")
    # A client that sends back what it has read changes nothing.
    settings = ("creationData", "diskSizeGB", "encryption", "networkAccessPolicy", "publicNetworkAccess")
    read = {key: properties[key] for key in (*settings, "diskIOPSReadWrite", "diskMBpsReadWrite")}
    arm.done(arm.send("PUT", path, {"location": "West US 2", "properties": read}))
    assert arm.get(path)["properties"] == properties


def test_older_api_versions_show_less(arm: Arm, group: str) -> None:
    path = compute(group, "disks", "old")
    first = arm.send("PUT", path, body(), version="2019-07-01")
    assert not {"id", "type"} & set(first.json())
    assert first.json()["properties"]["isArmResource"] is True
    output = arm.done(first)["properties"]["output"]["properties"]
    assert "networkAccessPolicy" not in output
    shown = arm.send("GET", path, version="2019-07-01").json()
    assert shown["properties"] == output
    assert "publicNetworkAccess" in arm.get(path)["properties"]
    oldest = arm.send("GET", path, version="2017-03-30").json()["properties"]
    assert not {"uniqueId", "encryption", "diskIOPSReadWrite", "diskSizeBytes"} & set(oldest)


def test_data_disks_grow_while_in_use_within_limits(tmp_path: Path) -> None:
    """The rule alone: no blob of 4 TiB is made for it."""
    store = Store(tmp_path / "state.sqlite")
    azure = cast(LocalAzure, SimpleNamespace(store=store))
    owner = Resource("/vm", "Microsoft.Compute/virtualMachines", "g", "vm", {}, {"power": "running"})
    store.put(owner)
    properties: Json = {}
    size = {"size": disk_shapes.size_bytes(1024)}
    disk = Resource(
        "/d", "Microsoft.Compute/disks", "g", "d", {"managedBy": "/vm", "properties": properties}, size
    )
    check_growth(azure, disk, 4096)
    with pytest.raises(ArmError, match="while it is attached to running VM"):
        check_growth(azure, disk, 8192)
    properties["osType"] = "Linux"
    with pytest.raises(ArmError, match="while it is attached to running VM"):
        check_growth(azure, disk, 2048)
    owner.hidden["power"] = "deallocated"
    store.put(owner)
    check_growth(azure, disk, 8192)
    store.close()


def test_quotas_have_names_of_their_own() -> None:
    localized = [quota.localized for quota in quotas().values()]
    assert len(localized) == len(set(localized))
