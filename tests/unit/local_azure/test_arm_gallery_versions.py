# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Image versions: sources, regions and their progress, updates and rules."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.settings import Pace
from tests.unit.local_azure.arm_server import Arm, Json, ServerThread, compute, error_of, serve
from tests.unit.local_azure.galleries import (
    changes,
    hidden_of,
    make_definition,
    make_gallery,
    make_version,
    version_body,
)


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group()


@pytest.fixture(scope="module")
def gallery(arm: Arm, group: str) -> str:
    return make_gallery(arm, group)


@pytest.fixture(scope="module")
def definition(arm: Arm, gallery: str) -> str:
    return make_definition(arm, gallery)


@pytest.fixture(scope="module")
def image(arm: Arm, group: str) -> Json:
    """A managed image of generation 2 with a data disk at LUN 3."""
    disk, data = arm.disk(group, "os", diskSizeGB=2), arm.disk(group, "data")
    return arm.image(group, "image", disk, data, caching="ReadWrite")


@pytest.fixture(scope="module")
def version(arm: Arm, definition: str, image: Json) -> str:
    make_version(arm, definition, "1.0.0", image, "westus")
    return f"{definition}/versions/1.0.0"


def test_a_version_is_filled_in_and_shows_its_disks_at_the_end(
    arm: Arm, definition: str, image: Json
) -> None:
    path = f"{definition}/versions/1.2.3"
    answer = arm.send("PUT", path, version_body(image, "WestUS"), version="2023-07-03")
    assert answer.status_code == 201
    assert "Location" not in answer.headers
    first = answer.json()["properties"]
    region = {"name": "West US", "regionalReplicaCount": 1, "storageAccountType": "Standard_LRS"}
    assert first["publishingProfile"].pop("publishedDate").endswith("+00:00")
    assert first == {
        "publishingProfile": {
            "targetRegions": [region],
            "replicaCount": 1,
            "excludeFromLatest": False,
            "storageAccountType": "Standard_LRS",
        },
        "storageProfile": {"source": {"id": image["id"]}},
        "safetyProfile": {
            "reportedForPolicyViolation": False,
            "allowDeletionOfReplicatedLocations": False,
        },
        "provisioningState": "Creating",
    }
    arm.done(answer)
    assert arm.get(path)["properties"]["storageProfile"] == {
        "source": {"id": image["id"]},
        "osDiskImage": {"sizeInGB": 2, "hostCaching": "ReadWrite", "source": {}},
        "dataDiskImages": [{"lun": 3, "sizeInGB": 1, "hostCaching": "None"}],
    }
    assert arm.get(definition + "/versions")["value"][-1]["name"] == "1.2.3"


def test_progress_rises_while_the_version_is_copied_and_ends_at_a_hundred(
    arm: Arm, definition: str, image: Json
) -> None:
    path = f"{definition}/versions/2.0.0"
    answer = arm.send("PUT", path, version_body(image, "westus", "eastus2"))
    seen: list[int] = []
    while True:
        body = arm.get(path, query="&$expand=ReplicationStatus")["properties"]
        status = body["replicationStatus"]
        assert [s["region"] for s in status["summary"]] == ["westus", "eastus2"]
        seen.append(status["summary"][1]["progress"])
        if body["provisioningState"] == "Succeeded":
            break
        assert status["aggregatedState"] == "InProgress"
        assert status["summary"][0]["state"] == "Replicating"
        time.sleep(0.05)
    arm.done(answer)
    assert status["aggregatedState"] == "Completed"
    assert status["summary"][1] == {"region": "eastus2", "state": "Completed", "progress": 100}
    assert seen == sorted(seen)
    assert len(set(seen)) > 3
    assert "replicationStatus" not in arm.get(path)["properties"]


