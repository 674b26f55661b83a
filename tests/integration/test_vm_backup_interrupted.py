# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Backups and restores that are killed after each of their writes, and gone on with by the next run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)

from tests.integration.backups import DISK, SNAPSHOT, BackedUp, saved_contents
from tests.integration.cloud import WRITES, LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.machines import golden_image

_MOST_RUNS = 40


class Killed(BaseException):
    """What a process that ends does not clean up after."""


@pytest.fixture(scope="module", autouse=True)
def image(azure: LocalAzure, group: str) -> str:
    return golden_image(azure, group)


@contextmanager
def dying_session(azure: LocalAzure, writes: int) -> Iterator[AzureSession]:
    """A session that ends with Killed as soon as Azure has accepted that many writes."""
    lock = threading.Lock()
    accepted = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", azure.env["REQUESTS_CA_BUNDLE"])
        with open_session({}, azure.env) as opened:
            transport = opened._transport
            send = transport.send

            def counted(request: Any, **options: Any) -> Any:
                nonlocal accepted
                with lock:
                    if accepted >= writes:
                        raise Killed
                    answer = send(request, **options)
                    write = request.method in WRITES and "/subscriptions/" in request.url.lower()
                    accepted += write and answer.status_code < 300
                    if accepted >= writes and write:
                        raise Killed
                    return answer

            patch.setattr(transport, "send", counted)
            yield opened


def killed_until_done(vm: BackedUp, state: str, **options: Any) -> int:
    """Run again and again, each time for one write only, until nothing is left to do; how often."""
    alive = vm.session
    for runs in range(1, _MOST_RUNS):
        try:
            with dying_session(vm.azure, 1) as vm.session:
                vm(state, **options)
        except Killed:
            continue
        finally:
            vm.session = alive
        return runs
    raise AssertionError(f"{state} never ends")


@pytest.mark.parametrize("method", ["restore_point", "snapshots"])
def test_backup_killed_after_each_write_ends_complete_and_alone(
    azure: LocalAzure, session: AzureSession, group: str, method: str
) -> None:
    vm = BackedUp(azure, session, group)
    # Snapshots of a set that was cut short are of another moment, and taken anew: that needs whole runs.
    alive = vm.session
    for writes in (1, 2, 3):
        with pytest.raises(Killed), dying_session(azure, writes) as vm.session:
            vm("present", backup="b", method=method, keep=1)
        vm.session = alive
        if method == "restore_point" and writes == 2:
            break
    vm("present", backup="b", method=method, keep=1)
    (backup,) = vm.backups()
    assert backup.complete and [disk.lun for disk in backup.disks] == [None, 3, 7]
    assert killed_until_done(vm, "absent", keep=0) < 8
    assert vm.backups() == []


def test_restore_killed_after_each_write_ends_as_one_that_was_not(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group)
    before, old = vm.settings(), [disk["id"] for disk in vm.disks().values()]
    vm("present", backup="b")
    runs = killed_until_done(vm, "restored", backup="b")
    assert runs > 12, runs
    assert_restored(vm, before)
    assert all("goldenimage_replaced" in azure.get(each)["tags"] for each in old)
    # Nothing else was made on the way.
    assert len(vm.named_like_it(DISK)) == 2 * len(old)


def test_restore_of_a_generalized_machine_killed_after_each_write_ends_as_one_that_was_not(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group, public_ip=True, open_ports=[22])
    before = vm.settings()
    vm("present", backup="b")
    vm.generalize()
    runs = killed_until_done(vm, "restored", backup="b")
    assert runs > 12, runs
    assert_restored(vm, before)
    assert azure.get(before["addresses"][0][1])["properties"]["deleteOption"] == "Delete"
    assert len(vm.named_like_it(SNAPSHOT)) == 3


def assert_restored(vm: BackedUp, before: dict[str, Any]) -> None:
    assert vm.settings() == before
    assert vm.contents() == saved_contents(vm.backups()[0])
    assert vm.runs() and "OSState/generalized" not in vm.statuses()
    for disk in vm.disks().values():
        assert not [tag for tag in disk["tags"] if "restore_" in tag or "temporary" in tag], disk["tags"]
    assert not vm("restored", backup="b").changed


def test_disks_of_a_restore_that_failed_are_removed_and_the_machine_is_as_it_was(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group)
    vm("present", backup="b")
    before, present = vm.settings(), {place: disk["id"] for place, disk in vm.disks().items()}
    wrong = rule(
        "one fails",
        {"method": "PUT", "path": "**/disks/*", "nth": 2},
        "fail_operation",
        code="InternalExecutionError",
    )
    with faults(azure, wrong), pytest.raises(AzureError, match="InternalExecutionError"):
        vm("restored")
    assert vm.settings() == before
    assert {place: disk["id"] for place, disk in vm.disks().items()} == present
    assert vm.runs()
    assert len(vm.named_like_it(DISK)) == 3


