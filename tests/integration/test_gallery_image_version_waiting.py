# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""gallery_image_version: waiting for regions, regions that fail, and versions that come back."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    OperationFailed,
    WaitTimeout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.soft_deleted import (
    soft_deleted_facts,
    soft_deleted_in,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_facts import version_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_list import list_versions
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.progress_file import ProgressFile
from ansible_collections.goldenimage.azure.plugins.plugin_utils.progress import label, sentence

from tests.integration.captures import definition
from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.galleries import gallery, refused, thrice, version, written

COMMUNITY = {
    "permissions": "community",
    "publisher_uri": "https://example.com",
    "publisher_contact": "images@example.com",
    "eula": "none",
    "public_name_prefix": "golden",
}


def wanted(azure: LocalAzure, group: str, name: str, **more: Any) -> dict[str, Any]:
    """A version of a new definition, made of a disk of that name."""
    if azure.get(azure.id(group, "Microsoft.Compute/disks", name)) is None:
        definition(azure, group, name)
        azure.disk(group, name, osType="Linux", hyperVGeneration="V1")
    return {
        "resource_group": group,
        "gallery": "golden",
        "definition": name,
        "source": {"managed_disk": name},
        "version": "1.0.0",
        **more,
    }


def failing(region: str) -> dict[str, Any]:
    match = {"method": "PUT", "path": "**/versions/*", "nth": 1}
    return rule("replication", match, "fail_replication", region=region, detail="There is no room.")


def both() -> list[dict[str, Any]]:
    return [{"name": "eastus"}, {"name": "westus"}]


def test_the_progress_of_each_region_is_told(
    azure: LocalAzure, session: AzureSession, group: str, tmp_path: Path
) -> None:
    options = wanted(azure, group, "told", regions=both())
    file = ProgressFile(str(tmp_path / "progress"))
    # Five seconds each time that somebody looks at this clock.
    ticks = itertools.count(0, 5)
    version(session, options, waiter=Waiter(clock=lambda: float(next(ticks))), tell=file.replicating)
    file.close()
    lines = [json.loads(line) for line in (tmp_path / "progress").read_text().splitlines()]
    assert {each["region"] for line in lines for each in line["regions"]} == {"eastus", "westus"}
    first = [line["regions"][0]["progress"] for line in lines]
    assert first == sorted(first)
    assert len(set(first)) > 2, "it goes on"
    said = sentence(lines[0])
    assert said.startswith("eastus Replicating ")
    assert ", westus Replicating " in said
    assert label(options) == "told"


def test_a_region_that_fails_is_named_and_tried_again_by_the_next_run(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    options = wanted(azure, group, "partly", regions=both())
    with faults(azure, failing("westus")), pytest.raises(OperationFailed) as failure:
        version(session, options)
    said = "Version 1.0.0 of partly did not get to westus (There is no room.). It is in eastus."
    assert str(failure.value).startswith(said)
    assert failure.value.code == "ReplicationJobsNotCompleted"
    [left] = [
        version_facts(each) for each in list_versions(session, definition_id(azure, group, "partly"), None)
    ]
    assert (left["provisioning_state"], left["replication"][1]["details"]) == ("Failed", "There is no room.")
    done, _writes = thrice(azure, version, session, options)
    assert done.actions == [f"Changed replication of version {left['id']}"]
    assert done.facts is not None
    assert {each["state"] for each in done.facts["replication"]} == {"Completed"}


def definition_id(azure: LocalAzure, group: str, name: str, gallery_name: str = "golden") -> str:
    return azure.id(group, "Microsoft.Compute/galleries", f"{gallery_name}/images/{name}")


def test_a_version_that_got_nowhere_is_removed(azure: LocalAzure, session: AzureSession, group: str) -> None:
    options = wanted(azure, group, "nowhere")
    with faults(azure, failing("eastus")), pytest.raises(OperationFailed, match="It is in no region"):
        version(session, options)
    assert list_versions(session, definition_id(azure, group, "nowhere"), None) == []
    assert version(session, options).changed


def test_a_version_is_begun_by_one_run_and_followed_by_another(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    options = wanted(azure, group, "begun", version="next_patch")
    begun = version(session, options, waiter=Waiter(wait=False))
    assert begun.facts is not None
    assert begun.facts["provisioning_state"] == "Creating"
    [seen] = list_versions(session, definition_id(azure, group, "begun"), "1.0.0")
    assert version_facts(seen)["replication"][0]["state"] == "Replicating"
    assert list_versions(session, definition_id(azure, group, "begun"), "latest") == []
    mark = azure.mark()
    assert not version(session, options, waiter=Waiter(wait=False)).changed, "somebody is at work on it"
    with pytest.raises(WaitTimeout, match="still in state Creating"):
        version(session, options, waiter=Waiter(timeout=0.05))
    followed = version(session, options)
    assert written(azure, mark) == []
    assert followed.facts is not None
    assert (followed.changed, followed.facts["provisioning_state"]) == (False, "Succeeded")
    [latest] = list_versions(session, definition_id(azure, group, "begun"), "latest")
    assert latest["name"] == "1.0.0"


def test_a_run_that_ran_out_of_time_says_how_far_each_region_is(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    options = wanted(azure, group, "late", regions=both())
    with pytest.raises(WaitTimeout) as late:
        version(session, options, waiter=Waiter(timeout=0.3))
    assert "Replication: eastus: Replicating " in str(late.value)
    assert "westus: Replicating " in str(late.value)
    assert not version(session, options).changed


def test_what_soft_delete_keeps_comes_back_when_asked_and_only_then(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    gallery(session, {"resource_group": group, "name": "keeping", "soft_delete": True})
    made = definition(azure, group, "kept", gallery="keeping")
    base = {"resource_group": group, "gallery": "keeping", "definition": "kept", "version": "1.0.0"}
    disks = [azure.disk(group, f"kept{n}", osType="Linux", hyperVGeneration="V1") for n in range(3)]
    first, _writes = thrice(azure, version, session, {**base, "source": disks[0]})
    _gone, writes = thrice(azure, version, session, {**base, "state": "absent"})
    assert writes == [f"DELETE {made}/versions/1.0.0"]
    [kept] = map(soft_deleted_facts, soft_deleted_in(session, made))
    assert (kept["id"], kept["definition"]) == (f"{made}/versions/1.0.0", "kept")
    said = "version: version 1.0.0 was deleted and is kept; Azure would bring it back instead."
    refused(azure, version, session, {**base, "source": disks[1]}, said)
    counted, _writes = thrice(azure, version, session, {**base, "source": disks[1], "version": "next_patch"})
    assert counted.after["version"] == "1.0.1"
    back, writes = thrice(azure, version, session, {**base, "undelete": True})
    assert writes == [f"PUT {made}/versions/1.0.0"]
    assert back.actions == [f"Brought back version {made}/versions/1.0.0"]
    assert back.after == first.after
    version(session, {**base, "state": "absent"})
    tagged = version(session, {**base, "undelete": True, "tags": {"back": "yes"}})
    assert tagged.actions[1:] == [f"Changed tags of version {made}/versions/1.0.0"]
    assert tagged.after["tags"] == {**first.after["tags"], "back": "yes"}
    # In its place, and in that of what is only kept of it.
    replaced, writes = thrice(azure, version, session, {**base, "source": disks[2], "replace": True})
    purged = (
        f"DELETE {made.replace('/images/', '/softDeletedArtifactTypes/Images/artifacts/')}/versions/1.0.0"
    )
    assert writes == [f"DELETE {made}/versions/1.0.0", purged, f"PUT {made}/versions/1.0.0"]
    assert replaced.after["os_disk"]["source"] == disks[2]
    _gone, writes = thrice(azure, version, session, {**base, "state": "purged"})
    assert writes == [f"DELETE {made}/versions/1.0.0", purged]
    version(session, {**base, "version": "1.0.1", "state": "absent"})
    _gone, writes = thrice(azure, version, session, {**base, "version": "1.0.1", "state": "purged"})
    assert soft_deleted_in(session, made) == []


def test_an_image_of_a_community_gallery_is_a_source(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    public = gallery(session, {"resource_group": group, "name": "public", "sharing": COMMUNITY})
    definition(azure, group, "everybody", gallery="public")
    disk = azure.disk(group, "everybody", osType="Linux", hyperVGeneration="V1")
    base = {"resource_group": group, "gallery": "public", "definition": "everybody"}
    version(session, {**base, "source": disk, "version": "3.1.4"})
    name = public.after["sharing"]["public_names"][0]
    definition(azure, group, "ours")
    options = {"resource_group": group, "gallery": "golden", "definition": "ours", "version": "source"}
    latest = {**options, "source": f"/CommunityGalleries/{name}/Images/everybody/Versions/latest"}
    done, _writes = thrice(azure, version, session, latest)
    assert done.after["version"] == "3.1.4"
    assert done.after["source"] == f"/CommunityGalleries/{name}/Images/everybody/Versions/3.1.4"


def test_a_lost_answer_and_a_shaky_network_make_one_version(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    options = wanted(azure, group, "shaky", version="next_patch", regions=both())
    put = {"method": "PUT", "path": "**/versions/*", "nth": 1}
    polls = {"method": "GET", "path": "**/capsOperations/*", "every": 2}
    with faults(
        azure, rule("unheard", put, "drop", when="after"), rule("polls", polls, "error", status=503)
    ) as hits:
        done = version(session, options)
    assert hits["unheard"] == 1
    assert done.facts is not None
    assert (done.facts["version"], done.facts["provisioning_state"]) == ("1.0.0", "Succeeded")
    assert len(list_versions(session, definition_id(azure, group, "shaky"), None)) == 1
