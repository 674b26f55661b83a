# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Long-running operations: which headers which verb answers, what their URLs say, and for how long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.local_azure.settings import Pace
from tests.unit.local_azure.arm_server import Arm, Json, compute, error_of, serve, storage_path

_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6}[1-9]|\.[1-9])?\+00:00$")
_EMPTY = {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}}


def headers_of(answer: requests.Response) -> tuple[int, bool, bool]:
    """Status, whether Azure-AsyncOperation, whether Location."""
    return answer.status_code, "Azure-AsyncOperation" in answer.headers, "Location" in answer.headers


@pytest.fixture
def group(arm: Arm) -> str:
    return arm.group()


@pytest.fixture(scope="module")
def slow_arm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arm]:
    """An Azure whose disks take a quarter of a second, long enough to look at what is in progress."""
    thread = serve(tmp_path_factory.mktemp("slow-azure"), Pace(speed=2))
    try:
        yield Arm(thread)
    finally:
        thread.stop()


def test_disk_and_image_verbs_answer_with_their_own_headers(arm: Arm, group: str) -> None:
    body: Json = {"location": "westus", "properties": _EMPTY}
    for kind in ("disks", "snapshots"):
        path = compute(group, kind, "d")
        answer = arm.send("PUT", path, body)
        assert headers_of(answer) == (202, True, True)
        assert answer.json()["properties"]["provisioningState"] == "Updating"
        assert "/DiskOperations/" in answer.headers["Azure-AsyncOperation"]
        arm.done(answer)
        again = arm.send("PUT", path, body)
        assert headers_of(again) == (202, True, True)
        arm.done(again)
        access = arm.send("POST", path + "/beginGetAccess", {"access": "Read", "durationInSeconds": 60})
        assert headers_of(access) == (202, True, True)
        assert access.content == b""
        arm.done(access)
        revoked = arm.send("POST", path + "/endGetAccess")
        assert headers_of(revoked) == (202, True, True)
        arm.done(revoked)
    source = arm.get(compute(group, "disks", "d"))
    arm.image(group, "i", source)
    image = arm.send("PUT", compute(group, "images", "i2"), image_body(source))
    assert headers_of(image) == (201, True, False)
    assert image.json()["properties"]["provisioningState"] == "Creating"
    assert "/locations/westus/operations/" in image.headers["Azure-AsyncOperation"]
    arm.done(image)
    again = arm.send("PUT", compute(group, "images", "i2"), image_body(source))
    assert headers_of(again) == (200, True, False)
    assert again.json()["properties"]["provisioningState"] == "Updating"
    arm.done(again)
    for path in (
        compute(group, "images", "i2"),
        compute(group, "snapshots", "d"),
        compute(group, "disks", "d"),
    ):
        gone = arm.send("DELETE", path)
        assert headers_of(gone) == (202, True, True)
        assert gone.content == b""
        arm.done(gone)
        assert error_of(arm.send("GET", path)) == (404, "ResourceNotFound")
        assert arm.send("DELETE", path).status_code == 204


def image_body(disk: Json) -> Json:
    os_disk = {"osType": "Linux", "osState": "Generalized", "managedDisk": {"id": disk["id"]}}
    return {
        "location": "westus",
        "properties": {"hyperVGeneration": "V1", "storageProfile": {"osDisk": os_disk}},
    }


def test_storage_account_has_only_a_location_and_its_result_there(arm: Arm, group: str) -> None:
    path = storage_path(group, "operations1")
    answer = arm.send("PUT", path, {"location": "westus", "sku": {"name": "Standard_LRS"}})
    assert headers_of(answer) == (202, False, True)
    assert answer.content == b""
    while (poll := arm.send("GET", answer.headers["Location"])).status_code == 202:
        pass
    assert poll.json() == arm.get(path)


def test_status_body_and_result_of_a_disk(slow_arm: Arm) -> None:
    arm, group = slow_arm, slow_arm.group()
    answer = arm.send("PUT", compute(group, "disks", "d"), {"location": "westus", "properties": _EMPTY})
    first = arm.send("GET", answer.headers["Azure-AsyncOperation"])
    assert first.status_code == 200
    assert set(first.json()) == {"startTime", "status", "name"}
    assert first.json()["status"] == "InProgress"
    assert first.json()["name"] in answer.headers["Azure-AsyncOperation"]
    assert arm.send("GET", answer.headers["Location"]).status_code == 202
    last = arm.done(answer)
    assert _TIME.match(last["startTime"])
    assert _TIME.match(last["endTime"])
    disk = arm.get(compute(group, "disks", "d"))
    assert last["properties"] == {"output": disk}
    assert arm.send("GET", answer.headers["Location"]).json() == disk


