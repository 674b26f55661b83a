# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Filter windows_preflight."""

from __future__ import annotations

DOCUMENTATION = r"""
name: windows_preflight
short_description: What speaks against running Sysprep on a Windows machine
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Judges the facts that role P(goldenimage.azure.windows_generalize#role) collects on a Windows machine.
  - Every rule is applied, so that all findings are told at once where Sysprep names one at a time.
  - A rule whose facts are missing, of another type, or could not be read, finds C(unknown), never nothing.
  - Runs on the controller and needs nothing there.
positional: _input
options:
  _input:
    description:
      - What the collecting scripts returned - texts in JSON, what they decode to, or lists of either, in any
        order. Anything else counts as no facts.
    type: raw
    required: true
  waive:
    description:
      - Findings that are not to count. Each is the C(id) of a rule, for all that it finds, or C(id:subject)
        for one of its findings, such as C(server-role:DHCP). What is unknown has the subject C(unknown).
      - An C(id) that no rule has is an error.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Say what has to be done before Sysprep
  ansible.builtin.debug:
    msg: "{{ (facts.output | goldenimage.azure.windows_preflight).summary }}"

- name: Stop unless nothing but the role of a DHCP server speaks against Sysprep
  ansible.builtin.assert:
    that: not (facts.output | goldenimage.azure.windows_preflight(waive=['server-role:DHCP'])).stops
"""

RETURN = r"""
_value:
  description: The result of the preflight.
  type: dict
  contains:
    computer:
      description: The computer's name; none where it could not be read.
      type: str
    vm_ids:
      description:
        - What Azure's id of the machine (C(vmId)) can be by the UUID in its firmware, in lower case; empty
          where that could not be read.
        - Two, for systems differ in the order in which they show its bytes.
      type: list
      elements: str
    stops:
      description: Whether a finding says not to start Sysprep.
      type: bool
    summary:
      description: A line for each finding that was not waived.
      type: list
      elements: str
    findings:
      description: The findings that were not waived, the gravest first.
      type: list
      elements: dict
      contains:
        name:
          description: What a waiver of this very finding is called, C(id:subject) or C(id).
          type: str
        id:
          description: The rule, such as C(bitlocker).
          type: str
        subject:
          description: What of the machine it concerns, such as a package; empty where there is one alone.
          type: str
        severity:
          description:
            - V(error), where Sysprep fails or the image's machines are broken; V(unsupported), where
              Microsoft says so; V(unknown), where the facts do not say; V(warning).
          type: str
        what:
          description: What it means.
          type: str
        evidence:
          description: What was read on the machine.
          type: str
        remedy:
          description: What to do about it.
          type: str
        source:
          description: Where it is stated, or was seen.
          type: str
        stops:
          description: Whether it says not to start Sysprep. One that is unknown does as its rule would.
          type: bool
    waived:
      description: The findings that were waived, in the same shape.
      type: list
      elements: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight import (
    WaiverError,
    preflight,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import Facts


def windows_preflight(facts: object, waive: list[str] | None = None) -> dict[str, Any]:
    """The findings as a dictionary. Raises AnsibleFilterError for a waiver that can waive nothing."""
    waivers = waive or []
    if not isinstance(waivers, (list, tuple)):
        raise AnsibleFilterError("waive: a list of names of findings is expected.")
    try:
        return preflight(Facts(facts), waivers).as_result()
    except WaiverError as error:
        raise AnsibleFilterError(f"waive: {error}") from error


class FilterModule:
    """Ansible looks for this class."""

    def filters(self) -> dict[str, Any]:
        return {"windows_preflight": windows_preflight}
