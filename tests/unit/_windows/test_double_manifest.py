# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The double reads what each ansible-core sends, and takes nothing else for the call of a module."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.windows.double.manifest import ModuleCall, find_call

_ARGUMENTS = {
    "_ansible_check_mode": True,
    "_ansible_module_name": "ansible.windows.win_regedit",
    "_ansible_verbosity": 0,
    "path": "HKLM:\\SOFTWARE\\Example",
}
_CALL = ModuleCall("ansible.windows.win_regedit", {"path": "HKLM:\\SOFTWARE\\Example"}, check_mode=True)


def _manifest(*wrappers: str, variables: str = "complex_args") -> dict[str, Any]:
    actions = [{"name": name, "params": {}} for name in wrappers]
    arguments = {"Variables": [{"Name": variables, "Value": _ARGUMENTS}]}
    return {"scripts": {}, "actions": [*actions, {"name": "module_wrapper.ps1", "params": arguments}]}


def test_a_call_of_ansible_core_since_2_19() -> None:
    call = find_call("wrapper", [json.dumps(_manifest())])
    assert call == _CALL
    assert call.name == "win_regedit"


def test_a_call_tells_of_the_wrappers_around_it() -> None:
    call = find_call("wrapper", [json.dumps(_manifest("become_wrapper.ps1"))])
    assert call is not None
    assert call.wrappers == ("become_wrapper.ps1",)


def test_a_call_of_ansible_core_up_to_2_18() -> None:
    older = json.dumps({"module_args": _ARGUMENTS, "actions": []})
    assert find_call("bootstrap", [f"wrapper\nof two lines\0\0\0\0{older}"]) == _CALL


@pytest.mark.parametrize("script", ["", "shutdown /r", "[1]", '"actions"', '{"actions": "none"', "null"])
def test_what_is_no_call_is_a_command(script: str) -> None:
    assert find_call(script, []) is None
    assert find_call("", [script]) is None


def test_a_manifest_of_another_form_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"complex_args"):
        find_call("", [json.dumps(_manifest(variables="other"))])
    with pytest.raises(ValueError, match=r"module_wrapper\.ps1"):
        find_call("", [json.dumps({"scripts": {}, "actions": [{"name": "x"}]})])
