# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""managed_image and managed_image_info, run by ansible-playbook against the local Azure."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.blobs import page_blob
from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player

IMAGES = "Microsoft.Compute/images"


@pytest.fixture(scope="module")
def disks(azure: LocalAzure, group: str) -> dict[str, str]:
    """Ids of an operating system disk and a data disk."""
    return {
        "os": azure.disk(group, "web-os", osType="Linux", hyperVGeneration="V2"),
        "data": azure.disk(group, "web-data", size_gb=2),
    }


def two_disks(group: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "resource_group": group,
        "name": name,
        "os_disk": {"source": "web-os", "caching": "ReadWrite"},
        "data_disks": [{"lun": 3, "source": "web-data"}],
        "tags": {"release": "1"},
        **more,
    }


def test_an_image_of_two_disks_is_predicted_made_once_updated_and_deleted(
    azure: LocalAzure, play: Player, group: str, disks: dict[str, str]
) -> None:
    image_id = azure.id(group, IMAGES, "web")
    args = two_disks(group, "web")
    # By id instead of by name, in another case: the same disks.
    by_id = {**args, "os_disk": {"source": disks["os"].replace("resourceGroups", "RESOURCEGROUPS")}}
    mark = azure.mark()
    predicted, made, again = play.each(
        "managed_image", [{**args, "check_mode": True}, args, by_id], diff=True
    )
    assert azure.writes(mark) == [f"PUT {image_id}"]
    storage = azure.get(image_id)["properties"]["storageProfile"]
    assert storage["osDisk"]["managedDisk"]["id"] == disks["os"]
    assert storage["osDisk"]["osState"] == "Generalized"
    assert [(disk["lun"], disk["managedDisk"]["id"]) for disk in storage["dataDisks"]] == [(3, disks["data"])]
    assert made["image"]["provisioning_state"] == "Succeeded"
    assert made["image"]["os_disk"]["disk_size_gb"] == 1
    for result in (predicted, made):
        assert result.changed
        assert result["actions"] == [f"Created image {image_id}"]
        assert result["image"]["id"] == image_id
        assert result["image"]["location"] == "eastus"
        assert result["image"]["hyper_v_generation"] == "V2"
        assert result["image"]["os_disk"]["os_type"] == "Linux"
        assert result["diff"]["before"] == {}
        assert result["diff"]["after"]["os_disk"]["source"] == disks["os"]
        assert result["diff"]["after"]["data_disks"][0]["source"] == disks["data"]
    assert not again.changed
    assert again["diff"]["before"] == again["diff"]["after"]

    more = {**args, "tags": {"stage": "test"}}
    only = {**more, "append_tags": False}
    mark = azure.mark()
    added, replaced, again = play.each("managed_image", [more, only, only], diff=True)
    assert [result.changed for result in (added, replaced, again)] == [True, True, False]
    assert azure.writes(mark) == [f"PATCH {image_id}"] * 2
    assert added["image"]["tags"].items() >= {"release": "1", "stage": "test"}.items()
    assert "stage" not in added["diff"]["before"]["tags"]
    assert "release" not in azure.get(image_id)["tags"]
    assert azure.get(image_id)["tags"]["stage"] == "test"

    absent: dict[str, Any] = {"resource_group": group, "name": "web", "state": "absent"}
    mark = azure.mark()
    steps = [{**absent, "check_mode": True}, absent, absent]
    predicted, gone, again = play.each("managed_image", steps, diff=True)
    assert [result.changed for result in (predicted, gone, again)] == [True, True, False]
    assert azure.writes(mark) == [f"DELETE {image_id}"]
    assert gone["image"] is None
    assert gone["diff"]["before"]["name"] == "web"
    assert gone["diff"]["after"] == {}
    assert azure.get(image_id) is None
    assert azure.get(disks["os"]) is not None, "the source of a deleted image stays"


def test_an_image_of_that_name_with_another_source_is_refused_or_replaced(
    azure: LocalAzure, play: Player, group: str, disks: dict[str, str]
) -> None:
    image_id = azure.id(group, IMAGES, "other")
    other = azure.disk(group, "other-os", osType="Linux", hyperVGeneration="V2")
    wanted = two_disks(group, "other", os_disk={"source": "other-os"})
    anew = {**wanted, "replace": True}
    mark = azure.mark()
    steps = [two_disks(group, "other"), wanted, {**anew, "check_mode": True}, anew, anew]
    made, refused, predicted, replaced, again = play.each("managed_image", steps, diff=True)
    assert azure.writes(mark) == [f"PUT {image_id}", f"DELETE {image_id}", f"PUT {image_id}"]
    assert made.changed
    assert refused.failed
    for fragment in ("os_disk.source", disks["os"], "other-os", "replace: true"):
        assert fragment in refused.msg
    for result in (predicted, replaced):
        assert result["actions"] == [f"Replaced image {image_id}"]
        assert result["diff"]["before"]["os_disk"]["source"] == disks["os"]
        assert result["image"]["os_disk"]["source"] == other
        assert result["image"]["tags"]["release"] == "1"
    assert not again.changed


