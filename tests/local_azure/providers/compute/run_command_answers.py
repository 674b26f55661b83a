# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What scripts answer that are run in machines without guests: nothing, unless somebody has said what."""

from __future__ import annotations

from typing import NamedTuple

from tests.local_azure.azure import LocalAzure
from tests.local_azure.store import Json, Resource

_STORED = "/hidden/run-command-answers"


class ScriptAnswer(NamedTuple):
    """What a script would have written, and its exit code."""

    output: str = ""
    error: str = ""
    exit_code: int = 0


def say(azure: LocalAzure, machine: str, contains: str, answer: ScriptAnswer) -> None:
    """From now on scripts that contain `contains` answer so in the machine of that name, "*" being every one.

    The answer said last is looked at first. It survives a restart of the server.
    """
    stored = azure.store.get(_STORED) or Resource(_STORED, "hidden", "", "answers", {}, {"said": []})
    entry = {"machine": machine.lower(), "contains": contains, "answer": list(answer)}
    stored.hidden["said"] = [entry, *stored.hidden["said"]]
    azure.store.put(stored)


def answer_of(azure: LocalAzure, machine: Resource, script: str) -> ScriptAnswer:
    """What the script answers in that machine."""
    stored = azure.store.get(_STORED)
    said: list[Json] = stored.hidden["said"] if stored else []
    for entry in said:
        if entry["machine"] in ("*", machine.name.lower()) and entry["contains"] in script:
            return ScriptAnswer(*entry["answer"])
    return ScriptAnswer()
