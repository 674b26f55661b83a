# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Faults of Resource Manager and Entra, over the wire."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from tests.contract.exchange import exchange_from
from tests.local_azure.faults.control import PATH
from tests.unit.local_azure.arm_server import Arm, Json, compute, error_of
from tests.unit.local_azure.fault_client import Faults

DISK: Json = {
    "location": "westus",
    "properties": {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}},
}
PUT_DISK: Json = {"service": "arm", "method": "PUT", "path": "**/disks/*"}


@pytest.fixture
def faults(arm: Arm) -> Iterator[Faults]:
    control = Faults(arm)
    yield control
    control.clear()


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group()


def test_a_throttled_request_says_when_to_come_back_and_changes_nothing(
    arm: Arm, faults: Faults, group: str
) -> None:
    faults.add({**PUT_DISK, "nth": 1}, kind="throttle", retry_after=7)
    path = compute(group, "disks", "throttled")
    answer = arm.send("PUT", path, DISK)
    assert error_of(answer) == (429, "OperationNotAllowed")
    assert answer.headers["Retry-After"] == "7"
    assert answer.headers["x-ms-ratelimit-remaining-resource"].endswith(";0")
    assert answer.json()["error"]["details"][0]["code"] == "TooManyRequests"
    assert arm.send("GET", path).status_code == 404
    arm.done(arm.send("PUT", path, DISK))
    assert faults.injected() == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "MultipleErrorsOccurred"), (502, "BadGateway"), (503, "ServerTimeout"), (504, "GatewayTimeout")],
)
def test_server_errors_have_the_bodies_that_azure_gives_them(
    arm: Arm, faults: Faults, group: str, status: int, code: str
) -> None:
    faults.add({"service": "arm", "method": "GET", "times": 1}, kind="error", status=status)
    assert error_of(arm.send("GET", group)) == (status, code)
    assert arm.send("GET", group).status_code == 200


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_dropped_connection_is_told_apart_by_what_happened(
    arm: Arm, faults: Faults, group: str, when: str
) -> None:
    faults.add({**PUT_DISK, "nth": 1}, kind="drop", when=when)
    path = compute(group, "disks", f"dropped-{when}")
    with pytest.raises(requests.ConnectionError):
        arm.send("PUT", path, DISK)
    assert arm.send("GET", path).status_code == (200 if when == "after" else 404)


def test_an_answer_can_break_off_stall_trickle_or_be_cut(arm: Arm, faults: Faults, group: str) -> None:
    get = {"service": "arm", "method": "GET"}
    faults.add({**get, "nth": 1}, kind="drop", when="during")
    faults.add({**get, "nth": 2}, kind="truncate")
    faults.add({**get, "nth": 3}, kind="stall", seconds=0.4)
    faults.add({**get, "nth": 4}, kind="trickle", bytes_per_second=600)
    faults.add({**get, "nth": 5}, kind="corrupt")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        arm.send("GET", group)
    with pytest.raises(ValueError, match=r"JSON|char"):
        arm.send("GET", group).json()
    for _unused in range(2):
        started = time.monotonic()
        assert arm.send("GET", group).json()["location"] == "westus"
        assert time.monotonic() - started > 0.2
    whole = arm.send("GET", compute(group, "disks")).content
    assert whole != arm.send("GET", compute(group, "disks")).content


def test_an_operation_ends_failed_with_the_given_error(arm: Arm, faults: Faults, group: str) -> None:
    faults.add(PUT_DISK, kind="fail_operation", code="InternalDiskManagementError", message="It broke.")
    path = compute(group, "disks", "failing")
    ended = arm.finish(arm.send("PUT", path, DISK))
    assert ended["status"] == "Failed"
    assert ended["error"] == {"code": "InternalDiskManagementError", "message": "It broke."}
    assert arm.get(path)["properties"]["provisioningState"] == "Failed"


def test_an_operation_lasts_as_long_as_the_rule_says(arm: Arm, faults: Faults, group: str) -> None:
    faults.add({**PUT_DISK, "nth": 1}, kind="slow_operation", seconds=0.6)
    faults.add({**PUT_DISK, "nth": 2}, kind="slow_operation", seconds="never")
    started = time.monotonic()
    arm.done(arm.send("PUT", compute(group, "disks", "slow"), DISK))
    assert time.monotonic() - started >= 0.6
    url = arm.send("PUT", compute(group, "disks", "endless"), DISK).headers["Azure-AsyncOperation"]
    time.sleep(0.3)
    assert arm.send("GET", url).json()["status"] == "InProgress"