def test_access_is_in_the_status_and_bare_at_the_location(arm: Arm, group: str) -> None:
    arm.disk(group, "d")
    path = compute(group, "disks", "d")
    answer = arm.send("POST", path + "/beginGetAccess", {"access": "Read", "durationInSeconds": 60})
    output = arm.done(answer)["properties"]["output"]
    monitored = arm.send("GET", answer.headers["Location"])
    assert (monitored.status_code, monitored.json()) == (200, output)
    revoked = arm.send("POST", path + "/endGetAccess")
    assert set(arm.done(revoked)) == {"startTime", "endTime", "status", "name"}
    monitored = arm.send("GET", revoked.headers["Location"])
    assert (monitored.status_code, monitored.content) == (200, b"")


def test_failure_is_reported_with_status_200(arm: Arm, group: str) -> None:
    arm.disk(group, "d", diskSizeGB=2)
    smaller = {"location": "westus", "properties": {**_EMPTY, "diskSizeGB": 1}}
    answer = arm.send("PUT", compute(group, "disks", "d"), smaller)
    body = arm.finish(answer)
    assert body["status"] == "Failed"
    assert body["error"] == {
        "code": "InvalidParameter",
        "message": "Disks or snapshot cannot be resized down.",
    }
    assert arm.get(compute(group, "disks", "d"))["properties"]["diskSizeGB"] == 2


def test_query_of_an_operation_must_come_back_whole(arm: Arm, group: str) -> None:
    answer = arm.send("PUT", compute(group, "disks", "d"), {"location": "westus", "properties": _EMPTY})
    url = answer.headers["Azure-AsyncOperation"]
    query = parse_qs(urlsplit(url).query)
    assert set(query) == {"p", "api-version", "t", "c", "s", "h"}
    assert 1500 < len(url) < 8000
    assert "monitor=true" in answer.headers["Location"]
    bare = url.partition("?")[0] + "?api-version=2024-03-02"
    assert arm.send("GET", bare).status_code == 403
    for name in query:
        if name == "api-version":
            continue
        without = re.sub(rf"([?&]){name}=[^&]*&?", r"\1", url).rstrip("&")
        assert arm.send("GET", without).status_code == 403, name
    assert arm.send("GET", url.replace("h=", "h=x")).status_code == 403
    other = url.replace("/DiskOperations/", "/operations/")
    assert error_of(arm.send("GET", other)) == (404, "NotFound")
    arm.done(answer)


def test_concurrent_changes_conflict(slow_arm: Arm) -> None:
    arm, group = slow_arm, slow_arm.group()
    body = {"location": "westus", "properties": _EMPTY}
    first = arm.send("PUT", compute(group, "disks", "d"), body)
    assert error_of(arm.send("PUT", compute(group, "disks", "d"), body)) == (409, "Conflict")
    assert error_of(arm.send("DELETE", compute(group, "disks", "d"))) == (409, "Conflict")
    arm.done(first)


def test_patience_is_short_unless_azures_own_is_asked_for() -> None:
    assert Pace().retry_after(15) == "1"
    assert Pace(retry_after_seconds=0).retry_after(15) == "0"
    assert Pace(azure_retry_after=True).retry_after(15) == "15"
    assert Pace().retry_after(None) is None
    assert Pace().seconds(30) == 0.3
    assert Pace(speed=4).seconds(1.0) == 0.25


def test_state_and_operations_survive_a_restart(tmp_path: Path) -> None:
    thread = serve(tmp_path, Pace(speed=0.1))
    before = Arm(thread)
    try:
        group = before.group()
        body = {"location": "westus", "properties": _EMPTY}
        pending = before.send("PUT", compute(group, "disks", "d"), body)
    finally:
        thread.stop()
    thread = serve(tmp_path, Pace(speed=500))
    try:
        after = Arm(thread)
        assert after.settings.identity == before.settings.identity
        assert after.settings.url == before.settings.url
        assert after.done(pending)["status"] == "Succeeded"
        disk = after.get(compute(group, "disks", "d"))
        assert disk["properties"]["diskState"] == "Unattached"
        finished = after.send("GET", pending.headers["Location"])
        assert finished.json() == disk
    finally:
        thread.stop()
