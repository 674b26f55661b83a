# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Machines with unmanaged disks: VHD blobs of the user's, captured, made images of, converted."""

from __future__ import annotations

import pytest
from azure.storage.blob import BlobServiceClient

from tests.local_azure.blob_storage.blob_vhd import fixed_footer
from tests.local_azure.blob_storage.vhd import MIB
from tests.unit.local_azure.arm_server import Arm, Json, compute, error_of
from tests.unit.local_azure.machines import DEBIAN, Place, message_of

_SMALL = 20 * MIB
_MARK = b"written by the user".ljust(512, b"\0")


@pytest.fixture(scope="module")
def place(arm: Arm) -> Place:
    return Place(arm, "uksouth")


@pytest.fixture(scope="module")
def blobs(place: Place) -> BlobServiceClient:
    client = place.account("machineblobs")
    client.create_container("vhds")
    return client


def url(blobs: BlobServiceClient, name: str) -> str:
    return str(blobs.get_blob_client("vhds", name).url)


def upload(blobs: BlobServiceClient, name: str) -> str:
    """A small fixed VHD that begins with a mark."""
    blob = blobs.get_blob_client("vhds", name)
    blob.create_page_blob(_SMALL + 512)
    blob.upload_page(_MARK, offset=0, length=512)
    blob.upload_page(fixed_footer(_SMALL), offset=_SMALL, length=512)
    return str(blob.url)


def begins(blobs: BlobServiceClient, container: str, name: str) -> bytes:
    return bytes(blobs.get_blob_client(container, name).download_blob(0, 512).readall())


def unmanaged(place: Place, name: str, os_disk: Json, reference: Json | None = None) -> Json:
    body = place.body(name, reference)
    body["properties"]["storageProfile"]["osDisk"] = {"name": f"{name}-os", **os_disk}
    return body


def user_image(place: Place, blobs: BlobServiceClient, name: str) -> Json:
    """A request for a machine made of a VHD of the user's, with an empty data disk."""
    body = unmanaged(
        place,
        name,
        {
            "createOption": "FromImage",
            "osType": "Linux",
            "image": {"uri": upload(blobs, f"{name}-source.vhd")},
            "vhd": {"uri": url(blobs, f"{name}-os.vhd")},
        },
    )
    body["properties"]["osProfile"] = place.body(name, DEBIAN)["properties"]["osProfile"]
    data = {"lun": 2, "name": "data", "createOption": "Empty", "diskSizeGB": 1}
    body["properties"]["storageProfile"]["dataDisks"] = [
        {**data, "vhd": {"uri": url(blobs, f"{name}-2.vhd")}}
    ]
    return body


def test_platform_image_becomes_a_blob_of_the_users(place: Place, arm: Arm, blobs: BlobServiceClient) -> None:
    os_disk = {"createOption": "FromImage", "vhd": {"uri": url(blobs, "platform.vhd")}}
    answer = arm.send("PUT", place.path("platform"), unmanaged(place, "platform", os_disk, DEBIAN))
    assert answer.status_code == 201
    assert "diskSizeGB" not in answer.json()["properties"]["storageProfile"]["osDisk"]
    arm.done(answer)
    shown = arm.get(place.path("platform"))["properties"]["storageProfile"]["osDisk"]
    assert shown["vhd"] == os_disk["vhd"]
    assert (shown["diskSizeGB"], "managedDisk" in shown) == (30, False)
    size = blobs.get_blob_client("vhds", "platform.vhd").get_blob_properties().size
    assert 30 * 1024 * MIB <= size < 30 * 1024 * MIB + 3 * MIB


