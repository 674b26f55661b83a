# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Managed disks and snapshots: where they come from, their states, uploads, growth."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest
from azure.storage.blob import BlobClient

from tests.local_azure.blob_storage.blob_vhd import FOOTER_SIZE, fixed_footer
from tests.local_azure.blob_storage.vhd import MIB
from tests.unit.local_azure.arm_server import Arm, Json, compute, error_of

_SMALL = 20 * MIB


@pytest.fixture
def group(arm: Arm) -> str:
    return arm.group()


def upload_disk(arm: Arm, group: str, name: str = "up") -> Json:
    creation = {"createOption": "Upload", "uploadSizeBytes": _SMALL + FOOTER_SIZE}
    properties = {"osType": "Linux", "hyperVGeneration": "V2", "creationData": creation}
    return arm.make(compute(group, "disks", name), {"location": "westus", "properties": properties})


def grant(arm: Arm, path: str, access: str = "Write") -> str:
    answer = arm.send("POST", path + "/beginGetAccess", {"access": access, "durationInSeconds": 600})
    return str(arm.done(answer)["properties"]["output"]["accessSAS"])


def blob_client(arm: Arm, sas: str) -> BlobClient:
    return BlobClient.from_blob_url(sas, connection_verify=str(arm.settings.state_dir / "ca.pem"))


def state(arm: Arm, path: str) -> str:
    return str(arm.get(path)["properties"]["diskState"])


def test_empty_disk_gets_azures_defaults(arm: Arm, group: str) -> None:
    body = {
        "location": "westus",
        "sku": {"name": "Premium_LRS"},
        "tags": {"a": "b"},
        "properties": {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}},
    }
    path = compute(group, "disks", "d")
    first = arm.send("PUT", path, body)
    assert first.json()["sku"] == {"name": "Premium_LRS"}
    assert first.json()["properties"] == {
        "diskSizeGB": 1,
        "creationData": {"createOption": "Empty"},
        "provisioningState": "Updating",
    }
    arm.done(first)
    disk = arm.get(path)
    assert disk["sku"] == {"name": "Premium_LRS", "tier": "Premium"}
    properties = disk["properties"]
    assert {k: properties[k] for k in ("diskIOPSReadWrite", "diskMBpsReadWrite", "tier")} == {
        "diskIOPSReadWrite": 120,
        "diskMBpsReadWrite": 25,
        "tier": "P1",
    }
    assert properties["diskState"] == "Unattached"
    assert properties["diskSizeBytes"] == 1024 * MIB
    assert properties["encryption"] == {"type": "EncryptionAtRestWithPlatformKey"}
    assert (properties["networkAccessPolicy"], properties["publicNetworkAccess"]) == ("AllowAll", "Enabled")


def test_upload_from_grant_to_revoke(arm: Arm, group: str) -> None:
    path = compute(group, "disks", "up")
    disk = upload_disk(arm, group)
    assert disk["properties"]["diskState"] == "ReadyToUpload"
    assert not {"diskSizeGB", "diskSizeBytes"} & set(disk["properties"])
    sas = grant(arm, path)
    assert sas.partition("?")[0].endswith("/abcd")
    assert {"si", "sig"} <= set(parse_qs(sas.partition("?")[2])) <= {"sv", "sr", "si", "sig", "spr"}
    assert state(arm, path) == "ActiveUpload"
    blob = blob_client(arm, sas)
    assert blob.get_blob_properties().size == _SMALL + FOOTER_SIZE
    blob.upload_page(b"\x55" * 512, offset=0, length=512)
    blob.upload_page(fixed_footer(_SMALL), offset=_SMALL, length=FOOTER_SIZE)
    arm.done(arm.send("POST", path + "/endGetAccess"))
    disk = arm.get(path)
    assert disk["properties"]["diskState"] == "Unattached"
    assert disk["properties"]["diskSizeBytes"] == _SMALL
    assert disk["properties"]["diskSizeGB"] == 1
    with pytest.raises(Exception, match=r"AuthenticationFailed|not authorized|AuthorizationFailure"):
        blob.get_blob_properties()
    read = blob_client(arm, grant(arm, path, "Read"))
    assert state(arm, path) == "ActiveSAS"
    assert read.download_blob(offset=0, length=512).readall() == b"\x55" * 512
    assert error_of(arm.send("DELETE", path)) == (409, "OperationNotAllowed")
    arm.done(arm.send("POST", path + "/endGetAccess"))
    assert state(arm, path) == "Unattached"
    assert error_of(
        arm.send("POST", path + "/beginGetAccess", {"access": "Write", "durationInSeconds": 9})
    ) == (
        409,
        "OperationNotAllowed",
    )


