# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Filter panther_logs."""

from __future__ import annotations

DOCUMENTATION = r"""
name: panther_logs
short_description: The logs that were read on a Windows machine, as texts
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Takes the logs of Sysprep and Windows Setup out of what role
    P(goldenimage.azure.windows_generalize#role) has read, so that they can be written to files on the
    controller.
  - Names that would lead out of the folder they are written to are made harmless.
  - Whatever was read, nothing is raised. What is damaged is left out.
positional: _input
options:
  _input:
    description: What the script returned - text in JSON, what it decodes to, or a list of either.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Keep the logs
  ansible.builtin.copy:
    content: "{{ item.value }}"
    dest: "logs/{{ item.key | replace('/', '-') }}"
    mode: "0600"
  loop: "{{ sysprep.output | goldenimage.azure.panther_logs | dict2items }}"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The texts by relative names with slashes, such as C(System32/Sysprep/Panther/setupact.log).
  type: dict
"""

from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_collected import (
    collected_logs,
    relative_names,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import Facts


def panther_logs(collected: object) -> dict[str, str]:
    """The texts by name."""
    return relative_names(collected_logs(Facts(collected)))


class FilterModule:
    """Ansible looks for this class."""

    def filters(self) -> dict[str, Any]:
        return {"panther_logs": panther_logs}
