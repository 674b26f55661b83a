# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Documentation of the options about waiting."""

from __future__ import annotations


class ModuleDocFragment:
    """Options wait and wait_timeout."""

    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Whether to wait until Azure has finished what was asked. With V(false) the module returns as soon as
        Azure has accepted it, with what is known by then.
    type: bool
    default: true
  wait_timeout:
    description:
      - How many seconds to wait for each of Azure's operations. An operation that takes longer goes on in
        Azure.
    type: int
    default: 1800
"""
