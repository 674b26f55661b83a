# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The end of image versions: deletion and its aftermath, protection, soft delete and restoration."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest

from tests.local_azure.providers.galleries import gallery_versions
from tests.unit.local_azure.arm_server import Arm, Json, error_of
from tests.unit.local_azure.galleries import (
    changes,
    definition_body,
    make_definition,
    make_gallery,
    make_version,
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


def in_days(days: int) -> str:
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y-%m-%dT00:00:00+00:00")


def test_a_version_that_is_being_deleted_cannot_be_updated(arm: Arm, definition: str, image: Json) -> None:
    path = f"{definition}/versions/7.0.0"
    make_version(arm, definition, "7.0.0", image, "westus")
    deletion = arm.send("DELETE", path)
    assert deletion.status_code == 202
    assert deletion.headers["Location"]
    assert deletion.headers["Retry-After"]
    answer = arm.send("PATCH", path, {"tags": {"a": "b"}})
    assert error_of(answer) == (409, "OperationNotAllowed")
    assert "is not allowed on 7.0.0 since it is marked for deletion" in answer.json()["error"]["message"]
    arm.done(deletion)
    assert error_of(arm.send("GET", path)) == (404, "ResourceNotFound")
    assert arm.send("DELETE", path).status_code == 204


def test_a_definition_can_only_go_a_while_after_its_last_version(
    arm: Arm, gallery: str, image: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test's own clock: two seconds, however fast operations are here.
    speed = arm.settings.pace.speed
    monkeypatch.setattr(gallery_versions, "LINGERING_SECONDS", 2 * speed)
    definition = make_definition(arm, gallery)
    made = make_version(arm, definition, "1.0.0", image, "westus")
    assert error_of(arm.send("DELETE", definition)) == (409, "CannotDeleteResource")
    arm.done(arm.send("DELETE", f"{definition}/versions/1.0.0"))
    lingering = arm.send("DELETE", definition)
    assert error_of(lingering) == (409, "CannotDeleteResource")
    assert made["id"] in lingering.json()["error"]["message"]
    deadline = time.monotonic() + 10
    while (answer := arm.send("DELETE", definition)).status_code == 409:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    arm.done(answer)


def test_a_version_is_protected_until_its_end_of_life(arm: Arm, definition: str, image: Json) -> None:
    path = f"{definition}/versions/8.0.0"
    make_version(
        arm,
        definition,
        "8.0.0",
        image,
        "westus",
        publishingProfile={"endOfLifeDate": in_days(30)},
        safetyProfile={"blockDeletionBeforeEndOfLife": True},
    )
    refused = arm.send("DELETE", path)
    assert error_of(refused) == (409, "DeleteGalleryImageVersionBlockedBeforeEndOfLife")
    opened = changes(safetyProfile={"blockDeletionBeforeEndOfLife": False})
    arm.done(arm.send("PATCH", path, opened))
    arm.done(arm.send("DELETE", path))


def test_soft_deleted_versions_are_kept_listed_restored_and_purged(arm: Arm, group: str, image: Json) -> None:
    gallery = make_gallery(arm, group, softDeletePolicy={"isSoftDeleteEnabled": True})
    definition = make_definition(arm, gallery)
    path = f"{definition}/versions/1.0.0"
    made = make_version(arm, definition, "1.0.0", image, "westus")
    kept = f"{gallery}/softDeletedArtifactTypes/images/artifacts/{definition.rpartition('/')[2]}/versions"
    assert arm.get(kept)["value"] == []
    arm.done(arm.send("DELETE", path))
    assert arm.send("GET", path).status_code == 404
    [listed] = arm.get(kept)["value"]
    assert (listed["name"], listed["type"]) == (
        "1.0.0",
        "Microsoft.Compute/galleries/softDeletedArtifactTypes/artifacts/versions",
    )
    assert listed["properties"]["resourceArmId"] == made["id"]
    time.sleep(0.1)
    assert error_of(arm.send("DELETE", definition)) == (409, "CannotDeleteResource")
    restored = arm.send("PUT", path, {"location": "westus"})
    assert (restored.status_code, restored.json()["properties"]["provisioningState"]) == (200, "Updating")
    arm.done(restored)
    assert arm.get(path)["properties"]["storageProfile"] == made["properties"]["storageProfile"]
    assert arm.get(kept)["value"] == []
    arm.done(arm.send("DELETE", path))
    again = arm.send("PATCH", path, changes(restore=True))
    arm.done(again)
    arm.done(arm.send("DELETE", path))
    purged = arm.send("DELETE", f"{kept}/1.0.0")
    assert purged.status_code == 202
    arm.done(purged)
    assert arm.get(kept)["value"] == []
    assert error_of(arm.send("PATCH", path, changes(restore=True))) == (404, "ResourceNotFound")


def test_a_definition_takes_what_was_soft_deleted_in_it_when_soft_delete_is_off(
    arm: Arm, group: str, image: Json
) -> None:
    gallery = make_gallery(arm, group, softDeletePolicy={"isSoftDeleteEnabled": True})
    definition = make_definition(arm, gallery)
    make_version(arm, definition, "1.0.0", image, "westus")
    arm.done(arm.send("DELETE", f"{definition}/versions/1.0.0"))
    off = {"location": "westus", "properties": {"softDeletePolicy": {"isSoftDeleteEnabled": False}}}
    arm.done(arm.send("PUT", gallery, off))
    time.sleep(0.1)
    arm.done(arm.send("DELETE", definition))
    kept = f"{gallery}/softDeletedArtifactTypes/Images/artifacts/{definition.rpartition('/')[2]}/versions"
    assert arm.get(kept)["value"] == []


def test_a_group_takes_its_galleries_with_it(arm: Arm, image: Json) -> None:
    del image
    group = arm.group()
    gallery = make_gallery(arm, group, softDeletePolicy={"isSoftDeleteEnabled": True})
    definition = make_definition(arm, gallery)
    source = {"osDiskImage": {"source": {"id": arm.disk(group, "d")["id"]}}}
    for name in ("1.0.0", "1.0.1"):
        make_version(arm, definition, name, source, "westus")
    arm.done(arm.send("DELETE", f"{definition}/versions/1.0.0"))
    answer = arm.send("DELETE", group)
    assert answer.status_code == 202
    deadline = time.monotonic() + 20
    while arm.send("GET", group).status_code != 404:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert arm.send("PUT", gallery, definition_body()).status_code == 404