def test_an_update_adds_regions_and_takes_them_away_only_where_that_is_allowed(
    arm: Arm, definition: str, image: Json
) -> None:
    path = f"{definition}/versions/3.0.0"
    make_version(arm, definition, "3.0.0", image, "westus")
    published = arm.get(path)["properties"]["publishingProfile"]["publishedDate"]
    more = {
        "location": "westus",
        "properties": {
            "publishingProfile": {
                "targetRegions": [{"name": "westus"}, {"name": "northeurope"}],
                "replicaCount": 2,
            },
            "storageProfile": {"osDiskImage": {"hostCaching": "ReadWrite"}},
        },
    }
    answer = arm.send("PUT", path, more)
    assert (answer.status_code, answer.json()["properties"]["provisioningState"]) == (200, "Updating")
    status = arm.get(path, query="&$expand=ReplicationStatus")["properties"]["replicationStatus"]
    assert [s["state"] for s in status["summary"]] == ["Completed", "Replicating"]
    arm.done(answer)
    profile = arm.get(path)["properties"]["publishingProfile"]
    assert [r["regionalReplicaCount"] for r in profile["targetRegions"]] == [2, 2]
    assert profile["publishedDate"] == published
    fewer = changes(publishingProfile={"targetRegions": [{"name": "westus"}]})
    refused = arm.send("PATCH", path, fewer)
    assert error_of(refused) == (400, "BadRequest")
    assert "Complete set of target locations not specified" in refused.json()["error"]["message"]
    fewer["properties"]["safetyProfile"] = {"allowDeletionOfReplicatedLocations": True}
    arm.done(arm.send("PATCH", path, fewer))
    summary = arm.get(path, query="&$expand=ReplicationStatus")["properties"]["replicationStatus"]["summary"]
    assert [s["region"] for s in summary] == ["westus"]


def test_disks_snapshots_and_other_versions_are_sources(
    arm: Arm, group: str, gallery: str, definition: str, version: str
) -> None:
    del version
    disk, data = arm.disk(group, "sourceos", diskSizeGB=2), arm.disk(group, "sourcedata")
    copy = {"createOption": "Copy", "sourceResourceId": disk["id"]}
    snapshot = arm.make(
        compute(group, "snapshots", "snap"), {"location": "westus", "properties": {"creationData": copy}}
    )
    by_disk = {
        "osDiskImage": {"source": {"id": snapshot["id"]}},
        "dataDiskImages": [{"lun": 5, "source": {"id": data["id"]}, "hostCaching": "None"}],
    }
    mixed = make_version(arm, definition, "4.0.0", by_disk, "westus")["properties"]["storageProfile"]
    assert mixed == {
        "osDiskImage": {"sizeInGB": 2, "hostCaching": "ReadWrite", "source": {"id": snapshot["id"]}},
        "dataDiskImages": [{"lun": 5, "sizeInGB": 1, "hostCaching": "None", "source": {"id": data["id"]}}],
    }
    first = arm.get(f"{definition}/versions/1.0.0")
    other = make_definition(arm, gallery)
    copied = make_version(arm, other, "0.0.1", first, "westus")["properties"]["storageProfile"]
    assert copied["source"] == {"id": first["id"]}
    assert copied["dataDiskImages"] == [{"lun": 3, "sizeInGB": 1, "hostCaching": "None"}]


def test_a_version_keeps_its_content_when_its_source_is_gone(
    arm: Arm, arm_server: ServerThread, group: str, definition: str
) -> None:
    assert arm_server.server is not None
    server = arm_server.server
    disk = arm.disk(group, "short-lived")
    address = BlobAddress(*hidden_of(arm, disk["id"])["blob"])
    server.blobs.write(address, 4096, b"golden".ljust(512, b"!"))
    source = {"osDiskImage": {"source": {"id": disk["id"]}}}
    made = make_version(arm, definition, "5.0.0", source, "westus")
    arm.done(arm.send("DELETE", disk["id"]))
    kept = BlobAddress(*hidden_of(arm, made["id"])["blobs"]["os"])
    assert server.blobs.size(address) is None
    assert server.blobs.read(kept, 4096, 6) == b"golden"