def test_upload_without_footer_is_refused_and_can_be_mended(arm: Arm, group: str) -> None:
    path = compute(group, "disks", "up")
    upload_disk(arm, group)
    sas = grant(arm, path)
    refused = arm.send("POST", path + "/endGetAccess")
    assert error_of(refused) == (400, "InvalidVhd")
    message = refused.json()["error"]["message"]
    assert message.startswith(
        "The specified cookie value in VHD footer indicates that disk 'abcd' with blob "
    )
    assert message.endswith("is not a supported VHD. Disk is expected to have cookie value 'conectix'.")
    assert state(arm, path) == "ActiveUpload"
    # An image of it fails late and says little, as Azure does.
    os_disk = {"osType": "Linux", "osState": "Generalized", "managedDisk": {"id": arm.get(path)["id"]}}
    image = {"hyperVGeneration": "V2", "storageProfile": {"osDisk": os_disk}}
    answer = arm.send("PUT", compute(group, "images", "i"), {"location": "westus", "properties": image})
    assert answer.status_code == 201
    assert arm.finish(answer)["error"]["code"] == "InternalExecutionError"
    assert arm.get(compute(group, "images", "i"))["properties"]["provisioningState"] == "Failed"
    footer = fixed_footer(_SMALL)
    blob_client(arm, sas).upload_page(footer, offset=_SMALL, length=FOOTER_SIZE)
    arm.done(arm.send("POST", path + "/endGetAccess"))
    assert state(arm, path) == "Unattached"


@pytest.mark.parametrize(
    ("size", "code", "text"),
    [
        (44716382720, "BadRequest", "(44716382208 in this case) must be a multiple of MiB."),
        (_SMALL + FOOTER_SIZE - MIB, "BadRequest", "must be between"),
        (32 * 1024 * 1024 * MIB + FOOTER_SIZE + MIB, "BadRequest", "must be between"),
        (None, "InvalidParameter", "Required parameter 'creationData.uploadSizeBytes' is missing (null)."),
    ],
)
def test_upload_size_rules(arm: Arm, group: str, size: int | None, code: str, text: str) -> None:
    creation = {"createOption": "Upload", "uploadSizeBytes": size}
    body = {"location": "westus", "properties": {"creationData": creation}}
    answer = arm.send("PUT", compute(group, "disks", "up"), body)
    assert error_of(answer) == (400, code)
    assert text in answer.json()["error"]["message"]
    assert error_of(arm.send("GET", compute(group, "disks", "up"))) == (404, "ResourceNotFound")


@pytest.mark.parametrize(
    ("properties", "target"),
    [
        ({}, "creationData"),
        ({"creationData": {}}, "creationData.createOption"),
        ({"creationData": {"createOption": "Empty"}}, "disk.diskSizeGB"),
        ({"creationData": {"createOption": "Empty"}, "diskSizeGB": 40000}, "disk.diskSizeGB"),
        ({"creationData": {"createOption": "Magic"}}, "creationData.createOption"),
        ({"creationData": {"createOption": "Copy"}}, "creationData.sourceResourceId"),
        (
            {"creationData": {"createOption": "Import", "sourceUri": "https://h"}},
            "creationData.storageAccountId",
        ),
    ],
)
def test_incomplete_disks_name_the_parameter(arm: Arm, group: str, properties: Any, target: str) -> None:
    body = {"location": "westus", "properties": properties}
    answer = arm.send("PUT", compute(group, "disks", "d"), body)
    assert error_of(answer) == (400, "InvalidParameter")
    assert answer.json()["error"]["target"] == target


