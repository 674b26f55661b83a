# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Filter panther_diagnosis."""

from __future__ import annotations

DOCUMENTATION = r"""
name: panther_diagnosis
short_description: Why a run of Sysprep failed, from its logs
version_added: 0.2.0
author: The goldenimage.azure authors (@goldenimage)
description:
  - Reads the logs that Sysprep writes to C(%WINDIR%\System32\Sysprep\Panther) and says what ended the last
    run, in which phase, whether the machine was changed by then, and what to do.
  - Takes C(setupact.log) and C(setuperr.log) as Windows writes them, as Configuration Manager shows them,
    as people quote them, and as web pages and tools hand them on, in one row or escaped as HTML or JSON. Logs
    of Windows Setup at a first start, in C(%WINDIR%\Panther\UnattendGC), are taken as well.
  - Errors that good images have as well are told apart, and never are a cause. Codes that lost their upper
    half on the way to the last line are restored.
  - Where no rule fits, the cause is C(unknown), and the lines that matter are returned. The known causes are
    listed in docs/sysprep-diagnosis.md.
  - Runs on the controller and needs nothing there. Nothing that is in a log raises an error.
  - The diagnosis is no proof of success. That takes the four marks that Sysprep leaves on the machine.
positional: _input
options:
  _input:
    description:
      - The text of one log, its rows as a list, or a dictionary of several by their paths.
      - Of logs in several folders, those count whose path has C(Sysprep).
    type: raw
    required: true
  image_state:
    description: The machine's C(ImageState), where it was read.
    type: str
  encoded:
    description: Whether the texts are encoded in Base64, as M(ansible.builtin.slurp) returns them.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Read the logs of a machine
  ansible.builtin.slurp:
    src: C:\Windows\System32\Sysprep\Panther\{{ item }}
  loop: [setupact.log, setuperr.log]
  register: panther

- name: Say why Sysprep failed
  ansible.builtin.debug:
    msg: "{{ (logs | goldenimage.azure.panther_diagnosis(encoded=true)).msg }}"
  vars:
    logs: "{{ panther.results | items2dict(key_name='item', value_name='content') }}"

- name: Go on only where the machine is as it was
  ansible.builtin.assert:
    that: diagnosis.machine_changed == 'no'
  vars:
    diagnosis: "{{ lookup('ansible.builtin.file', 'setupact.log') | goldenimage.azure.panther_diagnosis }}"
"""

RETURN = r"""
_value:
  description: The diagnosis.
  type: dict
  contains:
    msg:
      description: The diagnosis in a few sentences.
      type: str
    outcome:
      description:
        - V(failed), V(succeeded), V(unfinished) where the log ends in the midst of a run, or V(no-run).
      type: str
    cause:
      description:
        - The C(id) of the cause. V(unknown) where none is known; V(none) only where success is said.
      type: str
    basis:
      description: V(stated) where the log itself says so, V(inferred) from provider and code, or empty.
      type: str
    title:
      description: The cause in a line, or empty. The same holds for the next three.
      type: str
    explanation:
      description: What is behind it.
      type: str
    remedy:
      description: How to remove it.
      type: str
    source:
      description: Where it is documented, or was found out.
      type: str
    phase:
      description:
        - V(start), V(validate-cleanup), V(validate-generalize), V(cleanup-internal), V(cleanup-external),
          V(generalize-internal), V(generalize-external), their likes of C(specialize), V(refused) where an
          earlier run does not let this one start, V(setup) where Windows Setup failed when a machine made of
          the image first started, V(complete), or V(unknown).
      type: str
    phase_basis:
      description: V(log), V(usual) where this cause mostly strikes and the log does not say more, or empty.
      type: str
    machine_changed:
      description:
        - V(no), V(partly), V(yes), V(by-earlier-run), or V(unknown).
      type: str
    next_step:
      description: What the state of the machine calls for.
      type: str
    first_error:
      description: The first error of what ended the run, with C(log), C(line) and C(text), or none.
      type: dict
    evidence:
      description: The lines to read.
      type: list
      elements: dict
    codes:
      description:
        - The codes of the failure, each as it was C(logged), the true C(code), C(how) it is known (V(logged),
          V(restored), V(as-win32)), its C(name) and C(meaning).
      type: list
      elements: dict
    provider:
      description: The library and function that failed, where the log names one.
      type: str
    unfinished_provider:
      description: The library and function that were at work when the log ended.
      type: str
    packages:
      description: The app packages that the log names.
      type: list
      elements: str
    registry:
      description: The registry values that could not be changed, with C(action), C(key) and C(value).
      type: list
      elements: dict
    benign:
      description: Errors and warnings that do no harm, each with its C(reason).
      type: list
      elements: dict
    other_errors:
      description: Errors from before what ended the run began.
      type: list
      elements: dict
    options:
      description: The options that Sysprep was started with.
      type: list
      elements: str
    image_state:
      description: The C(ImageState) that was given, or that the log shows.
      type: str
    image_state_meaning:
      description: What it means.
      type: str
    run:
      description:
        - When the last run C(began) and C(ended) by the machine's clock, how many C(runs) there are, and
          how they were C(cut) apart - V(marker), V(pause) where only times and endings tell, or
          V(whole-log).
      type: dict
    earlier_runs:
      description: The runs before the last one, with the main points of their diagnosis.
      type: list
      elements: dict
    earlier_cause:
      description:
        - The cause of the earlier run that spoilt the machine, or, where the last run's own is not known,
          of the last one that failed. Empty where the logs do not tell.
      type: str
    logs:
      description: The logs that were read.
      type: list
      elements: str
    logs_left_out:
      description: Logs of other folders.
      type: list
      elements: str
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_diagnosis import diagnose
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import decode_log


def _decoded(text: object, name: str) -> str:
    try:
        return decode_log(base64.b64decode(str(text), validate=True))
    except (binascii.Error, ValueError) as error:
        raise AnsibleFilterError(
            f"{name} is not encoded in Base64, as encoded=true says: {error}."
        ) from error


def _content(logs: object, name: str, *, encoded: bool) -> str | list[str]:
    if isinstance(logs, str):
        return _decoded(logs, name) if encoded else str(logs)
    if isinstance(logs, Sequence) and not isinstance(logs, bytes) and not encoded:
        return [str(row) for row in logs]
    wanted = "text in Base64" if encoded else "text or a list of rows"
    raise AnsibleFilterError(f"{name} must be {wanted}, not {type(logs).__name__}.")


def panther_diagnosis(logs: object, image_state: str | None = None, encoded: bool = False) -> dict[str, Any]:
    """The diagnosis as a dictionary. Raises AnsibleFilterError for what is no log at all."""
    if isinstance(logs, Mapping):
        return diagnose(
            {str(name): _content(one, str(name), encoded=encoded) for name, one in logs.items()}, image_state
        )
    return diagnose(_content(logs, "The log", encoded=encoded), image_state)


class FilterModule:
    """Ansible looks for this class."""

    def filters(self) -> dict[str, Any]:
        return {"panther_diagnosis": panther_diagnosis}
