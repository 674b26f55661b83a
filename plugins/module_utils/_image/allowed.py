# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure would not let this identity do: rights that are missing, and locks in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.locks import (
    forbidding,
    locks_in_subscription,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.rights import missing_actions
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


def allowed_findings(
    session: AzureSession,
    actions: Mapping[str, Sequence[str]],
    change: Iterable[str] = (),
    delete: Iterable[str] = (),
) -> list[Finding]:
    """Rights and locks, looked at at the same time; the arguments are those of the two below."""
    looks: list[Callable[[], list[Finding]]] = [
        lambda: right_findings(session, actions),
        lambda: lock_findings(session, change, delete),
    ]
    return [finding for found in in_parallel(lambda look: look(), looks) for finding in found]


def right_findings(session: AzureSession, actions: Mapping[str, Sequence[str]]) -> list[Finding]:
    """The rights that are missing; one look for each scope.

    :param actions: what is done, such as Microsoft.Compute/images/write, by the id of a resource or group
        that exists
    """

    def of_scope(item: tuple[str, Sequence[str]]) -> list[Finding]:
        scope, wanted = item
        return [
            Finding(
                "missing-right",
                f"the signed-in identity may not {action}.",
                scope,
                "Give it a role with that action there, such as Contributor.",
            )
            for action in missing_actions(session, scope, wanted)
        ]

    return [finding for each in in_parallel(of_scope, actions.items()) for finding in each]


def lock_findings(session: AzureSession, change: Iterable[str], delete: Iterable[str] = ()) -> list[Finding]:
    """The locks in the way, each once. Both are ids of resources, which need not exist."""
    wanted = [*((each, False) for each in change), *((each, True) for each in delete)]
    subscriptions = dict.fromkeys(each.split("/")[2].casefold() for each, _deleting in wanted)
    listed = in_parallel(lambda each: locks_in_subscription(session, each), subscriptions)
    locks = [lock for some in listed for lock in some]
    found: dict[tuple[str, str], Finding] = {}
    for resource, deleting in wanted:
        lock = forbidding(locks, resource, deleting=deleting)
        if lock is not None:
            verb = "delete" if deleting else "change"
            finding = Finding(
                "locked",
                f"lock {lock.name} ({lock.level}) on {lock.scope} forbids to {verb} it.",
                resource,
                "Remove the lock for as long as this takes.",
            )
            found.setdefault((lock.scope, lock.name), finding)
    return list(found.values())
