# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""One run of the drill: a capture in trouble, a look at what it left, and a capture without trouble."""

from __future__ import annotations

import random
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.garbage import Wanted, collect

from tests.drill.child import BROKEN, DONE, FAILED, KILLED, Ended, in_child
from tests.drill.trouble import Trouble, draw_trouble
from tests.integration.captures import captured, definition, image, machine, power_and_flag, version
from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults
from tests.integration.machines import COMPUTE

LUN = 5
_SETTLING = 60.0
_PASSING = ("Creating", "Updating", "Deleting")


class Verdict(NamedTuple):
    """What happened in a run; `problems` are sentences, none when all is right."""

    seed: int
    trouble: str
    ended: str
    problems: list[str]


class Run:
    """`seed` decides what is captured to where, and what goes wrong."""

    def __init__(self, azure: LocalAzure, group: str, seed: int, work_dir: Path) -> None:
        rng = random.Random(seed)
        self._azure = azure
        self._group = group
        self._seed = seed
        self._file = work_dir / "said.json"
        self._name = f"drill-{seed}"
        self._trouble: Trouble = draw_trouble(rng)
        self._targets = rng.choice([("image",), ("version",), ("image", "version"), ("version", "image")])
        self._rescue = rng.random() < 0.4
        self._options: dict[str, Any] = {
            "stop": True,
            "assume_generalized": True,
            "build_id": self._name,
            "backup": self._rescue,
            "rescue": self._rescue,
        }
        self._problems: list[str] = []

    def __call__(self) -> Verdict:
        vm = machine(self._azure, self._group, self._name, luns=(LUN,), power="running", marked=False)
        self._definition = definition(self._azure, self._group, self._name)
        with faults(self._azure, *self._trouble.rules, seed=self._seed):
            first = in_child(self._capture, self._azure.env, self._file, self._trouble.kill_after)
        self._judge_first(first, vm)
        again = in_child(self._capture, self._azure.env, self._file)
        self._judge_again(first, again)
        self._judge_leftovers()
        self._azure.do("DELETE", vm)
        return Verdict(self._seed, self._trouble.name, first.how, self._problems)

    def _capture(self, session: AzureSession) -> list[str]:
        targets = [image(self._name) if kind == "image" else version(self._name) for kind in self._targets]
        done = captured(session, self._group, self._name, *targets, **self._options)
        return [target["id"] for target in done.targets]

    # What the run in trouble left.

    def _judge_first(self, first: Ended, vm: str) -> None:
        if first.how == BROKEN:
            self._problems.append(f"the run broke: {first.said}")
        states = {kind: self._state(kind) for kind in self._targets}
        told = "" if first.how != FAILED else f"{first.said['message']} {first.said['remedy']}"
        for kind, state in states.items():
            if first.how == DONE and state != "Succeeded":
                self._problems.append(f"it said that it had made the {kind}, which is {state}")
            if first.how == FAILED and state == "Failed" and "could not be deleted now" not in told:
                self._problems.append(f"it left a failed {kind} and did not say so: {told}")
            if state == "Succeeded":
                self._check_right(kind)
        if "was restored from backup" in told and power_and_flag(self._azure, vm) != ("running", False):
            self._problems.append("it said that it had restored the machine, which is not as it was")

    def _path(self, kind: str) -> str:
        if kind == "image":
            return self._azure.id(self._group, f"{COMPUTE}/images", self._name)
        return f"{self._definition}/versions/1.0.0"

    def _state(self, kind: str) -> str | None:
        """Its state when Azure is done with it; None when it is not there."""
        deadline = time.monotonic() + _SETTLING
        while time.monotonic() < deadline:
            found = self._azure.get(self._path(kind))
            if found is None:
                return None
            state = str(found["properties"]["provisioningState"])
            if state not in _PASSING:
                return state
            time.sleep(0.1)
        return "unsettled"

    def _check_right(self, kind: str) -> None:
        found = self._azure.get(self._path(kind))
        storage = found["properties"]["storageProfile"]
        luns = [disk["lun"] for disk in storage.get("dataDisks" if kind == "image" else "dataDiskImages", [])]
        if luns != [LUN]:
            self._problems.append(f"the {kind} has data disks at {luns}")
        if found["tags"].get("goldenimage_build") != self._name:
            self._problems.append(f"the {kind} does not say which build made it")

    # What the next run makes of it.

    def _judge_again(self, first: Ended, again: Ended) -> None:
        if again.how == FAILED and self._made_before_the_way_back(first, again):
            return
        if again.how != DONE:
            self._problems.append(f"the next run {again.how}: {again.said}")
            return
        for kind in self._targets:
            if self._state(kind) != "Succeeded":
                self._problems.append(f"the next run left the {kind} {self._state(kind)}")
            else:
                self._check_right(kind)

    def _made_before_the_way_back(self, first: Ended, again: Ended) -> bool:
        """One target was made, the other failed, and the machine is another one since it was restored."""
        restored = first.how in (FAILED, KILLED) and self._rescue and len(self._targets) == 2
        findings = [finding["id"] for finding in again.said.get("findings", [])]
        return restored and set(findings) == {"name-taken"}

    def _judge_leftovers(self) -> None:
        listed = self._azure.get(f"{self._azure.id(self._group)}/providers/{COMPUTE}/snapshots")["value"]
        for snapshot in listed:
            if "goldenimage_build" not in snapshot.get("tags", {}):
                self._problems.append(f"snapshot {snapshot['name']} has no tags of ours")
        ended = in_child(self._collected, self._azure.env, self._file)
        if ended.how != DONE or ended.said:
            self._problems.append(f"after collecting garbage there is some left: {ended.said}")

    def _collected(self, session: AzureSession) -> list[dict[str, Any]]:
        """What is still there of the build after it was collected."""
        wanted = Wanted(self._name, datetime.now(timezone.utc))
        collect(session, wanted, dry_run=False, waiter=Waiter())
        left: list[dict[str, Any]] = (collect(session, wanted, dry_run=True, waiter=Waiter()).facts or {})[
            "garbage"
        ]
        return left
