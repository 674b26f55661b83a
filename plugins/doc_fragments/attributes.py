# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Documentation of what every module of this collection supports."""

from __future__ import annotations


class ModuleDocFragment:
    """Attributes; a module states the support of each."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description:
      - In check mode the module says what it would do and returns the predicted result; nothing is changed.
  diff_mode:
    description: In diff mode the resource before and after the change is returned, without secrets.
  idempotent:
    description:
      - Repeating the task with the same options changes nothing, unless somebody else changed the resource
        meanwhile.
  action_group:
    description: The module takes defaults from C(group/goldenimage.azure.azure) in C(module_defaults).
    membership:
      - goldenimage.azure.azure
"""

    # For modules that read only.
    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not change anything.
  diff_mode:
    support: N/A
    details:
      - This module does not change anything.
  idempotent:
    support: full
    details:
      - This module does not change anything.
"""

    # For modules that change resources, all of which support everything.
    FULL = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    support: full
"""