@pytest.mark.parametrize("name", ["1", "1.0", "1.0.0.0", "1.0.x", "v1.0.0", "1.0.99999999999"])
def test_version_names_are_three_numbers(arm: Arm, definition: str, image: Json, name: str) -> None:
    answer = arm.send("PUT", f"{definition}/versions/{name}", version_body(image, "westus"))
    assert error_of(answer) == (400, "InvalidParameter")
    assert "Major(int).Minor(int).Patch(int)" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("regions", "text"),
    [
        (("eastus",), "regions 'eastus' must contain the location of image version 'West US'."),
        (("westus", "West US"), "Duplicate regions are not allowed in target publishing regions."),
        (("westus", "atlantis"), "targetRegions.name"),
        (
            ({"name": "westus", "regionalReplicaCount": 101},),
            "The value must be between 1 and 100, inclusive.",
        ),
        (({"name": "westus", "storageAccountType": "Paper"},), "storageAccountType"),
    ],
)
def test_regions_that_cannot_be_are_refused(
    arm: Arm, definition: str, image: Json, regions: tuple[Any, ...], text: str
) -> None:
    answer = arm.send("PUT", f"{definition}/versions/9.0.0", version_body(image, *regions))
    assert error_of(answer) == (400, "InvalidParameter")
    assert text in answer.json()["error"]["message"]


def test_there_is_exactly_one_kind_of_source(arm: Arm, group: str, definition: str, image: Json) -> None:
    disk = arm.disk(group, "extra")
    path = f"{definition}/versions/9.0.1"
    both = {"source": {"id": image["id"]}, "osDiskImage": {"source": {"id": disk["id"]}}}
    twice = {"id": image["id"], "virtualMachineId": image["id"]}
    for profile in ({}, both, {"source": twice}):
        answer = arm.send("PUT", path, version_body(profile, "westus"))
        assert error_of(answer) == (400, "InvalidParameter"), profile
        assert "One and only one source type" in answer.json()["error"]["message"]
    same = {
        "osDiskImage": {"source": {"id": disk["id"]}},
        "dataDiskImages": [{"lun": 0, "source": {"id": disk["id"]}}],
    }
    answer = arm.send("PUT", path, version_body(same, "westus"))
    assert "Source id should be unique for each disk." in answer.json()["error"]["message"]


def test_sources_are_in_the_region_and_of_the_right_type(
    arm: Arm, group: str, definition: str, image: Json
) -> None:
    path = f"{definition}/versions/9.0.2"
    far = arm.disk(group, "far", location="eastus")
    far_image = arm.image(group, "farimage", far)
    for source in (far_image, {"id": image["id"] + "x"}):
        answer = arm.send("PUT", path, version_body(source, "westus"))
        assert error_of(answer) == (404, "NotFound")
        assert "is in the same region as gallery image version" in answer.json()["error"]["message"]
    near = arm.disk(group, "near")
    answer = arm.send("PUT", path, version_body(near, "westus"))
    assert "must either be a managed image, virtual machine or another" in answer.json()["error"]["message"]
    answer = arm.send("PUT", path, version_body({"id": "image"}, "westus"))
    assert error_of(answer) == (400, "LinkedInvalidPropertyId")


def test_a_source_of_another_generation_fails_in_the_operation(arm: Arm, gallery: str, image: Json) -> None:
    older = make_definition(arm, gallery, hyperVGeneration="V1")
    path = f"{older}/versions/1.0.0"
    answer = arm.send("PUT", path, version_body(image, "westus"))
    assert answer.status_code == 201
    error = arm.finish(answer)["error"]
    assert error["code"] == "Conflict"
    assert error["message"] == (
        f"The resource with id '{image['id']}' has a different Hypervisor generation ['V2'] than the parent "
        "gallery image Hypervisor generation ['V1']."
    )
    assert arm.get(path)["properties"]["provisioningState"] == "Failed"
    arm.done(arm.send("DELETE", path))


