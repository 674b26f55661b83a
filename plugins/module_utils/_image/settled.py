# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Waits for a resource that another run (wait: false) or another client is still creating or changing.

There is no operation to follow then: only the resource itself tells when it is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import WaitTimeout
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter

_PASSING = ("creating", "updating", "deleting", "migrating")
_LONGEST_PAUSE = 10.0


def in_transition(resource: dict[str, Any] | None) -> bool:
    return _state(resource).lower() in _PASSING


def is_failed(resource: Mapping[str, Any] | None) -> bool:
    """Whether Azure has given its creation up, so that it can only be deleted or tried again."""
    return _state(resource).lower() in ("failed", "canceled")


def settled(
    what: str, resource: dict[str, Any] | None, read: Callable[[], dict[str, Any] | None], waiter: Waiter
) -> dict[str, Any] | None:
    """The resource once it is in no passing state any more; None when it is gone by then.

    `what` names the resource in the error, `read` reads it anew. Does not wait when `waiter` does not.
    """

    def late() -> WaitTimeout:
        return WaitTimeout(
            f"{what} is still in state {_state(resource)} after {waiter.timeout:g} s.",
            code="WaitTimeout",
            remedy="It goes on in Azure; run the task again with a longer wait_timeout.",
        )

    pauses = waiter.pauses(_LONGEST_PAUSE, late)
    while waiter.wait and in_transition(resource):
        waited = next(pauses)
        if waiter.progress is not None:
            waiter.progress(f"{_state(resource)} {waited:.0f} s")
        resource = read()
    return resource


def _state(resource: Mapping[str, Any] | None) -> str:
    return str(((resource or {}).get("properties") or {}).get("provisioningState", ""))
