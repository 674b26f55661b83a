# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Managed images: every source, what Azure fills in, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

from tests.local_azure.blob_storage.blob_vhd import fixed_footer
from tests.local_azure.blob_storage.vhd import MIB
from tests.unit.local_azure.arm_server import Arm, Json, compute, error_of, storage_path

_SMALL = 20 * MIB


@pytest.fixture
def group(arm: Arm) -> str:
    return arm.group()


def image_body(os_disk: Json, **properties: Any) -> Json:
    disk = {"osType": "Linux", "osState": "Generalized", **os_disk}
    profile = {"osDisk": disk, **properties.pop("profile", {})}
    return {
        "location": "westus",
        "properties": {"hyperVGeneration": "V1", "storageProfile": profile, **properties},
    }


@pytest.fixture(scope="module")
def blobs(arm: Arm) -> BlobServiceClient:
    """A storage account's blobs, its container `vhds` made through Resource Manager."""
    account = storage_path(arm.group(), "imageblobs")
    answer = arm.send("PUT", account, {"location": "westus", "sku": {"name": "Standard_LRS"}})
    while arm.send("GET", answer.headers["Location"]).status_code == 202:
        pass
    assert arm.send("PUT", account + "/blobServices/default/containers/vhds", {}).status_code == 201
    key = arm.send("POST", account + "/listKeys").json()["keys"][0]["value"]
    endpoint = arm.get(account)["properties"]["primaryEndpoints"]["blob"]
    bundle = str(arm.settings.state_dir / "ca.pem")
    return BlobServiceClient(endpoint.rstrip("/"), credential=key, connection_verify=bundle)


def page_blob(blobs: BlobServiceClient, name: str, size: int, footer: bytes | None) -> str:
    blob = blobs.get_blob_client("vhds", name)
    blob.create_page_blob(size + 512)
    if footer is not None:
        blob.upload_page(footer, offset=size, length=512)
    return str(blob.url)


def test_early_versions_do_not_tell_the_size_of_what_a_blob_became(
    arm: Arm, group: str, blobs: BlobServiceClient
) -> None:
    old = "2017-03-30"
    url = page_blob(blobs, "early.vhd", _SMALL, fixed_footer(_SMALL))
    image, disk = compute(group, "images", "early"), compute(group, "disks", "early")
    request = image_body({"blobUri": url})
    del request["properties"]["hyperVGeneration"]
    arm.done(arm.send("PUT", image, request, version=old))
    shown = arm.send("GET", image, version=old).json()["properties"]["storageProfile"]["osDisk"]
    assert (shown["blobUri"], "diskSizeGB" in shown) == (url, False)
    assert arm.get(image)["properties"]["storageProfile"]["osDisk"]["diskSizeGB"] == 1
    creation = {"createOption": "Import", "sourceUri": url}
    body = {"location": "westus", "properties": {"creationData": creation}}
    first = arm.send("PUT", disk, body, version=old)
    assert (first.status_code, "name" in first.json()) == (202, False)
    output = arm.done(first)["properties"]["output"]
    assert (output["name"], "diskSizeGB" in output["properties"]) == ("early", False)
    assert "diskSizeGB" not in arm.send("GET", disk, version=old).json()["properties"]
    later = arm.send("GET", disk, version="2018-04-01").json()["properties"]
    assert later["diskSizeGB"] == 1


def test_mixed_sources_get_defaults_and_sizes(arm: Arm, group: str) -> None:
    disk = arm.disk(group, "d", diskSizeGB=3)
    copy = {"createOption": "Copy", "sourceResourceId": disk["id"]}
    snapshot = arm.make(
        compute(group, "snapshots", "s"), {"location": "westus", "properties": {"creationData": copy}}
    )
    data = [
        {"lun": 0, "managedDisk": {"id": disk["id"]}},
        {
            "lun": 2,
            "snapshot": {"id": snapshot["id"]},
            "caching": "ReadOnly",
            "storageAccountType": "Premium_LRS",
        },
    ]
    body = image_body({"snapshot": {"id": snapshot["id"]}}, profile={"dataDisks": data})
    path = compute(group, "images", "i")
    answer = arm.send("PUT", path, body)
    shown = answer.json()["properties"]
    assert shown["provisioningState"] == "Creating"
    assert shown["storageProfile"]["osDisk"] == {
        "osType": "Linux",
        "osState": "Generalized",
        "snapshot": {"id": snapshot["id"]},
        "caching": "None",
        "storageAccountType": "Standard_LRS",
    }
    arm.done(answer)
    profile = arm.get(path)["properties"]["storageProfile"]
    assert profile["osDisk"]["diskSizeGB"] == 3
    assert [d["diskSizeGB"] for d in profile["dataDisks"]] == [3, 3]
    assert profile["dataDisks"][1]["caching"] == "ReadOnly"
    assert profile["dataDisks"][1]["storageAccountType"] == "Premium_LRS"
    assert "sourceVirtualMachine" not in arm.get(path)["properties"]


def test_image_outlives_its_sources(arm: Arm, group: str) -> None:
    disk = arm.disk(group, "d")
    arm.image(group, "i", disk)
    arm.done(arm.send("DELETE", compute(group, "disks", "d")))
    subnet = arm.subnet(group)
    image = arm.get(compute(group, "images", "i"))
    machine = arm.make(compute(group, "virtualMachines", "vm"), arm.machine_body(image, subnet))
    assert machine["properties"]["provisioningState"] == "Succeeded"


