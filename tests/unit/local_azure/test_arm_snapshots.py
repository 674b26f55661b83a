# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Incremental snapshots, their copies to other regions, restore points, and disks of images."""

from __future__ import annotations

import time

import pytest

from tests.local_azure.blob_storage.blob_vhd import FOOTER_SIZE, fixed_footer
from tests.local_azure.blob_storage.vhd import MIB
from tests.unit.local_azure.arm_server import Arm, Json, compute, error_of
from tests.unit.local_azure.test_arm_disks import blob_client, grant

_SMALL = 20 * MIB
_MARK = b"\xa5" * 512


@pytest.fixture
def group(arm: Arm) -> str:
    return arm.group()


def marked_disk(arm: Arm, group: str, name: str = "d") -> Json:
    """An uploaded disk with `_MARK` at its second MiB."""
    creation = {"createOption": "Upload", "uploadSizeBytes": _SMALL + FOOTER_SIZE}
    properties = {"osType": "Linux", "hyperVGeneration": "V2", "creationData": creation}
    path = compute(group, "disks", name)
    arm.make(path, {"location": "westus", "properties": properties})
    blob = blob_client(arm, grant(arm, path))
    blob.upload_page(_MARK, offset=MIB, length=512)
    blob.upload_page(fixed_footer(_SMALL), offset=_SMALL, length=FOOTER_SIZE)
    arm.done(arm.send("POST", path + "/endGetAccess"))
    return arm.get(path)


def snapshot_of(
    source: Json, location: str = "westus", option: str = "Copy", *, incremental: bool = True
) -> Json:
    creation = {"createOption": option, "sourceResourceId": source["id"]}
    return {"location": location, "properties": {"creationData": creation, "incremental": incremental}}


def mark_in(arm: Arm, path: str) -> bool:
    read = blob_client(arm, grant(arm, path, "Read"))
    found = read.download_blob(offset=MIB, length=512).readall() == _MARK
    arm.done(arm.send("POST", path + "/endGetAccess"))
    return bool(found)


def completion(arm: Arm, path: str) -> float:
    return float(arm.get(path)["properties"]["completionPercent"])


def test_incremental_snapshots_of_a_disk_are_one_family(arm: Arm, group: str) -> None:
    disk, other = arm.disk(group, "d"), arm.disk(group, "e")
    families = [
        arm.make(compute(group, "snapshots", name), snapshot_of(source))["properties"][
            "incrementalSnapshotFamilyId"
        ]
        for name, source in (("one", disk), ("two", disk), ("three", other))
    ]
    assert families[0] == families[1] != families[2]
    whole = arm.make(compute(group, "snapshots", "whole"), snapshot_of(disk, incremental=False))
    assert whole["properties"]["incremental"] is False
    assert "incrementalSnapshotFamilyId" not in whole["properties"]
    change = {"properties": {"incremental": True}}
    assert error_of(arm.send("PATCH", compute(group, "snapshots", "whole"), change)) == (
        409,
        "PropertyChangeNotAllowed",
    )


def test_copy_to_another_region_goes_on_after_the_operation_has_succeeded(arm: Arm, group: str) -> None:
    source = arm.make(compute(group, "snapshots", "s"), snapshot_of(marked_disk(arm, group)))
    path = compute(group, "snapshots", "far")
    first = arm.send("PUT", path, snapshot_of(source, "eastus", "CopyStart"))
    output = arm.done(first)["properties"]["output"]["properties"]
    assert output["provisioningState"] == "Succeeded"
    assert "completionPercent" not in output
    assert completion(arm, path) < 100.0
    reading = {"access": "Read", "durationInSeconds": 60}
    assert error_of(arm.send("POST", path + "/beginGetAccess", reading)) == (409, "OperationNotAllowed")
    copy = snapshot_of(arm.get(path), "eastus")
    assert error_of(arm.send("PUT", compute(group, "disks", "early"), copy)) == (409, "OperationNotAllowed")
    seen = {completion(arm, path)}
    deadline = time.monotonic() + 60
    while 100.0 not in seen and time.monotonic() < deadline:
        time.sleep(0.1)
        seen.add(completion(arm, path))
    assert 100.0 in seen
    assert len(seen) > 2
    family = arm.get(path)["properties"]["incrementalSnapshotFamilyId"]
    assert family != source["properties"]["incrementalSnapshotFamilyId"]
    arm.done(arm.send("DELETE", compute(group, "snapshots", "s")))
    assert mark_in(arm, path)


