# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Takes out of recordings what policies of their subscription have put on the recorded machines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.fidelity.recording import Recorded

_EXTENSION_ID = re.compile(
    r'"(/[^"]*/providers/Microsoft\.Compute/virtualMachines/[^/"]+/extensions/([^/"]+))"', re.IGNORECASE
)


def with_own_extensions(exchanges: Sequence[Recorded]) -> Iterator[Recorded]:
    """Leaves out the extensions of machines which no request of the recording speaks of."""
    asked = " ".join(f"{e.path} {json.dumps(e.request)}" for e in exchanges if e.method != "GET").lower()
    shown = _EXTENSION_ID.findall(" ".join(json.dumps(e.body) for e in exchanges))
    foreign = {name.lower() for _unused, name in shown if name.lower() not in asked}
    for exchange in exchanges:
        yield replace(exchange, body=_without(exchange.body, foreign)) if foreign else exchange


def _without(value: Any, names: set[str]) -> Any:
    """The value without the extensions of these names, and without the agent's word on them."""
    if isinstance(value, list):
        return [_without(item, names) for item in value]
    if not isinstance(value, Mapping):
        return value
    kept = {key: _without(item, names) for key, item in value.items()}
    types = {entry.get("type") for entry in _entries(value, "extensions") if _is_one_of(entry, names)}
    for key in ("resources", "extensions", "value"):
        entries = _entries(value, key)
        left = [entry for entry in entries if not _is_one_of(entry, names)]
        if len(left) == len(entries):
            continue
        kept[key] = _without(left, names)
        if not left and key != "value":
            del kept[key]
    if types and isinstance(kept.get("vmAgent"), Mapping):
        handlers = _entries(kept["vmAgent"], "extensionHandlers")
        own = [handler for handler in handlers if handler.get("type") not in types]
        kept["vmAgent"] = {**kept["vmAgent"], "extensionHandlers": own}
    return kept


def _entries(value: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    items = value.get(key)
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _is_one_of(entry: Mapping[str, Any], names: set[str]) -> bool:
    """Whether it is such an extension, or its instance view, which has no id."""
    return str(entry.get("name")).lower() in names and (
        "id" not in entry or "/virtualmachines/" in str(entry["id"]).lower()
    )
