# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The rules in force, for Resource Manager, Entra and the blob service, and the log of what they did."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.local_azure.clock import now, wire_time
from tests.local_azure.faults.answers import blob_answer
from tests.local_azure.faults.rules import Profile, Rule, parse_profile
from tests.local_azure.faults.schedule import Scheduled


class BlobFaults(Protocol):
    """The blob service as far as faults are concerned; it counts and logs for itself."""

    def set_faults(self, rules: list[dict[str, Any]], log: Path) -> None: ...

    def fault_counts(self) -> dict[str, dict[str, int]]: ...


class FaultBoard:
    """Used from the server's event loop, but for the calls that talk to the blob service."""

    def __init__(self, log: Path, blobs: BlobFaults, seed: int | None = None) -> None:
        self._log = log
        self._blobs = blobs
        self._default_seed = secrets.randbelow(2**31) if seed is None else seed
        self._scheduled: list[Scheduled] = []

    def parse(self, content: object) -> Profile:
        """A profile whose rules may be added to these. ProfileError says what is wrong with it."""
        return parse_profile(content, [scheduled.rule.name for scheduled in self._scheduled])

    def add(self, profile: Profile) -> int:
        """Puts the rules into force, behind those that are; the seed that was used for them."""
        seed = self._default_seed if profile.seed is None else profile.seed
        self._scheduled += [Scheduled(rule, seed) for rule in profile.rules]
        self._note({"event": "rules", "seed": seed, "rules": [rule.given for rule in profile.rules]})
        return seed

    def clear(self) -> None:
        """No request goes wrong from now on."""
        self._scheduled.clear()
        self._note({"event": "cleared"})

    def publish(self) -> None:
        """Tells the blob service its rules."""
        mine = [scheduled for scheduled in self._scheduled if scheduled.rule.match.service == "blob"]
        self._blobs.set_faults([_for_blobs(scheduled) for scheduled in mine], self._log)

    def next_fault(self, service: str, method: str, path: str, query: Mapping[str, str]) -> Rule | None:
        """The fault of this request: the first rule's that fires. Every rule counts it."""
        firing = [s for s in self._scheduled if s.fires(service, method, path, query)]
        if not firing:
            return None
        chosen = firing[0]
        chosen.injected += 1
        self._note(
            {
                "event": "fault",
                "rule": chosen.rule.name,
                "number": chosen.matched,
                "service": service,
                "method": method,
                "path": path,
                "kind": chosen.rule.kind,
                "seed": chosen.seed,
            }
        )
        return chosen.rule

    def report(self) -> dict[str, Any]:
        """Every rule with how many requests it has counted, and how many of them went wrong."""
        blobs = self._blobs.fault_counts() if self._scheduled else {}
        rules = []
        for scheduled in self._scheduled:
            counts = {"matched": scheduled.matched, "injected": scheduled.injected}
            counts = blobs.get(scheduled.rule.name, counts)
            rules.append(
                {**scheduled.rule.given, "name": scheduled.rule.name, "seed": scheduled.seed, **counts}
            )
        return {"rules": rules}

    def _note(self, event: dict[str, Any]) -> None:
        line = json.dumps({"time": wire_time(now()), **event}) + "\n"
        # One write for a line: the blob service appends to the same file.
        descriptor = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


def _for_blobs(scheduled: Scheduled) -> dict[str, Any]:
    rule, match = scheduled.rule, scheduled.rule.match
    return {
        "name": rule.name,
        "seed": scheduled.seed,
        "methods": list(match.methods),
        "path": match.path,
        "query": dict(match.query),
        "nth": list(match.nth),
        "every": match.every,
        "probability": match.probability,
        "times": match.times,
        "after": match.after,
        "before": match.before,
        "kind": rule.kind,
        "options": dict(rule.options),
        "answer": blob_answer(rule),
    }
