# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The four marks that Sysprep leaves on a machine when it has succeeded.

Each alone is found on machines that were not generalized: the tag file may be an earlier run's, the state
may be read before the end, and only SetupType and CmdLine have the next start go to OOBE. What is not there
and what could not be read are two things.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows import image_state as states
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    Node,
    UnknownFactError,
)

TAG, STATE, TYPE, COMMAND = "tag-file", "image-state", "setup-type", "command-line"
# Windows' first-start program; some versions name its folder.
_OOBE_PROGRAM = "oobe\\windeploy.exe"
_OOBE_TYPE = 2


class Marker(NamedTuple):
    """`held`: whether it is as success leaves it, None where that is not known; `seen`: what was read."""

    name: str
    held: bool | None
    seen: str


class Markers(NamedTuple):
    """The four marks, and the state that was read, "" where none was."""

    each: tuple[Marker, ...]
    image_state: str

    @property
    def complete(self) -> bool:
        return all(marker.held is True for marker in self.each)

    @property
    def unknown(self) -> list[str]:
        return [marker.name for marker in self.each if marker.held is None]

    @property
    def missing(self) -> list[str]:
        return [marker.name for marker in self.each if marker.held is False]


def read_markers(facts: Facts) -> Markers:
    """The marks, by what the collectors `setup` and `sysprep` have answered. Never raises."""
    each = tuple(_marker(name, look, facts) for name, look in _LOOKS.items())
    state = next(marker.seen for marker in each if marker.name == STATE)
    return Markers(each, states.known_state(state))


def _marker(name: str, look: Callable[[Node, Facts], tuple[bool, str]], facts: Facts) -> Marker:
    try:
        held, seen = look(facts.of("setup"), facts)
    except UnknownFactError as error:
        return Marker(name, None, str(error))
    return Marker(name, held, seen)


def _tag(setup: Node, facts: Facts) -> tuple[bool, str]:
    if not setup.flag("succeeded_tag"):
        return False, "absent"
    try:
        run = facts.of("sysprep")
    except UnknownFactError:
        # Read without a run before it, on a machine that is looked at later: then there is no older one to
        # mistake.
        return True, "present"
    if run.flag("started") and not run.flag("tag_is_new"):
        return False, "of an earlier run"
    return True, "present"


def _state(setup: Node, _facts: Facts) -> tuple[bool, str]:
    state = setup.text_reading("image_state")
    return state == states.GENERALIZED, state or "absent"


def _type(setup: Node, _facts: Facts) -> tuple[bool, str]:
    number = setup.integer_reading("setup_type")
    return number == _OOBE_TYPE, "absent" if number is None else str(number)


def _command(setup: Node, _facts: Facts) -> tuple[bool, str]:
    command = setup.text_reading("setup_command_line") or ""
    return command.strip().lower().endswith(_OOBE_PROGRAM), command or "empty"


_LOOKS = {TAG: _tag, STATE: _state, TYPE: _type, COMMAND: _command}