def test_a_disk_too_large_for_replication_fails_in_every_region(
    arm: Arm, group: str, definition: str
) -> None:
    disk = arm.disk(group, "huge", diskSizeGB=2049)
    path = f"{definition}/versions/6.0.0"
    body = version_body({"osDiskImage": {"source": {"id": disk["id"]}}}, "westus", "eastus")
    error = arm.finish(arm.send("PUT", path, body))["error"]
    assert "{region:eastus, detail:Replication failed in this region due to" in error["message"]
    properties = arm.get(path, query="&$expand=ReplicationStatus")["properties"]
    assert properties["provisioningState"] == "Failed"
    status = properties["replicationStatus"]
    assert status["aggregatedState"] == "Failed"
    assert {s["state"] for s in status["summary"]} == {"Failed"}
    assert "exceeds the max size 2048" in status["summary"][0]["details"]


def test_sources_and_disks_of_a_version_cannot_change(
    arm: Arm, group: str, version: str, image: Json
) -> None:
    path = version
    other = arm.image(group, "otherimage", arm.disk(group, "otherdisk"))
    answer = arm.send("PUT", path, version_body(other, "westus"))
    assert error_of(answer) == (409, "PropertyChangeNotAllowed")
    assert answer.json()["error"]["target"] == "galleryImageVersion.properties.storageProfile.source.id"
    added = {"source": {"id": image["id"]}, "dataDiskImages": [{"lun": 9}]}
    answer = arm.send("PUT", path, version_body(added, "westus"))
    assert "Adding new Data Disks" in answer.json()["error"]["message"]
    full = changes(publishingProfile={"replicationMode": "Full"})
    assert error_of(arm.send("PATCH", path, full)) == (409, "PropertyChangeNotAllowed")


def test_older_clients_see_what_their_version_knows(arm: Arm, version: str) -> None:
    shown = arm.send("GET", version, version="2021-10-01").json()["properties"]
    assert "safetyProfile" not in shown
    newest = arm.get(version)["properties"]
    assert newest["safetyProfile"]["blockDeletionBeforeEndOfLife"] is False
    assert newest["publishingProfile"]["targetRegions"][0]["excludeFromLatest"] is False


def test_edge_zones_are_kept_with_their_region_in_display_form(
    arm: Arm, definition: str, image: Json
) -> None:
    zone = {"name": "microsoftlosangeles1", "type": "EdgeZone"}
    edges = {"targetExtendedLocations": [{"name": "westus", "extendedLocation": zone}]}
    made = make_version(arm, definition, "1.5.0", image, "westus", publishingProfile=edges)
    assert made["properties"]["publishingProfile"]["targetExtendedLocations"] == [
        {
            "name": "West US",
            "extendedLocation": zone,
            "extendedLocationReplicaCount": 1,
            "storageAccountType": "Standard_LRS",
        }
    ]


def test_a_version_is_finished_after_a_restart_in_the_middle(tmp_path: Path) -> None:
    first = serve(tmp_path, Pace(speed=500))
    try:
        arm = Arm(first)
        group = arm.group()
        definition = make_definition(arm, make_gallery(arm, group))
        source = {"osDiskImage": {"source": {"id": arm.disk(group, "d")["id"]}}}
        answer = arm.send("PUT", f"{definition}/versions/1.0.0", version_body(source, "westus", "eastus"))
        assert arm.get(f"{definition}/versions/1.0.0")["properties"]["provisioningState"] == "Creating"
    finally:
        first.stop()
    second = serve(tmp_path, Pace(speed=500))
    try:
        arm = Arm(second)
        arm.done(answer)
        shown = arm.get(f"{definition}/versions/1.0.0", query="&$expand=ReplicationStatus")["properties"]
        assert shown["storageProfile"]["osDiskImage"]["sizeInGB"] == 1
        assert shown["replicationStatus"]["aggregatedState"] == "Completed"
    finally:
        second.stop()
