# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Puts faults into force at a local Azure that runs in the test process."""

from __future__ import annotations

import json
from typing import Any

from tests.local_azure.faults.control import KEY_HEADER, PATH, control_key
from tests.unit.local_azure.arm_server import Arm, Json


class Faults:
    """The control endpoint, as its users see it."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._url = arm.settings.url + PATH
        self._headers = {KEY_HEADER: control_key(arm.settings.state_dir)}

    def add(self, match: Json, seed: int | None = None, **effect: Any) -> None:
        rule = {"match": match, "effect": effect}
        profile = {"rules": [rule], **({"seed": seed} if seed is not None else {})}
        answer = self._arm.http.post(self._url, json=profile, headers=self._headers, timeout=30)
        assert answer.status_code == 200, answer.text

    def clear(self) -> None:
        answer = self._arm.http.delete(self._url, headers=self._headers, timeout=30)
        assert answer.json() == {"rules": []}

    def injected(self) -> int:
        """How many requests went wrong by the first rule."""
        answer = self._arm.http.get(self._url, headers=self._headers, timeout=30)
        return int(answer.json()["rules"][0]["injected"])

    def logged(self) -> list[Json]:
        """What was done to requests, in order."""
        text = (self._arm.settings.state_dir / "faults.jsonl").read_text(encoding="utf-8")
        return [e for e in map(json.loads, text.splitlines()) if e["event"] == "fault"]

    def exchanges(self) -> list[Json]:
        text = (self._arm.settings.state_dir / "exchanges.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]
