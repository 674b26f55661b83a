# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Ansible sends to have a module run on Windows: its name, its arguments, and the wrappers around it.

The form is ansible-core's own business and may change with any release: a test pins it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_WRAPPER = "module_wrapper.ps1"
_ZEROS = "\0" * 4


@dataclass(frozen=True)
class ModuleCall:
    """`arguments` are the module's own. `wrappers` are the scripts around it, such as become_wrapper.ps1."""

    module: str
    arguments: dict[str, Any]
    check_mode: bool = False
    wrappers: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """The module's name without its collection."""
        return self.module.rsplit(".", 1)[-1]


def find_call(script: str, given: Sequence[str]) -> ModuleCall | None:
    """The call of a module; None for a plain command. Raises ValueError for a manifest of another form."""
    # Up to ansible-core 2.18 the manifest comes after a script and four zeros, in lines.
    for text in (*given, "\n".join(given).rsplit(_ZEROS, maxsplit=1)[-1], script):
        try:
            manifest = json.loads(text)
        except ValueError:
            continue
        if isinstance(manifest, dict) and "actions" in manifest:
            return _call(manifest) if "scripts" in manifest else _older_call(manifest)
    return None


def _older_call(manifest: dict[str, Any]) -> ModuleCall:
    return _from_arguments(manifest["module_args"], manifest["actions"])


def _call(manifest: dict[str, Any]) -> ModuleCall:
    actions = {action["name"]: action.get("params", {}) for action in manifest["actions"]}
    if _WRAPPER not in actions:
        raise ValueError(f"No {_WRAPPER} among {sorted(actions)}.")
    variables = {each["Name"]: each["Value"] for each in actions[_WRAPPER].get("Variables", [])}
    arguments = variables.get("complex_args")
    if not isinstance(arguments, dict):
        raise ValueError(f"No complex_args among {sorted(variables)}.")
    return _from_arguments(arguments, [name for name in actions if name != _WRAPPER])


def _from_arguments(arguments: dict[str, Any], wrappers: Sequence[str]) -> ModuleCall:
    return ModuleCall(
        module=str(arguments.get("_ansible_module_name", "")),
        arguments={name: value for name, value in arguments.items() if not name.startswith("_ansible_")},
        check_mode=bool(arguments.get("_ansible_check_mode", False)),
        wrappers=tuple(wrappers),
    )
