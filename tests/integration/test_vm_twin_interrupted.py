# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A twin whose making is killed or fails: gone on with, or undone, and its source never written to."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin import ensure_twin, remove_twin
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_request import TwinRequest

from tests.integration.cloud import WRITES, LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.machines import COMPUTE
from tests.integration.twins import Source, make_source, of_twin, temporary_resources

TAGS = {"goldenimage_temporary", "goldenimage_build", "goldenimage_expires", "goldenimage_source"}
# A chain of kills that gets nowhere.
_MOST_RUNS = 15


@pytest.fixture(scope="module")
def source(azure: LocalAzure, group: str) -> Source:
    return make_source(azure, group, "origin")


def ensure(session: AzureSession, options: dict[str, Any], now: datetime | None = None) -> Ensured:
    now = now or datetime.now(timezone.utc)
    request = TwinRequest.from_options(options, session.subscription_id, now)
    return ensure_twin(session, request, check_mode=False, waiter=Waiter(), now=now)


def remove(session: AzureSession, build: str) -> Ensured:
    request = TwinRequest.from_options(
        {"build_id": build}, session.subscription_id, datetime.now(timezone.utc)
    )
    return remove_twin(session, request, check_mode=False, waiter=Waiter())


def killed_after(env: dict[str, str], options: dict[str, Any], writes: int) -> bool:
    """Make the twin in a process of its own that is killed when Azure has answered so many writes."""
    process = multiprocessing.get_context("fork").Process(target=_run_to_death, args=(env, options, writes))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def _run_to_death(env: dict[str, str], options: dict[str, Any], writes: int) -> None:
    os.environ["REQUESTS_CA_BUNDLE"] = env["REQUESTS_CA_BUNDLE"]
    with open_session({}, env) as session:
        transport = session._transport
        send, lock, left = transport.send, threading.Lock(), [writes]

        def send_and_die(request: Any, **options: Any) -> Any:
            answer = send(request, **options)
            if request.method in WRITES and "/subscriptions/" in request.url:
                with lock:
                    left[0] -= 1
                    if left[0] == 0:
                        os.kill(os.getpid(), signal.SIGKILL)
            return answer

        transport.send = send_and_die
        ensure(session, options)


@pytest.mark.parametrize("method", ["restore_point", "snapshots"])
def test_a_twin_that_is_killed_again_and_again_is_gone_on_with_to_the_same_end(
    azure: LocalAzure, session: AzureSession, source: Source, method: str
) -> None:
    build = f"killed-{method.replace('_', '-')}"
    options = {"source_vm": source.id, "build_id": build, "method": method}
    home = azure.id(f"goldenimage-twin-{build}")
    before = source.state()
    mark = azure.mark()
    runs = 0
    # Each lives a write longer: those that are killed while they make snapshots have to begin these anew.
    while killed_after(azure.env, options, runs + 2):
        runs += 1
        assert runs < _MOST_RUNS
        for kind, tags in temporary_resources(azure, f"goldenimage-twin-{build}"):
            assert set(tags) >= TAGS, kind
    assert runs >= 3
    done = ensure(session, options)
    assert not done.changed
    twin = azure.get(str((done.facts or {})["id"]))
    assert of_twin(twin["properties"]) == of_twin(source.body["properties"])
    kinds = sorted(
        kind.partition("/")[2] for kind, _tags in temporary_resources(azure, home.rpartition("/")[2])
    )
    copies = {"restore_point": ["restorePointCollections"], "snapshots": ["snapshots"] * 3}[method]
    others = ["networkInterfaces", "networkSecurityGroups", "virtualMachines", "virtualNetworks"]
    assert kinds == sorted([*others, *["disks"] * 3, *copies])
    if method == "snapshots":
        assert _taken_by_one_run(azure, build), "snapshots of two runs are of two moments"
    assert remove(session, build).changed
    assert azure.request("GET", home).status == 404
    assert {write.split()[1].split("/")[4] for write in azure.writes(mark)} == {home.rpartition("/")[2]}
    assert source.state() == before


def _taken_by_one_run(azure: LocalAzure, build: str) -> bool:
    """Whether nothing but snapshots was written between the first and the last of those that are left."""
    exchanges = azure.exchanges()
    sent = [(exchange["liveRequest"]["method"], exchange["liveRequest"]["url"]) for exchange in exchanges]
    group = f"/resourceGroups/goldenimage-twin-{build}"
    places = [
        place
        for place, (method, url) in enumerate(sent)
        if method == "PUT" and f"{group}/providers/{COMPUTE}/snapshots/" in url
    ]
    last = {sent[place][1]: place for place in places}
    first, end = min(last.values()), max(last.values())
    # A run begins with the group.
    begun = [method == "PUT" and url.partition("?")[0].endswith(group) for method, url in sent[first:end]]
    return not any(begun)


def test_a_failure_undoes_everything_unless_it_is_to_be_kept_for_a_look(
    azure: LocalAzure, session: AzureSession, source: Source
) -> None:
    options = {"source_vm": source.id, "build_id": "failing"}
    home = azure.id("goldenimage-twin-failing")
    before = source.state()
    match = {"method": "PUT", "path": "**/goldenimage-twin-failing/**/virtualMachines/*"}
    failing = rule("no-capacity", match, "fail_operation", code="AllocationFailed", message="None left.")
    with faults(azure, failing):
        with pytest.raises(AzureError, match=r"AllocationFailed.*was removed; origin was not touched"):
            ensure(session, options)
        assert azure.request("GET", home).status == 404
        with pytest.raises(AzureError, match="is kept for a look"):
            ensure(session, {**options, "keep_on_failure": True})
    assert azure.request("GET", home).status == 200
    # The machine that failed is made anew.
    done = ensure(session, options)
    assert done.changed
    assert (done.facts or {})["power_state"] == "running"
    assert list(done.actions) == [f"Created {(done.facts or {})['id']}"]
    assert remove(session, "failing").changed
    assert source.state() == before


