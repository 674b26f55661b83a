# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
"""Times as Azure writes them."""

from __future__ import annotations

import re
from datetime import datetime, timezone


def moment(text: str) -> datetime | None:
    """A time of Azure's, with up to seven digits after the second, in whole seconds.

    None for a text that is no time.
    """
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?", text, re.IGNORECASE)
    if found is None:
        return None
    zone = found[2] or "+00:00"
    said = datetime.fromisoformat(found[1] + ("+00:00" if zone in "Zz" else zone))
    return said.astimezone(timezone.utc)