def test_capture_copies_the_blobs_and_answers_a_template(
    place: Place, arm: Arm, blobs: BlobServiceClient
) -> None:
    machine = arm.make(place.path("captured"), user_image(place, blobs, "captured"))
    wanted = {"vhdPrefix": "gold", "destinationContainerName": "images", "overwriteVhds": False}
    refused = place.post("captured", "capture", wanted)
    assert message_of(refused) == "Capture operation cannot be completed because the VM is not generalized."
    place.stop_and_generalize("captured")
    answer = place.post("captured", "capture", wanted)
    assert (answer.status_code, answer.content) == (202, b"")
    template = arm.done(answer)["properties"]["output"]
    assert arm.send("GET", answer.headers["Location"]).json() == template
    vm_id = machine["properties"]["vmId"]
    storage = template["resources"][0]["properties"]["storageProfile"]
    assert template["parameters"]["vmSize"]["defaultValue"] == "Standard_DS1_v2"
    assert storage["osDisk"]["name"] == f"gold-osDisk.{vm_id}.vhd"
    image = f"Microsoft.Compute/Images/images/gold-osDisk.{vm_id}.vhd"
    assert storage["osDisk"]["image"]["uri"].endswith(f"/machineblobs/system/{image}")
    assert begins(blobs, "system", image) == _MARK
    assert [d["lun"] for d in storage["dataDisks"]] == [2]
    again = place.post("captured", "capture", wanted)
    assert error_of(again) == (409, "TargetDiskBlobAlreadyExists")
    arm.done(place.post("captured", "capture", {**wanted, "overwriteVhds": True}))
    child = unmanaged(place, "fromcapture", {**storage["osDisk"], "name": "child"})
    child["properties"]["osProfile"] = place.body("fromcapture", DEBIAN)["properties"]["osProfile"]
    arm.make(place.path("fromcapture"), child)
    target = storage["osDisk"]["vhd"]["uri"].rpartition("/machineblobs/")[2]
    assert begins(blobs, *target.split("/", 1)) == _MARK


def test_image_of_unmanaged_disks_names_the_blobs_and_outlives_them(
    place: Place, arm: Arm, blobs: BlobServiceClient
) -> None:
    machine = arm.make(place.path("imaged"), user_image(place, blobs, "imaged"))
    place.stop_and_generalize("imaged")
    path = compute(place.group, "images", "imaged")
    source = {"sourceVirtualMachine": {"id": machine["id"]}}
    answer = arm.send("PUT", path, {"location": place.region, "properties": source})
    os_disk = answer.json()["properties"]["storageProfile"]["osDisk"]
    assert (os_disk["blobUri"], os_disk["diskSizeGB"]) == (url(blobs, "imaged-os.vhd"), 1)
    arm.done(answer)
    arm.done(arm.send("DELETE", place.path("imaged")))
    assert blobs.get_blob_client("vhds", "imaged-os.vhd").exists()
    blobs.get_blob_client("vhds", "imaged-os.vhd").delete_blob()
    child = place.machine("imagechild", {"id": arm.get(path)["id"]})
    assert [d["lun"] for d in child["properties"]["storageProfile"]["dataDisks"]] == [2]
    granted = arm.done(
        arm.send(
            "POST",
            _disk_of_deallocated(place, "imagechild") + "/beginGetAccess",
            {"access": "Read", "durationInSeconds": 600},
            version="2024-03-02",
        )
    )
    sas = granted["properties"]["output"]["accessSAS"]
    content = arm.http.get(sas, headers={"Range": "bytes=0-511"}, timeout=30)
    assert content.content == _MARK


def _disk_of_deallocated(place: Place, name: str) -> str:
    place.arm.done(place.post(name, "deallocate"))
    profile = place.arm.get(place.path(name))["properties"]["storageProfile"]
    return str(profile["osDisk"]["managedDisk"]["id"])


