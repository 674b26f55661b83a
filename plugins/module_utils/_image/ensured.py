# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What came of bringing a resource into the wanted state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Ensured(NamedTuple):
    """`facts` describe the resource, None when there is none; `before` and `after` are for the diff."""

    changed: bool
    facts: dict[str, Any] | None
    before: dict[str, Any]
    after: dict[str, Any]
    actions: Sequence[str] = ()
    warnings: Sequence[str] = ()
