# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Finds the storage account that a blob is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

STORAGE_API = "2024-01-01"


def account_of_blob(session: AzureSession, url: str) -> dict[str, Any] | None:
    """The storage account of the subscription that a blob is in; None when there is none."""
    path = f"/subscriptions/{session.subscription_id}/providers/Microsoft.Storage/storageAccounts"
    for account in session.arm.list(path, STORAGE_API):
        endpoint = ((account.get("properties") or {}).get("primaryEndpoints") or {}).get("blob") or ""
        if endpoint and url.lower().startswith(endpoint.lower().rstrip("/") + "/"):
            return account
    return None
