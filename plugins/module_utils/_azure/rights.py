# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""What the signed-in identity may not do, asked before anything is done.

Source: Permissions - List For Resource Group and - List, api-version 2022-04-01, of Azure's REST reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_API = "2022-04-01"


def missing_actions(session: AzureSession, scope: str, actions: Iterable[str]) -> list[str]:
    """Those of the actions that are not granted at the scope, the id of a resource or of its group.

    An action reads ``Microsoft.Compute/disks/write``. Where the permissions themselves cannot be read,
    nothing is missing: Azure's own refusal has to do then.
    """
    try:
        permissions = session.arm.list(f"{scope}/providers/Microsoft.Authorization/permissions", _API)
    except AzureError as error:
        if error.status in (403, 404):
            return []
        raise
    return [action for action in actions if not any(_grants(each, action) for each in permissions)]


def _grants(permission: Mapping[str, Any], action: str) -> bool:
    """One role's permission: what it lists, without what it excludes."""
    return _matches(permission.get("actions") or (), action) and not _matches(
        permission.get("notActions") or (), action
    )


def _matches(patterns: Sequence[str], action: str) -> bool:
    return any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), action, re.IGNORECASE)
        for pattern in patterns
    )
