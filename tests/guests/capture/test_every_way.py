# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A running Debian machine with data disks at LUNs 0 and 5 is captured, and what is born of it boots.

One machine goes through all of it, in the order of the tests: a twin of it is captured, a capture fails after
it was generalized, and it is captured in place. Meanwhile the machines of what was captured are born.
The quick proof is in test_in_place.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.guests.capture.captured_machine import (
    BOOT,
    DATA,
    GENERALIZED,
    GROUP,
    IDENTITY,
    LOOK,
    Births,
    CapturedMachine,
    everywhere,
)
from tests.integration.captures import power_and_flag
from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule

TYPES = {"managed_image": "image", "gallery_version": "version", "vhd_blobs": "vhd"}


pytestmark = pytest.mark.thorough


def begin_births(births: Births, how: str, targets: list[dict[str, Any]]) -> None:
    for target in targets:
        births.begin(f"{how}-{TYPES[target['type']]}", target)


def test_machine_runs_on_untouched_while_its_twin_is_generalized_and_captured(
    azure: LocalAzure, machine: CapturedMachine, births: Births
) -> None:
    machine.wait()
    boot = machine.ssh.run(BOOT)
    assert machine.ssh.sudo(IDENTITY) == machine.identity
    assert machine.ssh.sudo(LOOK).splitlines() == DATA
    before = azure.get(machine.id)
    mark = azure.mark()
    captured = machine.capture(
        capture_vm_strategy="twin",
        capture_vm_twin_public_ip=True,
        capture_vm_targets=everywhere("of-twin", "1.0.0"),
    )
    assert captured.rc == 0, captured.output
    assert machine.ssh.run(BOOT) == boot
    assert machine.ssh.sudo(IDENTITY) == machine.identity
    assert azure.get(machine.id) == before
    targets = captured.custom_stats["capture_vm_targets"]
    assert [target["type"] for target in targets] == list(TYPES)
    outside = {write for write in azure.writes(mark) if "/goldenimage-twin-" not in write}
    keys = azure.id(GROUP, "Microsoft.Storage/storageAccounts", "captures") + "/listKeys"
    assert outside == {f"PUT {targets[0]['id']}", f"PUT {targets[1]['id']}", f"POST {keys}"}
    groups = azure.get(f"/subscriptions/{azure.subscription_id}/resourcegroups")["value"]
    assert [group["name"] for group in groups] == [GROUP]
    begin_births(births, "twin", targets)


def test_machine_is_back_with_its_identity_when_its_capture_fails_after_it_was_generalized(
    azure: LocalAzure, machine: CapturedMachine
) -> None:
    machine.wait()
    boot = machine.ssh.run(BOOT)
    put = {"method": "PUT", "path": "**/images/failing"}
    refused = rule("failing", put, "fail_operation", code="InternalExecutionError", message="No image today.")
    with faults(azure, refused):
        failed = machine.capture(capture_vm_image="failing", capture_vm_backup=True, capture_vm_rescue=True)
    assert failed.tasks[GENERALIZED].changed
    message = failed.failed_with("No image today.", "was restored from backup").msg
    restored = failed.tasks["goldenimage.azure.vm_capture : Restore the machine"]
    # Azure never starts a machine again that it knows as generalized: it is another one, with the same face.
    assert restored["running"] and restored["recreated"], message
    # The disks that were generalized are still there, and are others than it has now.
    kept = [azure.get(each) for each in sorted(restored["kept_disks"])]
    assert [disk["name"] for disk in kept] == ["data-0", "data-5", "os"]
    assert all(disk["tags"]["goldenimage_replaced"] for disk in kept)
    assert "goldenimage_generalized" not in azure.get(machine.id).get("tags", {})
    machine.wait()
    assert machine.ssh.run(BOOT) != boot
    assert machine.ssh.sudo(IDENTITY) == machine.identity
    assert machine.ssh.sudo(LOOK).splitlines() == DATA


def test_machine_is_generalized_and_captured_in_place(
    azure: LocalAzure, machine: CapturedMachine, births: Births
) -> None:
    machine.wait()
    captured = machine.capture(capture_vm_targets=everywhere("in-place", "2.0.0"))
    assert captured.rc == 0, captured.output
    assert captured.tasks[GENERALIZED].changed
    assert captured.tasks["goldenimage.azure.vm_capture : Capture the machine"]["evidence"] == "tag"
    targets = captured.custom_stats["capture_vm_targets"]
    assert [target["type"] for target in targets] == list(TYPES)
    begin_births(births, "in-place", targets)
    assert power_and_flag(azure, machine.id) == ("deallocated", True)


@pytest.mark.parametrize("how", ["twin", "in-place"])
@pytest.mark.parametrize("target", TYPES.values())
def test_machine_born_of_a_capture_boots_as_itself_with_the_data_disks_at_their_luns(
    machine: CapturedMachine, births: Births, how: str, target: str
) -> None:
    name = f"{how}-{target}"
    machine.assert_born(births[name], name)
