# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Windows records about itself while Sysprep works.

ImageState is in the registry below HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Setup\\State and in
%WINDIR%\\Setup\\State\\State.ini. Source: Microsoft, "Windows Setup States"; where a failed run leaves it is
from logs.
"""

from __future__ import annotations

import re

COMPLETE = "IMAGE_STATE_COMPLETE"
UNDEPLOYABLE = "IMAGE_STATE_UNDEPLOYABLE"
GENERALIZED = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"
GENERALIZED_FOR_AUDIT = "IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT"
SPECIALIZED = "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE"
SPECIALIZED_FOR_AUDIT = "IMAGE_STATE_SPECIALIZE_RESEAL_TO_AUDIT"

#: What each state means on a machine that Sysprep was run on.
MEANINGS = {
    COMPLETE: "Windows is installed whole; Sysprep has not begun to change it.",
    UNDEPLOYABLE: "A phase is running, or it broke off: then the machine is damaged.",
    GENERALIZED: "Sysprep says that it is done; the next start goes to OOBE.",
    GENERALIZED_FOR_AUDIT: "Sysprep says that it is done; the next start goes to audit mode, not to OOBE.",
    SPECIALIZED: "Clean-up has begun and generalizing has not ended: the machine is changed in part.",
    SPECIALIZED_FOR_AUDIT: (
        "The machine is in audit mode, or clean-up has begun and generalizing has not ended."
    ),
}
_STATE = re.compile(r"IMAGE_STATE_[A-Z_]+[A-Z]")


def known_state(value: object) -> str:
    """The state that was read, or "" when it is none of Windows' states (or was not read at all)."""
    text = value.strip().upper() if isinstance(value, str) else ""
    return text if text in MEANINGS else ""


def last_state_in(text: str) -> str:
    """The last of the known states that a line names, or ""."""
    named = [name for name in _STATE.findall(text) if name in MEANINGS]
    return named[-1] if named else ""
