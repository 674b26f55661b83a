# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What goes wrong in one run of the drill: the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.integration.faults import Rule, rule

_WRITES = ("PUT", "POST", "PATCH", "DELETE")
# Requests whose operations may be accepted and end Failed; those of a twin come first.
_FAILING = (
    ("PUT", "**/disks/*"),
    ("PUT", "**/virtualMachines/*"),
    ("PUT", "**/images/*"),
    ("PUT", "**/versions/*"),
    ("PUT", "**/restorePoints/*"),
    ("POST", "**/virtualMachines/*/deallocate"),
)
_OF_TWIN = 2


class Trouble(NamedTuple):
    """`name` of what goes wrong, the rules of it, and after how many seconds the run is killed, if it is."""

    name: str
    rules: tuple[Rule, ...]
    kill_after: float | None


def _throttled(rng: random.Random, _twin: bool) -> Rule:
    match = {"path": "**", "every": rng.randint(2, 6), "times": rng.randint(1, 5)}
    return rule("throttled", match, "throttle", retry_after=1)


def _unavailable(rng: random.Random, _twin: bool) -> Rule:
    match = {"path": "**", "probability": rng.choice([0.1, 0.2, 0.3]), "times": 8}
    return rule("unavailable", match, "error", status=503)


def _dropped(rng: random.Random, _twin: bool) -> Rule:
    match: dict[str, Any] = {"path": "**", "nth": sorted(rng.sample(range(1, 40), 3))}
    if rng.random() < 0.5:
        match = {"method": list(_WRITES), "path": "**", "nth": rng.randint(1, 6)}
    return rule("dropped", match, "drop", when=rng.choice(["before", "during", "after"]))


def _failed(rng: random.Random, twin: bool) -> Rule:
    method, path = rng.choice(_FAILING if twin else _FAILING[_OF_TWIN:])
    match = {"method": method, "path": path, "nth": 1}
    return rule("failed", match, "fail_operation", code="InternalExecutionError", message="Drill.")


def _slow(rng: random.Random) -> Rule:
    match = {"method": list(_WRITES), "path": "**", "nth": rng.randint(1, 5)}
    return rule("slow", match, "slow_operation", seconds=rng.choice([1, 2]))


_KINDS: dict[str, Callable[[random.Random, bool], Rule]] = {
    "429": _throttled,
    "503": _unavailable,
    "dropped": _dropped,
    "failed": _failed,
}


def draw_trouble(rng: random.Random, *, twin: bool) -> Trouble:
    """One to three kinds of trouble together. The capture of a `twin` takes more requests and more time."""
    kinds = rng.sample([*_KINDS, "killed"], rng.choice([1, 1, 2, 3]))
    rules = [_KINDS[kind](rng, twin) for kind in kinds if kind != "killed"]
    kill_after = None
    if "killed" in kinds:
        rules.append(_slow(rng))
        kill_after = rng.uniform(0.3, 10.0 if twin else 5.0)
    return Trouble("+".join(sorted(kinds)), tuple(rules), kill_after)
