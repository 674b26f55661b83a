# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Waits for what goes on in Azure after the operation that began it has succeeded: copies of disks."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import WaitTimeout
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter

_FIRST_INTERVAL = 0.5
_LONGEST_INTERVAL = 10.0


def wait_until_done(what: str, look: Callable[[], str | None], waiter: Waiter) -> None:
    """Returns when `look` says None; until then it says how far it is, such as "40 percent".

    `what` names it in the error, WaitTimeout. Does not wait when `waiter` does not.
    """
    started = waiter.clock()
    interval = _FIRST_INTERVAL
    while waiter.wait and (state := look()) is not None:
        waited = waiter.clock() - started
        if waited >= waiter.timeout:
            raise WaitTimeout(
                f"{what} is not done after {waiter.timeout:g} s: {state}.",
                code="WaitTimeout",
                remedy="It goes on in Azure; run the task again with a longer wait_timeout.",
            )
        if waiter.progress is not None:
            waiter.progress(f"{state} {waited:.0f} s")
        waiter.sleep(min(interval, waiter.timeout - waited))
        interval = min(interval * 1.5, _LONGEST_INTERVAL)
