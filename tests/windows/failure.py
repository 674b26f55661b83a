# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a failed run is described by."""

from __future__ import annotations

from typing import NamedTuple

from tests.windows.sysprep_logs import Message

COMPLETE, UNDEPLOYABLE = "IMAGE_STATE_COMPLETE", "IMAGE_STATE_UNDEPLOYABLE"
SPECIALIZED = "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE"


class Failure(NamedTuple):
    """`cause`, `phase` and `changed` are what the diagnosis must say; `state` is ImageState afterwards."""

    name: str
    cause: str
    phase: str
    changed: str
    state: str
    messages: tuple[Message, ...]
