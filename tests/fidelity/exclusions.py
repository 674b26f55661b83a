# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What of the recordings is not held against the local Azure, and why."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.fidelity.recording import ARM_HOSTS, Recorded


class Exclusion(NamedTuple):
    """`path` is searched in the path without regard to case."""

    path: str
    reason: str


_OUTSIDE = (
    Exclusion(r"/providers/Microsoft\.KeyVault/", "Key Vault is a service of its own"),
    Exclusion(r"/providers/Microsoft\.ResourceGraph/", "Resource Graph is a service of its own"),
    Exclusion(
        r"/providers/Microsoft\.Compute/virtualMachineScaleSets",
        "scale sets are not what images are made from",
    ),
)


def excluded(exchange: Recorded) -> str | None:
    """The reason why the exchange does not count, None if it does."""
    if exchange.host not in ARM_HOSTS and ".blob." not in exchange.host:
        return f"{exchange.host} is neither Resource Manager nor the blob service"
    return next((e.reason for e in _OUTSIDE if re.search(e.path, exchange.path, re.IGNORECASE)), None)
