# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Filter windows_trace_places."""

from __future__ import annotations

DOCUMENTATION = r"""
name: windows_trace_places
short_description: Where traces are looked for on a Windows machine
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Gives the scripts of role P(goldenimage.azure.windows_generalize#role) the places to look at, which are
    defined once, with the traces.
  - Runs on the controller and needs nothing there.
positional: _input
options:
  _input:
    description: The kind of places.
    type: str
    choices: [files, user_keys, values]
    required: true
"""

EXAMPLES = r"""
- name: Tell which files are looked for
  ansible.builtin.debug:
    msg: "{{ 'files' | goldenimage.azure.windows_trace_places }}"
"""

RETURN = r"""
_value:
  description:
    - For V(files), paths with C(~) for each profile, C(%NAME%) for the environment's, and wildcards; for
      V(user_keys), keys below the hive of each account; for V(values), keys and names of values of the
      machine.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.cleanup import places


def windows_trace_places(kind: object) -> list[str]:
    """The places of a kind. Raises AnsibleFilterError for another."""
    try:
        return places(str(kind))
    except KeyError as error:
        raise AnsibleFilterError(f"There are no places of kind {error}.") from error


class FilterModule:
    """Ansible looks for this class."""

    def filters(self) -> dict[str, Any]:
        return {"windows_trace_places": windows_trace_places}
