# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Deletes versions, if asked for also what soft delete keeps of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.deletion import to_its_end
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import GALLERY_API
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.replication import read_version
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.soft_deleted import (
    purge,
    soft_deleted_in,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_facts import (
    comparable,
    version_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_fit import protected_until
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_request import (
    VersionRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.ensured import Ensured

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession


def remove_version(
    session: AzureSession, request: VersionRequest, *, purged: bool, check_mode: bool, waiter: Waiter
) -> Ensured:
    """Delete the version; with `purged` for good, also where the gallery would keep it for a week."""
    version, name = request.id(), request.version
    try:
        current = read_version(session, version)
        kept = purged and _is_kept(session, request)
    except NotFound:
        current, kept = None, False
    if current is None:
        if kept and not check_mode:
            purge(session, request.definition_id, name, waiter)
        actions = [f"Purged deleted version {version}"] if kept else []
        return Ensured(kept, None, {"id": version, "name": name} if kept else {}, {}, actions)
    end = protected_until(current)
    if end is not None:
        raise InvalidInput(
            f"Version {name} of {request.definition} cannot be deleted before its end of life, {end}.",
            remedy="Set block_deletion_before_end_of_life to false first.",
        )
    if not check_mode:
        session.arm.delete(version, GALLERY_API, to_its_end(waiter) if purged else waiter)
        if purged and _is_kept(session, request):
            purge(session, request.definition_id, name, waiter)
    action = f"Deleted version {version}{' for good' if purged else ''}"
    return Ensured(True, None, comparable(version_facts(current)), {}, [action])


def _is_kept(session: AzureSession, request: VersionRequest) -> bool:
    return request.version in [each["name"] for each in soft_deleted_in(session, request.definition_id)]
