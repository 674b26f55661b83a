# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Changes to virtual machines, what forbids them, and how the body looks to different API versions."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.unit.local_azure.arm_server import Arm, Json, error_of
from tests.unit.local_azure.machines import DEBIAN, Place, message_of


@pytest.fixture(scope="module")
def place(arm: Arm) -> Place:
    return Place(arm, "westeurope")


def patch(place: Place, name: str, **properties: Any) -> Any:
    return place.arm.send("PATCH", place.path(name), {"properties": properties})


def test_etag_counts_the_changes(place: Place, arm: Arm) -> None:
    place.machine("counted")
    answer = arm.send("GET", place.path("counted"))
    assert (answer.headers["ETag"], answer.json()["etag"]) == ('"2"', '"2"')
    changing = arm.send("PATCH", place.path("counted"), {"tags": {"a": "b"}})
    assert changing.headers["ETag"] == '"3"'
    arm.done(changing)
    arm.done(place.post("counted", "powerOff"))
    assert place.post("counted", "generalize").status_code == 200
    assert arm.get(place.path("counted"))["etag"] == '"6"'
    expanded = arm.send("GET", place.path("counted"), query="&$expand=instanceView")
    assert "ETag" not in expanded.headers


@pytest.mark.parametrize(
    ("version", "absent"),
    [
        ("2019-03-01", {"etag", "timeCreated", "exactVersion", "deleteOption", "patchSettings"}),
        ("2020-12-01", {"etag", "timeCreated", "deleteOption", "assessmentMode"}),
        ("2023-07-01", {"etag"}),
    ],
)
def test_older_versions_show_less(place: Place, arm: Arm, version: str, absent: set[str]) -> None:
    if arm.send("GET", place.path("aged")).status_code == 404:
        place.machine("aged")
    text = arm.send("GET", place.path("aged"), version=version).text
    every = {"etag", "timeCreated", "exactVersion", "deleteOption", "patchSettings", "assessmentMode"}
    assert {word for word in every if f'"{word}"' not in text} >= absent
    assert '"assessmentMode"' in text or version < "2021-03-01"


def test_deallocated_machine_does_not_know_its_disks_sizes(place: Place, arm: Arm) -> None:
    place.machine("asleep")
    arm.done(place.post("asleep", "deallocate"))
    disk = arm.get(place.path("asleep"))["properties"]["storageProfile"]["osDisk"]
    assert (set(disk["managedDisk"]), "diskSizeGB" in disk) == ({"id"}, False)
    arm.done(place.post("asleep", "start"))
    assert "diskSizeGB" in arm.get(place.path("asleep"))["properties"]["storageProfile"]["osDisk"]


def test_os_disk_is_swapped_on_a_deallocated_machine(place: Place, arm: Arm) -> None:
    machine = place.machine("swapping")
    old = machine["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]
    other = arm.disk(place.group, "other", location=place.region, osType="Linux", hyperVGeneration="V1")
    change = {"osDisk": {"managedDisk": {"id": other["id"]}, "name": "other"}}
    refused = patch(place, "swapping", storageProfile=change)
    assert "since the VM is not deallocated." in message_of(refused)
    arm.done(place.post("swapping", "deallocate"))
    arm.done(patch(place, "swapping", storageProfile=change))
    arm.done(place.post("swapping", "start"))
    shown = arm.get(place.path("swapping"))["properties"]["storageProfile"]["osDisk"]
    assert (shown["managedDisk"]["id"], shown["osType"]) == (other["id"], "Linux")
    released = arm.send("GET", old, version="2024-03-02").json()
    assert released["properties"]["diskState"] == "Unattached"
    assert arm.send("GET", other["id"], version="2024-03-02").json()["managedBy"] == machine["id"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"priority": "Spot"}, "priority"),
        ({"osProfile": {"computerName": "other"}}, "osProfile.computerName"),
        ({"osProfile": {"customData": "eA=="}}, "customData"),
        (
            {"osProfile": {"linuxConfiguration": {"ssh": {"publicKeys": [{"keyData": "ssh-rsa other"}]}}}},
            "linuxConfiguration.ssh.publicKeys",
        ),
        ({"storageProfile": {"imageReference": {"sku": "11"}}}, "imageReference"),
        ({"securityProfile": {"securityType": "ConfidentialVM"}}, "securityProfile.securityType"),
    ],
)
def test_some_properties_never_change(place: Place, arm: Arm, change: Json, path: str) -> None:
    if arm.send("GET", place.path("fixed")).status_code == 404:
        place.machine("fixed")
    refused = patch(place, "fixed", **change)
    assert error_of(refused) == (409, "PropertyChangeNotAllowed")
    error = refused.json()["error"]
    assert (error["target"], error["message"]) == (path, f"Changing property '{path}' is not allowed.")


