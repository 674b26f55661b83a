# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure was recorded to answer although neither its published files nor the SDK declare it.

The local Azure answers what Azure answers, so these are no violations; they are counted apart.
"""

from __future__ import annotations

from tests.contract.body_schema import Pointer

# (last literal part of the collection, pointer with "*" for list positions): seen in recordings of 2024.
_OBSERVED = frozenset(
    {
        ("versions", "/properties/replicaType"),
        ("versions", "/properties/osDiskImage/sizeInBytes"),
        ("versions", "/properties/osDiskImage/sizeInGb"),
        ("versions", "/properties/dataDiskImages/*/sizeInBytes"),
        # Of disks from Upload, while they come to be (2020).
        ("disks", "/properties/isArmResource"),
        ("communitygalleries", "/communityMetadata"),
        ("networkinterfaces", "/kind"),
        ("networkinterfaces", "/properties/allowPort25Out"),
        ("providers", "/authorizations"),
    }
)


def observed(segments: tuple[str, ...], pointer: Pointer) -> bool:
    """Whether recordings have this property in the resource that the path names, or in a list of them."""
    parts = ["*" if isinstance(part, int) else part for part in pointer]
    # .../versions/1.0.0 names a resource, .../versions a list: {"value": [...]} or a bare list.
    collection = segments[-2:-1] if parts[:1] != ["value"] and parts[:1] != ["*"] else segments[-1:]
    while parts[:1] in (["value"], ["*"]):
        parts.pop(0)
    return any((name.lower(), "/" + "/".join(parts)) in _OBSERVED for name in collection)
