# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What virtual machines are made of, and what does not go together."""

from __future__ import annotations

import copy

import pytest

from tests.unit.local_azure.arm_server import Arm, Json, compute, error_of
from tests.unit.local_azure.galleries import make_definition, make_gallery, make_version
from tests.unit.local_azure.machines import DEBIAN, UBUNTU, Place, message_of

_ARM64 = {"publisher": "almalinux", "offer": "almalinux-arm", "sku": "9-arm-gen2", "version": "latest"}
_GEN2 = {"publisher": "almalinux", "offer": "almalinux-x86_64", "sku": "9-gen2", "version": "latest"}
_PAID = {
    "publisher": "kinvolk",
    "offer": "flatcar-container-linux-free",
    "sku": "stable",
    "version": "latest",
}
_PLAN = {"publisher": "kinvolk", "product": "flatcar-container-linux-free", "name": "stable"}


@pytest.fixture(scope="module")
def place(arm: Arm) -> Place:
    return Place(arm, "northeurope")


def disk_of(arm: Arm, entry: Json) -> Json:
    answer = arm.send("GET", entry["managedDisk"]["id"], version="2024-03-02")
    assert answer.status_code == 200
    return dict(answer.json())


def test_platform_image_shows_its_exact_version_and_release(place: Place, arm: Arm) -> None:
    body = place.body("platform", UBUNTU)
    body["properties"]["storageProfile"]["osDisk"] = {
        "createOption": "fromImage",
        "name": None,
        "caching": "ReadWrite",
        "managedDisk": {"storageAccountType": None},
    }
    answer = arm.send("PUT", place.path("platform"), body)
    assert answer.status_code == 201
    first = answer.json()["properties"]["storageProfile"]["osDisk"]
    assert (first["createOption"], first["diskSizeGB"], "name" in first) == ("FromImage", 30, False)
    arm.done(answer)
    machine = arm.get(place.path("platform"), "&$expand=instanceView")
    profile = machine["properties"]["storageProfile"]
    assert profile["imageReference"]["exactVersion"].startswith("18.04.")
    assert profile["imageReference"]["version"] == "latest"
    assert profile["osDisk"]["name"].startswith("platform_OsDisk_1_")
    assert profile["osDisk"]["managedDisk"]["storageAccountType"] == "Premium_LRS"
    view = machine["properties"]["instanceView"]
    assert (view["osName"], view["osVersion"], view["computerName"]) == ("ubuntu", "18.04", "platform")
    reference = disk_of(arm, profile["osDisk"])["properties"]["creationData"]["imageReference"]["id"]
    assert reference.endswith(f"/Versions/{profile['imageReference']['exactVersion']}")


def test_disks_take_standard_storage_where_the_size_has_no_premium(place: Place) -> None:
    size = {"vmSize": "Standard_D1_v2"}
    machine = place.machine("standard", hardwareProfile=size)
    managed = machine["properties"]["storageProfile"]["osDisk"]["managedDisk"]
    assert managed["storageAccountType"] == "Standard_LRS"
    body = place.body("nopremium", DEBIAN, hardwareProfile=size)
    body["properties"]["storageProfile"]["osDisk"]["managedDisk"] = {"storageAccountType": "Premium_LRS"}
    refused = place.arm.send("PUT", place.path("nopremium"), body)
    assert error_of(refused) == (400, "InvalidParameter")
    assert "does not support the storage account type Premium_LRS" in message_of(refused)


def test_managed_image_passes_on_its_storage_release_and_larger_size(place: Place, arm: Arm) -> None:
    machine = place.machine("parent", UBUNTU)
    place.stop_and_generalize("parent")
    disk = machine["properties"]["storageProfile"]["osDisk"]["managedDisk"]
    path = compute(place.group, "images", "larger")
    profile = {
        "osDisk": {
            "osType": "Linux",
            "osState": "Generalized",
            "managedDisk": {"id": disk["id"]},
            "diskSizeGB": 40,
            "storageAccountType": "StandardSSD_LRS",
        }
    }
    arm.make(
        path,
        {"location": place.region, "properties": {"hyperVGeneration": "V1", "storageProfile": profile}},
    )
    child = place.machine("child", {"id": arm.get(path)["id"]})
    os_disk = child["properties"]["storageProfile"]["osDisk"]
    assert (os_disk["diskSizeGB"], os_disk["managedDisk"]["storageAccountType"]) == (40, "StandardSSD_LRS")
    assert os_disk["name"].startswith("child_disk1_")
    assert disk_of(arm, os_disk)["properties"]["diskSizeBytes"] == 40 * 1024**3
    from_machine = compute(place.group, "images", "frommachine")
    source = {"sourceVirtualMachine": {"id": machine["id"]}}
    arm.make(from_machine, {"location": place.region, "properties": source})
    place.machine("heir", {"id": arm.get(from_machine)["id"]})
    assert arm.get(f"{place.path('heir')}/instanceView")["osVersion"] == "18.04"


