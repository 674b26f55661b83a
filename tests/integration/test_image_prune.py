# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""image_prune: what is named first and deleted only when asked, and what always stays."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.prune import (
    Judged,
    PruneRequest,
    judge,
    remove,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.soft_deleted import soft_deleted_in

from tests.integration.captures import definition, interface
from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.galleries import gallery
from tests.integration.machines import COMPUTE, public_key
from tests.integration.plays import Player


def versions(azure: LocalAzure, group: str, name: str, numbers: list[str], *, gallery: str = "golden") -> str:
    """Id of a new definition with these versions, all in eastus."""
    made = definition(azure, group, name, gallery=gallery)
    disk = azure.disk(group, f"{gallery}-{name}", osType="Linux", hyperVGeneration="V1")
    for number in numbers:
        properties = {
            "publishingProfile": {"replicationMode": "Shallow"},
            "storageProfile": {"osDiskImage": {"source": {"id": disk}}},
        }
        body = {"location": "eastus", "tags": {"channel": "test"}, "properties": properties}
        azure.put(f"{made}/versions/{number}", body)
    return made


def machine_of(azure: LocalAzure, group: str, name: str, image: str) -> str:
    made = azure.id(group, f"{COMPUTE}/virtualMachines", name)
    key = {"path": "/home/ops/.ssh/authorized_keys", "keyData": public_key()}
    linux = {"disablePasswordAuthentication": True, "ssh": {"publicKeys": [key]}}
    properties = {
        "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
        "storageProfile": {"imageReference": {"id": image}, "osDisk": {"createOption": "FromImage"}},
        "osProfile": {"computerName": name, "adminUsername": "ops", "linuxConfiguration": linux},
        "networkProfile": {"networkInterfaces": [{"id": interface(azure, group, f"{name}-nic")}]},
    }
    azure.put(made, {"location": "eastus", "properties": properties})
    return made


def left(azure: LocalAzure, definition_id: str) -> list[str]:
    return sorted(each["name"] for each in azure.get(f"{definition_id}/versions")["value"])


def judged(session: AzureSession, group: str, **options: Any) -> tuple[PruneRequest, Judged]:
    given = {"resource_group": group, "gallery": "golden", **options}
    request = PruneRequest.from_options(given, session.subscription_id)
    return request, judge(session, request, datetime.now(timezone.utc))


def test_versions_are_named_and_deleted_only_when_asked(azure: LocalAzure, play: Player, group: str) -> None:
    made = versions(azure, group, "web", ["1.0.0", "1.0.1", "1.9.0", "1.10.0"])
    vm = machine_of(azure, group, "user", f"{made}/versions/1.0.0")
    args = {"resource_group": group, "gallery": "golden", "keep": 2}
    asked = {**args, "apply": True}
    mark = azure.mark()
    steps = [args, {**asked, "check_mode": True}, asked, asked]
    named, foreseen, done, again = play.each("image_prune", steps, diff=True)
    assert azure.writes(mark) == [f"DELETE {made}/versions/1.0.1"]
    assert [each.changed for each in (named, foreseen, done, again)] == [False, True, True, False]
    for result in (named, foreseen, done):
        assert result["removed"] == [f"{made}/versions/1.0.1"]
        assert {row["version"]: row["reason"] for row in result["versions"]} == {
            "1.0.0": f"it is used by {vm}",
            "1.0.1": "it is none of the 2 highest",
            "1.9.0": "it is one of the 2 highest to keep",
            "1.10.0": "it is the newest",
        }
    assert named["actions"] == []
    assert named["diff"]["before"] == named["diff"]["after"]
    assert done["actions"] == [f"Deleted version {made}/versions/1.0.1: it is none of the 2 highest"]
    assert set(done["diff"]["before"]["versions"]) - set(done["diff"]["after"]["versions"]) == {"web/1.0.1"}
    assert left(azure, made) == ["1.0.0", "1.10.0", "1.9.0"]


def test_a_machine_of_the_latest_uses_what_that_was(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    made = versions(azure, group, "latest", ["1.0.0"])
    machine_of(azure, group, "early", made)
    for number in ("1.0.1", "1.0.2"):
        source = {"source": {"id": f"{made}/versions/1.0.0"}}
        properties = {"publishingProfile": {"replicationMode": "Shallow"}, "storageProfile": source}
        azure.put(f"{made}/versions/{number}", {"location": "eastus", "properties": properties})
    _request, found = judged(session, group, definition="latest", keep=1)
    assert found.going == [f"{made}/versions/1.0.1"]


def test_what_soft_delete_would_keep_goes_when_asked(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    gallery(session, {"resource_group": group, "name": "keeping", "soft_delete": True})
    made = versions(azure, group, "kept", ["1.0.0", "1.0.1", "1.0.2"], gallery="keeping")
    tags = ["channel:test"]
    request, found = judged(session, group, gallery="keeping", keep=2, tags=tags)
    remove(session, request, found, Waiter())
    assert [each["name"] for each in soft_deleted_in(session, made)] == ["1.0.0"]
    request, found = judged(session, group, gallery="keeping", keep=1, tags=tags, purge=True)
    remove(session, request, found, Waiter())
    assert [each["name"] for each in soft_deleted_in(session, made)] == ["1.0.0"]
    assert left(azure, made) == ["1.0.2"]


def test_nothing_goes_where_machines_cannot_be_looked_at(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    versions(azure, group, "unseen", ["1.0.0", "1.0.1"])
    mark = azure.mark()
    unknown = "00000000-0000-0000-0000-000000000001"
    with pytest.raises(AzureError, match=unknown):
        judged(session, group, definition="unseen", keep=1, subscriptions=[unknown])
    with pytest.raises(InvalidInput, match="there is no image definition nothing"):
        judged(session, group, definition="nothing", keep=1)
    with pytest.raises(InvalidInput, match="there is no gallery nothing"):
        judged(session, group, gallery="nothing", keep=1)
    assert azure.writes(mark) == []


def test_what_cannot_be_deleted_is_named_and_the_others_go(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    made = versions(azure, group, "partly", ["1.0.0", "1.0.1", "1.0.2"])
    request, found = judged(session, group, definition="partly", keep=1)
    match = {"method": "DELETE", "path": "**/versions/1.0.0"}
    locked = rule("locked", match, "error", status=409, code="ScopeLocked", message="It is locked.")
    with faults(azure, locked), pytest.raises(AzureError) as failure:
        remove(session, request, found, Waiter())
    assert "1 of 2 versions could not be deleted" in str(failure.value)
    assert f"{made}/versions/1.0.0" in str(failure.value)
    assert failure.value.code == "ScopeLocked"
    assert left(azure, made) == ["1.0.0", "1.0.2"]
