# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The work that every contender does: equal machines to capture, and what has to be there afterwards."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.integration.captures import definition, machine, power_and_flag
from tests.integration.cloud import LocalAzure
from tests.integration.machines import COMPUTE

GROUP = "capture-comparison"
GALLERY = "golden"
LUNS = (0, 5)


class Job(NamedTuple):
    """`speed`: how much quicker than on Azure the operations of this job are."""

    words: str
    speed: float


#: The managed image takes its own time. A version is copied to its region, which takes Azure eight minutes.
JOBS = {
    "image": Job("a managed image, at Azure's own pace", 1),
    "version": Job("a gallery version, 20 times as quick as on Azure, but with its Retry-After", 20),
}


class Task(NamedTuple):
    """One capture. `machine` and `target` are ids; `target` is what has to be made."""

    job: str
    name: str
    machine: str
    target: str


def prepare(azure: LocalAzure, job: str, name: str) -> Task:
    """A running machine of its own, with an operating system disk and two data disks, for this task."""
    azure.group(GROUP)
    source = machine(azure, GROUP, name, luns=LUNS, power="running", marked=False)
    if job == "version":
        return Task(job, name, source, f"{definition(azure, GROUP, name, gallery=GALLERY)}/versions/1.0.0")
    return Task(job, name, source, azure.id(GROUP, f"{COMPUTE}/images", name))


def check(azure: LocalAzure, task: Task) -> None:
    """Raises AssertionError when the capture did not do what it had to."""
    made = azure.get(task.target)
    assert made is not None, f"{task.name}: {task.target} was not made"
    properties = made["properties"]
    assert properties["provisioningState"] == "Succeeded", f"{task.name}: {properties['provisioningState']}"
    luns = [disk["lun"] for disk in _data_disks(properties["storageProfile"])]
    assert sorted(luns) == list(LUNS), f"{task.name}: data disks at {luns}"
    assert power_and_flag(azure, task.machine) == ("deallocated", True), task.name


def _data_disks(storage: dict[str, Any]) -> list[dict[str, Any]]:
    """An image calls them dataDisks, a version dataDiskImages."""
    return [*storage.get("dataDisks", []), *storage.get("dataDiskImages", [])]
