# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The logs that a script on the machine has read, and their diagnosis."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_diagnosis import diagnose
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import decode_log
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    UnknownFactError,
)


def collected_logs(facts: Facts) -> dict[str, str]:
    """The texts of the logs by their paths on the machine, of the collector `panther`; what is damaged is
    left out.
    """
    logs = {}
    try:
        for file in facts.of("panther").nodes("files"):
            logs[file.name("path")] = decode_log(base64.b64decode(file.text("content"), validate=True))
    except (UnknownFactError, binascii.Error):
        # What was read up to here is better than nothing, and a diagnosis is never a proof.
        return logs
    return logs


def relative_names(logs: Mapping[str, str]) -> dict[str, str]:
    """The logs by names that are safe to write below a folder, such as
    "System32/Sysprep/Panther/setupact.log".

    A machine says what its files are called; a name that leads elsewhere, or is none, becomes one that does
    not.
    """
    named: dict[str, str] = {}
    for path, text in logs.items():
        inside = re.sub(r"(?i)^.*?[\\/]windows[\\/]", "", path)
        parts = [re.sub(r"[^\w.-]", "_", part) for part in re.split(r"[\\/]", inside)]
        kept = [part for part in parts if part.strip(".")]
        named["/".join(kept) or "unnamed.log"] = text
    return named


def diagnose_collected(facts: Facts, image_state: str) -> dict[str, Any] | None:
    """The diagnosis of the logs; None where there are none."""
    logs = collected_logs(facts)
    return diagnose(logs, image_state) if logs else None
