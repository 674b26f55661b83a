# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""disk_copy while Azure and the network go wrong."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.integration.cloud import LocalAzure
from tests.integration.disk_copies import SNAPSHOTS, copy, names, state
from tests.integration.faults import faults, rule
from tests.integration.test_disk_copy_blob import Place
from tests.integration.uploads import DISKS, raw_disk


@pytest.fixture(scope="module")
def place(
    azure: LocalAzure, session: AzureSession, group: str, tmp_path_factory: pytest.TempPathFactory
) -> Place:
    return Place(azure, session, group, raw_disk(tmp_path_factory.mktemp("disks") / "web.raw"))


@pytest.mark.parametrize("nth", [1, 2], ids=["of the mark", "of the copy"])
def test_a_lost_answer_is_no_reason_to_fail(
    azure: LocalAzure, session: AzureSession, place: Place, nth: int
) -> None:
    blob = f"lost-{nth}.vhd"
    match = {"service": "blob", "method": "PUT", "path": f"**/{blob}", "nth": nth}
    with faults(azure, rule("lost", match, "drop", when="after")) as hits:
        assert copy(session, {"disk_name": "web"}, **place.to(blob))["changed"]
    assert hits["lost"] == 1
    assert place.arrived(blob)
    assert state(azure, place.group, "web") == "Unattached"


def test_throttling_and_errors_are_waited_out(azure: LocalAzure, session: AzureSession, place: Place) -> None:
    at = {"service": "blob", "path": "**/busy.vhd"}
    with faults(
        azure,
        rule("busy", {**at, "method": "PUT", "nth": [1, 3]}, "throttle", retry_after=1),
        rule("broken", {**at, "method": "HEAD", "nth": [2, 4]}, "error", status=500),
        rule("polls", {"method": "GET", "path": "**/DiskOperations/*", "every": 2}, "error", status=503),
    ) as hits:
        assert copy(session, {"disk_name": "web"}, **place.to("busy.vhd"))["changed"]
    assert hits["busy"] == hits["broken"] == 2
    assert place.arrived("busy.vhd")


def test_access_is_revoked_and_the_mark_removed_when_the_copy_is_refused(
    azure: LocalAzure, session: AzureSession, place: Place
) -> None:
    match = {"service": "blob", "method": "PUT", "path": "**/refused.vhd", "nth": 2}
    refused = rule("refused", match, "error", status=403, code="CannotVerifyCopySource", message="No.")
    with faults(azure, refused), pytest.raises(AzureError, match="could not read the source"):
        copy(session, {"disk_name": "web"}, **place.to("refused.vhd"))
    assert state(azure, place.group, "web") == "Unattached"
    with place.client(place.target, "refused.vhd") as client:
        assert not client.exists()


def test_access_that_was_not_granted_leaves_no_mark(
    azure: LocalAzure, session: AzureSession, place: Place
) -> None:
    match = {"method": "POST", "path": "**/beginGetAccess"}
    refused = rule("refused", match, "error", status=403, code="AuthorizationFailed", message="No.")
    mark = azure.mark()
    with faults(azure, refused), pytest.raises(AzureError, match="AuthorizationFailed"):
        copy(session, {"disk_name": "web"}, **place.to("ungranted.vhd"))
    assert not [write for write in azure.writes(mark) if write.endswith("/endGetAccess")]
    with place.client(place.target, "ungranted.vhd") as client:
        assert not client.exists()


def test_what_force_replaces_is_still_there_when_the_copy_cannot_begin(
    azure: LocalAzure, session: AzureSession, place: Place
) -> None:
    with place.client(place.target, "precious.vhd") as client:
        client.create_page_blob(1024, metadata={"is": "precious"})
    disk = azure.disk(place.group, "precious")
    match = {"method": "POST", "path": "**/beginGetAccess"}
    refused = rule("refused", match, "error", status=403, code="AuthorizationFailed", message="No.")
    with faults(azure, refused), pytest.raises(AzureError, match="AuthorizationFailed"):
        copy(session, {"disk_name": "web"}, force=True, **place.to("precious.vhd"))
    assert place.metadata("precious.vhd") == {"is": "precious"}
    options: dict[str, Any] = {"resource_group": place.group, "disk_name": "precious"}
    match = {"method": "PUT", "path": "**/snapshots/goldenimage-copy-*"}
    failing = rule("failing", match, "fail_operation", code="InternalError", message="No.")
    with faults(azure, failing), pytest.raises(AzureError, match="InternalError"):
        copy(session, {"disk_name": "web"}, force=True, location="westeurope", **options)
    assert azure.get(disk)["location"] == "eastus"
    assert copy(session, {"disk_name": "web"}, force=True, **place.to("precious.vhd"))["changed"]


@pytest.mark.parametrize("number", [0, 1, None], ids=["snapshot", "copied snapshot", "disk"])
def test_a_copy_to_another_region_that_fails_anywhere_leaves_nothing(
    azure: LocalAzure, session: AzureSession, place: Place, number: int | None
) -> None:
    before = names(azure, place.group, DISKS), names(azure, place.group, SNAPSHOTS)
    path = "**/disks/far" if number is None else f"**/snapshots/goldenimage-copy-*-{number}"
    failing = rule(
        "failing", {"method": "PUT", "path": path}, "fail_operation", code="InternalError", message="No."
    )
    options: dict[str, Any] = {"resource_group": place.group, "disk_name": "far", "location": "westeurope"}
    with faults(azure, failing) as hits, pytest.raises(AzureError, match="InternalError"):
        copy(session, {"disk_name": "web"}, **options)
    assert hits["failing"] == 1
    assert (names(azure, place.group, DISKS), names(azure, place.group, SNAPSHOTS)) == before


def test_a_copy_within_a_region_that_failed_is_made_anew(
    azure: LocalAzure, session: AzureSession, place: Place
) -> None:
    options: dict[str, Any] = {"resource_group": place.group, "snapshot_name": "again"}
    match = {"method": "PUT", "path": "**/snapshots/again", "nth": 1}
    failing = rule("failing", match, "fail_operation", code="InternalError", message="No.")
    with faults(azure, failing), pytest.raises(AzureError, match="InternalError"):
        copy(session, {"disk_name": "web"}, **options)
    assert "again" not in names(azure, place.group, SNAPSHOTS)
    assert copy(session, {"disk_name": "web"}, **options)["changed"]