def test_snapshots_and_blobs_are_sources_too(
    azure: LocalAzure, play: Player, group: str, disks: dict[str, str]
) -> None:
    snapshot = azure.id(group, "Microsoft.Compute/snapshots", "web-snapshot")
    creation = {"createOption": "Copy", "sourceResourceId": disks["data"]}
    azure.put(snapshot, {"location": "eastus", "properties": {"creationData": creation}})
    blob = page_blob(azure, group, "vhds", "web.vhd", mebibytes=20)
    wanted = {
        "resource_group": group,
        "name": "mixed",
        "hyper_v_generation": "V1",
        "os_disk": {"source": blob, "os_type": "Linux", "os_state": "Specialized"},
        "data_disks": [{"lun": 0, "source": "web-snapshot", "storage_account_type": "Premium_LRS"}],
    }
    made, again = play.each("managed_image", [wanted, wanted])
    assert [made.changed, again.changed] == [True, False]
    storage = azure.get(azure.id(group, IMAGES, "mixed"))["properties"]["storageProfile"]
    assert storage["osDisk"]["blobUri"] == blob
    assert storage["osDisk"]["osState"] == "Specialized"
    assert storage["dataDisks"][0]["snapshot"]["id"] == snapshot
    assert storage["dataDisks"][0]["storageAccountType"] == "Premium_LRS"
    assert made["image"]["data_disks"][0]["source"] == snapshot


def test_bad_input_fails_the_task_before_any_write(
    azure: LocalAzure, play: Player, group: str, disks: dict[str, str]
) -> None:
    def image(**change: Any) -> dict[str, Any]:
        return {"resource_group": group, "name": "bad", "os_disk": {"source": "web-os"}, **change}

    cases: list[tuple[dict[str, Any], tuple[str, ...]]] = [
        (image(name="-bad"), ("name: '-bad'", "1 to 80")),
        (image(resource_group="nowhere"), ("nowhere", "resource group", "Create the resource group")),
        (image(location="westus"), (disks["os"], "eastus", "westus")),
        (image(os_disk={"source": "https://a.blob.core.windows.net/c/d.vhd?sig=s3cr3t"}), ("without",)),
    ]
    mark = azure.mark()
    results = play.each("managed_image", [args for args, _unused in cases])
    for result, (args, fragments) in zip(results, cases, strict=True):
        assert result.failed, f"{args} was not refused: {result.result}"
        for fragment in fragments:
            assert fragment in result.msg
        assert "s3cr3t" not in result.msg
        assert set(result["failure"]) >= {"code", "message", "target", "status", "request_id", "remedy"}
    assert azure.writes(mark) == []


def test_info_finds_images_by_name_group_and_tags(
    azure: LocalAzure, play: Player, group: str, disks: dict[str, str]
) -> None:
    elsewhere = azure.group(f"{group}-two")
    everything = [
        {
            "resource_group": group,
            "name": "listed-a",
            "os_disk": {"source": disks["os"]},
            "tags": {"set": "x", "n": "1"},
        },
        {
            "resource_group": elsewhere,
            "name": "listed-b",
            "os_disk": {"source": disks["os"]},
            "tags": {"set": "x"},
        },
    ]
    assert all(result.changed for result in play.each("managed_image", everything))
    queries: list[tuple[dict[str, Any], list[str]]] = [
        ({"resource_group": group, "name": "listed-a"}, ["listed-a"]),
        ({"resource_group": group, "name": "listed-b"}, []),
        ({"name": "LISTED-B"}, ["listed-b"]),
        ({"tags": ["set:x"]}, ["listed-a", "listed-b"]),
        ({"tags": ["set", "n:1"]}, ["listed-a"]),
        ({"resource_group": elsewhere}, ["listed-b"]),
    ]
    results = play.each("managed_image_info", [query for query, _unused in queries], check=True)
    for result, (query, names) in zip(results, queries, strict=True):
        assert not result.changed
        assert sorted(image["name"] for image in result["images"]) == names, query
    assert results[0]["images"][0]["os_disk"]["source"] == disks["os"]
    play.module("managed_image_info", {"resource_group": "nowhere"}).failed_with("nowhere", "resource group")
