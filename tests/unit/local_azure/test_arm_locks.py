# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Management locks at subscriptions, groups and resources."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.unit.local_azure.arm_server import Arm, Json, compute

VERSION = "2020-05-01"


@pytest.fixture
def group(arm: Arm) -> str:
    return arm.group()


def lock_path(scope: str, name: str = "lock") -> str:
    return f"{scope}/providers/Microsoft.Authorization/locks/{name}"


@contextmanager
def locked(arm: Arm, scope: str, level: str) -> Iterator[Json]:
    """A lock for the time of the block."""
    made = arm.send("PUT", lock_path(scope), {"properties": {"level": level}}, version=VERSION)
    assert made.status_code == 201, made.text
    yield made.json()
    assert arm.send("DELETE", lock_path(scope), version=VERSION).status_code == 200


def refusal(answer: requests.Response) -> str:
    assert answer.status_code == 409, answer.text
    assert answer.json()["error"]["code"] == "ScopeLocked"
    return str(answer.json()["error"]["message"])


def text(scope: str, verb: str, held_by: str) -> str:
    return (
        f"The scope '{scope}' cannot perform {verb} operation because following scope(s) are locked: "
        f"'{held_by}'. Please remove the lock and try again."
    )


def test_locked_resource_is_changed_but_not_deleted(arm: Arm, group: str) -> None:
    disk = arm.disk(group, "disk")["id"]
    with locked(arm, disk, "CanNotDelete"):
        assert refusal(arm.send("DELETE", disk)) == text(disk, "delete", disk)
        arm.done(arm.send("PATCH", disk, {"tags": {"still": "here"}}))
    arm.done(arm.send("DELETE", disk))


def test_group_with_a_locked_resource_inside_stays(arm: Arm, group: str) -> None:
    disk, other = arm.disk(group, "disk")["id"], arm.disk(group, "other")["id"]
    scope = f"{arm.subscription}/{group}"
    with locked(arm, disk, "CanNotDelete"):
        assert refusal(arm.send("DELETE", scope)) == text(scope, "delete", disk)
        lower = scope.replace("resourceGroups", "resourcegroups")
        assert refusal(arm.send("DELETE", lower)) == text(lower, "delete", disk)
        assert arm.get(group)["properties"]["provisioningState"] == "Succeeded"
        arm.done(arm.send("DELETE", other))
    assert arm.send("DELETE", scope).status_code == 202


def test_lock_of_a_group_holds_everything_in_it(arm: Arm, group: str) -> None:
    disk = arm.disk(group, "disk")["id"]
    scope = f"{arm.subscription}/{group}"
    with locked(arm, scope, "CanNotDelete"):
        assert refusal(arm.send("DELETE", disk)) == text(disk, "delete", scope)
        assert arm.disk(group, "more")["name"] == "more"


def test_read_only_forbids_every_change_and_every_action(arm: Arm, group: str) -> None:
    disk = arm.disk(group, "disk")
    body = {"location": "westus", "properties": disk["properties"]}
    scope = f"{arm.subscription}/{group}"
    with locked(arm, scope, "ReadOnly"):
        for method in ("PUT", "PATCH"):
            assert refusal(arm.send(method, disk["id"], body)) == text(disk["id"], "write", scope)
        new = f"{scope}/{compute('', 'disks', 'new').lstrip('/')}"
        assert refusal(arm.send("PUT", new, body)) == text(new, "write", scope)
        grant = arm.send("POST", disk["id"] + "/beginGetAccess", {"access": "Read", "durationInSeconds": 60})
        assert refusal(grant) == text(disk["id"], "write", scope)
        assert refusal(arm.send("PUT", scope, {"location": "westus"})) == text(scope, "write", scope)
        assert arm.get(disk["id"])["id"] == disk["id"]


def test_lock_of_a_subscription_holds_its_groups_and_no_other_subscription(arm: Arm) -> None:
    second = arm.within(arm.settings.identity.home.subscriptions[1].id)
    group = second.group()
    with locked(arm, second.subscription, "CanNotDelete"):
        scope = f"{second.subscription}/{group}"
        assert refusal(second.send("DELETE", scope)) == text(scope, "delete", second.subscription)
        assert arm.send("DELETE", arm.group()).status_code == 202


def test_locks_are_shown_changed_listed_and_go_with_their_resource(arm: Arm, group: str) -> None:
    disk = arm.disk(group, "disk")["id"]
    body = {"properties": {"level": "CanNotDelete", "notes": "golden"}}
    made = arm.send("PUT", lock_path(disk), body, version=VERSION)
    assert made.json() == {
        **body,
        "id": lock_path(disk),
        "type": "Microsoft.Authorization/locks",
        "name": "lock",
    }
    assert arm.send("PUT", lock_path(disk), body, version=VERSION).status_code == 200
    scope = f"{arm.subscription}/{group}"
    listing = f"{scope}/providers/Microsoft.Authorization/locks"
    below = arm.send("GET", listing, version=VERSION).json()["value"]
    assert [lock["id"] for lock in below] == [lock_path(disk)]
    assert arm.send("GET", listing, version=VERSION, query="&$filter=atScope()").json()["value"] == []
    missing = arm.send("GET", lock_path(scope), version=VERSION)
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "LockNotFound")
    assert arm.send("DELETE", lock_path(scope), version=VERSION).status_code == 204
    wrong = arm.send("PUT", lock_path(disk, "x"), {"properties": {"level": "Some"}}, version=VERSION)
    assert wrong.status_code == 400
    assert arm.send("DELETE", lock_path(disk), version=VERSION).status_code == 200
