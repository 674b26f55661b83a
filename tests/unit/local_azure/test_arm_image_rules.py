# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""When managed images cannot be made, changed, used or deleted, and what older API versions see of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.local_azure.arm_server import Arm, Json, compute, error_of, storage_path
from tests.unit.local_azure.machines import DEBIAN, Place, message_of, slowly


@pytest.fixture(scope="module")
def place(arm: Arm) -> Place:
    return Place(arm, "switzerlandnorth")


def from_machine(place: Place, machine: Json, **properties: object) -> Json:
    source = {"sourceVirtualMachine": {"id": machine["id"]}}
    return {"location": place.region, "properties": {**source, **properties}}


def test_machine_has_to_be_at_rest_generalized_and_of_the_generation(place: Place, arm: Arm) -> None:
    machine = place.machine("source")
    path = compute(place.group, "images", "fromsource")
    refused = arm.send("PUT", path, from_machine(place, machine))
    assert message_of(refused) == (
        "The operation 'Create Image' requires the Virtual Machine 'source' to be Generalized."
    )
    arm.done(place.post("source", "powerOff"))
    assert place.post("source", "generalize").status_code == 200
    with slowly(arm, 16):
        deallocating = place.post("source", "deallocate")
    busy = arm.send("PUT", path, from_machine(place, machine))
    arm.done(deallocating)
    assert "since another operation is in progress." in message_of(busy)
    refused = arm.send("PUT", path, from_machine(place, machine, hyperVGeneration="V2"))
    assert refused.json()["error"]["target"] == "hyperVGeneration"
    shouted = from_machine(place, {"id": str(machine["id"]).upper()})
    image = arm.make(path, {**shouted, "location": "Switzerland North"})
    assert image["location"] == place.region
    assert image["properties"]["sourceVirtualMachine"]["id"] == machine["id"]
    arm.done(arm.send("DELETE", place.path("source")))
    assert arm.get(path)["properties"]["provisioningState"] == "Succeeded"


def test_image_of_a_machine_with_an_ephemeral_disk_is_refused(place: Place, arm: Arm) -> None:
    body = place.body("ephemeral", DEBIAN)
    local = {"caching": "ReadOnly", "diffDiskSettings": {"option": "Local"}}
    body["properties"]["storageProfile"]["osDisk"] |= local
    machine = arm.make(place.path("ephemeral"), body)
    arm.done(place.post("ephemeral", "powerOff"))
    place.post("ephemeral", "generalize")
    refused = arm.send("PUT", compute(place.group, "images", "e"), from_machine(place, machine))
    assert error_of(refused) == (409, "OperationNotAllowed")


def test_image_being_deleted_can_neither_be_changed_nor_used(place: Place, arm: Arm) -> None:
    disk = arm.disk(place.group, "d", location=place.region)
    image = arm.image(place.group, "dying", disk)
    body = place.body("heir", {"id": image["id"]})
    body["properties"]["hardwareProfile"]["vmSize"] = "Standard_D2s_v5"
    with slowly(arm, 5):
        deleting = arm.send("DELETE", compute(place.group, "images", "dying"))
    assert deleting.status_code == 202
    changed = arm.send("PATCH", compute(place.group, "images", "dying"), {"tags": {"a": "b"}})
    used = arm.send("PUT", place.path("heir"), body)
    arm.done(deleting)
    for refused, operation in ((changed, "Update Image"), (used, "Create VM")):
        assert error_of(refused) == (409, "OperationNotAllowed")
        assert message_of(refused) == (
            f"Operation '{operation}' is not allowed on Image 'dying' since the Image is marked for "
            "deletion. You can only retry the Delete operation (or wait for an ongoing one to complete)."
        )


def test_blob_is_looked_for_late_by_the_oldest_versions(place: Place, arm: Arm) -> None:
    account = storage_path(place.group, "lateimages")
    made = arm.send(
        "PUT", account, {"location": place.region, "sku": {"name": "Standard_LRS"}, "kind": "Storage"}
    )
    while arm.send("GET", made.headers["Location"]).status_code == 202:
        pass
    endpoint = arm.get(account)["properties"]["primaryEndpoints"]["blob"]
    disk = {"osType": "Linux", "osState": "Generalized", "blobUri": f"{endpoint}vhds/none.vhd"}
    body = {
        "location": place.region,
        "properties": {"hyperVGeneration": "V1", "storageProfile": {"osDisk": disk}},
    }
    path = compute(place.group, "images", "late")
    refused = arm.send("PUT", path, body)
    assert error_of(refused) == (400, "InvalidParameter")
    late = arm.send("PUT", path, body, version="2017-03-30")
    assert (late.status_code, "hyperVGeneration" in late.text) == (201, False)
    assert arm.finish(late)["error"]["code"] == "ImageBlobNotFound"
    assert arm.get(path)["properties"]["provisioningState"] == "Failed"
    arm.done(arm.send("DELETE", path))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"storageProfile": []}, "InvalidRequestContent"),
        ({"storageProfile": {"osDisk": {"osType": 1}}}, "InvalidRequestContent"),
        ({"sourceVirtualMachine": {"id": "machine"}}, "LinkedInvalidPropertyId"),
        ({"storageProfile": {"osDisk": {"osType": "Plan9", "osState": "Generalized"}}}, "InvalidParameter"),
    ],
)
def test_bad_bodies_are_the_clients_mistake(place: Place, arm: Arm, change: Json, code: str) -> None:
    body = {"location": place.region, "properties": {"hyperVGeneration": "V1", **change}}
    assert error_of(arm.send("PUT", compute(place.group, "images", "bad"), body)) == (400, code)


def test_words_are_taken_in_any_case(place: Place, arm: Arm) -> None:
    disk = arm.disk(place.group, "words", location=place.region)
    os_disk: dict[str, Any] = {
        "osType": "linux",
        "osState": "generalized",
        "caching": "readonly",
        "storageAccountType": "premium_lrs",
    }
    image = arm.image(place.group, "words", disk, data=None, **os_disk)
    shown = image["properties"]["storageProfile"]["osDisk"]
    assert {k: shown[k] for k in os_disk} == {
        "osType": "Linux",
        "osState": "Generalized",
        "caching": "ReadOnly",
        "storageAccountType": "Premium_LRS",
    }