def test_a_token_that_expires_stays_expired_until_a_new_one_comes(
    arm: Arm, faults: Faults, group: str
) -> None:
    faults.add({"service": "arm", "nth": 1}, kind="expire_token")
    for _unused in range(2):
        refused = arm.send("GET", group)
        assert error_of(refused) == (401, "ExpiredAuthenticationToken")
        assert "invalid_token" in refused.headers["WWW-Authenticate"]
    fresh = {"Authorization": f"Bearer {arm.token()}"}
    assert arm.send("GET", group, headers=fresh).status_code == 200


def test_entra_issues_short_tokens(arm: Arm, faults: Faults, group: str) -> None:
    faults.add({"service": "entra"}, kind="short_tokens", seconds=1)
    fresh = {"Authorization": f"Bearer {arm.token()}"}
    assert arm.send("GET", group, headers=fresh).status_code == 200
    time.sleep(1.1)
    assert error_of(arm.send("GET", group, headers=fresh)) == (401, "ExpiredAuthenticationToken")


def test_what_was_made_is_not_seen_at_once(arm: Arm, faults: Faults, group: str) -> None:
    faults.add(PUT_DISK, kind="hide", seconds=0.5)
    path = compute(group, "disks", "hidden")
    arm.done(arm.send("PUT", path, DISK))
    assert error_of(arm.send("GET", path)) == (404, "ResourceNotFound")
    time.sleep(0.6)
    assert arm.send("GET", path).status_code == 200


def test_what_was_deleted_is_seen_on_and_keeps_its_parent(arm: Arm, faults: Faults, group: str) -> None:
    gallery = compute(group, "galleries", "gallery")
    arm.make(gallery, {"location": "westus"})
    definition = f"{gallery}/images/linux"
    identifier = {"publisher": "p", "offer": "o", "sku": "s"}
    properties = {"osType": "Linux", "osState": "Generalized", "identifier": identifier}
    arm.make(definition, {"location": "westus", "properties": properties})
    faults.add({"service": "arm", "method": "DELETE", "path": "**/images/linux"}, kind="linger", seconds=0.5)
    arm.done(arm.send("DELETE", definition))
    assert arm.get(definition)["properties"]["identifier"] == identifier
    assert error_of(arm.send("DELETE", gallery)) == (409, "CannotDeleteResource")
    time.sleep(0.6)
    assert arm.send("GET", definition).status_code == 404
    assert arm.send("DELETE", gallery).status_code == 202


def test_one_seed_gives_one_schedule(arm: Arm, faults: Faults, group: str) -> None:
    def schedule() -> list[int]:
        faults.add({"service": "arm", "method": "GET", "probability": 0.3}, seed=11, kind="error", status=503)
        statuses = [arm.send("GET", group).status_code for _unused in range(20)]
        faults.clear()
        return statuses

    first = schedule()
    assert set(first) == {200, 503}
    assert schedule() == first


def test_faults_stand_in_both_logs_and_the_contract_leaves_them_out(
    arm: Arm, faults: Faults, group: str
) -> None:
    faults.add({"service": "arm", "method": "GET", "nth": 1}, seed=5, kind="error", status=503)
    arm.send("GET", group)
    event = faults.logged()[-1]
    assert (event["rule"], event["kind"], event["seed"], event["number"]) == ("rule-1", "error", 5, 1)
    marked = faults.exchanges()[-1]
    assert marked["liveResponse"]["statusCode"] == 503
    assert exchange_from(marked).injected
    arm.send("GET", group)
    assert not exchange_from(faults.exchanges()[-1]).injected


def test_faults_are_controlled_with_the_key_only(arm: Arm) -> None:
    for headers in ({}, {"x-local-azure-control-key": "wrong"}):
        for method in ("GET", "POST", "DELETE"):
            answer = arm.http.request(method, arm.settings.url + PATH, headers=headers, json={}, timeout=30)
            assert answer.status_code == 403
