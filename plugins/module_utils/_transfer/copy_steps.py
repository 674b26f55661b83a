# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Which disks and snapshots lie on the way from a disk, snapshot or blob to its copy.

Between regions Azure copies incremental snapshots only. Everything else becomes one first, and a disk is made
of one last; what is made on the way is temporary.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    TRANSFER_HOURS,
    belongs_to,
    build_id_of,
    new_build,
    temporary_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_source import Original


class Step(NamedTuple):
    """One disk or snapshot to make; `option` is Azure's createOption, `incremental` of snapshots only."""

    kind: str
    location: str
    option: str
    incremental: bool


def steps_to(source: Original, kind: str, location: str, *, incremental: bool) -> list[Step]:
    """The disks and snapshots to make, one of the other; the last is the copy itself.

    :param kind: "disk" or "snapshot", what the copy is to be
    """
    first = "Import" if source.kind == "blob" else "Copy"
    if source.location == location:
        return [Step(kind, location, first, incremental)]
    steps = []
    if source.kind != "disk" and not source.incremental:
        steps.append(Step("disk", source.location, first, False))
    if not source.incremental:
        steps.append(Step("snapshot", source.location, "Copy", True))
    steps.append(Step("snapshot", location, "CopyStart", True))
    if kind == "disk":
        steps.append(Step("disk", location, "Copy", False))
    return steps


class Temporary(NamedTuple):
    """The names and tags of what one copy makes on its way; the same in every run of that copy."""

    build: str
    source_id: str

    @classmethod
    def of(cls, source: Original, target_id: str) -> Temporary:
        """Those of the copy of this source to this target."""
        return cls(build_id_of(f"{source.identity}\n{target_id.lower()}"), source.id)

    def name(self, number: int) -> str:
        """Of the disk or snapshot of a step."""
        return f"goldenimage-copy-{self.build}-{number}"

    def tags(self) -> dict[str, str]:
        """By which it is known again, and may be removed by anybody after it has expired."""
        build = new_build(self.build, TRANSFER_HOURS, datetime.now(timezone.utc))
        return temporary_tags(build, "disk_copy", self.source_id)

    def is_own(self, resource: Mapping[str, Any]) -> bool:
        """Whether a run of this copy has made it."""
        return belongs_to(resource, self.build)
