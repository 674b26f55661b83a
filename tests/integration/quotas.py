# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the subscription of a test session may have."""

from __future__ import annotations

from tests.integration.captures import control
from tests.integration.cloud import LocalAzure

LOCATION = "eastus"
_PLENTY = 100_000


def set_quota(azure: LocalAzure, name: str, limit: int) -> None:
    """Have this limit from now on; `name` as in the list of usages."""
    place = {"subscription": azure.subscription_id, "location": LOCATION, "name": name}
    control(azure, "quotas", {**place, "limit": limit})


def lift_quotas_of_cores(azure: LocalAzure) -> None:
    """Let a session's tests leave as many machines as they want: a new subscription has but 100 cores."""
    place = f"/subscriptions/{azure.subscription_id}/providers/Microsoft.Compute/locations/{LOCATION}"
    for usage in azure.get(f"{place}/usages")["value"]:
        name = usage["name"]["value"]
        if name == "cores" or name.endswith("Family"):
            set_quota(azure, name, _PLENTY)