def test_older_versions_tell_the_size_of_a_platform_disk_when_it_is_there(place: Place, arm: Arm) -> None:
    path = place.path("sizes")
    answer = arm.send("PUT", path, place.body("sizes", UBUNTU), version="2019-03-01")
    assert answer.status_code == 201
    assert "diskSizeGB" not in answer.json()["properties"]["storageProfile"]["osDisk"]
    arm.done(answer)
    shown = arm.send("GET", path, version="2019-03-01").json()
    assert shown["properties"]["storageProfile"]["osDisk"]["diskSizeGB"] == 30
    asked = place.body("asked", UBUNTU)
    asked["properties"]["storageProfile"]["osDisk"]["diskSizeGB"] = 40
    told = arm.send("PUT", place.path("asked"), asked, version="2019-03-01")
    assert told.json()["properties"]["storageProfile"]["osDisk"]["diskSizeGB"] == 40
    arm.done(told)


def test_gallery_version_makes_machines_and_a_definition_means_its_latest(place: Place, arm: Arm) -> None:
    disk = arm.disk(place.group, "galleryos", location=place.region, hyperVGeneration="V2")
    image = arm.image(place.group, "forgallery", disk)
    gallery = make_gallery(arm, place.group, place.region)
    definition = make_definition(arm, gallery, place.region)
    for name in ("1.0.0", "1.0.10"):
        make_version(arm, definition, name, {"id": image["id"]}, place.region, location=place.region)
    definition_id = f"{arm.subscription}/{definition}"
    latest = place.machine("latest", {"id": definition_id})
    reference = latest["properties"]["storageProfile"]["imageReference"]
    assert reference == {"id": definition_id, "exactVersion": "1.0.10"}
    exact = place.machine("exact", {"id": f"{definition_id}/versions/1.0.0"})
    assert exact["properties"]["storageProfile"]["imageReference"]["exactVersion"] == "1.0.0"
    assert arm.get(f"{place.path('exact')}/instanceView")["hyperVGeneration"] == "V2"


def test_specialized_version_makes_machines_without_osprofile(place: Place, arm: Arm) -> None:
    disk = arm.disk(place.group, "specialos", location=place.region, hyperVGeneration="V2", osType="Linux")
    gallery = make_gallery(arm, place.group, place.region)
    definition = make_definition(arm, gallery, place.region, osState="Specialized")
    source = {"osDiskImage": {"source": {"id": disk["id"]}}}
    version = make_version(arm, definition, "1.0.0", source, place.region, location=place.region)
    body = place.body("special", {"id": version["id"]})
    refused = arm.send("PUT", place.path("special"), body)
    assert error_of(refused) == (400, "InvalidParameter")
    assert refused.json()["error"]["target"] == "osProfile"
    del body["properties"]["osProfile"]
    machine = arm.make(place.path("special"), body)
    assert "osProfile" not in machine["properties"]
    assert place.statuses("special")[0] == "OSState/specialized"


@pytest.mark.parametrize(
    ("reference", "size", "text"),
    [
        (_GEN2, "Standard_D1_v2", "cannot boot Hypervisor Generation '2'"),
        (DEBIAN, "Standard_D2s_v6", "cannot boot Hypervisor Generation '1'"),
        (_ARM64, "Standard_D2s_v5", "only supports a CPU Architecture of 'x64'"),
        (_GEN2, "Standard_D2ps_v5", "only supports a CPU Architecture of 'Arm64'"),
    ],
)
def test_size_and_image_have_to_match(place: Place, reference: Json, size: str, text: str) -> None:
    body = place.body("mismatch", reference, hardwareProfile={"vmSize": size})
    refused = place.arm.send("PUT", place.path("mismatch"), body)
    assert error_of(refused) == (400, "BadRequest")
    assert text in message_of(refused)


def test_security_type_has_to_suit_image_and_size(place: Place, arm: Arm) -> None:
    trusted = {"securityType": "TrustedLaunch", "uefiSettings": {"secureBootEnabled": True}}
    for name, reference, size, text in (
        ("tl1", DEBIAN, "Standard_DS1_v2", "Use of TrustedLaunch setting is not supported"),
        ("tl2", _GEN2, "Standard_DC2as_v5", "with 'TrustedLaunch' security type."),
    ):
        body = place.body(name, reference, securityProfile=trusted, hardwareProfile={"vmSize": size})
        refused = arm.send("PUT", place.path(name), body)
        assert error_of(refused) == (400, "BadRequest"), refused.text
        assert text in message_of(refused)
    machine = place.machine("trusted", _GEN2, securityProfile=trusted)
    assert machine["properties"]["securityProfile"] == trusted
    os_disk = machine["properties"]["storageProfile"]["osDisk"]
    assert disk_of(arm, os_disk)["properties"]["securityProfile"] == {"securityType": "TrustedLaunch"}
    place.stop_and_generalize("trusted")
    source = {"sourceVirtualMachine": {"id": machine["id"]}}
    image = {"location": place.region, "properties": source}
    refused = arm.send("PUT", compute(place.group, "images", "trusted"), image)
    assert error_of(refused) == (409, "OperationNotAllowed")
    assert message_of(refused) == (
        "Creation of managed images are not supported for virtual machine with TrustedLaunch security type."
    )


