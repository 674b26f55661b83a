# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Facts about a twin: those of a machine, how to log in to it, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._image.temporary_group import TemporaryGroup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_facts import (
    facts_without_addresses,
    vm_facts,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


def twin_facts(
    session: AzureSession,
    group: TemporaryGroup,
    twin: Mapping[str, Any],
    source: Mapping[str, Any] | None,
    method: str | None,
    *,
    predicted: bool = False,
) -> dict[str, Any]:
    """The returned form of a twin in wire shape. ``source`` None: the machine it was made of is gone.

    ``method``: how its disks were copied, None when an earlier run did so.
    """
    facts = facts_without_addresses(twin) if predicted else vm_facts(session, twin)
    profile = ((source or {}).get("properties") or {}).get("osProfile") or {}
    # Azure knows no accounts of a machine made of disks; they are the source's.
    facts["admin_username"] = profile.get("adminUsername")
    facts["computer_name"] = profile.get("computerName")
    return {
        **facts,
        "build_id": group.build.id,
        "expires": group.tags["goldenimage_expires"],
        "source_id": (source or {}).get("id") or group.source_id,
        "source_vm_id": ((source or {}).get("properties") or {}).get("vmId"),
        "copied_by": method,
    }
