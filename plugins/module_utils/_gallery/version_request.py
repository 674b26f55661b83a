# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What an image version is asked to be; what can be checked without Azure is checked here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import (
    check_definition_name,
    check_version,
    definition_id,
    gallery_id,
    version_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.publishing import Publishing
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_numbers import (
    AUTOMATIC,
    NEXT_PATCH,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import HIGHEST_LUN
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import check_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    MANAGED_DISK,
    SNAPSHOT,
    VHD_BLOB,
    SourceName,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_parsing import SourceParser

# Beside the user's tags: what the version was made of, and a digest that tells when that was replaced.
OWN_TAGS = 2
_SINGLE_DISKS = (MANAGED_DISK, SNAPSHOT, VHD_BLOB)


@dataclass(frozen=True)
class DiskRequest:
    """One disk with a source of its own. `lun` None: the operating system's."""

    option: str
    source: SourceName
    caching: str | None = None
    lun: int | None = None


@dataclass(frozen=True)
class VersionRequest:
    """A version as it is wanted. `version` is a number or one of AUTOMATIC; it is made of `source` as a
    whole, or of `disks`, the operating system's first; of nothing where it is there already."""

    definition_id: str
    definition: str
    gallery_id: str
    version: str
    source: SourceName | None = None
    disks: tuple[DiskRequest, ...] = ()
    location: str | None = None
    publishing: Publishing = field(default_factory=Publishing)
    tags: dict[str, str] | None = None
    append_tags: bool = True
    replace: bool = False
    undelete: bool = False

    @property
    def is_automatic(self) -> bool:
        return self.version in AUTOMATIC

    @property
    def has_source(self) -> bool:
        return self.source is not None or bool(self.disks)

    def id(self, version: str | None = None) -> str:
        """The id of the version, or of another one of the definition."""
        return version_id(self.definition_id, version or self.version)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], subscription: str) -> VersionRequest:
        """Read the module's options. Raises InvalidInput for what Azure would refuse in any case."""
        group = options.get("resource_group")
        check_definition_name("definition", options["definition"])
        check_tags(options.get("tags"), own=OWN_TAGS)
        version = options.get("version") or NEXT_PATCH
        if version not in AUTOMATIC:
            check_version("version", version)
        gallery = gallery_id(subscription, group, options["gallery"])
        source, disks = _sources(options, subscription, group)
        request = cls(
            definition_id=definition_id(gallery, options["definition"]),
            definition=options["definition"],
            gallery_id=gallery,
            version=version,
            source=source,
            disks=disks,
            location=normalize_location(options["location"]) if options.get("location") else None,
            publishing=Publishing.from_options(options),
            tags=options.get("tags"),
            append_tags=options.get("append_tags", True),
            replace=bool(options.get("replace")),
            undelete=bool(options.get("undelete")),
        )
        request._check_together(options.get("state", "present"))
        return request

    def _check_together(self, state: str) -> None:
        present = state == "present"
        if self.is_automatic and not (present and self.has_source):
            raise InvalidInput(
                f"version: {self.version} is a number for a new version, and nothing says what to make it of."
                if present
                else "version: nothing says which version is to be deleted.",
                remedy="Give the number of the version" + (", or a source." if present else "."),
            )
        if self.undelete and (self.is_automatic or self.replace or self.has_source or not present):
            raise InvalidInput(
                "undelete: it brings one deleted version back as it was.",
                remedy="Give its number as version, and neither a source, nor replace, nor another state.",
            )


def _sources(
    options: Mapping[str, Any], subscription: str, group: str | None
) -> tuple[SourceName | None, tuple[DiskRequest, ...]]:
    """The source as a whole, or that of each disk."""
    whole, system, data = options.get("source"), options.get("os_disk"), options.get("data_disks") or []
    source = SourceParser(subscription, group).parse(whole) if whole else None
    if source is not None and system:
        raise InvalidInput("source: with os_disk there would be two.", remedy="Give one of the two.")
    if data and not system and (source is None or source.kind not in _SINGLE_DISKS):
        what = "is made with its own data disks" if source else "needs an operating system disk"
        raise InvalidInput(
            f"data_disks: the version {what}.", remedy="Give os_disk, or a disk as source, with data_disks."
        )
    if source is not None and source.kind not in _SINGLE_DISKS:
        return source, ()
    if source is not None:
        first = DiskRequest("source", source)
    elif system:
        first = _disk("os_disk", system, subscription, group)
    else:
        return None, ()
    disks = (
        first,
        *(_disk(f"data_disks[{place}]", each, subscription, group) for place, each in enumerate(data)),
    )
    _check_disks(disks)
    return None, disks


def _disk(option: str, given: Mapping[str, Any], subscription: str, group: str | None) -> DiskRequest:
    source = SourceParser(subscription, group, f"{option}.source").parse(given["source"])
    if source.kind not in _SINGLE_DISKS:
        raise InvalidInput(
            f"{option}.source: {source} is no single disk.",
            remedy="Give the id of a managed disk or snapshot, managed_disk: NAME or snapshot: NAME, or the"
            " URL of a VHD blob. A whole machine or image goes to source.",
        )
    return DiskRequest(option, source, given.get("caching"), given.get("lun"))


def _check_disks(disks: tuple[DiskRequest, ...]) -> None:
    luns = Counter(disk.lun for disk in disks[1:])
    for lun, count in luns.items():
        if lun is None or not 0 <= lun <= HIGHEST_LUN:
            raise InvalidInput(f"data_disks: LUN {lun} is not between 0 and {HIGHEST_LUN}.")
        if count > 1:
            raise InvalidInput(f"data_disks: LUN {lun} is given more than once.")
    named = Counter(str(disk.source).casefold() for disk in disks)
    for disk in disks:
        if named[str(disk.source).casefold()] > 1:
            raise InvalidInput(
                f"{disk.option}: {disk.source} is named twice, Azure takes each disk once.",
                remedy="Copy the disk, or make a snapshot of it.",
            )
