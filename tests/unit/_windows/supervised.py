# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the supervising scripts answer, for machines in every state."""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any

import yaml

from tests.windows.sysprep_logs import Message, render

REPORTED = Path(__file__).parent / "reported"
Answers = dict[str, Any]


def reported(name: str) -> dict[str, Any]:
    """The fixture of a script: its digest, its origin, and its answers by collector."""
    found: dict[str, Any] = yaml.safe_load((REPORTED / f"{name}.yml").read_text(encoding="utf-8"))
    return found


def present(value: object) -> dict[str, object]:
    """A reading of the registry."""
    return {"present": True, "value": value}


def generalized() -> Answers:
    """A machine on which all went well; every call gives another copy."""
    setup = {
        "image_state": present("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"),
        "setup_type": present(2),
        "setup_command_line": present("oobe\\windeploy.exe"),
        "succeeded_tag": True,
    }
    told = {**reported("run")["answers"], **reported("power_off")["answers"]}
    answers = {"setup": setup, **copy.deepcopy(told)}
    return {name: {"ok": True, "value": value} for name, value in answers.items()}


def untouched() -> Answers:
    """A machine on which Sysprep was started, and ended without having begun."""
    answers = generalized()
    answers["setup"]["value"].update(
        image_state=present("IMAGE_STATE_COMPLETE"),
        setup_type=present(0),
        setup_command_line=present(""),
        succeeded_tag=False,
    )
    answers["sysprep"]["value"].update(tag_is_new=False)
    return answers


def with_state(state: str) -> Answers:
    """Like untouched(), with another ImageState."""
    answers = untouched()
    answers["setup"]["value"]["image_state"] = present(state)
    return answers


def with_log(answers: Answers, messages: tuple[Message, ...]) -> Answers:
    """The answers with Sysprep's log."""
    path = "C:\\Windows\\System32\\Sysprep\\Panther\\setupact.log"
    content = render(messages).encode()
    file = {"path": path, "bytes": len(content), "content": base64.b64encode(content).decode()}
    return {**answers, "panther": {"ok": True, "value": {"files": [file]}}}
