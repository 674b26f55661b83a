# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure was seen to answer although neither its published files nor the SDK declare it.

The local Azure answers what Azure answers, so these are no violations; they are counted apart.
"""

from __future__ import annotations

import re

from tests.contract.body_schema import Pointer

# (group of operations, kind of finding, pointer within the resource; without positions of list items)
_OBSERVED = frozenset(
    {
        # Recordings of 2024.
        ("virtualmachineimages", "unknown-property", "/properties/replicaType"),
        ("virtualmachineimages", "unknown-property", "/properties/osDiskImage/sizeInBytes"),
        ("virtualmachineimages", "unknown-property", "/properties/osDiskImage/sizeInGb"),
        ("virtualmachineimages", "unknown-property", "/properties/dataDiskImages/sizeInBytes"),
        # Asked for with $expand=Properties, which the SDK has as an operation on the same path.
        ("virtualmachineimages", "unknown-property", "/properties"),
        ("communitygalleries", "unknown-property", "/communityMetadata"),
        ("networkinterfaces", "unknown-property", "/kind"),
        ("networkinterfaces", "unknown-property", "/properties/allowPort25Out"),
        ("providers", "unknown-property", "/authorizations"),
        # Recordings of 2020: disks from Upload, while they come to be.
        ("disks", "unknown-property", "/properties/isArmResource"),
        # Recordings inside the SDK's archives: snapshots of 2018 to 2020, likewise.
        ("snapshots", "unknown-property", "/properties/isArmResource"),
        ("snapshots", "unknown-property", "/properties/faultDomain"),
        # Recordings of azure-cli of 2022: "FULL", where the file has "Full".
        ("storageaccounts", "unknown-value", "/keys/permissions"),
        # Transcripts of the public cloud: what has no location of its own, like a subnet.
        ("deployments", "wrong-type", "/properties/providers/resourceTypes/locations"),
        # Transcripts of the public cloud: a count beside the subscriptions, and no link when all are shown.
        ("subscriptions", "unknown-property", "/count"),
        ("subscriptions", "missing-property", "/nextLink"),
        ("tenants", "missing-property", "/nextLink"),
    }
)


# Requests that Azure's documentation tells how to send, and that no published file has.
_DOCUMENTED = (
    # Ends the retention of a soft-deleted image version (Microsoft Learn, soft-delete-gallery, 2025).
    (
        "DELETE",
        re.compile(r"/galleries/[^/]+/softdeletedartifacttypes/images/artifacts/[^/]+/versions/[^/]+$"),
    ),
)


def documented(method: str, path: str) -> bool:
    """Whether a request that no contract knows is one of Azure's all the same."""
    return any(method == known and pattern.search(path.lower()) for known, pattern in _DOCUMENTED)


def observed(operation: str, kind: str, pointer: Pointer) -> bool:
    """Whether Azure's own answers of this operation, or of a list of its kind, have this difference."""
    group = re.split(r"[._]", operation)[0].lower()
    names = [part for part in pointer if isinstance(part, str)]
    if names[:1] == ["value"] and len(pointer) > 2:
        names.pop(0)
    return (group, kind, "/" + "/".join(names)) in _OBSERVED
