# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whether this identity may write a gallery, a definition or a version, asked before it is tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    parse_resource_id,
    resource_group_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import parent_id
from ansible_collections.goldenimage.azure.plugins.module_utils._image.allowed import allowed_findings
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Finding, refuse_if_any

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

WRITE, DELETE, SHARE = "write", "delete", "share/action"


def write_findings(
    session: AzureSession, resource: str, verbs: Sequence[str], *, exists: bool
) -> list[Finding]:
    """The rights that are missing and the locks in the way of that.

    :param verbs: the last parts of the actions; none is nothing to look at
    :param exists: whether there is such a resource; roles for a new one are given where it is to be
    """
    if not verbs:
        return []
    actions = [f"{parse_resource_id(resource).resource_type}/{verb}" for verb in verbs]
    changes = [resource] if set(verbs) - {DELETE} else []
    deletes = [resource] if DELETE in verbs else []
    return allowed_findings(session, {resource if exists else _above(resource): actions}, changes, deletes)


def check_write(
    session: AzureSession, task: str, resource: str, verbs: Sequence[str], *, exists: bool
) -> None:
    """Raise Refused with what :func:`write_findings` finds. `task` is a verb phrase."""
    refuse_if_any(task, write_findings(session, resource, verbs, exists=exists))


def _above(resource: str) -> str:
    parsed = parse_resource_id(resource)
    if len(parsed.types) > 1:
        return parent_id(resource)
    return resource_group_id(parsed.subscription, parsed.resource_group)
