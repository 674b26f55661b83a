# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Puts faults into force at the local Azure of the test session, for as long as a test needs them."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration.cloud import LocalAzure

Rule = dict[str, Any]


def rule(name: str, match: dict[str, Any], kind: str, **options: Any) -> Rule:
    """Requests for Resource Manager unless `match` says another service."""
    return {"name": name, "match": {"service": "arm", **match}, "effect": {"kind": kind, **options}}


def _call(azure: LocalAzure, method: str, body: Any = None) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - https, loopback
        f"{azure.url}/local-azure/faults",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"x-local-azure-control-key": azure.env["LOCAL_AZURE_CONTROL_KEY"]},
    )
    context = ssl.create_default_context(cafile=azure.env["SSL_CERT_FILE"])
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:  # noqa: S310
        report: dict[str, Any] = json.load(answer)
    return report


class Hits:
    """How often each rule has fired; known once the faults have ended."""

    def __init__(self) -> None:
        self.by_rule: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        return self.by_rule[name]


@contextmanager
def faults(azure: LocalAzure, *rules: Rule, seed: int = 1) -> Iterator[Hits]:
    """Inside, requests go wrong by these rules."""
    hits = Hits()
    _call(azure, "POST", {"seed": seed, "rules": list(rules)})
    try:
        yield hits
    finally:
        hits.by_rule = {found["name"]: found["injected"] for found in _call(azure, "GET")["rules"]}
        _call(azure, "DELETE")
