# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Calls that block (blobs, guests) from the server's event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tests.guests.lab.machine import MachineError
from tests.guests.lab.programs import ProgramError
from tests.guests.lab.qmp import QmpError
from tests.local_azure.blob_storage.blobs import BlobError
from tests.local_azure.errors import ArmError
from tests.local_azure.guest_environment.launch import LaunchError
from tests.local_azure.guests_host import GuestError

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger("local_azure")


async def in_thread(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Runs `function` in a thread. What breaks below Azure's surface is an internal error to its clients."""
    try:
        return await asyncio.to_thread(function, *arguments, **options)
    except (BlobError, GuestError, LaunchError, MachineError, ProgramError, QmpError, OSError) as error:
        _log.exception("%s failed", getattr(function, "__qualname__", function))
        raise ArmError(500, "InternalExecutionError", "An internal execution error occurred.") from error
