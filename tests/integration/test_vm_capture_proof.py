# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What vm_capture takes as a proof: that a guest was generalized, and whose an image is."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.evidence import MARK_TAG, mark
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Refused

from tests.integration.captures import (
    answer_commands,
    captured,
    ids,
    image,
    machine,
    power_and_flag,
    refused,
)
from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player


def test_a_generalized_capture_wants_proof(azure: LocalAzure, session: AzureSession, group: str) -> None:
    vm = machine(azure, group, "proof", luns=(), marked=False)
    for value, said in (
        (None, "no tag goldenimage_generalized"),
        ("yes", "cannot be read (yes)"),
        (mark("0000-another", datetime.now(timezone.utc)), "written for another machine"),
    ):
        if value is not None:
            azure.do("PATCH", vm, {"tags": {MARK_TAG: value}})
        found = refused(azure, session, group, "proof", image("proof"))
        assert ids(found) == ["not-generalized"]
        assert said in found[0][1]
        assert "assume_generalized" in found[0][2]
    assert captured(session, group, "proof", image("proof"), assume_generalized=True).evidence == "assumed"


def test_azure_s_own_mark_proves_nothing(azure: LocalAzure, session: AzureSession, group: str) -> None:
    vm = machine(azure, group, "flag-only", luns=(), marked=False)
    azure.do("POST", f"{vm}/generalize")
    found = refused(azure, session, group, "flag-only", image("flag-only"))
    assert ids(found) == ["not-generalized"]
    assert "nothing proves that its operating system was" in found[0][1]


def test_one_build_id_for_two_machines_does_not_pass_one_s_image_off_as_the_other_s(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    machine(azure, group, "shared-build", luns=())
    captured(session, group, "shared-build", image("shared-build"), build_id="nightly")
    mark = azure.mark()
    with pytest.raises(Refused) as refusal:
        captured(session, group, "mistyped", image("shared-build"), build_id="nightly")
    assert ids([(each.id, each.what, each.remedy) for each in refusal.value.findings]) == ["vm-missing"]
    assert azure.writes(mark) == []


def test_the_proof_that_the_role_leaves_counts_until_the_machine_is_started_again(
    azure: LocalAzure, play: Player, group: str
) -> None:
    vm = machine(azure, group, "proved", luns=(), marked=False)
    role = {"name": "goldenimage.azure.linux_generalize", "tasks_from": "mark"}
    leave = [{"name": "Mark", "ansible.builtin.include_role": role, "vars": {"linux_generalize_vm_id": vm}}]
    play(leave).succeeded()
    options = {"resource_group": group, "source_vm": "proved", "targets": [image("proved")]}
    assert play.module("vm_capture", options, check=True).succeeded().last["evidence"] == "tag"
    time.sleep(1.1)  # the tag has whole seconds
    azure.do("POST", f"{vm}/start")
    azure.do("POST", f"{vm}/powerOff")
    mark = azure.mark()
    failed = play.module("vm_capture", options).failed_with("was started or deallocated at")
    assert [finding["id"] for finding in failed["failure"]["findings"]] == ["not-generalized"]
    assert azure.writes(mark) == []


def test_a_running_guest_is_asked_through_its_agent_and_its_answer_outlives_a_kill(
    azure: LocalAzure, session: AzureSession, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm = machine(azure, group, "asked", luns=(), power="running", marked=False)
    report = {"machine": "asked", "contains": "report.json", "exitCode": 0}
    answer_commands(azure, {**report, "output": json.dumps({"phase": "removing", "failures": []})})
    with pytest.raises(Refused, match="its guest says removing"):
        captured(session, group, "asked", image("asked"), stop=True)
    assert power_and_flag(azure, vm) == ("running", False)
    answer_commands(azure, {**report, "output": json.dumps({"phase": "done", "failures": []})})
    action = session.compute.virtual_machines.action

    def killed(group: str, name: str, verb: str, *rest: Any, **query: Any) -> Any:
        if verb == "generalize":
            raise KeyboardInterrupt
        return action(group, name, verb, *rest, **query)

    with monkeypatch.context() as patch:
        patch.setattr(session.compute.virtual_machines, "action", killed)
        with pytest.raises(KeyboardInterrupt):
            captured(session, group, "asked", image("asked"), stop=True)
    assert power_and_flag(azure, vm) == ("deallocated", False)
    done = captured(session, group, "asked", image("asked"), stop=True)
    assert done.evidence == "tag"
    assert power_and_flag(azure, vm) == ("deallocated", True)