def test_blob_is_used_by_one_machine_and_can_be_converted(
    place: Place, arm: Arm, blobs: BlobServiceClient
) -> None:
    attach = {
        "createOption": "Attach",
        "osType": "Linux",
        "vhd": {"uri": upload(blobs, "attached.vhd")},
    }
    arm.make(place.path("attached"), unmanaged(place, "attached", attach))
    refused = arm.send("PUT", place.path("second"), unmanaged(place, "second", attach))
    assert error_of(refused) == (409, "DiskBlobAlreadyInUseByAnotherDisk")
    not_yet = place.post("attached", "convertToManagedDisks")
    assert "since the VM is not deallocated." in message_of(not_yet)
    arm.done(place.post("attached", "deallocate"))
    answer = place.post("attached", "convertToManagedDisks")
    assert answer.status_code == 202
    arm.done(answer)
    profile = arm.get(place.path("attached"))["properties"]["storageProfile"]
    disk = arm.send("GET", profile["osDisk"]["managedDisk"]["id"], version="2024-03-02").json()
    assert (disk["properties"]["diskState"], disk["managedBy"].rpartition("/")[2]) == ("Reserved", "attached")
    assert "vhd" not in profile["osDisk"]
    again = place.post("attached", "convertToManagedDisks")
    assert message_of(again) == "VM 'attached' is already using managed disks."
    assert begins(blobs, "vhds", "attached.vhd") == _MARK


def test_managed_and_unmanaged_disks_do_not_mix(place: Place, arm: Arm, blobs: BlobServiceClient) -> None:
    os_disk = {"createOption": "FromImage", "vhd": {"uri": url(blobs, "mixed.vhd")}}
    body = unmanaged(place, "mixed", os_disk, DEBIAN)
    body["properties"]["storageProfile"]["dataDisks"] = [{"lun": 0, "createOption": "Empty", "diskSizeGB": 1}]
    refused = arm.send("PUT", place.path("mixed"), body)
    assert message_of(refused) == (
        "Addition of a managed disk to a VM with blob based disks is not supported."
    )
    place.machine("managed")
    disk = {"lun": 1, "name": "d", "createOption": "Empty", "diskSizeGB": 1}
    change = {"storageProfile": {"dataDisks": [{**disk, "vhd": {"uri": url(blobs, "managed.vhd")}}]}}
    refused = arm.send("PATCH", place.path("managed"), {"properties": change})
    assert message_of(refused) == ("Addition of a blob based disk to VM with managed disks is not supported.")
    capture = {"vhdPrefix": "p", "destinationContainerName": "images", "overwriteVhds": True}
    assert "only supported on a Virtual Machine with blob based disks" in message_of(
        place.post("managed", "capture", capture)
    )


def test_bad_vhd_fails_the_machine(place: Place, arm: Arm, blobs: BlobServiceClient) -> None:
    blobs.get_blob_client("vhds", "nofooter.vhd").create_page_blob(_SMALL + 512)
    attach = {"createOption": "Attach", "osType": "Linux", "vhd": {"uri": url(blobs, "nofooter.vhd")}}
    answer = arm.send("PUT", place.path("nofooter"), unmanaged(place, "nofooter", attach))
    assert "cookie value 'conectix'" in arm.finish(answer)["error"]["message"]
    assert arm.get(place.path("nofooter"))["properties"]["provisioningState"] == "Failed"
    assert "ProvisioningState/failed/InvalidParameter" in place.statuses("nofooter")


def test_data_blobs_are_added_and_taken_away(place: Place, arm: Arm, blobs: BlobServiceClient) -> None:
    body = user_image(place, blobs, "changing")
    arm.make(place.path("changing"), body)
    disk = {"lun": 5, "name": "more", "createOption": "Empty", "diskSizeGB": 1}
    added = {**disk, "vhd": {"uri": url(blobs, "changing-5.vhd")}}
    change = {"properties": {"storageProfile": {"dataDisks": [added]}}}
    arm.done(arm.send("PATCH", place.path("changing"), change))
    shown = arm.get(place.path("changing"))["properties"]["storageProfile"]["dataDisks"]
    assert [(d["lun"], d["diskSizeGB"]) for d in shown] == [(5, 1)]
    assert blobs.get_blob_client("vhds", "changing-2.vhd").exists()
