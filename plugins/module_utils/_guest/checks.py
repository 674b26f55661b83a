# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Every check of whether a guest boots and is set up on Azure. All look at files alone, so that a running
host, a mounted tree and a disk file are judged alike."""

from typing import Iterator, Sequence, Tuple

from ansible_collections.goldenimage.azure.plugins.module_utils._guest import (
    check_boot,
    check_kernels,
    check_network,
    check_provisioning,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.check import Check, Problem
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest

CHECKS: Tuple[Check, ...] = (
    *check_kernels.CHECKS,
    *check_boot.CHECKS,
    *check_provisioning.CHECKS,
    *check_network.CHECKS,
)


def problems(guest: Guest, waived: Sequence[str] = ()) -> Iterator[Tuple[Check, Problem]]:
    """What would keep a guest from booting or being set up on Azure, each problem once."""
    seen = set()
    for check in CHECKS:
        if check.id in waived:
            continue
        for problem in check.look(guest):
            if (check.id, problem) not in seen:
                seen.add((check.id, problem))
                yield check, problem
