# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A machine that answers the scripts with which role windows_generalize supervises Sysprep."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tests.integration.plays import CHECKOUT
from tests.integration.windows import script_of
from tests.unit._windows.healthy import COLLECTED, server
from tests.unit._windows.supervised import Answers, generalized, with_log
from tests.unit._windows.traced import clean, removed
from tests.windows.double.scripted_windows import Script
from tests.windows.double.server import ConnectionLostError, Ending
from tests.windows.sysprep_logs import success

ROLE = "windows_generalize"
_VARS = yaml.safe_load((CHECKOUT / "roles" / ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))
_BEGIN, _END = ("sysprep/parameters", "preflight/begin"), ("preflight/end",)
_COLLECT = ("preflight/setup", "sysprep/panther", "sysprep/power_off")
_CLEAN = ("cleanup/parameters", "preflight/begin")
_STEPS = {
    "look": (
        *_CLEAN,
        "cleanup/look_files",
        "cleanup/look_registry",
        "cleanup/look_machine",
        "cleanup/look_people",
        *_END,
    ),
    "remove": (*_CLEAN, "cleanup/remove_places", "cleanup/remove_machine", "cleanup/remove", *_END),
    "agent": (*_BEGIN, "sysprep/agent", *_END),
    "logs": (*_BEGIN, "sysprep/panther", *_END),
    "clear": ("sysprep/clear",),
    "run": (*_BEGIN, "sysprep/wait", "sysprep/run", *_COLLECT, *_END),
    "watch": (*_BEGIN, "sysprep/wait", "sysprep/watch", *_COLLECT, *_END),
}


class SupervisedMachine:
    """What the supervising scripts answer, for a test to change. `steps` notes which of them came, but for
    the two that collect facts, `facts-1` and `facts-2`; both tell of `facts`. The connection ends in the
    middle of the step `ends_at`."""

    def __init__(self) -> None:
        self.facts: Answers = server()
        self.agent: dict[str, Any] = {"found": ["RdAgent"], "waiting": []}
        self.traces: Answers = clean()
        self.removed: Answers | None = None
        self.before = with_log({}, tuple(success()))
        self.after: Answers = with_log(generalized(), tuple(success()))
        self.watched: Answers = self.after
        self.ends_at = ""
        self.ending = Ending.CLOSED
        self.comes_back = False
        self.steps: list[str] = []
        self.given: dict[str, Mapping[str, Any]] = {}
        #: What else happens when Sysprep is run.
        self.when_run: Callable[[], object] = lambda: None

    def scripts(self) -> dict[str, Script]:
        known = {
            script_of(ROLE, *(f"{part}.ps1" for part in parts)): self._of(step)
            for step, parts in _STEPS.items()
        }
        for number, names in enumerate(_VARS["_windows_generalize_collectors"], 1):
            files = [f"preflight/{name}.ps1" for name in ("begin", *names, "end")]
            known[script_of(ROLE, *files)] = self._facts(f"facts-{number}", names)
        return known

    def _end(self, step: str) -> None:
        if step == self.ends_at:
            raise ConnectionLostError(self.ending, self.comes_back)

    def _facts(self, step: str, names: list[str]) -> Script:
        wanted: list[str] = []
        for name in names:
            fixture = yaml.safe_load((COLLECTED / f"{name}.yml").read_text(encoding="utf-8"))
            wanted += fixture["answers"]

        def run(_parameters: Mapping[str, Any], _check_mode: bool) -> tuple[bool, list[str]]:
            self._end(step)
            return False, [json.dumps({collector: self.facts[collector] for collector in wanted})]

        return run

    def _of(self, step: str) -> Script:
        def run(parameters: Mapping[str, Any], check_mode: bool) -> tuple[bool, list[str]]:
            assert not check_mode
            self.steps.append(step)
            self.given[step] = parameters
            if step == "run":
                self.when_run()
            self._end(step)
            answers = {
                "look": self.traces,
                "remove": self.removed or removed(len(parameters.get("Targets", ()))),
                "agent": {"agent": {"ok": True, "value": self.agent}},
                "logs": self.before,
                "clear": {},
                "run": self.after,
                "watch": self.watched,
            }
            return step in ("clear", "remove"), [json.dumps(answers[step])]

        return run
