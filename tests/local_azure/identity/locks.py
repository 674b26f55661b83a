# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Management locks: which there are, and which requests they forbid."""

from __future__ import annotations

from collections.abc import Iterator

from tests.local_azure.errors import ArmError
from tests.local_azure.identity.access import covers
from tests.local_azure.store import Resource, Store, subscription_in

LOCK = "Microsoft.Authorization/locks"
LEVELS = ("CanNotDelete", "ReadOnly")


def scope_of(lock: Resource) -> str:
    return lock.id.rpartition(f"/providers/{LOCK}/")[0]


def locks_of(store: Store, subscription: str) -> Iterator[Resource]:
    return store.of_type(LOCK, subscription=subscription)


def refuse_locked(store: Store, method: str, scope: str) -> None:
    """Raises ScopeLocked where a lock forbids the method at the scope.

    Both levels forbid to delete what is locked, and whatever contains it; ReadOnly forbids every change and
    every POST where it is put and below.
    """
    if method in ("GET", "HEAD"):
        return
    place = scope.lower()
    holding = []
    for lock in locks_of(store, subscription_in(scope)):
        locked = scope_of(lock)
        above = covers(locked.lower(), place)
        forbids = (
            above or covers(place, locked.lower())
            if method == "DELETE"
            else above and lock.properties["level"] == "ReadOnly"
        )
        if forbids:
            holding.append(locked)
    if not holding:
        return
    named = ",".join(f"'{locked}'" for locked in dict.fromkeys(holding))
    verb = "delete" if method == "DELETE" else "write"
    raise ArmError(
        409,
        "ScopeLocked",
        f"The scope '{scope}' cannot perform {verb} operation because following scope(s) are locked: "
        f"{named}. Please remove the lock and try again.",
        gateway=True,
    )
