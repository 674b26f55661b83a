# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A running Debian machine with data disks at LUNs 0 and 5 is captured in place, and born again."""

from __future__ import annotations

from tests.guests.capture.captured_machine import GENERALIZED, Births, CapturedMachine
from tests.integration.captures import image, power_and_flag, version
from tests.integration.cloud import LocalAzure


def test_machine_is_captured_in_place_and_born_as_itself_with_the_data_disks_at_their_luns(
    azure: LocalAzure, machine: CapturedMachine, births: Births
) -> None:
    machine.wait()
    captured = machine.capture(capture_vm_targets=[image("worker"), version("debian", "1.0.0")])
    assert captured.rc == 0, captured.output
    assert captured.tasks[GENERALIZED].changed
    assert captured.tasks["goldenimage.azure.vm_capture : Capture the machine"]["evidence"] == "tag"
    assert power_and_flag(azure, machine.id) == ("deallocated", True)
    _image, made = captured.custom_stats["capture_vm_targets"]
    births.begin("born", made)
    machine.assert_born(births["born"], "born")
