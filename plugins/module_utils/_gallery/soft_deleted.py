# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Deleted versions that a gallery with soft delete keeps for a week: found, brought back, purged.

Source: "Soft delete in Azure Compute Gallery" and Gallery Soft Deleted Resource - List By Artifact Name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import parse_resource_id
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import GALLERY_API

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_NOTHING_KEPT = (400, 404, 409)


def kept_versions_path(definition: str) -> str:
    """Where the deleted versions of a definition are, by its id."""
    gallery, _slash, name = definition.rpartition("/images/")
    return f"{gallery}/softDeletedArtifactTypes/Images/artifacts/{name}/versions"


def soft_deleted_in(session: AzureSession, definition: str) -> list[dict[str, Any]]:
    """The deleted versions that are kept, in wire shape. Without soft delete there are none, whether Azure
    lists nothing there or refuses to."""
    try:
        return session.arm.list(kept_versions_path(definition), GALLERY_API)
    except AzureError as error:
        if error.status in _NOTHING_KEPT:
            return []
        raise


def soft_deleted_facts(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The returned form of a deleted version."""
    properties = kept.get("properties") or {}
    version = parse_resource_id(properties["resourceArmId"])
    return {
        "id": str(version),
        "name": kept["name"],
        "resource_group": version.resource_group,
        "gallery": version.names[0],
        "definition": version.names[1],
        "deleted": properties.get("softDeletedTime"),
    }


def purge(session: AzureSession, definition: str, version: str, waiter: Waiter) -> bool:
    """End the retention of a deleted version now; it cannot be brought back any more."""
    return session.arm.delete(f"{kept_versions_path(definition)}/{version}", GALLERY_API, waiter)
