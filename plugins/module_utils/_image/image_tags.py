# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Tags of images that tell what Azure does not keep of them."""

from __future__ import annotations

#: The Marketplace plan, as publisher:product:name.
PLAN_TAG = "goldenimage_plan"
#: generalized or specialized.
STATE_TAG = "goldenimage_os_state"
#: A digest of what it was made of. Azure refers to sources by name alone, and a disk that was deleted
#: and made anew under its old name is another source all the same.
SOURCES_TAG = "goldenimage_sources"


def plan_of_tags(tags: dict[str, str] | None) -> dict[str, str]:
    """The plan that the tags of an image name; {} where they name none."""
    parts = str((tags or {}).get(PLAN_TAG, "")).split(":")
    if len(parts) != 3 or not all(parts):
        return {}
    return dict(zip(("publisher", "product", "name"), parts, strict=True))
