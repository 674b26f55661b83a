# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Snapshots: disks that are never attached."""

from __future__ import annotations

from tests.local_azure.providers import disk_shapes
from tests.local_azure.providers.disk_sources import SNAPSHOT
from tests.local_azure.providers.disks import DiskKind
from tests.local_azure.store import Json, Resource


class Snapshots(DiskKind):
    type = SNAPSHOT
    create_options = ("Empty", "Copy", "CopyStart", "Import", "Upload")
    skus = disk_shapes.SNAPSHOT_SKUS
    parameter = "snapshot"

    def extra_properties(self, resource: Resource, size_gb: int) -> Json:
        del size_gb
        extra: Json = {"incremental": bool(resource.properties.get("incremental", False))}
        if resource.properties["creationData"]["createOption"] == "CopyStart":
            extra["completionPercent"] = 100.0
        return extra
