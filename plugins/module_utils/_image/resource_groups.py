# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Looks a resource group up before anything is created in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    resource_group_id,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

GROUPS_API = "2024-11-01"


def group_location(session: AzureSession, name: str) -> str:
    """The region of the resource group. Raises NotFound, with what to do, when there is no such group."""
    group = session.arm.get(resource_group_id(session.subscription_id, name), GROUPS_API)
    if group is None:
        raise NotFound(
            f"There is no resource group {name} in subscription {session.subscription_id}.",
            code="ResourceGroupNotFound",
            remedy="Create the resource group first, or correct its name or subscription_id.",
        )
    return normalize_location(group["location"])
