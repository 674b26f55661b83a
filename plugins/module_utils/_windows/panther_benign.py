# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Messages that stand in the logs of good images as well, and so are never what made a run fail.

That a log has lines of level Error proves nothing: all of these were found in images whose four marks of
success were there. They are known by the function that wrote them and its code, not by the word "error".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import Line


class Benign(NamedTuple):
    """A message that does no harm: what is known of it by."""

    id: str
    pattern: re.Pattern[str]
    reason: str


def _benign(name: str, pattern: str, reason: str) -> Benign:
    return Benign(name, re.compile(pattern, re.IGNORECASE), reason)


BENIGN = (
    _benign(
        "defender-wmi",
        r"\bMRTGeneralize\b:?\d* ?-?:? ?((ERROR|WARNING): )?Failed (ConnectServer|DeleteInstance)\b",
        "The step of the malicious software removal tool cannot reach Defender's WMI classes, and goes on.",
    ),
    _benign(
        "telemetry-trigger",
        r"\bFailed to re-enable Compat-Gentel custom trigger\b",
        "A telemetry task could not be switched on again, and is not needed in an image.",
    ),
    _benign(
        "device-classes",
        r"\bsetupdigetclassdevs failed with error 0\b",
        "The list of devices was empty: error 0 is none.",
    ),
    _benign(
        "firmware-entries",
        r"\bBCD\b.*\b(0x)?c000000d\b",
        "The firmware of a virtual machine does not take boot entries; Windows boots without them.",
    ),
    _benign(
        "driver-queue",
        r"\bSPPNP: Failed to queue enumerated driver packages\. Err = 0x57\b",
        "No driver package was waiting to be installed.",
    ),
    _benign(
        "root-device",
        r"\bUnable to uninstall device ROOT\\.*\b0xE0000231\b",
        "A device that Windows itself made stays.",
    ),
    _benign(
        "pending-renames",
        r"\bWinMain:\s?File operations pending\b",
        "Files will be renamed at the next start; Sysprep says so, and goes on.",
    ),
)


def benign_reason(line: Line) -> Benign | None:
    """Why the line does no harm, or None when it may."""
    return next((known for known in BENIGN if known.pattern.search(line.text)), None)
