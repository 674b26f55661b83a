# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Waits for versions to reach their regions: how far each is, and which of them failed and why.

The operation that makes a version ends when all its regions have it, and tells nothing until then; the
version's replication status does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    OperationFailed,
    WaitTimeout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import GALLERY_API
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_facts import (
    progress_sentence,
    version_facts,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

# Seconds between two looks at the regions: Azure counts them in minutes.
_EVERY = 5.0

Regions = Sequence[Mapping[str, Any]]


def read_version(session: AzureSession, version: str) -> dict[str, Any] | None:
    """The version with how far its replication is, in wire shape."""
    return session.arm.get(version, GALLERY_API, **{"$expand": "ReplicationStatus"})


def telling_regions(
    session: AzureSession, version: str, waiter: Waiter, tell: Callable[[Regions], None] | None
) -> Waiter:
    """The waiter, with a progress that says of each region how far it is, every few seconds."""
    if tell is None:
        return waiter
    seen: list[float] = []

    def look(_state: str) -> None:
        now = waiter.clock()
        if seen and now - seen[-1] < _EVERY:
            return
        seen[:] = [now]
        found = _seen(session, version)
        if found is not None:
            tell(version_facts(found)["replication"])

    return Waiter(waiter.wait, waiter.timeout, look, clock=waiter.clock, sleep=waiter.sleep)


def put_version(
    session: AzureSession, version: str, body: Mapping[str, Any], waiter: Waiter
) -> dict[str, Any]:
    """Make or change a version, and wait for its regions; it then, with its replication status.

    Raises OperationFailed that names the regions which failed and why, or WaitTimeout that says how far each
    is.
    """
    try:
        made = session.arm.put(version, body, GALLERY_API, waiter)
    except WaitTimeout as error:
        error.message = f"{error.message} {progress_sentence(_seen(session, version))}".rstrip()
        raise
    except OperationFailed as error:
        raise _failure(error, _seen(session, version)) from error
    return read_version(session, version) or made


def _seen(session: AzureSession, version: str) -> dict[str, Any] | None:
    """The version, for what is said of it: that it cannot be read is no reason to stop, nor another error."""
    try:
        return read_version(session, version)
    except AzureError:
        return None


def _failure(error: OperationFailed, version: Mapping[str, Any] | None) -> OperationFailed:
    """The error in terms of regions, where Azure tells which have failed."""
    regions = version_facts(version)["replication"] if version is not None else []
    failed = [each for each in regions if str(each["state"]).casefold() == "failed"]
    if version is None or not any(each["details"] for each in failed):
        # Not the replication failed, but what comes before it; Azure's own words tell.
        return error
    whole = [each["region"] for each in regions if str(each["state"]).casefold() == "completed"]
    causes = "; ".join(f"{each['region']} ({each['details'] or 'no reason was given'})" for each in failed)
    return OperationFailed(
        f"Version {version['name']} of {version_facts(version)['definition']} did not get to {causes}."
        f" It is in {', '.join(whole) or 'no region'}.",
        code=error.code,
        status=error.status,
        target=error.target,
        request_id=error.request_id,
        remedy="Run the task again to have it tried again there, or take the region out.",
    )
