# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""Requests that do not depend on one another, at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Azure Resource Manager lets one identity have some dozens of requests a second; a machine has few disks.
_AT_ONCE = 8


def in_parallel(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """``work`` of every item, the results in the items' order.

    All of them end before this does; then the first error, in the items' order, is raised.
    """
    listed = list(items)
    if len(listed) < 2:
        return [work(item) for item in listed]
    with ThreadPoolExecutor(max_workers=min(len(listed), _AT_ONCE)) as pool:
        begun = [pool.submit(work, item) for item in listed]
    return [each.result() for each in begun]
