# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Every kind of defect is found by the contracts that can see it, and sound exchanges pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.contract import examples
from tests.contract.examples import (
    COMPUTE,
    DISK_ANSWER,
    DISK_REQUEST,
    ERROR,
    IMAGE,
    IMAGE_ANSWER,
    IMAGE_REQUEST,
    MACHINE,
    MACHINE_ANSWER,
    accepted,
    access_granted,
    access_revoked,
    changed,
    disk_created,
    exchange,
    image_created,
    image_read,
    images_listed,
    machine_read,
)
from tests.contract.exchange import Exchange
from tests.contract.judge import Judge

OS_DISK = "properties/storageProfile/osDisk"
SOUND = {
    "image created": image_created(),
    "image read": image_read(),
    "image read in another case": image_read(changed(IMAGE_ANSWER, "id", IMAGE.upper())),
    "images listed": images_listed({"value": [IMAGE_ANSWER]}),
    "images continued": images_listed({"value": [], "nextLink": "https://x/y"}, query={"$skiptoken": "2"}),
    "image deleted": exchange("DELETE", IMAGE, status=202, headers=accepted()),
    "image missing": image_read(ERROR, status=404),
    "disk created": disk_created(),
    "disk accepted without id": disk_created(answer=changed(DISK_ANSWER, "id", remove=True)),
    "access granted": access_granted(),
    "access revoked": access_revoked(),
    "machine of a new size": machine_read(),
    "machine with its view": machine_read(query={"$expand": "instanceView"}),
    "machine generalized": exchange("POST", f"{MACHINE}/generalize", headers={}),
    "connection lost": image_created(status=0, headers={}, answer=None),
}


@pytest.mark.parametrize("sound", SOUND.values(), ids=SOUND)
def test_sound_exchange_passes_the_sdk_models(sound: Exchange, sdk_judge: Judge) -> None:
    verdict = sdk_judge.judge(sound)
    assert verdict.operation is not None
    assert verdict.findings == ()


@pytest.mark.parametrize("sound", SOUND.values(), ids=SOUND)
def test_sound_exchange_passes_the_published_files(sound: Exchange, full_judge: Judge) -> None:
    verdict = full_judge.judge(sound)
    assert verdict.operation is not None
    assert verdict.findings == ()


class Defect(NamedTuple):
    """`judges` are the contracts that must find it; all of them must say the same kind and place."""

    exchange: Exchange
    kind: str
    where: str
    judges: frozenset[str]


def defect(found: Exchange, kind: str, where: str = "", judges: str = "openapi sdk") -> Defect:
    return Defect(found, kind, where, frozenset(judges.split()))


def _images_request(path: str, value: Any = None, *, remove: bool = False) -> Exchange:
    return image_created(request=changed(IMAGE_REQUEST, path, value, remove=remove))


def _image_answer(path: str, value: Any = None, *, remove: bool = False) -> Exchange:
    return image_read(changed(IMAGE_ANSWER, path, value, remove=remove))


