# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Operations are followed from the request that starts them to their result."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.examples import (
    DISK_ANSWER,
    accepted,
    access_granted,
    access_revoked,
    changed,
    disk_created,
    exchange,
    operation_url,
    status_body,
    status_polled,
)
from tests.contract.exchange import Exchange, Finding
from tests.contract.judge import OPERATION_POLL, Judge

SIGNED_AGAIN = operation_url(signature="def")


def findings_of_last(judge: Judge, *exchanges: Exchange) -> list[Finding]:
    verdicts = [judge.judge(exchange) for exchange in exchanges]
    assert verdicts[-1].operation == OPERATION_POLL
    return list(verdicts[-1].violations)


@pytest.mark.parametrize(
    "body",
    [
        status_body("InProgress"),
        status_body("Succeeded"),
        status_body("Succeeded", properties={"output": DISK_ANSWER}),
        status_body("Failed", error={"code": "InvalidParameter", "message": "no"}),
    ],
)
def test_sound_status_passes(body: dict[str, Any], full_judge: Judge) -> None:
    assert findings_of_last(full_judge, disk_created(), status_polled(body)) == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"state": "done"}, "/status"),
        (None, "/status"),
        (status_body("Failed"), "/error"),
        (status_body("Failed", error={"code": "X"}), "/error"),
        (status_body("Succeeded", error={"code": "X", "message": "x"}), "/error"),
        (changed(status_body("Succeeded"), "endTime", remove=True), "/endTime"),
        (status_body("InProgress", endTime="2024-08-26T05:58:15Z"), "/endTime"),
        (status_body("InProgress", properties={"output": {}}), "/properties"),
        (changed(status_body("InProgress"), "name", remove=True), "/name"),
        (changed(status_body("InProgress"), "startTime", "now"), "/startTime"),
        (status_body("InProgress", percent=3), "/percent"),
        (changed(status_body("InProgress"), "name", 1), "/name"),
        (status_body("Succeeded", properties=DISK_ANSWER), "/properties"),
        (status_body("Succeeded", properties=None), "/properties"),
    ],
)
def test_unsound_status_is_found(body: object, where: str, sdk_judge: Judge) -> None:
    found = findings_of_last(sdk_judge, disk_created(), status_polled(body))
    assert ("operation-status", where) in {(finding.kind, finding.where) for finding in found}


def test_status_of_an_operation_whose_start_was_not_seen_is_judged_too(sdk_judge: Judge) -> None:
    assert findings_of_last(sdk_judge, status_polled(status_body("Failed")))


def test_status_answered_with_202_is_found(sdk_judge: Judge) -> None:
    poll = status_polled(status_body("InProgress"), status=202, headers=accepted())
    (found,) = findings_of_last(sdk_judge, disk_created(), poll)
    assert found.kind == "operation-status"


def test_poll_that_drops_the_signature_is_found(sdk_judge: Judge) -> None:
    url = operation_url().partition("&s=")[0]
    (found,) = findings_of_last(sdk_judge, disk_created(), status_polled(status_body("InProgress"), url=url))
    assert found.kind == "poll-query"


def test_poll_may_use_the_url_that_a_poll_answered(sdk_judge: Judge) -> None:
    renewing = status_polled(
        status_body("InProgress"), headers=accepted(**{"Azure-AsyncOperation": SIGNED_AGAIN})
    )
    later = status_polled(status_body("Succeeded"), url=SIGNED_AGAIN)
    assert findings_of_last(sdk_judge, disk_created(), renewing, later) == []


@pytest.mark.parametrize("monitor", [False, True], ids=["status", "location"])
def test_result_is_judged_by_the_operation_that_started_it(monitor: bool, full_judge: Judge) -> None:
    def poll(result: dict[str, Any]) -> Exchange:
        body = result if monitor else status_body("Succeeded", properties={"output": result})
        return status_polled(body, url=operation_url(monitor=monitor))

    assert findings_of_last(full_judge, access_granted(), poll({"accessSAS": "https://x/y"})) == []
    found = findings_of_last(full_judge, access_granted(), poll({"accessSas": "https://x/y"}))
    assert {finding.judge for finding in found if finding.kind == "unknown-property"} == {"openapi", "sdk"}


def test_location_without_result_passes(full_judge: Judge) -> None:
    poll = status_polled(None, url=operation_url(monitor=True), headers={})
    assert findings_of_last(full_judge, access_revoked(), poll) == []


def test_failing_poll_is_judged_as_error(sdk_judge: Judge) -> None:
    sound = status_polled({"error": {"code": "ServerTimeout", "message": "later"}}, status=503)
    assert findings_of_last(sdk_judge, disk_created(), sound) == []
    (found,) = findings_of_last(sdk_judge, disk_created(), status_polled({"status": "Failed"}, status=503))
    assert found.kind == "error-envelope"


def test_operation_of_another_provider_need_only_tell_its_status(sdk_judge: Judge) -> None:
    base = "https://127.0.0.1/subscriptions/s"
    url = f"{base}/providers/Microsoft.Network/locations/eastus/operations/1?api-version=2024-05-01"
    start = exchange(
        "PUT",
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Network/publicIPAddresses/ip",
        request={"location": "eastus"},
        status=201,
        headers={"Azure-AsyncOperation": url},
        body={},
    )
    assert findings_of_last(sdk_judge, start, status_polled({"status": "InProgress"}, url=url)) == []
    assert findings_of_last(sdk_judge, start, status_polled({"state": "InProgress"}, url=url))
    assert findings_of_last(sdk_judge, start, status_polled({"status": "InProgress", "x": 1}, url=url))
