# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure would not let this identity capture, or not in this region: rights, locks and quotas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.quotas import (
    shortfalls,
    snapshots_wanted,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target import Needs
from ansible_collections.goldenimage.azure.plugins.module_utils._image.allowed import allowed_findings
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


def needs_findings(session: AzureSession, needs: Sequence[Needs]) -> list[Finding]:
    """The rights that are missing and the locks in the way."""
    by_scope: dict[str, list[str]] = {}
    for need in needs:
        actions = by_scope.setdefault(need.scope, [])
        actions += [action for action in need.actions if action not in actions]
    change, delete = [need.changes for need in needs], [need.changes for need in needs if need.deletes]
    return allowed_findings(session, by_scope, change, delete)


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
