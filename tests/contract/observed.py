# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure was seen to answer although neither its published files nor the SDK declare it.

The local Azure answers what Azure answers, so these are no violations; they are counted apart.
"""

from __future__ import annotations

import re
from typing import Any

from tests.contract.body_schema import Pointer, value_at

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
        # Recordings inside the SDK's archives: versions of extensions, with 2019-12-01 and 2020-12-01.
        ("virtualmachineextensionimages", "unknown-property", "/properties/rollbackSupported"),
        ("virtualmachineextensionimages", "unknown-property", "/properties/isJsonExtension"),
        ("virtualmachineextensionimages", "missing-property", "/properties/handlerSchema"),
        # Recordings of azure-cli of 2022: "FULL", where the file has "Full".
        ("storageaccounts", "unknown-value", "/keys/permissions"),
        # kubernetes-sigs/cluster-api-provider-azure#1134: "Name", where the file has "name".
        ("resourceskus", "unknown-property", "/locationInfo/zoneDetails/Name"),
        # Transcripts of the public cloud: what has no location of its own, like a subnet.
        ("deployments", "wrong-type", "/properties/providers/resourceTypes/locations"),
        # Transcripts of the public cloud: a count beside the subscriptions, and no link when all are shown.
        ("subscriptions", "unknown-property", "/count"),
        ("subscriptions", "missing-property", "/nextLink"),
        ("tenants", "missing-property", "/nextLink"),
    }
)

# (group of operations, pointer without positions of list items, the value in exactly this spelling). Nothing
# is let through but what these clients are known to send; any other spelling stays a violation.
_SENT = frozenset(
    {
        # azure-cli, recorded with the answer 201 in many of its own recordings.
        ("deployments", "/properties/mode", "incremental"),
        # azure.azcollection 3.21.0: choices that azure_rm_galleryimage offers, and what azure_rm_snapshot
        # sends for a source that it was not given. Not recorded: taken from the released modules.
        ("galleryimages", "/properties/osType", "linux"),
        ("galleryimages", "/properties/osState", "generalized"),
        ("snapshots", "/properties/creationData/sourceUri", None),
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
    return (_group(operation), kind, _place(pointer)) in _OBSERVED


def sent_by_clients(operation: str, kind: str, pointer: Pointer, body: Any) -> bool:
    """Whether a released client sends this operation exactly this value, and Azure takes it."""
    if kind not in ("unknown-value", "wrong-type"):
        return False
    value = value_at(body, pointer)
    return (value is None or isinstance(value, str)) and (_group(operation), _place(pointer), value) in _SENT


def _group(operation: str) -> str:
    return re.split(r"[._]", operation)[0].lower()


def _place(pointer: Pointer) -> str:
    """The pointer within one resource: without positions, and without the list that the resource is in."""
    names = [part for part in pointer if isinstance(part, str)]
    if names[:1] == ["value"] and len(pointer) > 2:
        names.pop(0)
    return "/" + "/".join(names)
