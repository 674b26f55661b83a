# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a recording leans on without making it is made for it."""

from __future__ import annotations

from typing import Any

from tests.fidelity.presuppositions import blobs_read, disks_read, is_resource
from tests.fidelity.recording import Recorded
from tests.fidelity.replay import replay

_GROUP = "/subscriptions/{sub}/resourceGroups/{rg1}"
_COMPUTE = f"{_GROUP}/providers/Microsoft.Compute"
_BLOB = "https://account.blob.core.windows.net/vhds/disk.vhd"
_OPERATION = "https://management.azure.com/subscriptions/{sub}/providers/Microsoft.Compute/locations/westus"
_SIGNED = "p=1&api-version=2024-07-01&t=2&c=3&s=4&h=5"


def _get(path: str, status: int, body: Any, version: str = "2023-04-02") -> Recorded:
    return Recorded(0, "GET", "", path, {"api-version": version}, None, status, {}, body)


def _image(name: str, source: dict[str, Any]) -> Recorded:
    disk = {"osType": "Linux", "osState": "Generalized", "caching": "ReadWrite", **source}
    profile = {"osDisk": disk, "dataDisks": []}
    properties = {"storageProfile": profile, "hyperVGeneration": "V1"}
    shown = {**disk, "storageAccountType": "Standard_LRS"}
    path = f"{_COMPUTE}/images/{name}"
    return Recorded(
        number=1,
        method="PUT",
        host="",
        path=path,
        query={"api-version": "2024-07-01"},
        request={"location": "westus", "tags": {}, "properties": properties},
        status=201,
        headers={"azure-asyncoperation": f"{_OPERATION}/operations/{name}?{_SIGNED}"},
        body={
            "name": name,
            "id": path,
            "type": "Microsoft.Compute/images",
            "location": "westus",
            "tags": {},
            "properties": {
                "storageProfile": {"osDisk": shown, "dataDisks": []},
                "provisioningState": "Creating",
                "hyperVGeneration": "V1",
            },
        },
    )


def test_blobs_that_are_read_are_told_from_blobs_that_are_made() -> None:
    made = {"properties": {"storageProfile": {"osDisk": {"vhd": {"uri": _BLOB}}}}}
    assert list(blobs_read(made)) == []
    read = [
        {"storageProfile": {"osDisk": {"blobUri": _BLOB}, "dataDisks": [{"blobUri": _BLOB}]}},
        {"creationData": {"createOption": "Import", "sourceUri": _BLOB}},
        {"osDiskImage": {"source": {"id": "account", "uri": _BLOB}}},
    ]
    assert [len(list(blobs_read(request))) for request in read] == [2, 1, 1]


def test_disks_that_a_request_names_are_found_but_not_its_own() -> None:
    disk = f"{_COMPUTE}/disks/source"
    request = {"id": f"{_COMPUTE}/snapshots/own", "creationData": {"sourceResourceId": disk}}
    assert list(disks_read(request, f"{_COMPUTE}/snapshots/own")) == [disk]


def test_lists_and_operations_are_no_resources() -> None:
    assert is_resource(_get(f"{_COMPUTE}/disks/d", 200, {}))
    assert not is_resource(_get(f"{_COMPUTE}/disks", 200, {}))
    assert not is_resource(_get(f"{_COMPUTE}/virtualMachines/v/instanceView", 200, {}))
    assert not is_resource(_get("/subscriptions/{sub}/providers/Microsoft.Compute/locations/l", 200, {}))


def test_what_was_made_before_the_recording_began_is_there_and_what_was_not_is_not() -> None:
    disk = {"managedDisk": {"id": f"{_COMPUTE}/disks/source"}}
    exchanges = [
        _get(f"{_COMPUTE}/disks/missing", 404, {"error": {"code": "ResourceNotFound", "message": ""}}),
        _get(
            f"{_COMPUTE}/disks/seen",
            200,
            {
                "name": "seen",
                "location": "westus",
                "properties": {"diskSizeGB": 3, "creationData": {"createOption": "Empty"}},
            },
        ),
        _image("fromblob", {"blobUri": _BLOB}),
        _image("fromdisk", disk),
    ]
    statuses, found = [], []
    for result in replay(exchanges):
        statuses += [d for d in result.differences if d.place == "status"]
        found.append([str(d) for d in result.differences])
    assert statuses == []
    # The answers of images are recorded whole here, and so nothing at all is different.
    assert found[2:] == [[], []]
