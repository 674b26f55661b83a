# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""disk_copy that is stopped, killed, or fails half-way: nothing is lost, and nothing is left."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_source import (
    SourceRequest,
    find_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_steps import Temporary

from tests.integration.cloud import LocalAzure
from tests.integration.disk_copies import SNAPSHOTS, copy, names, started_copy, state
from tests.integration.plays import Player, PlayResult
from tests.integration.test_disk_copy_blob import Place
from tests.integration.uploads import DISKS, raw_disk
from tests.integration.watched_cloud import watched_cloud

SHOWN = re.compile(r"^far-left: copied \d+ MB, (\d+) % of \d+ MB", re.MULTILINE)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """Copies into blobs take a second and a half here, those to another region nine."""
    with watched_cloud(tmp_path_factory.mktemp("slow"), "--speed", "20") as cloud:
        yield cloud


@pytest.fixture(scope="module")
def session(slow: LocalAzure) -> Iterator[AzureSession]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", slow.env["REQUESTS_CA_BUNDLE"])
        with open_session({}, slow.env) as opened:
            yield opened


@pytest.fixture(scope="module")
def place(slow: LocalAzure, session: AzureSession, tmp_path_factory: pytest.TempPathFactory) -> Place:
    raw = raw_disk(tmp_path_factory.mktemp("disks") / "web.raw")
    return Place(slow, session, slow.group("rg-stopped"), raw)


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def copy_of(place: Place, blob: str) -> tuple[str, str]:
    """Status and id of the copy into the blob, both empty before it has begun."""
    with place.client(place.target, blob) as client:
        found = client.get_blob_properties().copy if client.exists() else None
    return (found.status or "", found.id or "") if found else ("", "")


def stopped(process: subprocess.Popen[str], number: signal.Signals) -> str:
    process.send_signal(number)
    _output, errors = process.communicate(timeout=60)
    return errors


def test_a_stopped_copy_of_a_disk_revokes_the_access_and_leaves_no_blob(
    slow: LocalAzure, place: Place
) -> None:
    process = started_copy(slow, {"disk_name": "web"}, **place.to("stopped.vhd"))
    wait_for(lambda: copy_of(place, "stopped.vhd")[0] == "pending", process)
    assert state(slow, place.group, "web") == "ActiveSAS"
    assert "was interrupted" in stopped(process, signal.SIGTERM)
    assert state(slow, place.group, "web") == "Unattached"
    assert copy_of(place, "stopped.vhd") == ("", "")


def test_a_killed_copy_of_a_disk_is_waited_for_and_not_begun_again(
    slow: LocalAzure, session: AzureSession, place: Place
) -> None:
    options = place.to("killed.vhd")
    process = started_copy(slow, {"disk_name": "web"}, **options)
    wait_for(lambda: copy_of(place, "killed.vhd")[0] == "pending", process)
    stopped(process, signal.SIGKILL)
    _status, copy_id = copy_of(place, "killed.vhd")
    assert state(slow, place.group, "web") == "ActiveSAS"
    done = copy(session, {"disk_name": "web"}, **options)
    assert done["actions"][0].startswith("Went on with")
    assert copy_of(place, "killed.vhd") == ("success", copy_id)
    assert place.arrived("killed.vhd")
    assert state(slow, place.group, "web") == "Unattached"
    assert not copy(session, {"disk_name": "web"}, **options)["changed"]


def test_a_run_that_was_killed_before_its_copy_began_is_known_by_its_mark(
    slow: LocalAzure, session: AzureSession, place: Place
) -> None:
    copy(session, {"disk_name": "web"}, **place.to("marks.vhd"))
    marks = {**place.metadata("marks.vhd"), "goldenimage_state": "copying"}
    disk = slow.id(place.group, DISKS, "web")
    slow.do("POST", f"{disk}/beginGetAccess", {"access": "Read", "durationInSeconds": 600})
    with place.client(place.target, "marked.vhd") as client:
        client.create_page_blob(512, metadata=marks)
    with pytest.raises(AzureError, match="read by somebody else"):
        copy(session, {"disk_name": "web"}, **place.to("unmarked.vhd"))
    assert copy(session, {"disk_name": "web"}, **place.to("marked.vhd"))["changed"]
    assert place.arrived("marked.vhd")
    assert state(slow, place.group, "web") == "Unattached"


def test_a_run_that_was_killed_after_its_copy_ended_is_completed_without_another_copy(
    slow: LocalAzure, session: AzureSession, place: Place
) -> None:
    options = place.to("unfinished.vhd")
    copy(session, {"disk_name": "web"}, **options)
    ended = copy_of(place, "unfinished.vhd")
    with place.client(place.target, "unfinished.vhd") as client:
        client.set_blob_metadata({**place.metadata("unfinished.vhd"), "goldenimage_state": "copying"})
    done = copy(session, {"disk_name": "web"}, **options)
    assert (done["changed"], done["blob"]["state"]) == (True, "complete")
    assert copy_of(place, "unfinished.vhd") == ended
    assert state(slow, place.group, "web") == "Unattached"


def test_a_stopped_copy_of_a_blob_goes_on_and_is_found_again(
    slow: LocalAzure, session: AzureSession, place: Place
) -> None:
    source, options = place.at(place.source, "web.vhd"), place.to("going-on.vhd")
    process = started_copy(slow, source, **options)
    wait_for(lambda: copy_of(place, "going-on.vhd")[0] == "pending", process)
    assert "goes on in Azure" in stopped(process, signal.SIGTERM)
    _status, copy_id = copy_of(place, "going-on.vhd")
    copy(session, source, **options)
    assert copy_of(place, "going-on.vhd") == ("success", copy_id)
    assert place.arrived("going-on.vhd")