@pytest.mark.parametrize("seed", [5, 8, 11])
def test_with_requests_going_wrong_at_random_there_is_a_whole_twin_or_nothing(
    azure: LocalAzure, session: AzureSession, source: Source, seed: int
) -> None:
    build = f"shaky-{seed}"
    options = {"source_vm": source.id, "build_id": build, "method": ["restore_point", "snapshots"][seed % 2]}
    everything = {"path": "**"}
    made = {"method": "PUT", "path": "**/goldenimage-twin-*/**", "probability": 0.05}
    before = source.state()
    with faults(
        azure,
        rule("throttled", {**everything, "probability": 0.05}, "throttle", retry_after=1),
        rule("unavailable", {**everything, "probability": 0.05}, "error", status=503),
        rule("unsent", {**everything, "probability": 0.03}, "drop", when="before"),
        rule("unheard", {**everything, "probability": 0.05}, "drop", when="after"),
        rule("failing", made, "fail_operation", code="InternalExecutionError", message="No reason."),
        seed=seed,
    ):
        try:
            whole = ensure(session, options).changed
        except AzureError as error:
            whole = False
            assert "origin was not touched" in str(error)
    assert azure.request("GET", azure.id(f"goldenimage-twin-{build}")).status == (200 if whole else 404)
    if whole:
        assert not ensure(session, options).changed
        assert remove(session, build).changed
    assert source.state() == before


def test_what_an_interrupted_run_left_is_of_no_use_when_it_has_expired(
    azure: LocalAzure, session: AzureSession, source: Source
) -> None:
    options = {"source_vm": source.id, "build_id": "stale", "expires_after": 1, "keep_on_failure": True}
    match = {"method": "PUT", "path": "**/goldenimage-twin-stale/**/virtualMachines/*"}
    with faults(azure, rule("refused", match, "error", status=409, code="Nope")), pytest.raises(AzureError):
        ensure(session, options)
    point = azure.id(
        "goldenimage-twin-stale", f"{COMPUTE}/restorePointCollections", "origin-twin-restore-points"
    )
    old = azure.get(point)["properties"]["restorePointCollectionId"]
    done = ensure(session, options, datetime.now(timezone.utc) + timedelta(hours=2))
    assert f"Deleted {azure.id('goldenimage-twin-stale')}" in done.actions
    assert azure.get(point)["properties"]["restorePointCollectionId"] != old
    assert remove(session, "stale").changed


def test_nothing_that_the_build_did_not_make_goes_with_the_twin(
    azure: LocalAzure, session: AzureSession, group: str, source: Source
) -> None:
    ensure(session, {"source_vm": source.id, "build_id": "guarded"})
    guest = azure.disk("goldenimage-twin-guarded", "guest")
    mark = azure.mark()
    with pytest.raises(InvalidInput, match=r"did not make.*/disks/guest"):
        remove(session, "guarded")
    assert azure.writes(mark) == []
    azure.do("DELETE", guest)

    adopted = azure.disk(group, "adopted")
    twin_id = azure.id("goldenimage-twin-guarded", f"{COMPUTE}/virtualMachines", "origin-twin")
    disks = azure.get(twin_id)["properties"]["storageProfile"]["dataDisks"]
    more = {"lun": 7, "createOption": "Attach", "managedDisk": {"id": adopted}, "deleteOption": "Delete"}
    azure.do("PATCH", twin_id, {"properties": {"storageProfile": {"dataDisks": [*disks, more]}}})
    with pytest.raises(InvalidInput, match="/disks/adopted"):
        remove(session, "guarded")
    azure.do("PATCH", twin_id, {"properties": {"storageProfile": {"dataDisks": disks}}})

    # Read access to a disk would keep Azure from deleting it.
    read = azure.id("goldenimage-twin-guarded", f"{COMPUTE}/snapshots", "read")
    tags = azure.get(azure.id("goldenimage-twin-guarded"))["tags"]
    copy = {"createOption": "Copy", "sourceResourceId": source.disk_ids()[1]}
    azure.put(read, {"location": "eastus", "tags": tags, "properties": {"creationData": copy}})
    azure.do("POST", f"{read}/beginGetAccess", {"access": "Read", "durationInSeconds": 3600})
    mark = azure.mark()
    assert remove(session, "guarded").changed
    home = azure.id("goldenimage-twin-guarded")
    assert azure.writes(mark) == [f"POST {read}/endGetAccess", f"DELETE {home}"]
    assert azure.get(adopted) is not None


def test_an_expiry_that_has_passed_is_put_off_and_another_size_is_another_twin(
    azure: LocalAzure, session: AzureSession, source: Source
) -> None:
    options = {"source_vm": source.id, "build_id": "aging", "expires_after": 1}
    ensure(session, options)
    home = azure.id("goldenimage-twin-aging")
    later = datetime.now(timezone.utc) + timedelta(hours=2)
    assert ensure(session, options, later).changed
    assert azure.get(home)["tags"]["goldenimage_expires"] == (later + timedelta(hours=1)).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    assert not ensure(session, options, later).changed
    with pytest.raises(InvalidInput, match="its size is"):
        ensure(session, {**options, "size": "Standard_D4s_v3"})
    with pytest.raises(InvalidInput, match="no public address"):
        ensure(session, {**options, "public_ip": True})
    assert remove(session, "aging").changed
