# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The tags of disks and snapshots that are made on the way, so that whatever is left of them is known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

_BUILD_LENGTH = 16
_EXPIRES_AFTER = timedelta(days=3)
_BUILD = "goldenimage_build"
_TAG_LENGTH = 256  # the most that Azure takes as a tag's value


def build_of(work: str) -> str:
    """16 hexadecimal digits, the same in every run of the same work."""
    return hashlib.sha256(work.encode()).hexdigest()[:_BUILD_LENGTH]


def temporary_tags(module: str, build: str, source_id: str) -> dict[str, str]:
    """By which it is known again, and may be removed by anybody after it has expired.

    :param module: which module makes it
    :param source_id: of what it is a copy
    """
    expires = datetime.now(timezone.utc) + _EXPIRES_AFTER
    return {
        "goldenimage_temporary": module,
        _BUILD: build,
        "goldenimage_expires": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "goldenimage_source": source_id[:_TAG_LENGTH],
    }


def is_of_build(resource: Mapping[str, Any], build: str) -> bool:
    """Whether a run of the same work has made it."""
    return bool((resource.get("tags") or {}).get(_BUILD) == build)
