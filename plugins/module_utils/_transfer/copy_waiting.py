# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Waiting for copies, which go on after the operation that began them has succeeded."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import WaitTimeout
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter

_LONGEST_PAUSE = 15.0


def wait_for_copy(what: str, is_done: Callable[[], bool], waiter: Waiter) -> None:
    """Look until `is_done`, with growing pauses; raises WaitTimeout after the waiter's timeout.

    :param what: the copy, as a sentence begins with it
    """

    def late() -> WaitTimeout:
        return WaitTimeout(
            f"{what} was not complete within {waiter.timeout:g} s.",
            code="WaitTimeout",
            remedy="Run the task again with more wait_timeout.",
        )

    pauses = waiter.pauses(_LONGEST_PAUSE, late)
    while not is_done():
        next(pauses)
