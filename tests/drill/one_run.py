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

from tests.drill.captures import Job, by_twin, in_place
from tests.drill.child import BROKEN, DONE, FAILED, Ended, in_child
from tests.drill.trouble import Trouble, draw_trouble
from tests.integration.captures import definition, image, machine, power_and_flag, version
from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults
from tests.integration.machines import COMPUTE
from tests.integration.twins import Source, temporary_resources

LUN = 5
IN_PLACE, TWIN = "in place", "twin"
# One run out of so many captures a twin.
_TWIN_EVERY = 4
_TEMPORARY_TAGS = {
    "goldenimage_temporary",
    "goldenimage_build",
    "goldenimage_expires",
    "goldenimage_source",
}
_SETTLING = 60.0
_PASSING = ("Creating", "Updating", "Deleting")


class Verdict(NamedTuple):
    """What happened in a run; `problems` are sentences, none when all is right."""

    seed: int
    strategy: str
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
        self._file = work_dir / f"said-{seed}.json"
        self._name = f"drill-{seed}"
        self._twin = seed % _TWIN_EVERY == 0
        self._twin_group = f"goldenimage-twin-{self._name}"
        self._trouble: Trouble = draw_trouble(rng, twin=self._twin)
        self._targets = rng.choice([("image",), ("version",), ("image", "version"), ("version", "image")])
        self._rescue = not self._twin and rng.random() < 0.4
        options: dict[str, Any] = {
            "stop": True,
            "assume_generalized": True,
            "build_id": self._name,
            "backup": self._rescue,
            "rescue": self._rescue,
        }
        targets = [image(self._name) if kind == "image" else version(self._name) for kind in self._targets]
        self._job = Job(group, self._name, targets, options)
        self._there: dict[str, dict[str, str]] = {}
        self._problems: list[str] = []

    def __call__(self) -> Verdict:
        vm = machine(self._azure, self._group, self._name, luns=(LUN,), power="running", marked=False)
        self._definition = definition(self._azure, self._group, self._name)
        source = Source(self._azure, vm, self._azure.get(vm))
        before = source.state()
        self._there = self._resources()
        with faults(self._azure, *self._trouble.rules, seed=self._seed):
            first = in_child(self._capture, self._azure.env, self._file, self._trouble.kill_after)
        self._judge_first(first, vm)
        self._judge_tags(vm)
        again = in_child(self._capture, self._azure.env, self._file)
        self._judge_again(again)
        self._judge_tags(vm)
        self._judge_garbage()
        if self._twin and source.state() != before:
            self._problems.append("the source of the twin is not as it was")
        self._azure.do("DELETE", vm)
        strategy = TWIN if self._twin else IN_PLACE
        return Verdict(self._seed, strategy, self._trouble.name, first.how, self._problems)

    def _capture(self, session: AzureSession) -> list[str]:
        return (by_twin if self._twin else in_place)(session, self._job)

    # What the run in trouble left.

    def _judge_first(self, first: Ended, vm: str) -> None:
        if first.how == BROKEN:
            self._problems.append(f"the run broke: {first.said}")
        states = {kind: self._state(self._path(kind)) for kind in self._targets}
        told = "" if first.how != FAILED else f"{first.said['message']} {first.said['remedy']}"
        for kind, state in states.items():
            if first.how == DONE and state != "Succeeded":
                self._problems.append(f"it said that it had made the {kind}, which is {state}")
            if first.how == FAILED and state == "Failed" and "could not be deleted now" not in told:
                self._problems.append(f"it left a failed {kind} and did not say so: {told}")
            if state == "Succeeded":
                self._check_right(kind)
        if first.how == FAILED and self._rescue:
            self._judge_restored(vm, told)

    def _judge_restored(self, vm: str, told: str) -> None:
        """A capture that fails leaves the machine as it was: not touched yet, or restored."""
        data = self._azure.get(vm)["properties"]["storageProfile"]["dataDisks"]
        found = (*power_and_flag(self._azure, vm), [disk["lun"] for disk in data])
        if found != ("running", False, [LUN]):
            self._problems.append(f"the machine is not as it was: {found}; it said: {told}")

    def _of_twin(self) -> list[tuple[str, dict[str, str]]]:
        """Kind and tags of what is there of a twin; its group comes first."""
        path = self._azure.id(self._twin_group)
        if self._state(path) is None:
            return []
        group = self._azure.get(path)
        return [
            ("resource group", group.get("tags") or {}),
            *temporary_resources(self._azure, self._twin_group),
        ]

    def _path(self, kind: str) -> str:
        if kind == "image":
            return self._azure.id(self._group, f"{COMPUTE}/images", self._name)
        return f"{self._definition}/versions/1.0.0"

    def _state(self, path: str) -> str | None:
        """Its state when Azure is done with it; None when it is not there."""
        deadline = time.monotonic() + _SETTLING
        while time.monotonic() < deadline:
            found = self._azure.get(path)
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

    def _judge_again(self, again: Ended) -> None:
        if again.how != DONE:
            self._problems.append(f"the next run {again.how}: {again.said}")
            return
        if self._of_twin():
            self._problems.append("the next run left a twin")
        for kind in self._targets:
            state = self._state(self._path(kind))
            if state != "Succeeded":
                self._problems.append(f"the next run left the {kind} {state}")
            else:
                self._check_right(kind)
        self._check_together()

    def _check_together(self) -> None:
        """One machine may have been restored, or another twin made, between one target and the other."""
        tags = [(self._azure.get(self._path(kind)) or {}).get("tags") or {} for kind in self._targets]
        if len({each.get("goldenimage_sources") for each in tags}) > 1:
            self._problems.append("the targets were not made of the same machine")
        if any("goldenimage_incomplete" in each for each in tags):
            self._problems.append("a target still says that the capture was not completed")

    # What is left beside the targets.

    def _resources(self) -> dict[str, dict[str, str]]:
        """Tags by the id of what is in the machine's resource group."""
        listed = self._azure.get(f"{self._azure.id(self._group)}/resources")["value"]
        return {resource["id"]: resource.get("tags") or {} for resource in listed}

    def _judge_tags(self, vm: str) -> None:
        """Whatever was made on the way carries tags of ours, but for the disks that the machine now has."""
        for kind, tags in self._of_twin():
            if not set(tags) >= _TEMPORARY_TAGS:
                self._problems.append(f"a {kind} of the twin lacks tags of what is temporary")
        own = Source(self._azure, vm, self._azure.get(vm)).disk_ids()
        for resource, tags in self._resources().items():
            if resource in self._there or resource in own:
                continue
            if not any(tag.startswith("goldenimage_") for tag in tags):
                self._problems.append(f"{resource} has no tags of ours")

    def _judge_garbage(self) -> None:
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
