# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Makes the resource groups which a recording takes for granted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.fidelity.recording import Recorded
from tests.unit.local_azure.arm_server import Arm, Json

_GROUP = re.compile(r"\{rg\d*\}")
_GROUP_PATH = re.compile(r"/resourcegroups/([^/?]+)", re.IGNORECASE)
_DEFAULT_LOCATION = "westus"


def group_names(exchanges: Sequence[Recorded]) -> dict[str, str]:
    """What the groups of the recording are called here, by their placeholder."""
    found = sorted({name for e in exchanges for name in _GROUP.findall(_everything(e))})
    return {placeholder: f"fidelity-{placeholder.strip('{}')}" for placeholder in found}


def _everything(exchange: Recorded) -> str:
    return exchange.path + json.dumps(exchange.request)


def seed(exchanges: Sequence[Recorded], groups: Mapping[str, str], arm: Arm) -> None:
    """Makes the groups which the recording does not make itself."""
    for placeholder, body in presupposed_groups(exchanges).items():
        answer = arm.send("PUT", f"resourceGroups/{groups.get(placeholder, placeholder)}", body)
        assert answer.status_code == 201, answer.text


def presupposed_groups(exchanges: Sequence[Recorded]) -> dict[str, Json]:
    """The groups that are used before they are made or without being made, and what they are made of."""
    made: set[str] = set()
    found: dict[str, Json] = {}
    for exchange in exchanges:
        used = {*_GROUP_PATH.findall(exchange.path), *_GROUP.findall(_everything(exchange))}
        if _is_group(exchange) and (exchange.method == "PUT" or exchange.status == 404):
            made |= used
        if exchange.status == 404 and _code(exchange.body) == "ResourceGroupNotFound":
            continue
        for name in used - made - set(found):
            found[name] = _group_body(exchanges, name)
    return found


def _is_group(exchange: Recorded) -> bool:
    return bool(re.search(r"/resourcegroups/[^/]+/?$", exchange.path, re.IGNORECASE))


def _code(body: Any) -> str:
    return str(body["error"].get("code")) if isinstance(body, Mapping) and body.get("error") else ""


def _group_body(exchanges: Sequence[Recorded], group: str) -> Json:
    """As the recording shows the group; if it never does, where its first resource is."""
    elsewhere = ""
    for exchange in exchanges:
        if group not in _GROUP_PATH.findall(exchange.path):
            continue
        if _is_group(exchange) and exchange.succeeded and isinstance(exchange.body, Mapping):
            return {key: exchange.body[key] for key in ("location", "tags") if key in exchange.body}
        for body in (exchange.body, exchange.request):
            if isinstance(body, Mapping) and isinstance(body.get("location"), str):
                elsewhere = elsewhere or str(body["location"])
    return {"location": elsewhere or _DEFAULT_LOCATION}