def test_failed_backup_leaves_nothing(azure: LocalAzure, session: AzureSession, group: str) -> None:
    vm = BackedUp(azure, session, group)
    for method, path in (("restore_point", "**/restorePoints/*"), ("snapshots", "**/snapshots/*")):
        wrong = rule("it fails", {"method": "PUT", "path": path, "nth": 1}, "fail_operation", code="Sorry")
        with faults(azure, wrong), pytest.raises(AzureError, match="Sorry"):
            vm("present", backup="b", method=method)
        assert vm.backups() == []


def test_machine_that_does_not_start_again_loses_no_disk_and_is_restored_by_the_next_run(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group)
    before, old = vm.settings(), [disk["id"] for disk in vm.disks().values()]
    vm("present", backup="b")
    start = {"method": "POST", "path": "**/virtualMachines/*/start"}
    wrong = rule("no capacity", start, "fail_operation", code="AllocationFailed")
    with faults(azure, wrong), pytest.raises(AzureError, match="AllocationFailed"):
        vm("restored", remove_replaced_disks=True)
    assert all(azure.get(each) is not None for each in old)
    vm("restored", remove_replaced_disks=True)
    assert_restored(vm, before)
    assert all(azure.get(each) is None for each in old)


def test_machine_made_anew_that_never_comes_up_is_made_again_by_the_next_run(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group, public_ip=True, open_ports=[22])
    before = vm.settings()
    vm("present", backup="b")
    vm.generalize()
    copies = {"method": "PUT", "path": "**/snapshots/*", "nth": 1}
    wrong = rule("no copy", copies, "fail_operation", code="Sorry")
    with faults(azure, wrong), pytest.raises(AzureError, match="Sorry"):
        vm("restored")
    birth = {"method": "PUT", "path": "**/virtualMachines/*", "nth": 1}
    wrong = rule("no capacity", birth, "fail_operation", code="AllocationFailed")
    with faults(azure, wrong), pytest.raises(AzureError, match="AllocationFailed"):
        vm("restored")
    assert azure.get(vm.id)["properties"]["provisioningState"] == "Failed"
    vm("restored")
    assert_restored(vm, before)
    assert azure.get(before["addresses"][0][1])["properties"]["deleteOption"] == "Delete"


def test_half_restored_machine_is_not_backed_up_and_keeps_the_backup_it_needs(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group)
    before = vm.settings()
    vm("present", backup="b")
    start = {"method": "POST", "path": "**/virtualMachines/*/start"}
    wrong = rule("no capacity", start, "fail_operation", code="AllocationFailed")
    with faults(azure, wrong), pytest.raises(AzureError, match="AllocationFailed"):
        vm("restored")
    for state, name in (("present", "c"), ("absent", "b")):
        mark = azure.mark()
        with pytest.raises(AzureError, match=r"interrupted\. Complete it first"):
            vm(state, backup=name)
        assert azure.writes(mark) == []
    vm("restored", backup="b")
    assert_restored(vm, before)
    assert vm("absent", backup="b").changed


@pytest.mark.parametrize("seed", [1, 2])
def test_backup_and_restore_come_through_bad_weather(
    azure: LocalAzure, session: AzureSession, group: str, seed: int
) -> None:
    """Throttled, unavailable, unheard and cut off at random; what gives up is run again."""
    vm = BackedUp(azure, session, group)
    before = vm.settings()
    weather = (
        rule("throttled", {"probability": 0.1}, "throttle", retry_after=0),
        rule("unavailable", {"method": "GET", "probability": 0.1}, "error", status=503),
        rule(
            "unheard",
            {"method": ["PUT", "PATCH", "POST", "DELETE"], "probability": 0.1},
            "drop",
            when="after",
        ),
        rule("failed", {"method": ["PUT", "POST"], "probability": 0.05}, "fail_operation", code="Sorry"),
    )
    with faults(azure, *weather, seed=seed) as hits:
        for state in ("present", "restored"):
            for _run in range(_MOST_RUNS):
                try:
                    vm(state, backup="b", remove_replaced_disks=True)
                except AzureError:
                    continue
                break
            else:
                raise AssertionError(f"{state} never ends")
    assert sum(hits.by_rule.values()) > 5
    assert_restored(vm, before)
    assert len(vm.named_like_it(DISK)) == 3
