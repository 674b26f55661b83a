# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Deletes galleries, definitions and versions; what has just been emptied is full to Azure for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    WaitTimeout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import GALLERY_API

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

_CONFLICT = 409
_NESTED = "CannotDeleteResource"
# Seconds. Azure takes some 20 to notice that the last version of a definition has gone.
_PATIENCE = 300.0
_LONGEST_PAUSE = 10.0


def to_its_end(waiter: Waiter) -> Waiter:
    """One that waits, for what has to have ended before the next request."""
    return Waiter(True, waiter.timeout, waiter.progress, clock=waiter.clock, sleep=waiter.sleep)


def delete_emptied(session: AzureSession, resource: str, waiter: Waiter) -> bool:
    """Delete what the caller has seen to be empty; False when it was not there.

    Azure goes on to refuse that for a while after the last thing in it has gone: it is asked again, and
    believed in the end.
    """
    patient = to_its_end(waiter)
    patient.timeout = min(waiter.timeout, _PATIENCE)
    refusal: AzureError | None = None

    def late() -> WaitTimeout:
        return WaitTimeout(
            f"{refusal} Nothing is in it any more, which Azure has not noticed for {patient.timeout:g} s.",
            code=_NESTED,
            remedy="Run the task again later.",
        )

    pauses = patient.pauses(_LONGEST_PAUSE, late)
    while True:
        try:
            return session.arm.delete(resource, GALLERY_API, waiter)
        except AzureError as error:
            if error.status != _CONFLICT or error.code != _NESTED:
                raise
            refusal = error
        next(pauses)