def test_copies_keep_content_and_know_their_origin(arm: Arm, group: str) -> None:
    upload_disk(arm, group)
    path = compute(group, "disks", "up")
    blob = blob_client(arm, grant(arm, path))
    blob.upload_page(b"\xaa" * 512, offset=MIB, length=512)
    blob.upload_page(fixed_footer(_SMALL), offset=_SMALL, length=FOOTER_SIZE)
    arm.done(arm.send("POST", path + "/endGetAccess"))
    source = arm.get(path)
    copy = {"createOption": "Copy", "sourceResourceId": source["id"]}
    snapshot_body = {"location": "westus", "properties": {"creationData": copy, "incremental": True}}
    snapshot = arm.make(compute(group, "snapshots", "s"), snapshot_body)
    assert snapshot["properties"]["creationData"]["sourceUniqueId"] == source["properties"]["uniqueId"]
    assert snapshot["properties"]["incremental"] is True
    assert snapshot["properties"]["osType"] == "Linux"
    arm.done(arm.send("DELETE", path))
    larger = {"createOption": "Copy", "sourceResourceId": snapshot["id"]}
    disk = arm.make(
        compute(group, "disks", "d"),
        {"location": "westus", "properties": {"creationData": larger, "diskSizeGB": 2}},
    )
    assert disk["properties"]["diskSizeBytes"] == 2048 * MIB
    read = blob_client(arm, grant(arm, compute(group, "disks", "d"), "Read"))
    assert read.download_blob(offset=MIB, length=512).readall() == b"\xaa" * 512
    tail = read.download_blob(offset=2048 * MIB, length=FOOTER_SIZE).readall()
    assert tail.startswith(b"conectix")
    assert read.download_blob(offset=_SMALL, length=FOOTER_SIZE).readall() == bytes(FOOTER_SIZE)


def test_copy_source_must_be_in_the_region(arm: Arm, group: str) -> None:
    source = arm.disk(group, "d")
    copy = {"createOption": "Copy", "sourceResourceId": source["id"]}
    body = {"location": "eastus", "properties": {"creationData": copy}}
    answer = arm.send("PUT", compute(group, "snapshots", "s"), body)
    assert error_of(answer) == (404, "NotFound")
    assert answer.json()["error"]["message"] == "Resource d is not found."


def test_disk_grows_and_its_kind_stays(arm: Arm, group: str) -> None:
    arm.disk(group, "d")
    path = compute(group, "disks", "d")
    grown = arm.send("PATCH", path, {"properties": {"diskSizeGB": 3}, "sku": {"name": "StandardSSD_LRS"}})
    assert grown.status_code == 202
    arm.done(grown)
    disk = arm.get(path)
    assert disk["properties"]["diskSizeBytes"] == 3072 * MIB
    assert disk["sku"]["name"] == "StandardSSD_LRS"
    change = {"properties": {"creationData": {"createOption": "Copy"}}}
    assert error_of(arm.send("PATCH", path, change)) == (409, "PropertyChangeNotAllowed")


def test_access_needs_a_kind_and_a_time(arm: Arm, group: str) -> None:
    arm.disk(group, "d")
    path = compute(group, "disks", "d") + "/beginGetAccess"
    for body, target in (
        ({"durationInSeconds": 60}, "access"),
        ({"access": "Read"}, "durationInSeconds"),
        ({"access": "Read", "durationInSeconds": 5184001}, "durationInSeconds"),
        ({"access": "Own", "durationInSeconds": 60}, "access"),
    ):
        answer = arm.send("POST", path, body)
        assert error_of(answer) == (400, "InvalidParameter")
        assert answer.json()["error"]["target"] == target
