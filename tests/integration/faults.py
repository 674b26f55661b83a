# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Puts faults into force at the local Azure of the test session, for as long as a test needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration.cloud import LocalAzure
from tests.integration.control import control

Rule = dict[str, Any]


def rule(name: str, match: dict[str, Any], kind: str, **options: Any) -> Rule:
    """Requests for Resource Manager unless `match` says another service."""
    return {"name": name, "match": {"service": "arm", **match}, "effect": {"kind": kind, **options}}


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
    control(azure, "faults", {"seed": seed, "rules": list(rules)})
    try:
        yield hits
    finally:
        report = control(azure, "faults", method="GET")
        hits.by_rule = {found["name"]: found["injected"] for found in report["rules"]}
        control(azure, "faults", method="DELETE")
