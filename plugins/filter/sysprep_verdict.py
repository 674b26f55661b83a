# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Filter sysprep_verdict."""

from __future__ import annotations

DOCUMENTATION = r"""
name: sysprep_verdict
short_description: What became of a machine on which Sysprep was started
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Judges what role P(goldenimage.azure.windows_generalize#role) has read on a Windows machine after it
    started Sysprep there.
  - Success are the four marks together, and nothing else. They are the tag file of this run, ImageState, and
    SetupType and CmdLine, which have the next start go to OOBE.
  - How the connection ended is not asked for, because it is no evidence.
  - Runs on the controller and needs nothing there. Whatever was read, nothing is raised.
positional: _input
options:
  _input:
    description:
      - What the supervising script returned - text in JSON, what it decodes to, or a list of either. Anything
        else, such as nothing, counts as nothing heard.
    type: raw
    required: true
  power:
    description: The machine's power state, as M(goldenimage.azure.vm_info) returns it.
    type: str
"""

EXAMPLES = r"""
- name: Stop unless the machine is generalized
  ansible.builtin.assert:
    that: verdict.verdict == 'success'
    fail_msg: "{{ verdict.msg }}"
  vars:
    verdict: "{{ sysprep.output | goldenimage.azure.sysprep_verdict(power=machine.power_state) }}"
"""

RETURN = r"""
_value:
  description: The verdict.
  type: dict
  contains:
    verdict:
      description:
        - V(success); V(refused) where the machine is as it was; V(half-way) and V(damaged) where only a
          backup helps; V(running) while Sysprep or SetupHost.exe is at work; V(silent) where nothing tells.
      type: str
    msg:
      description: The verdict in a few sentences, with cause and remedy where the logs tell them.
      type: str
    next_step:
      description: What to do.
      type: str
    overdue:
      description: Whether it runs and the deadline has passed.
      type: bool
    markers:
      description:
        - The four marks, each with its C(name), whether it is as success leaves it (C(held), none where
          that is not known), and what was C(seen).
      type: list
      elements: dict
    image_state:
      description: ImageState, or empty.
      type: str
    phases:
      description: Each ImageState that was seen while Sysprep was waited for, and when first.
      type: list
      elements: str
    power:
      description: The power state that was given.
      type: str
    diagnosis:
      description: What P(goldenimage.azure.panther_diagnosis#filter) says of the logs, or empty.
      type: dict
"""

from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.verdict import judge


class FilterModule:
    """Ansible looks for this class."""

    def filters(self) -> dict[str, Any]:
        return {"sysprep_verdict": judge}