def test_trusted_disk_is_attached_to_trusted_machines_only(place: Place, arm: Arm) -> None:
    security = {"securityType": "TrustedLaunch"}
    disk = arm.disk(
        place.group,
        "trusteddisk",
        location=place.region,
        osType="Linux",
        hyperVGeneration="V2",
        securityProfile=security,
    )
    body = place.body("attach", None)
    attached = {"createOption": "Attach", "managedDisk": {"id": disk["id"]}}
    body["properties"]["storageProfile"] = {"osDisk": attached}
    refused = arm.send("PUT", place.path("attach"), body)
    assert message_of(refused) == (
        "Security type of VM is not compatible with the security type of attached OS Disk."
    )
    body["properties"]["securityProfile"] = security
    arm.make(place.path("attach"), body)


def test_plan_is_required_known_and_accepted(place: Place, arm: Arm) -> None:
    body = place.body("paid", _PAID)
    late = arm.send("PUT", place.path("paid"), body)
    assert late.status_code == 201
    assert arm.finish(late)["error"]["code"] == "VMMarketplaceInvalidInput"
    assert arm.get(place.path("paid"))["properties"]["provisioningState"] == "Failed"
    arm.done(arm.send("DELETE", place.path("paid")))
    unknown = {**copy.deepcopy(body), "plan": {**_PLAN, "product": "other"}}
    refused = arm.send("PUT", place.path("paid"), unknown)
    assert error_of(refused) == (400, "ResourcePurchaseValidationFailed")
    refused = arm.send("PUT", place.path("paid"), {**body, "plan": _PLAN})
    assert "You have not accepted the legal terms" in message_of(refused)


def test_ids_have_to_be_whole(place: Place, arm: Arm) -> None:
    refused = arm.send("PUT", place.path("bad"), place.body("bad", {"id": "image"}))
    assert error_of(refused) == (400, "LinkedInvalidPropertyId")
    both = {"id": f"{arm.subscription}/x", **DEBIAN}
    refused = arm.send("PUT", place.path("bad2"), place.body("bad2", both))
    assert error_of(refused) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    "change",
    [
        {"hardwareProfile": []},
        {"storageProfile": {"osDisk": "disk"}},
        {"storageProfile": {"dataDisks": {"lun": 1}}},
        {"networkProfile": {"networkInterfaces": ["id"]}},
        {"osProfile": {"adminUsername": 5}},
        {"securityProfile": {"uefiSettings": {"vTpmEnabled": "yes"}}},
    ],
)
def test_wrong_json_types_are_the_clients_mistake(place: Place, change: Json) -> None:
    body = place.body("types", DEBIAN, **change)
    refused = place.arm.send("PUT", place.path("types"), body)
    assert error_of(refused) == (400, "InvalidRequestContent")


def test_size_that_is_not_offered_to_the_subscription(place: Place, arm: Arm) -> None:
    body = place.body("rare", DEBIAN, hardwareProfile={"vmSize": "Standard_M8ms"})
    refused = arm.send("PUT", place.path("rare"), body)
    assert error_of(refused) == (409, "SkuNotAvailable")


def test_ultra_disks_need_the_capability(place: Place, arm: Arm) -> None:
    ultra = {"storageAccountType": "UltraSSD_LRS"}
    data: Json = {"lun": 0, "createOption": "Empty", "diskSizeGB": 4, "managedDisk": ultra}
    body = place.body("ultra", DEBIAN, hardwareProfile={"vmSize": "Standard_D2s_v3"})
    body["properties"]["storageProfile"]["dataDisks"] = [data]
    refused = arm.send("PUT", place.path("ultra"), body)
    assert "additionalCapabilities.ultraSSDEnabled" in message_of(refused)


def test_ephemeral_disk_goes_with_its_machine_and_is_never_deallocated(place: Place, arm: Arm) -> None:
    body = place.body("ephemeral", DEBIAN)
    body["properties"]["storageProfile"]["osDisk"] |= {"diffDiskSettings": {"option": "Local"}}
    refused = arm.send("PUT", place.path("ephemeral"), body)
    assert refused.json()["error"]["target"] == "osDisk.caching"
    body["properties"]["storageProfile"]["osDisk"]["caching"] = "ReadOnly"
    machine = arm.make(place.path("ephemeral"), body)
    assert error_of(place.post("ephemeral", "deallocate")) == (409, "OperationNotAllowed")
    disk = machine["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]
    arm.done(arm.send("DELETE", place.path("ephemeral")))
    assert error_of(arm.send("GET", disk, version="2024-03-02")) == (404, "ResourceNotFound")
