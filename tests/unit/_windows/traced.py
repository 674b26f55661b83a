# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the scripts that look for traces and remove them answer."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.cleanup import places

CLEANED = Path(__file__).parent / "cleaned"
Answers = dict[str, Any]


def cleaned(name: str) -> dict[str, Any]:
    """The fixture of a script: its digest, its origin, and its answers by collector."""
    found: dict[str, Any] = yaml.safe_load((CLEANED / f"{name}.yml").read_text(encoding="utf-8"))
    return found


def clean(
    files: Mapping[str, Sequence[str]] | None = None, values: Sequence[str] = (), **more: Any
) -> Answers:
    """A machine with no trace but files by the pattern that finds them, values of the registry, and what is
    given in place of a collector's answer."""
    found = files or {}
    value: Answers = {
        "files": {
            "matches": [
                {"pattern": pattern, "paths": list(found.get(pattern, ())), "errors": []}
                for pattern in places("files")
            ]
        },
        "user_keys": {"found": []},
        "values": {
            "readings": [
                {
                    "name": name,
                    "reading": {"present": True, "value": "(not told)"}
                    if name in values
                    else {"present": False},
                }
                for name in places("values")
            ],
            "unattend_file": {"present": False},
        },
        "event_logs": {"listed": 412, "with_records": []},
        "winrm": {"computer": "BUILD", "listeners": [], "certificates": []},
        "people": copy.deepcopy(cleaned("look_people")["answers"]["people"]),
    }
    return {name: {"ok": True, "value": more.get(name, answer)} for name, answer in value.items()}


def removed(tried: int, failed: Mapping[int, str] | None = None) -> Answers:
    """What the removing script answers."""
    errors = [{"number": number, "error": error} for number, error in (failed or {}).items()]
    return {"removed": {"ok": True, "value": {"tried": tried, "failed": errors}}}
