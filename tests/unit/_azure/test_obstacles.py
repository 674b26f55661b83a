# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Rights, locks and quotas as Azure answers them, and work done at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.locks import (
    Lock,
    forbidding,
    locks_in_subscription,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.quotas import (
    disks_wanted,
    shortfalls,
    snapshots_wanted,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.rights import missing_actions
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

GROUP = "/subscriptions/s/resourceGroups/rg"
DISK = f"{GROUP}/providers/Microsoft.Compute/disks/d"


class Answers:
    """A session whose every list is this, or fails so."""

    subscription_id = "s"

    def __init__(self, answer: list[dict[str, Any]] | AzureError) -> None:
        self.answer = answer
        self.arm = self

    def list(self, _path: str, _version: str) -> list[dict[str, Any]]:
        if isinstance(self.answer, AzureError):
            raise self.answer
        return self.answer


def session(answer: Any) -> AzureSession:
    return cast("AzureSession", Answers(answer))


@pytest.mark.parametrize(
    ("permissions", "missing"),
    [
        ([{"actions": ["*"], "notActions": []}], []),
        ([{"actions": ["*/read"], "notActions": []}], ["Microsoft.Compute/disks/write"]),
        ([{"actions": ["microsoft.compute/disks/*"]}], []),
        (
            [{"actions": ["*"], "notActions": ["Microsoft.Compute/disks/write"]}],
            ["Microsoft.Compute/disks/write"],
        ),
        (
            [{"actions": ["*"], "notActions": ["*/write"]}, {"actions": ["Microsoft.Compute/disks/write"]}],
            [],
        ),
        ([], ["Microsoft.Compute/disks/read", "Microsoft.Compute/disks/write"]),
        (
            [{"actions": ["Microsoft.Compute.disks/*"]}],
            ["Microsoft.Compute/disks/read", "Microsoft.Compute/disks/write"],
        ),
    ],
)
def test_rights_are_the_union_of_roles_each_without_what_it_excludes(
    permissions: list[dict[str, Any]], missing: list[str]
) -> None:
    wanted = ["Microsoft.Compute/disks/read", "Microsoft.Compute/disks/write"]
    assert missing_actions(session(permissions), GROUP, wanted) == missing


@pytest.mark.parametrize(
    ("look", "nothing"),
    [
        (lambda each: missing_actions(each, GROUP, ["a/b"]), []),
        (locks_in_subscription, []),
        (lambda each: shortfalls(each, "eastus", {"DiskCount": 1}), []),
    ],
)
def test_what_may_not_be_looked_at_is_no_obstacle_but_other_errors_are_told(
    look: Callable[[AzureSession], Any], nothing: Any
) -> None:
    assert look(session(AzureError("no", status=403))) == nothing
    with pytest.raises(AzureError):
        look(session(AzureError("no", status=500)))


@pytest.mark.parametrize(
    ("scope", "level", "changed", "deleted"),
    [
        (GROUP, "ReadOnly", True, True),
        (GROUP.upper(), "CanNotDelete", False, True),
        ("/subscriptions/s", "CanNotDelete", False, True),
        (f"{GROUP}/providers/Microsoft.Compute/disks/d2", "ReadOnly", False, False),
        (f"{DISK}/child/c", "CanNotDelete", False, True),
        (f"{DISK}/child/c", "ReadOnly", False, True),
    ],
)
def test_locks_forbid_below_their_scope_and_deletion_above_it(
    scope: str, level: str, changed: bool, deleted: bool
) -> None:
    body = {
        "name": "keep",
        "id": f"{scope}/providers/Microsoft.Authorization/locks/keep",
        "properties": {"level": level},
    }
    locks = locks_in_subscription(session([body]))
    assert locks == [Lock("keep", level, scope)]
    assert (forbidding(locks, DISK) is not None) == changed
    assert (forbidding(locks, DISK, deleting=True) is not None) == deleted


def test_quotas_are_counted_by_kind_of_disk() -> None:
    wanted = disks_wanted(["Premium_LRS", "Premium_LRS", "StandardSSD_ZRS", None])
    assert wanted == {"PremiumDiskCount": 2, "StandardSSDZRSDiskCount": 1, "StandardDiskCount": 1}
    assert snapshots_wanted(3) == {"StandardSnapshotCount": 3}
    usages = [
        {"name": {"value": "premiumDiskCount"}, "limit": 10, "currentValue": 9},
        {"name": {"value": "StandardDiskCount"}, "limit": 10, "currentValue": 9},
    ]
    (short,) = shortfalls(session(usages), "eastus", wanted)
    assert str(short) == "PremiumDiskCount is limited to 10, 9 are there and 2 more needed"


def test_everything_begun_ends_before_the_first_error_is_raised() -> None:
    done: list[int] = []
    barrier = threading.Barrier(3)

    def work(number: int) -> int:
        barrier.wait(10)
        if number != 2:
            raise InvalidInput(f"number {number}")
        done.append(number)
        return number

    with pytest.raises(InvalidInput, match="number 1"):
        in_parallel(work, [1, 2, 3])
    assert done == [2]
    assert in_parallel(lambda each: each * 2, range(20)) == [each * 2 for each in range(20)]
    assert in_parallel(str, []) == []