def test_copy_whose_source_goes_away_says_so_and_can_be_deleted(arm: Arm, group: str) -> None:
    source = arm.make(compute(group, "snapshots", "s"), snapshot_of(arm.disk(group, "d")))
    path = compute(group, "snapshots", "far")
    arm.make(path, snapshot_of(source, "eastus", "CopyStart"))
    arm.done(arm.send("DELETE", compute(group, "snapshots", "s")))
    deadline = time.monotonic() + 60
    while "copyCompletionError" not in arm.get(path)["properties"] and time.monotonic() < deadline:
        time.sleep(0.1)
    properties = arm.get(path)["properties"]
    assert properties["copyCompletionError"]["errorCode"] == "CopySourceNotFound"
    assert properties["completionPercent"] < 100.0
    arm.done(arm.send("DELETE", path))
    assert arm.send("GET", path).status_code == 404


def test_copy_can_be_deleted_before_it_is_complete(arm: Arm, group: str) -> None:
    source = arm.make(compute(group, "snapshots", "s"), snapshot_of(arm.disk(group, "d")))
    path = compute(group, "snapshots", "far")
    arm.make(path, snapshot_of(source, "eastus", "CopyStart"))
    arm.done(arm.send("DELETE", path))
    assert arm.send("GET", path).status_code == 404


@pytest.mark.parametrize(("incremental", "of_disk"), [(False, False), (True, True)])
def test_copy_start_is_for_incremental_snapshots_alone(
    arm: Arm, group: str, incremental: bool, of_disk: bool
) -> None:
    disk = arm.disk(group, "d")
    source = disk if of_disk else arm.make(compute(group, "snapshots", "s"), snapshot_of(disk))
    body = snapshot_of(source, "eastus", "CopyStart", incremental=incremental)
    assert error_of(arm.send("PUT", compute(group, "snapshots", "far"), body)) == (400, "InvalidParameter")
    assert arm.send("GET", compute(group, "snapshots", "far")).status_code == 404


def machine_of(arm: Arm, group: str) -> Json:
    """A machine of a marked disk with a data disk at LUN 3."""
    os_disk, data = marked_disk(arm, group), arm.disk(group, "data")
    image = arm.image(group, "i", os_disk, data)
    path = compute(group, "virtualMachines", "m")
    arm.done(arm.send("PUT", path, arm.machine_body(image, arm.subnet(group))))
    return arm.get(path)


def test_restore_point_keeps_the_disks_of_a_moment(arm: Arm, group: str) -> None:
    machine = machine_of(arm, group)
    collection = compute(group, "restorePointCollections", "c")
    made = arm.send(
        "PUT", collection, {"location": "westus", "properties": {"source": {"id": machine["id"]}}}
    )
    assert made.status_code == 201
    assert "Azure-AsyncOperation" not in made.headers
    assert made.json()["properties"]["source"] == {"location": "westus", "id": machine["id"]}
    data_id = machine["properties"]["storageProfile"]["dataDisks"][0]["managedDisk"]["id"]
    path = f"{collection}/restorePoints/p"
    begun = arm.send("PUT", path, {"properties": {"consistencyMode": "CrashConsistent"}})
    assert begun.status_code == 201
    assert "Location" not in begun.headers
    assert "diskRestorePoint" not in begun.json()["properties"]["sourceMetadata"]["storageProfile"]["osDisk"]
    arm.done(begun)
    point = arm.get(path, "&$expand=instanceView")
    assert not {"type", "location"} & set(point)
    stored = point["properties"]["sourceMetadata"]["storageProfile"]
    assert stored["dataDisks"][0]["managedDisk"]["id"] == data_id
    kept = str(stored["osDisk"]["diskRestorePoint"]["id"])
    assert next(d["id"] for d in point["properties"]["instanceView"]["diskRestorePoints"]) == kept
    expanded = arm.get(collection, "&$expand=restorePoints")["properties"]["restorePoints"]
    assert [entry["name"] for entry in expanded] == ["p"]
    assert "restorePoints" not in arm.get(collection)["properties"]
    assert error_of(arm.send("PUT", path, {"properties": {}})) == (409, "Conflict")
    one_disk = arm.get(kept)
    assert one_disk["properties"]["osType"] == "Linux"
    listed = arm.get(kept.rpartition("/")[0])["value"]
    assert {entry["name"] for entry in listed} >= {one_disk["name"]}
    assert len(listed) == 2
    assert mark_in(arm, kept)
    creation = {"createOption": "Restore", "sourceResourceId": kept}
    restored = arm.make(
        compute(group, "disks", "again"), {"location": "westus", "properties": {"creationData": creation}}
    )
    assert restored["properties"]["osType"] == "Linux"
    assert mark_in(arm, compute(group, "disks", "again"))
    gone = arm.send("DELETE", path)
    assert gone.status_code == 202
    arm.done(gone)
    assert arm.send("GET", kept).status_code == 404
    arm.done(arm.send("DELETE", collection))
    assert arm.send("GET", collection).status_code == 404


