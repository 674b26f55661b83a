# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Filter windows_traces_left."""

from __future__ import annotations

DOCUMENTATION = r"""
name: windows_traces_left
short_description: Which traces could not be removed from a Windows machine
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Compares what was to be removed with what the removing script of role
    P(goldenimage.azure.windows_generalize#role) answered. Without an answer, all of it may still be there.
  - Runs on the controller and needs nothing there. Whatever was answered, nothing is raised.
positional: _input, collected
options:
  _input:
    description: What P(goldenimage.azure.windows_traces#filter) returned.
    type: dict
    required: true
  collected:
    description: What the removing script returned.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Stop where a trace is left that matters
  ansible.builtin.assert:
    that: not (traces | goldenimage.azure.windows_traces_left(removed.output)).stops
"""

RETURN = r"""
_value:
  description: What is left.
  type: dict
  contains:
    left:
      description: Each as in RV(goldenimage.azure.windows_traces#filter:_value.remove), with the C(error).
      type: list
      elements: dict
    stops:
      description: Whether one of them has the severity C(error).
      type: bool
    summary:
      description: A line for each.
      type: list
      elements: str
"""

from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.cleanup import left


class FilterModule:
    """Ansible looks for this class."""

    def filters(self) -> dict[str, Any]:
        return {"windows_traces_left": left}