def test_size_changes_within_generation_and_architecture(place: Place, arm: Arm) -> None:
    place.machine("resized")
    for size, text in (
        ("Standard_D2s_v6", "cannot boot Hypervisor Generation '1'"),
        ("Standard_Nonsense", "provided for the VM size is not valid."),
    ):
        refused = patch(place, "resized", hardwareProfile={"vmSize": size})
        assert refused.status_code == 400
        assert text in message_of(refused)
    arm.done(patch(place, "resized", hardwareProfile={"vmSize": "standard_ds2_v2"}))
    assert arm.get(place.path("resized"))["properties"]["hardwareProfile"] == {"vmSize": "Standard_DS2_v2"}


def test_spot_machine_keeps_its_price_and_is_evicted(place: Place, arm: Arm) -> None:
    place.machine("spot", priority="Spot", evictionPolicy="Deallocate", billingProfile={"maxPrice": 1.0})
    refused = patch(place, "spot", billingProfile={"maxPrice": 2.0})
    assert error_of(refused) == (409, "OperationNotAllowed")
    assert refused.json()["error"]["details"][0]["target"] == "spot"
    assert place.post("spot", "simulateEviction").status_code == 204
    deadline = time.monotonic() + 20
    while place.statuses("spot")[-1] != "PowerState/deallocated" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert place.statuses("spot")[-1] == "PowerState/deallocated"
    arm.done(patch(place, "spot", billingProfile={"maxPrice": 2.0}))


def test_actions_that_these_machines_do_not_have(place: Place) -> None:
    place.machine("plain")
    for verb, text in (
        ("reimage", "require that the virtual machine has Automatic OS Upgrades enabled."),
        ("performMaintenance", "since the Subscription of this VM is not eligible."),
        ("convertToManagedDisks", "is already using managed disks."),
        ("simulateEviction", "is allowed only for Spot Virtual Machines"),
    ):
        refused = place.post("plain", verb)
        assert refused.status_code == 409
        assert text in message_of(refused)


def test_user_data_is_shown_only_when_asked_for(place: Place, arm: Arm) -> None:
    place.machine("told", userData="aGVsbG8=")
    assert "userData" not in arm.get(place.path("told"))["properties"]
    assert arm.get(place.path("told"), "&$expand=userData")["properties"]["userData"] == "aGVsbG8="
    refused = patch(place, "told", userData="not base64")
    assert error_of(refused) == (400, "InvalidParameter")


def test_identity_comes_and_goes(place: Place, arm: Arm) -> None:
    place.machine("someone")
    arm.done(arm.send("PATCH", place.path("someone"), {"identity": {"type": "SystemAssigned"}}))
    identity = arm.get(place.path("someone"))["identity"]
    assert identity["tenantId"] == arm.settings.identity.tenant_id
    assert identity["principalId"]
    arm.done(arm.send("PATCH", place.path("someone"), {"identity": {"type": "None"}}))
    assert "identity" not in arm.get(place.path("someone"))


def test_machines_of_a_region_and_their_states_are_listed(place: Place, arm: Arm) -> None:
    place.machine("listed")
    base = "providers/Microsoft.Compute"
    near = arm.get(f"{base}/locations/westeurope/virtualMachines")["value"]
    assert "listed" in [m["name"] for m in near]
    assert {m["location"] for m in near} == {"westeurope"}
    states = arm.get(f"{base}/virtualMachines", "&statusOnly=true")["value"]
    mine = next(m for m in states if m["name"] == "listed")
    assert set(mine["properties"]) == {"provisioningState", "vmId", "instanceView"}
    assert mine["properties"]["instanceView"]["statuses"][-1]["code"] == "PowerState/running"


def test_quota_ends_the_making_of_machines(arm: Arm) -> None:
    place = Place(arm, "swedencentral")
    large = {"vmSize": "Standard_D16s_v5"}
    for number in range(6):
        place.machine(f"large{number}", hardwareProfile=large)
    refused = arm.send("PUT", place.path("last"), place.body("last", DEBIAN, hardwareProfile=large))
    assert error_of(refused) == (409, "OperationNotAllowed")
    assert "Total Regional Cores quota" in message_of(refused)
    grown = arm.send("PATCH", place.path("large0"), {"properties": {"hardwareProfile": large}})
    arm.done(grown)


def test_disks_tell_when_their_machine_was_started_or_deallocated_last(place: Place, arm: Arm) -> None:
    disk = place.machine("owner")["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]
    seen = [arm.get(disk)["properties"]["LastOwnershipUpdateTime"]]
    for verb, changes in (("powerOff", False), ("deallocate", True), ("start", True)):
        arm.done(place.post("owner", verb))
        seen.append(arm.get(disk)["properties"]["LastOwnershipUpdateTime"])
        assert (seen[-1] != seen[-2]) == changes, verb
    assert seen == sorted(seen)
