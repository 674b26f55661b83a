# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Filter windows_traces."""

from __future__ import annotations

DOCUMENTATION = r"""
name: windows_traces
short_description: What on a Windows machine still identifies the machine or a person
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Judges what role P(goldenimage.azure.windows_generalize#role) has looked at on a Windows machine, and
    says what is to be removed. The traces are listed in the collection's documentation.
  - What could not be looked at is C(unknown), never absent.
  - Runs on the controller and needs nothing there.
positional: _input
options:
  _input:
    description:
      - What the looking script returned - text in JSON, what it decodes to, or a list of either. Anything
        else counts as no facts.
    type: raw
    required: true
  include:
    description: Ids of traces that are removed beside those that are removed by default.
    type: list
    elements: str
    default: []
  exclude:
    description: Ids of traces that stay.
    type: list
    elements: str
    default: []
  accounts:
    description:
      - Names of the local accounts that the image was built with. The account of the session and accounts
        that Windows itself has are an error.
    type: list
    elements: str
    default: []
  transport:
    description: How Ansible reaches the machine. What the session itself needs stays.
    type: str
    choices: [http, https, ssh]
    default: https
"""

EXAMPLES = r"""
- name: Tell what an image of this machine would carry along
  ansible.builtin.debug:
    msg: "{{ (looked.output | goldenimage.azure.windows_traces(accounts=['packer'])).summary }}"
"""

RETURN = r"""
_value:
  description: The judgement.
  type: dict
  contains:
    traces:
      description: Every trace, in the order of removal.
      type: list
      elements: dict
      contains:
        id:
          description: What it is included and excluded by.
          type: str
        title:
          description: What it is.
          type: str
        reason:
          description: Why an image should not have it.
          type: str
        severity:
          description: V(error), V(warning) or V(info).
          type: str
        state:
          description: V(remove), V(absent), V(excluded), V(kept) for what the session itself needs, or
            V(unknown).
          type: str
        why:
          description: Why it stays, or is not known.
          type: str
        stops:
          description: Whether it is not known although it would be an error.
          type: bool
        found:
          description: What is there of it.
          type: list
          elements: str
    remove:
      description: What is to be removed, each with C(id), C(severity), C(kind), C(target) and how it is
        C(shown).
      type: list
      elements: dict
    stops:
      description: Ids of the traces that stop the run, because it is not known whether they are there.
      type: list
      elements: str
    summary:
      description: A line for each trace that is not absent.
      type: list
      elements: str
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.cleanup import (
    CleanupError,
    judge_traces,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.trace import Session


def windows_traces(
    collected: object,
    include: list[str] | None = None,
    exclude: list[str] | None = None,
    accounts: list[str] | None = None,
    transport: str = "https",
) -> dict[str, Any]:
    """The judgement as a dictionary. Raises AnsibleFilterError for what cannot be meant or done."""
    given = {"include": include or [], "exclude": exclude or [], "accounts": accounts or []}
    for name, names in given.items():
        if not isinstance(names, (list, tuple)) or not all(isinstance(each, str) for each in names):
            raise AnsibleFilterError(f"{name}: a list of names is expected.")
    session = Session(tuple(given["accounts"]), str(transport))
    try:
        return judge_traces(collected, session, given["include"], given["exclude"])
    except CleanupError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Ansible looks for this class."""

    def filters(self) -> dict[str, Any]:
        return {"windows_traces": windows_traces}
