# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""When a rule fires: a function of the seed, the rule's name and how many requests it has counted.

The blob service decides for itself in the same way, in azurite/schedule.js.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping

from tests.local_azure.faults.rules import Rule


def chance(seed: int, name: str, number: int) -> float:
    """A number from 0 to 1, the same for the same seed, rule and request whatever else goes on."""
    digest = hashlib.sha256(f"{seed}/{name}/{number}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


class Scheduled:
    """One rule in force. `matched` counts the requests it is about, `injected` those that went wrong."""

    def __init__(self, rule: Rule, seed: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rule = rule
        self.seed = seed
        self.matched = 0
        self.injected = 0
        self._clock = clock
        self._since = clock()

    def fires(self, service: str, method: str, path: str, query: Mapping[str, str]) -> bool:
        """Counts the request if it is one of the rule's, and says whether it is to go wrong."""
        match = self.rule.match
        age = self._clock() - self._since
        if age < match.after or (match.before is not None and age >= match.before):
            return False
        if not match.concerns(service, method, path, query):
            return False
        self.matched += 1
        return (match.times is None or self.injected < match.times) and self._is_due(self.matched)

    def _is_due(self, number: int) -> bool:
        match = self.rule.match
        if match.nth:
            return number in match.nth
        if match.every is not None:
            return number % match.every == 0
        return match.probability is None or chance(self.seed, self.rule.name, number) < match.probability
