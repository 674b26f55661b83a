# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a check of a guest is: something that would keep it from booting or being set up on Azure."""

from typing import Callable, Iterator, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest


class Problem(NamedTuple):
    """Where something is wrong, and what; `severity` overrules that of the check."""

    path: str
    detail: str
    severity: str = ""


class Check(NamedTuple):
    """`id` is what users waive by, `title` says what is looked for, `reason` what happens on Azure;
    `severity` is as for traces, where a problem has none of its own; `look` gives the problems."""

    id: str
    title: str
    reason: str
    severity: str
    look: Callable[[Guest], Iterator[Problem]]
