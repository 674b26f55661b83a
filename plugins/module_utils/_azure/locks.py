# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""Management locks, which refuse changes whatever one's rights.

Source: "Lock your resources to protect your infrastructure" of Azure Resource Manager's documentation.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_API = "2020-05-01"
_KIND = "/providers/microsoft.authorization/locks/"


class Lock(NamedTuple):
    """``level``: CanNotDelete or ReadOnly; ``scope``: id of the subscription, group or resource it is on."""

    name: str
    level: str
    scope: str

    def forbids(self, resource_id: str, *, deleting: bool = False) -> bool:
        """Whether it refuses a change of the resource, or its deletion.

        ReadOnly forbids both on its scope and all below it. CanNotDelete forbids to delete what is locked
        and what contains it.
        """
        place, locked = resource_id.rstrip("/").casefold(), self.scope.casefold()
        above = place == locked or place.startswith(locked + "/")
        if deleting:
            return above or locked.startswith(place + "/")
        return above and self.level.casefold() == "readonly"


def locks_in_subscription(session: AzureSession, subscription: str | None = None) -> list[Lock]:
    """All locks there are, on the subscription, its groups and resources; empty if they cannot be read.

    :param subscription: another one than the session's
    """
    path = f"/subscriptions/{subscription or session.subscription_id}/providers/Microsoft.Authorization/locks"
    try:
        found = session.arm.list(path, _API)
    except AzureError as error:
        if error.status in (403, 404):
            return []
        raise
    return [
        Lock(
            name=str(lock["name"]),
            level=str((lock.get("properties") or {}).get("level", "")),
            scope=str(lock["id"])[: str(lock["id"]).casefold().rfind(_KIND)],
        )
        for lock in found
    ]


def forbidding(locks: Iterable[Lock], resource_id: str, *, deleting: bool = False) -> Lock | None:
    """The first lock that refuses to change, or to delete, the resource."""
    return next((lock for lock in locks if lock.forbids(resource_id, deleting=deleting)), None)
