# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Documentation of the options about tags."""

from __future__ import annotations


class ModuleDocFragment:
    """Options tags and append_tags; named as in azure.azcollection."""

    DOCUMENTATION = r"""
options:
  tags:
    description:
      - Tags of the resource, names and values. Names are compared without regard to case, as Azure does.
      - Without this option the tags stay as they are.
    type: dict
  append_tags:
    description:
      - Whether O(tags) are added to those that are there. With V(false), tags that O(tags) does not name are
        removed.
    type: bool
    default: true
"""