def test_a_copy_that_takes_too_long_is_given_up_with_the_access_it_needs(
    slow: LocalAzure, session: AzureSession, place: Place
) -> None:
    with pytest.raises(AzureError, match="more wait_timeout"):
        copy(session, {"disk_name": "web"}, wait_timeout=1, **place.to("late.vhd"))
    assert copy_of(place, "late.vhd") == ("", "")
    assert state(slow, place.group, "web") == "Unattached"


def test_a_copy_that_azure_fails_is_no_disk_and_the_next_run_makes_it_anew(
    slow: LocalAzure, session: AzureSession, place: Place
) -> None:
    options = place.to("failed.vhd")
    disk = slow.id(place.group, DISKS, "web")
    process = started_copy(slow, {"disk_name": "web"}, **options)
    wait_for(lambda: copy_of(place, "failed.vhd")[0] == "pending", process)
    slow.do("POST", f"{disk}/endGetAccess")
    _output, errors = process.communicate(timeout=60)
    assert "failed: 403 Forbidden" in errors
    assert copy_of(place, "failed.vhd") == ("", "")
    copy(session, {"disk_name": "web"}, **options)
    assert place.arrived("failed.vhd")


def test_a_pending_copy_of_something_else_is_ended_by_force_only(session: AzureSession, place: Place) -> None:
    options = place.to("contended.vhd")
    copy(session, place.at(place.source, "web.vhd"), wait=False, **options)
    with pytest.raises(AzureError, match="somebody copies something else to it"):
        copy(session, {"snapshot_name": "web-snap"}, **options)
    assert copy(session, {"snapshot_name": "web-snap"}, force=True, **options)["changed"]
    assert place.arrived("contended.vhd")


def far(place: Place, name: str) -> dict[str, Any]:
    return {"resource_group": place.group, "disk_name": name, "location": "westeurope"}


def copying(slow: LocalAzure, place: Place) -> bool:
    """Whether a copy between regions is under way."""
    return any(name.endswith("-1") for name in names(slow, place.group, SNAPSHOTS))


def test_a_stopped_copy_to_another_region_leaves_nothing(slow: LocalAzure, place: Place) -> None:
    before = names(slow, place.group, DISKS), names(slow, place.group, SNAPSHOTS)
    process = started_copy(slow, {"disk_name": "web"}, **far(place, "far-stopped"))
    wait_for(lambda: copying(slow, place), process)
    assert "was interrupted" in stopped(process, signal.SIGTERM)
    assert (names(slow, place.group, DISKS), names(slow, place.group, SNAPSHOTS)) == before


def test_a_killed_copy_to_another_region_is_gone_on_with(
    slow: LocalAzure, session: AzureSession, place: Place
) -> None:
    before = names(slow, place.group, SNAPSHOTS)
    options = far(place, "far-killed")
    process = started_copy(slow, {"disk_name": "web"}, **options)
    wait_for(lambda: copying(slow, place), process)
    stopped(process, signal.SIGKILL)
    left = names(slow, place.group, SNAPSHOTS) - before
    assert len(left) == 2
    for name in left:
        tags = slow.get(slow.id(place.group, SNAPSHOTS, name))["tags"]
        assert {"goldenimage_temporary", "goldenimage_build", "goldenimage_expires"} <= set(tags)
    mark = slow.mark()
    assert copy(session, {"disk_name": "web"}, **options)["disk"]["location"] == "westeurope"
    assert not [write for write in slow.writes(mark) if write.startswith("PUT") and "/snapshots/" in write]
    assert names(slow, place.group, SNAPSHOTS) == before
    assert not copy(session, {"disk_name": "web"}, **options)["changed"]


@pytest.fixture(scope="module")
def far_left(slow: LocalAzure, place: Place, tmp_path_factory: pytest.TempPathFactory) -> PlayResult:
    """The playbook that copied `web` to `far-left` in another region."""
    play = Player(tmp_path_factory.mktemp("play"), slow.env)
    return play.module("disk_copy", {"source": {"disk_name": "web"}, **far(place, "far-left")}).succeeded()


def test_a_terminal_shows_how_far_a_copy_is(far_left: PlayResult) -> None:
    said = [int(percent) for percent in SHOWN.findall(far_left.stdout)]
    assert len(said) >= 2, far_left.stdout
    assert said == sorted(said) and any(0 < percent < 100 for percent in said)


@pytest.mark.usefixtures("far_left")
def test_what_a_killed_run_left_beside_a_complete_copy_is_removed(
    slow: LocalAzure, session: AzureSession, place: Place
) -> None:
    options = far(place, "far-left")
    source = find_resource(session, SourceRequest("disk", "web", place.group, None))
    temporary = Temporary.of(source, slow.id(place.group, DISKS, "far-left"))
    creation = {"createOption": "Copy", "sourceResourceId": source.id}
    body = {"location": "eastus", "tags": temporary.tags(), "properties": {"creationData": creation}}
    slow.put(slow.id(place.group, SNAPSHOTS, temporary.name(0)), body)
    done = copy(session, {"disk_name": "web"}, **options)
    assert done["actions"] == [f"Removed snapshot {temporary.name(0)}, which an earlier run had left."]
    assert temporary.name(0) not in names(slow, place.group, SNAPSHOTS)
