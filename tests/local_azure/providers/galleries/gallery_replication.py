# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""How far an image version's replication has come in each of its regions."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tests.local_azure.blob_storage.vhd import whole_gib
from tests.local_azure.errors import ArmError
from tests.local_azure.faults.fate import operation_fate
from tests.local_azure.providers.galleries.gallery_publishing import region_name, regions_of
from tests.local_azure.store import Json, Resource

# Measured: a new version in its own region, a further region for one that is there, and no region at all.
NEW_SECONDS, FURTHER_SECONDS, UNCHANGED_SECONDS, SHALLOW_SECONDS = 466.0, 376.0, 45.0, 45.0
_LARGEST_GIB = 2048


def schedule(version: Resource, regions: Iterable[str], seconds: float) -> None:
    """Notes that replication to these regions begins now and takes `seconds` of this machine's time."""
    started = time.time()
    plan: Json = version.hidden.setdefault("replication", {})
    wanted = regions_of(version.properties["publishingProfile"])
    for gone in set(plan) - set(wanted):
        del plan[gone]
    fate = operation_fate.get()
    failing = fate.failing_region if fate else None
    for region in regions:
        plan[region] = {"state": "Replicating", "started": started, "seconds": seconds}
        if failing is not None and region_name(failing[0]) == region:
            plan[region]["fails_with"] = failing[1]


def unfinished(version: Resource) -> list[str]:
    """Regions that have no copy yet, whether it was never begun or failed."""
    plan = version.hidden.get("replication") or {}
    return [
        region
        for region in regions_of(version.properties["publishingProfile"])
        if plan.get(region, {}).get("state") != "Completed"
    ]


def replicated(version: Resource, region: str) -> bool:
    plan = version.hidden.get("replication") or {}
    return bool(plan.get(region, {}).get("state") == "Completed")


def complete(version: Resource, failing: dict[str, str]) -> None:
    """Ends the replication; `failing` says for each region that failed why it did."""
    plan = version.hidden.get("replication") or {}
    for region, entry in plan.items():
        if entry["state"] != "Replicating":
            continue
        if region in failing:
            entry |= {"state": "Failed", "details": failing[region]}
        else:
            entry["state"] = "Completed"


def too_large(sizes_gib: Iterable[int]) -> str | None:
    """Why disks of these sizes cannot be replicated, if so."""
    largest = max(sizes_gib, default=0)
    if largest <= _LARGEST_GIB:
        return None
    return (
        f"Replication failed in this region due to 'The GalleryImageVersion source resource size {largest} "
        f"exceeds the max size {_LARGEST_GIB} supported.'"
    )


def failure(failing: dict[str, str], code: str = "ReplicationJobsNotCompleted") -> ArmError:
    """How the operation ends when replication failed somewhere."""
    details = ", ".join(f"{{region:{region}, detail:{why}}}" for region, why in failing.items())
    return ArmError(
        409,
        code,
        "Gallery replication jobs failed in one or more regions. The failing regions' details are as "
        f"follows: '{details}'. If retry does not work, then please do an update by removing the failed "
        "regions and update again by adding them back.",
    )


def status(version: Resource) -> Json:
    """The `replicationStatus` of this moment; regions are in lower case here."""
    plan = version.hidden.get("replication") or {}
    summary: list[Json] = []
    for region in regions_of(version.properties["publishingProfile"]):
        entry = plan.get(region) or {"state": "Unknown"}
        if entry["state"] == "Replicating" and version.state == "Failed":
            entry["state"] = "Failed"
        shown: Json = {"region": region, "state": entry["state"]}
        if "details" in entry:
            shown["details"] = entry["details"]
        shown["progress"] = _progress(entry)
        summary.append(shown)
    states = {s["state"] for s in summary}
    if "Failed" in states:
        total = "Failed"
    elif states == {"Completed"}:
        total = "Completed"
    else:
        total = "InProgress" if "Replicating" in states else "Unknown"
    return {"aggregatedState": total, "summary": summary}


def _progress(entry: Json) -> int:
    if entry["state"] == "Completed":
        return 100
    if "started" not in entry:
        return 0
    passed = (time.time() - entry["started"]) / max(entry["seconds"], 0.001)
    return max(0, min(99, int(passed * 100)))


def failures(version: Resource) -> dict[str, str]:
    """The regions that will not get the version, and why: a disk is too large, or a fault was injected."""
    plan = version.hidden.get("replication") or {}
    waiting = unfinished(version)
    failing = {r: str(plan[r]["fails_with"]) for r in waiting if "fails_with" in plan.get(r, {})}
    if version.properties["publishingProfile"].get("replicationMode") == "Shallow":
        return failing
    why = too_large(whole_gib(size) for size in version.hidden["sizes"].values())
    return dict.fromkeys(waiting, why) if why else failing
