# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Captures that are killed, or that Azure fails at: never two images or half of one; the next run goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import OperationFailed
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.integration.captures import captured, definition, image, machine, power_and_flag, version
from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.machines import COMPUTE

IMAGES = f"{COMPUTE}/images"


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


class Kill:
    """Ends the run at its first write that is not among `seen`, and notes it there: before it is sent, or
    when Azure has accepted it and goes on."""

    def __init__(self, seen: set[str], *, sent: bool) -> None:
        self._seen = seen
        self._sent = sent

    def at(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def killed(*arguments: Any, **query: Any) -> Any:
            name = " ".join([write.__name__, *(each for each in arguments if isinstance(each, str))])
            if name in self._seen:
                return write(*arguments, **query)
            self._seen.add(name)
            if self._sent:
                unwatched = [Waiter(False) if isinstance(each, Waiter) else each for each in arguments]
                write(*unwatched, **query)
            raise Killed

        return killed


def writes_of(session: AzureSession) -> list[tuple[Any, str]]:
    compute = session.compute
    return [
        (compute.virtual_machines, "action"),
        (compute.virtual_machines, "update"),
        (compute.images, "put"),
        (compute.images, "delete"),
        (session.arm, "put"),
        (session.arm, "delete"),
    ]


@pytest.mark.parametrize("sent", [False, True], ids=["before", "after"])
def test_a_run_killed_at_every_write_in_turn_ends_where_one_run_would(
    azure: LocalAzure, session: AzureSession, group: str, monkeypatch: pytest.MonkeyPatch, *, sent: bool
) -> None:
    name = f"killed-{'after' if sent else 'before'}"
    vm = machine(azure, group, name, power="running", marked=False)
    defined = definition(azure, group, name)
    options: dict[str, Any] = {"stop": True, "assume_generalized": True}
    targets = (image(name), version(name))
    start = azure.mark()
    seen: set[str] = set()
    for _unused in range(12):
        try:
            with monkeypatch.context() as patch:
                kill = Kill(seen, sent=sent)
                for place, write in writes_of(session):
                    patch.setattr(place, write, kill.at(getattr(place, write)))
                done = captured(session, group, name, *targets, **options)
        except Killed:
            continue
        break
    assert len(seen) == 4
    again = captured(session, group, name, *targets, **options)
    assert not again.changed
    assert [target["provisioning_state"] for target in again.targets] == ["Succeeded", "Succeeded"]
    assert [disk["lun"] for disk in again.targets[1]["data_disks"]] == [0, 5]
    assert power_and_flag(azure, vm) == ("deallocated", True)
    written = [write for write in azure.writes(start) if write.startswith("PUT")]
    assert len([write for write in written if f"{IMAGES}/{name}" in write]) == 1
    assert len([write for write in written if defined in write]) == 1
    assert done.build_id == again.build_id


@pytest.mark.parametrize("kind", ["image", "version"])
def test_what_azure_fails_at_leaves_nothing_and_is_made_by_the_next_run(
    azure: LocalAzure, session: AzureSession, group: str, kind: str
) -> None:
    name = f"failed-{kind}"
    machine(azure, group, name, luns=())
    defined = definition(azure, group, name)
    target = image(name) if kind == "image" else version(name)
    made = azure.id(group, IMAGES, name) if kind == "image" else f"{defined}/versions/1.0.0"
    put = {"method": "PUT", "path": f"**/{made.rpartition('/providers/')[2]}"}
    with (
        faults(
            azure, rule("fails", put, "fail_operation", code="InternalExecutionError", message="No.")
        ) as hits,
        pytest.raises(OperationFailed, match="InternalExecutionError"),
    ):
        captured(session, group, name, target)
    assert hits["fails"] == 1
    assert azure.get(made) is None
    assert captured(session, group, name, target).changed
    assert azure.get(made)["properties"]["provisioningState"] == "Succeeded"


def test_a_failed_image_that_a_killed_run_left_is_replaced(
    azure: LocalAzure, session: AzureSession, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(azure, group, "remains", luns=())
    put = {"method": "PUT", "path": f"**/{IMAGES}/remains"}
    failing = rule("fails", put, "fail_operation", code="InternalExecutionError", message="No.")
    with faults(azure, failing), monkeypatch.context() as patch, pytest.raises(Killed):
        images = session.compute.images
        patch.setattr(images, "delete", Kill(set(), sent=False).at(images.delete))
        captured(session, group, "remains", image("remains"))
    assert azure.get(azure.id(group, IMAGES, "remains"))["properties"]["provisioningState"] == "Failed"
    done = captured(session, group, "remains", image("remains"))
    assert done.targets[0]["provisioning_state"] == "Succeeded"


def test_a_region_that_fails_is_named(azure: LocalAzure, session: AzureSession, group: str) -> None:
    machine(azure, group, "far", luns=())
    defined = definition(azure, group, "far")
    put = {"method": "PUT", "path": "**/images/far/versions/*"}
    target = version("far", replication_mode="Full", regions=[{"name": "eastus"}, {"name": "westus"}])
    with (
        faults(azure, rule("far", put, "fail_replication", region="westus", detail="No room in westus.")),
        pytest.raises(OperationFailed, match="westus"),
    ):
        captured(session, group, "far", target)
    assert azure.get(f"{defined}/versions/1.0.0") is None


def test_throttling_and_lost_answers_do_not_show(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    machine(azure, group, "shaky", power="running", marked=False)
    definition(azure, group, "shaky")
    everything = {"path": "**"}
    with faults(
        azure,
        rule("throttled", {**everything, "every": 5, "times": 4}, "throttle", retry_after=1),
        rule("busy", {**everything, "every": 7, "times": 4}, "error", status=503),
        rule("lost", {"method": "PUT", "nth": [1, 3]}, "drop", when="after"),
    ):
        done = captured(
            session, group, "shaky", image("shaky"), version("shaky"), stop=True, assume_generalized=True
        )
    assert [target["provisioning_state"] for target in done.targets] == ["Succeeded", "Succeeded"]


def test_a_killed_run_s_backup_is_the_one_that_is_gone_back_to(
    azure: LocalAzure, session: AzureSession, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(azure, group, "kept", luns=(), power="running", marked=False)
    options: dict[str, Any] = {"stop": True, "assume_generalized": True, "backup": True}
    with monkeypatch.context() as patch, pytest.raises(Killed):
        images = session.compute.images
        patch.setattr(images, "put", Kill(set(), sent=False).at(images.put))
        captured(session, group, "kept", image("kept"), **options)
    foreseen = captured(session, group, "kept", image("kept"), check=True, **options)
    assert foreseen.backup is not None
    assert foreseen.backup["complete"], "made before the machine was marked"
    assert not any(action.startswith("Made backup") for action in foreseen.actions)


def test_a_capture_that_fails_gives_the_machine_back_as_it_was(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = machine(azure, group, "rescued", power="running", marked=False)
    storage = azure.get(vm)["properties"]["storageProfile"]
    put = {"method": "PUT", "path": f"**/{IMAGES}/rescued"}
    failing = rule("fails", put, "fail_operation", code="InternalExecutionError", message="No.")
    options: dict[str, Any] = {"stop": True, "assume_generalized": True, "backup": True, "rescue": True}
    foreseen = captured(session, group, "rescued", image("rescued"), check=True, **options)
    assert foreseen.actions[0].startswith("Made backup")
    with faults(azure, failing), pytest.raises(OperationFailed) as failure:
        captured(session, group, "rescued", image("rescued"), **options)
    assert "InternalExecutionError" in str(failure.value)
    assert f"The machine was restored from backup {foreseen.build_id}-" in str(failure.value)
    assert power_and_flag(azure, vm) == ("running", False)
    now = azure.get(vm)["properties"]["storageProfile"]
    assert [(disk["lun"], disk["caching"]) for disk in now["dataDisks"]] == [
        (disk["lun"], disk["caching"]) for disk in storage["dataDisks"]
    ]
    done = captured(session, group, "rescued", image("rescued"), **options)
    assert done.backup is not None
    assert done.backup["complete"]
    assert done.backup["name"] not in str(failure.value), "it may have been written to since"
    assert power_and_flag(azure, vm) == ("deallocated", True)


def test_a_machine_that_was_only_stopped_is_started_again_with_the_disks_that_it_has(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = machine(azure, group, "stopped", power="running", marked=False)
    storage = azure.get(vm)["properties"]["storageProfile"]
    put = {"method": "PUT", "path": f"**/{IMAGES}/stopped"}
    failing = rule("fails", put, "fail_operation", code="InternalExecutionError", message="No.")
    options: dict[str, Any] = {"stop": True, "assume_generalized": True, "backup": True, "rescue": True}
    with faults(azure, failing), pytest.raises(OperationFailed, match="not marked generalized, and runs"):
        captured(session, group, "stopped", image("stopped"), data_disks=[5], **options)
    assert power_and_flag(azure, vm) == ("running", False)
    assert azure.get(vm)["properties"]["storageProfile"] == storage


def test_a_machine_that_nothing_was_done_to_is_left_alone_and_what_was_made_before_is_told(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = machine(azure, group, "untouched", power="deallocated")
    definition(azure, group, "untouched")
    put = {"method": "PUT", "path": "**/images/untouched/versions/*"}
    failing = rule("fails", put, "fail_operation", code="InternalExecutionError", message="No.")
    targets = (image("untouched"), version("untouched"))
    options: dict[str, Any] = {"backup": True, "rescue": True, "data_disks": []}
    options["assume_generalized"] = True
    mark = azure.mark()
    with faults(azure, failing), pytest.raises(OperationFailed, match="Made before that, and kept: managed"):
        captured(session, group, "untouched", *targets, **options)
    assert not [write for write in azure.writes(mark) if vm in write or "/disks/" in write]
    done = captured(session, group, "untouched", *targets, **options)
    assert [target["made"] for target in done.targets] == [False, True]
    kept, _made = done.targets
    assert "goldenimage_incomplete" not in kept["tags"]
    assert not captured(session, group, "untouched", *targets, **options).changed


def test_a_machine_that_azure_could_not_stop_is_captured_when_it_can(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = machine(azure, group, "unstopped", power="running", marked=False)
    stop = {"method": "POST", "path": "**/virtualMachines/unstopped/deallocate"}
    failing = rule("fails", stop, "fail_operation", code="InternalExecutionError", message="No.")
    options = {"stop": True, "assume_generalized": True}
    with faults(azure, failing), pytest.raises(OperationFailed, match="InternalExecutionError"):
        captured(session, group, "unstopped", image("unstopped"), **options)
    assert azure.get(vm)["properties"]["provisioningState"] == "Failed"
    assert power_and_flag(azure, vm) == ("running", False)
    assert captured(session, group, "unstopped", image("unstopped"), **options).changed


def test_a_version_whose_request_is_repeated_while_azure_makes_it_is_awaited(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    machine(azure, group, "repeated", power="deallocated")
    definition(azure, group, "repeated")
    put = {"method": "PUT", "path": "**/images/repeated/versions/*", "nth": 1}
    lost = rule("lost", put, "drop", when="during")
    mark = azure.mark()
    with faults(azure, lost):
        done = captured(session, group, "repeated", version("repeated"))
    assert done.targets[0]["provisioning_state"] == "Succeeded"
    puts = [e for e in azure.exchanges(mark) if e["liveRequest"]["method"] == "PUT"]
    assert int(puts[-1]["liveResponse"]["statusCode"]) == 409
