# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure would not let this identity do, or not in this region: rights, locks and quotas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.locks import (
    forbidding,
    locks_in_subscription,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.quotas import (
    shortfalls,
    snapshots_wanted,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.rights import missing_actions
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target import Needs
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


def right_findings(session: AzureSession, needs: Sequence[Needs]) -> list[Finding]:
    """The rights that are missing, each named with its scope; one look for each scope."""
    by_scope: dict[str, list[str]] = {}
    for need in needs:
        actions = by_scope.setdefault(need.scope, [])
        actions += [action for action in need.actions if action not in actions]

    def of_scope(item: tuple[str, list[str]]) -> list[Finding]:
        scope, actions = item
        return [
            Finding(
                "missing-right",
                f"the signed-in identity may not {action}.",
                scope,
                "Give it a role with that permission there.",
            )
            for action in missing_actions(session, scope, actions)
        ]

    return [finding for each in in_parallel(of_scope, by_scope.items()) for finding in each]


def lock_findings(session: AzureSession, needs: Sequence[Needs]) -> list[Finding]:
    """The locks in the way, each once."""
    locks = locks_in_subscription(session)
    found: dict[str, Finding] = {}
    for need in needs:
        for deleting in (False, True)[: 1 + need.deletes]:
            lock = forbidding(locks, need.changes, deleting=deleting)
            if lock is not None:
                found[lock.scope + lock.name] = Finding(
                    "locked",
                    f"lock {lock.name} ({lock.level}) is on it.",
                    lock.scope,
                    "Remove the lock for as long as the capture takes.",
                )
    return list(found.values())


def quota_findings(session: AzureSession, location: str, snapshots: int) -> list[Finding]:
    """Whether so many more snapshots may be made in the region; nothing is asked for none."""
    if not snapshots:
        return []
    return [
        Finding(
            "quota",
            f"{each} as temporary snapshots.",
            location,
            "Delete snapshots, or ask for a higher quota.",
        )
        for each in shortfalls(session, location, snapshots_wanted(snapshots))
    ]