def test_image_from_a_blob(arm: Arm, group: str, blobs: BlobServiceClient) -> None:
    url = page_blob(blobs, "good.Vhd", _SMALL, fixed_footer(_SMALL))
    answer = arm.send("PUT", compute(group, "images", "i"), image_body({"blobUri": url}))
    assert answer.status_code == 201
    assert answer.json()["properties"]["storageProfile"]["osDisk"]["blobUri"] == url
    arm.done(answer)
    os_disk = arm.get(compute(group, "images", "i"))["properties"]["storageProfile"]["osDisk"]
    assert (os_disk["blobUri"], os_disk["diskSizeGB"]) == (url, 1)


def test_bad_blobs_are_refused_at_once(arm: Arm, group: str, blobs: BlobServiceClient) -> None:
    no_footer = page_blob(blobs, "nofooter.vhd", _SMALL, None)
    dynamic = bytearray(fixed_footer(_SMALL))
    dynamic[60:64] = b"\0\0\0\3"
    odd = _SMALL + 512
    blobs.get_blob_client("vhds", "block.vhd").upload_blob(b"x" * 1024)
    base = no_footer.rpartition("/")[0]
    cases = [
        (f"{base}/missing.vhd", "disks", "is not accessible."),
        (f"{base}/block.vhd", "disks", "is not a page blob."),
        (no_footer, "disks", "Disk is expected to have cookie value 'conectix'."),
        (page_blob(blobs, "dynamic.vhd", _SMALL, bytes(dynamic)), "disks", "Only blobs formatted as VHDs"),
        (page_blob(blobs, "odd.vhd", odd, fixed_footer(odd)), "disks", f"virtual size of {odd} bytes"),
        (f"{base}/sub/x.vhd", "disk.blobUri", "contains a slash."),
        (f"{base}/image.raw", "disk.blobUri", "must end with '.vhd' extension."),
        ("https://elsewhere.blob.example/vhds/x.vhd", "disk.blobUri", "is not accessible."),
    ]
    for url, target, text in cases:
        answer = arm.send("PUT", compute(group, "images", "i"), image_body({"blobUri": url}))
        assert error_of(answer) == (400, "InvalidParameter"), url
        assert answer.json()["error"]["target"] == target
        assert text in answer.json()["error"]["message"]
    assert error_of(arm.send("GET", compute(group, "images", "i"))) == (404, "ResourceNotFound")


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"hyperVGeneration": None}, "hyperVGeneration"),
        ({"hyperVGeneration": "V3"}, "hyperVGeneration"),
        ({"storageProfile": None}, "storageProfile"),
        ({"storageProfile": {"osDisk": {"osState": "Generalized"}}}, "osDisk.osType"),
        ({"storageProfile": {"osDisk": {"osType": "Linux"}}}, "osDisk.osState"),
        (
            {"storageProfile": {"osDisk": {"osType": "Linux", "osState": "Generalized"}}},
            "osDisk.managedDisk",
        ),
    ],
)
def test_incomplete_images_name_the_parameter(arm: Arm, group: str, change: Json, target: str) -> None:
    body = image_body({"managedDisk": {"id": "x"}})
    body["properties"].update(change)
    answer = arm.send("PUT", compute(group, "images", "i"), body)
    assert error_of(answer) == (400, "InvalidParameter")
    assert answer.json()["error"]["target"] == target


def test_sources_must_exist_in_the_region(arm: Arm, group: str) -> None:
    disk = arm.disk(group, "d", location="eastus")
    for source in (disk["id"], disk["id"] + "missing"):
        answer = arm.send("PUT", compute(group, "images", "i"), image_body({"managedDisk": {"id": source}}))
        assert error_of(answer) == (404, "NotFound")
    machine = {"properties": {"sourceVirtualMachine": {"id": f"{arm.subscription}/{group}/x/none"}}}
    answer = arm.send("PUT", compute(group, "images", "i"), {"location": "westus", **machine})
    assert error_of(answer) == (404, "NotFound")
    assert answer.json()["error"]["message"] == (
        "Source Virtual Machine 'none' specified in the request does not exist in this Azure location."
    )
    copy = {"createOption": "Copy", "sourceResourceId": disk["id"]}
    body = {"location": "eastus", "properties": {"creationData": copy}}
    snapshot = arm.make(compute(group, "snapshots", "s"), body)
    answer = arm.send("PUT", compute(group, "images", "i"), image_body({"snapshot": {"id": snapshot["id"]}}))
    assert answer.status_code == 201
    assert arm.finish(answer)["error"]["code"] == "InternalExecutionError"


def test_luns_are_unique(arm: Arm, group: str) -> None:
    disk = arm.disk(group, "d")
    data = [{"lun": 1, "managedDisk": {"id": disk["id"]}}] * 2
    body = image_body({"managedDisk": {"id": disk["id"]}}, profile={"dataDisks": data})
    answer = arm.send("PUT", compute(group, "images", "i"), body)
    assert error_of(answer) == (400, "InvalidParameter")


def test_put_over_another_source_changes_only_tags(arm: Arm, group: str) -> None:
    first, second = arm.disk(group, "d1"), arm.disk(group, "d2", diskSizeGB=2)
    before = arm.image(group, "i", first)
    body = {**image_body({"managedDisk": {"id": second["id"]}}), "tags": {"new": "yes"}}
    answer = arm.send("PUT", compute(group, "images", "i"), body)
    assert answer.status_code == 200
    arm.done(answer)
    after = arm.get(compute(group, "images", "i"))
    assert after["tags"] == {"new": "yes"}
    assert after["properties"] == before["properties"]


def test_images_are_listed_by_group_and_subscription(arm: Arm, group: str) -> None:
    image = arm.image(group, "listed", arm.disk(group, "d"))
    assert arm.get(compute(group, "images"))["value"] == [image]
    everywhere = arm.get("providers/Microsoft.Compute/images")["value"]
    assert image["id"] in [i["id"] for i in everywhere]
    assert "nextLink" not in arm.get("providers/Microsoft.Compute/images")