def test_restore_point_leaves_out_what_it_is_told_to(arm: Arm, group: str) -> None:
    machine = machine_of(arm, group)
    collection = compute(group, "restorePointCollections", "c")
    source = {"source": {"id": machine["id"]}}
    assert arm.send("PUT", collection, {"location": "westus", "properties": source}).status_code == 201
    data_id = machine["properties"]["storageProfile"]["dataDisks"][0]["managedDisk"]["id"]
    path = f"{collection}/restorePoints/p"
    stray = {"properties": {"excludeDisks": [{"id": data_id + "x"}]}}
    assert error_of(arm.send("PUT", path, stray)) == (400, "InvalidParameter")
    arm.done(arm.send("PUT", path, {"properties": {"excludeDisks": [{"id": data_id.upper()}]}}))
    point = arm.get(path)["properties"]
    assert point["sourceMetadata"]["storageProfile"]["dataDisks"] == []
    assert len(arm.get(f"{path}/diskRestorePoints")["value"]) == 1
    missing = arm.send(
        "PUT", compute(group, "restorePointCollections", "none") + "/restorePoints/p", {"properties": {}}
    )
    assert error_of(missing) == (404, "ParentResourceNotFound")
    elsewhere = {"location": "eastus", "properties": source}
    assert error_of(arm.send("PUT", compute(group, "restorePointCollections", "far"), elsewhere)) == (
        400,
        "InvalidParameter",
    )


def test_disks_are_made_of_platform_and_managed_images(arm: Arm, group: str) -> None:
    place = f"{arm.subscription}/providers/Microsoft.Compute/locations/westus/publishers"
    platform = (
        f"{place}/Canonical/artifacttypes/vmimage/offers/UbuntuServer/skus/18.04-LTS/versions/18.04.202401161"
    )
    creation = {"createOption": "FromImage", "imageReference": {"id": platform}}
    disk = arm.make(
        compute(group, "disks", "u"), {"location": "westus", "properties": {"creationData": creation}}
    )
    properties = disk["properties"]
    assert (properties["osType"], properties["hyperVGeneration"]) == ("Linux", "V1")
    assert (properties["diskSizeGB"], properties["diskSizeBytes"]) == (30, 32213303296)
    small = {"location": "westus", "properties": {"creationData": creation, "diskSizeGB": 29}}
    path = compute(group, "disks", "small")
    failed = arm.finish(arm.send("PUT", path, small))
    assert failed["error"]["message"] == "Disks or snapshot cannot be resized down."
    image = arm.image(group, "i", marked_disk(arm, group))
    creation = {"createOption": "FromImage", "imageReference": {"id": image["id"]}}
    arm.make(
        compute(group, "disks", "copy"), {"location": "westus", "properties": {"creationData": creation}}
    )
    assert mark_in(arm, compute(group, "disks", "copy"))
    creation["imageReference"] = {"id": image["id"], "lun": 7}
    wrong = {"location": "westus", "properties": {"creationData": creation}}
    assert error_of(arm.send("PUT", compute(group, "disks", "no"), wrong)) == (400, "InvalidParameter")


def test_early_clients_name_what_they_copy_by_an_id_without_its_slash(arm: Arm, group: str) -> None:
    disk = arm.disk(group, "d")
    creation = {"createOption": "Copy", "sourceUri": disk["id"].removeprefix("/")}
    path = compute(group, "snapshots", "s")
    body = {"location": "westus", "properties": {"creationData": creation}}
    first = arm.send("PUT", path, body, version="2019-11-01")
    assert not {"id", "name", "type"} & set(first.json())
    assert first.json()["properties"]["creationData"]["sourceUniqueId"] == disk["properties"]["uniqueId"]
    arm.done(first)
    kept = arm.get(path)["properties"]["creationData"]
    assert set(kept) == {"createOption", "sourceResourceId", "sourceUniqueId"}


def test_encryption_set_is_kept_while_disks_use_it(arm: Arm, group: str) -> None:
    vault = {"id": f"{arm.subscription}/{group}/providers/Microsoft.KeyVault/vaults/v"}
    key = {"sourceVault": vault, "keyUrl": "https://v.vault.example/keys/k/1"}
    body = {"location": "westus", "identity": {"type": "SystemAssigned"}, "properties": {"activeKey": key}}
    path = compute(group, "diskEncryptionSets", "set")
    made = arm.make(path, body)
    assert made["identity"]["principalId"]
    assert made["properties"]["encryptionType"] == "EncryptionAtRestWithCustomerKey"
    encryption = {"type": "EncryptionAtRestWithCustomerKey", "diskEncryptionSetId": made["id"]}
    disk = arm.disk(group, "d", encryption=encryption)
    assert disk["properties"]["encryption"] == encryption
    assert error_of(arm.send("DELETE", path)) == (409, "OperationNotAllowed")
    arm.done(arm.send("DELETE", compute(group, "disks", "d")))
    arm.done(arm.send("DELETE", path))
    lost = {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}, "encryption": encryption}
    answer = arm.send("PUT", compute(group, "disks", "e"), {"location": "westus", "properties": lost})
    assert error_of(answer) == (404, "NotFound")
