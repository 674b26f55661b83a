# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A replay steps operations as they were recorded, and finds what is planted in a recording."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fidelity.error_replay import replay_errors
from tests.fidelity.recording import Recorded, read
from tests.fidelity.replay import replay
from tests.fidelity.report import report

_PATH = "/subscriptions/{sub}/resourceGroups/{rg1}/providers/Microsoft.Compute/images"
_POLL = "/subscriptions/{sub}/providers/Microsoft.Compute/locations/westus/operations/one"
_VERSION = {"api-version": "2024-07-01"}
_STARTED = {"startTime": "2024-01-01T00:00:00+00:00", "name": "one"}
_GONE = Recorded(0, "DELETE", "", f"{_PATH}/image", _VERSION, None, 204, {}, None)


def _get(path: str, body: Any, status: int = 200) -> Recorded:
    return Recorded(0, "GET", "", path, _VERSION, None, status, {}, body)


def _poll(status: str, **more: Any) -> Recorded:
    return _get(_POLL, {**_STARTED, "status": status, **more})


def _image(disk: str) -> list[Recorded]:
    """The making of an image from a disk, as Azure answers it."""
    source = {"osType": "Linux", "osState": "Generalized", "managedDisk": {"id": disk}}
    properties = {"storageProfile": {"osDisk": source, "dataDisks": []}, "hyperVGeneration": "V1"}
    shown = {**source, "caching": "None", "storageAccountType": "Standard_LRS"}
    profile: dict[str, Any] = {"osDisk": shown, "dataDisks": []}
    base = {
        "name": "image",
        "id": f"{_PATH}/image",
        "type": "Microsoft.Compute/images",
        "location": "westus",
        "tags": {},
    }
    url = f"https://management.azure.com{_POLL}?p=1&api-version=2024-07-01&t=2&c=3&s=4&h=5"
    made = {**base, "properties": {**properties, "storageProfile": profile, "provisioningState": "Creating"}}
    whole = {"osDisk": {**shown, "diskSizeGB": 1}, "dataDisks": []}
    done = {**base, "properties": {**properties, "storageProfile": whole, "provisioningState": "Succeeded"}}
    request = {"location": "westus", "tags": {}, "properties": properties}
    return [
        Recorded(1, "PUT", "", f"{_PATH}/image", _VERSION, request, 201, {"azure-asyncoperation": url}, made),
        _poll("InProgress"),
        _poll("InProgress"),
        _poll("Succeeded", endTime="2024-01-01T00:00:05+00:00"),
        _get(f"{_PATH}/image", done),
    ]


@pytest.fixture(scope="module")
def recording() -> list[Recorded]:
    return _image(_PATH.replace("/images", "/disks/source"))


def _found(exchanges: Sequence[Recorded]) -> list[list[str]]:
    return [[str(difference) for difference in result.differences] for result in replay(exchanges)]


def test_an_operation_is_in_progress_for_as_many_polls_as_were_recorded(recording: list[Recorded]) -> None:
    assert _found(recording) == [[], [], [], [], []]


def test_planted_differences_are_found_where_they_are(recording: list[Recorded]) -> None:
    made, first, second, last, shown = recording
    body = shown.body
    planted = [
        replace(made, status=200),
        first,
        replace(second, body={**second.body, "percentComplete": 50}),
        replace(last, body={**last.body, "status": "Failed", "error": {"code": "X", "message": "Y"}}),
        replace(shown, body={**body, "properties": {**body["properties"], "etag": "1"}}),
    ]
    assert _found(planted) == [
        ["status: recorded 200, ours 201"],
        [],
        ["$.percentComplete: recorded number, ours absent"],
        ["$.error: recorded object, ours absent", "$.status: recorded Failed, ours Succeeded"],
        ["$.properties.etag: recorded string, ours absent"],
    ]


def test_polls_of_an_operation_that_never_began_are_told(recording: list[Recorded]) -> None:
    made, first, *_rest = recording
    refused = replace(made, request={"location": "westus"})
    answers = _found([refused, first])
    assert answers[0][0].startswith("status: recorded 201, ours 400")
    assert answers[1] == ["poll: recorded a status URL, ours none was given"]


def test_what_is_missing_is_deleted_without_content() -> None:
    assert _found([_GONE]) == [[]]


def test_a_recorded_refusal_in_other_words_is_found(tmp_path: Path) -> None:
    error = {"code": "ResourceGroupNotFound", "message": "There is no resource group 'x'."}
    record = {
        "method": "GET",
        "template": "/subscriptions/{sub}/resourcegroups/{rg}",
        "host": "management.azure.com",
        "api": "2022-09-01",
        "status": 404,
        "req": None,
        "headers": {},
        "body": {"error": error},
    }
    file = tmp_path / "errors.jsonl"
    file.write_text(json.dumps(record) + "\n", encoding="utf-8")
    lines: list[str] = []
    tally = report(replay_errors(file), lines.append)
    assert (tally.identical, tally.counted) == (0, 1)
    assert any("error.message: recorded" in line for line in lines)


def test_a_file_is_read_without_its_unanswered_requests(tmp_path: Path) -> None:
    record = {"n": 1, "method": "GET", "host": "", "path": "/x", "status": 200, "headers": {"ETag": "1"}}
    file = tmp_path / "a.jsonl"
    lines = [json.dumps(record), json.dumps({**record, "n": 2, "status": None})]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert [(e.number, e.headers) for e in read(file)] == [(1, {"etag": "1"})]
