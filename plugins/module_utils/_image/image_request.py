# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What a managed image is asked to be; everything that can be checked without Azure is checked here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import normalize_location
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_image_name,
    check_resource_group_name,
    check_tags,
)

HIGHEST_LUN = 63


@dataclass(frozen=True)
class DiskRequest:
    """One disk of an image. `option` is where it stands in the module's options; sizes are GiB."""

    option: str
    source: str
    caching: str | None = None
    storage_account_type: str | None = None
    disk_size_gb: int | None = None
    disk_encryption_set: str | None = None
    lun: int | None = None
    os_type: str | None = None
    os_state: str | None = None

    @classmethod
    def from_options(cls, option: str, options: Mapping[str, Any]) -> DiskRequest:
        disk = cls(
            option=option, **{name: value for name, value in options.items() if value not in (None, "")}
        )
        if disk.lun is not None and not 0 <= disk.lun <= HIGHEST_LUN:
            raise InvalidInput(f"{option}.lun: {disk.lun} is not between 0 and {HIGHEST_LUN}.")
        if disk.disk_size_gb is not None and disk.disk_size_gb < 1:
            raise InvalidInput(f"{option}.disk_size_gb: {disk.disk_size_gb} is less than 1.")
        return disk


@dataclass(frozen=True)
class ImageRequest:
    """A managed image as it is wanted; None stands for "not said"."""

    resource_group: str
    name: str
    location: str | None = None
    source_vm: str | None = None
    os_disk: DiskRequest | None = None
    data_disks: tuple[DiskRequest, ...] = ()
    hyper_v_generation: str | None = None
    zone_resilient: bool | None = None
    tags: dict[str, str] | None = None
    append_tags: bool = True
    replace: bool = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> ImageRequest:
        """Read the module's options. Raises InvalidInput for what Azure would refuse in any case."""
        check_resource_group_name(options["resource_group"])
        check_image_name(options["name"])
        check_tags(options.get("tags"), own=2)
        os_disk = options.get("os_disk")
        data_disks = tuple(
            DiskRequest.from_options(f"data_disks[{position}]", disk)
            for position, disk in enumerate(options.get("data_disks") or [])
        )
        luns = Counter(disk.lun for disk in data_disks)
        repeated = [str(lun) for lun, count in luns.items() if count > 1]
        if repeated:
            raise InvalidInput(f"data_disks: LUN {', '.join(repeated)} is given more than once.")
        request = cls(
            resource_group=options["resource_group"],
            name=options["name"],
            location=normalize_location(options["location"]) if options.get("location") else None,
            source_vm=options.get("source_vm") or None,
            os_disk=DiskRequest.from_options("os_disk", os_disk) if os_disk else None,
            data_disks=data_disks,
            hyper_v_generation=options.get("hyper_v_generation") or None,
            zone_resilient=options.get("zone_resilient"),
            tags=options.get("tags"),
            append_tags=options.get("append_tags", True),
            replace=options.get("replace", False),
        )
        request._check_sources()
        return request

    def _check_sources(self) -> None:
        if self.source_vm and (self.os_disk or self.data_disks):
            raise InvalidInput(
                "source_vm: an image is made either from a virtual machine or from disks.",
                remedy="Give source_vm alone, or os_disk and data_disks.",
            )
        if self.data_disks and not self.os_disk:
            raise InvalidInput(
                "data_disks: a managed image needs an operating system disk.", remedy="Give os_disk."
            )

    @property
    def disks(self) -> tuple[DiskRequest, ...]:
        return ((self.os_disk,) if self.os_disk else ()) + self.data_disks
