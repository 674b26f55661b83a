# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Lists the versions of a definition, with how far their replication is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import (
    GALLERY_API,
    check_version,
    version_id,
    version_number,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.replication import read_version
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_galleries import (
    counts_as_latest,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

LATEST = "latest"


def by_number(versions: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The lowest first: 1.9.0 comes before 1.10.0."""
    return sorted(versions, key=lambda version: version_number(str(version["name"])) or (0, 0, 0))


def list_versions(session: AzureSession, definition: str, name: str | None) -> list[dict[str, Any]]:
    """All versions of a definition, the latest, or the one of that number, in wire shape, by number."""
    if name and name != LATEST:
        check_version("version", name)
        one = read_version(session, version_id(definition, name))
        return [one] if one else []
    listed = by_number(session.arm.list(f"{definition}/versions", GALLERY_API))
    if name == LATEST:
        listed = [version for version in listed if counts_as_latest(version)][-1:]
    read = in_parallel(lambda version: read_version(session, version["id"]), listed)
    return [version for version in read if version is not None]
