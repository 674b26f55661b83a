# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""Azure's camelCase members as the snake_case keys that Ansible users expect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Units and plurals that the general rule would tear apart.
_WORDS = re.compile(r"MBps|GBps|IOps|CPUs|GPUs|VMs|IPs|IDs|URIs|SKUs")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_ACRONYM = re.compile(r"([A-Z]+)([A-Z][a-z])")
_BOUNDARY = re.compile(r"([a-z0-9])([A-Z])")
# The keys below these members are the user's own, not Azure's.
_USER_KEYED = frozenset({"tags"})


def snake_name(name: str) -> str:
    """``diskSizeGB`` becomes ``disk_size_gb``; what is no plain member name (an id, ``$schema``) stays."""
    if not _NAME.fullmatch(name):
        return name
    text = _WORDS.sub(lambda found: found.group(0).capitalize(), name)
    return _BOUNDARY.sub(r"\1_\2", _ACRONYM.sub(r"\1_\2", text)).lower()


def _converted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return to_snake(value)
    if isinstance(value, (list, tuple)):
        return [_converted(item) for item in value]
    return value


def to_snake(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The resource with snake_case keys at every depth; the keys of ``tags`` and all values are untouched."""
    return {
        snake_name(key): (
            dict(value) if key in _USER_KEYED and isinstance(value, Mapping) else _converted(value)
        )
        for key, value in resource.items()
    }