DEFECTS = {
    "request: unknown property": defect(
        _images_request("properties/sourceVm", {"id": MACHINE}), "unknown-property", "/properties/sourceVm"
    ),
    "request: snake case": defect(
        _images_request("properties/storageProfile/data_disks", []),
        "unknown-property",
        "/properties/storageProfile/data_disks",
    ),
    "request: required property missing": defect(
        _images_request("location", remove=True), "missing-property", "/location"
    ),
    "request: nested required property missing": defect(
        disk_created(request=changed(DISK_REQUEST, "properties/creationData/createOption", remove=True)),
        "missing-property",
        "/properties/creationData/createOption",
    ),
    "request: read-only property": defect(
        _images_request("properties/provisioningState", "Succeeded"),
        "read-only",
        "/properties/provisioningState",
    ),
    "request: text for a number": defect(
        _images_request(f"{OS_DISK}/diskSizeGB", "30"), "wrong-type", f"/{OS_DISK}/diskSizeGB"
    ),
    "request: true for a number": defect(
        _images_request(f"{OS_DISK}/diskSizeGB", True), "wrong-type", f"/{OS_DISK}/diskSizeGB"
    ),
    "request: null": defect(_images_request(f"{OS_DISK}/caching", None), "wrong-type", f"/{OS_DISK}/caching"),
    "request: unknown value of a closed list": defect(
        _images_request(f"{OS_DISK}/osState", "Generalised"), "unknown-value", f"/{OS_DISK}/osState"
    ),
    "request: unknown value of an open list": defect(
        _images_request("properties/hyperVGeneration", "V3"),
        "unknown-value",
        "/properties/hyperVGeneration",
        judges="sdk",
    ),
    "request: list for an object": defect(
        _images_request("properties/storageProfile", []), "wrong-type", "/properties/storageProfile"
    ),
    "request: unknown query parameter": defect(
        image_read(query={"force": "true"}), "unknown-query", "?force"
    ),
    "request: no api-version": defect(image_read(version=None), "missing-query", "?api-version"),
    "request: no body": defect(image_created(request=None), "missing-body"),
    "request: a body where none belongs": defect(
        exchange(
            "POST",
            f"{examples.DISK}/endGetAccess",
            version="2024-03-02",
            request={"now": True},
            status=202,
            headers=accepted(),
        ),
        "unexpected-body",
    ),
    "answer: unknown property": defect(
        _image_answer("properties/sourceVM", "vm"), "unknown-property", "/properties/sourceVM"
    ),
    "answer: unknown property in a list": defect(
        images_listed({"value": [changed(IMAGE_ANSWER, "osType", "Linux")]}),
        "unknown-property",
        "/value/0/osType",
    ),
    "answer: list without value": defect(images_listed({"items": []}), "missing-property", "/value"),
    "answer: wrong type": defect(
        _image_answer("properties/storageProfile/dataDisks/0/lun", "0"),
        "wrong-type",
        "/properties/storageProfile/dataDisks/0/lun",
    ),
    "answer: required property missing": defect(
        _image_answer("location", remove=True), "missing-property", "/location"
    ),
    "answer: no date": defect(
        disk_created(answer=changed(DISK_ANSWER, "properties/timeCreated", "yesterday")),
        "wrong-format",
        "/properties/timeCreated",
    ),
    "answer: no id": defect(_image_answer("id", remove=True), "missing-id", "/id", judges="openapi"),
    "answer: id of another resource": defect(
        _image_answer("id", f"{COMPUTE}/images/other"), "wrong-id", "/id", judges="openapi"
    ),
    "answer: no body": defect(image_read(None), "missing-body"),
    "answer: undeclared status": defect(image_created(status=202), "undeclared-status"),
    "answer: a secret": defect(
        machine_read(changed(MACHINE_ANSWER, "properties/osProfile/adminPassword", "x")),
        "secret",
        "/properties/osProfile/adminPassword",
        judges="arm",
    ),
    "answer: custom data": defect(
        machine_read(changed(MACHINE_ANSWER, "properties/osProfile/customData", "eA==")),
        "secret",
        "/properties/osProfile/customData",
        judges="arm",
    ),
    "answer: error without envelope": defect(
        image_read({"code": "NotFound", "message": "gone"}, status=404),
        "error-envelope",
        "/error",
        judges="arm",
    ),
    "answer: error without message": defect(
        image_read({"error": {"code": "NotFound"}}, status=404), "error-envelope", "/error", judges="arm"
    ),
    "answer: error without body": defect(
        image_read(None, status=500), "error-envelope", "/error", judges="arm"
    ),
    "answer: error of HTML": defect(
        image_read("<html>", status=502, headers={"Content-Type": "text/html"}), "content-type", judges="arm"
    ),
    "answer: error with more in it": defect(
        image_read({"error": {**ERROR["error"], "stack": "line 1"}}, status=404),
        "error-envelope",
        "/error/stack",
        judges="arm",
    ),
    "answer: 202 without an operation": defect(
        disk_created(headers=examples.JSON), "missing-operation-header", judges="arm"
    ),
    "answer: operation URL without host": defect(
        disk_created(headers=accepted(Location="/operations/1?api-version=1")),
        "operation-url",
        "location",
        judges="arm",
    ),
    "answer: operation URL without api-version": defect(
        disk_created(headers=accepted(Location="https://127.0.0.1/operations/1")),
        "operation-url",
        "location",
        judges="arm",
    ),
    "answer: Retry-After in words": defect(
        disk_created(headers=accepted(**{"Retry-After": "soon"})), "retry-after", "retry-after", judges="arm"
    ),
    "answer: 204 with a body": defect(
        exchange("DELETE", IMAGE, status=204, body={"ok": True}), "unexpected-body", judges="arm sdk"
    ),
}


def _judges(judge: Judge, planted: Defect) -> set[str]:
    verdict = judge.judge(planted.exchange)
    return {
        found.judge
        for found in verdict.violations
        if (found.kind, found.where) == (planted.kind, planted.where)
    }


@pytest.mark.parametrize("planted", DEFECTS.values(), ids=DEFECTS)
def test_planted_defect_is_found_by_every_contract_that_can_see_it(
    planted: Defect, full_judge: Judge
) -> None:
    assert planted.judges <= _judges(full_judge, planted)


@pytest.mark.parametrize("planted", DEFECTS.values(), ids=DEFECTS)
def test_planted_defect_is_found_without_the_published_files(planted: Defect, sdk_judge: Judge) -> None:
    if planted.judges == {"openapi"}:
        assert _judges(sdk_judge, planted) == set()
    else:
        assert _judges(sdk_judge, planted) == planted.judges - {"openapi"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", f"{IMAGE}/publish"), ("PATCH", f"{COMPUTE}/images"), ("GET", f"{COMPUTE}/pictures/golden")],
)
def test_request_that_no_contract_knows_is_unmatched(method: str, path: str, sdk_judge: Judge) -> None:
    verdict = sdk_judge.judge(exchange(method, path))
    assert verdict.is_unmatched
    assert not sdk_judge.report([verdict.exchange]).passed


def test_messages_do_not_repeat_values_that_may_be_secret(full_judge: Judge) -> None:
    answer = changed(MACHINE_ANSWER, "properties/osProfile/adminPassword", "hunter2")
    request = changed(MACHINE_ANSWER, "properties/osProfile/adminPassword", {"hunter2": "hunter2"})
    spoken = exchange("PUT", MACHINE, request=request, status=200, headers=accepted(), body=answer)
    report = full_judge.report([spoken])
    text = "\n".join([report.summary(), *report.details(limit=100)])
    assert "adminPassword" in text
    assert "hunter2" not in text
