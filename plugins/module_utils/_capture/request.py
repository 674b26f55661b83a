# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What is to be captured and to where; everything that can be checked without Azure is checked here."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    is_resource_id,
    parse_resource_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    DEFAULT_HOURS,
    TAG_NAMES,
    checked_build_id,
    derived_build_id,
    new_build,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import (
    check_definition_name,
    check_version,
    definition_id,
    gallery_id,
    version_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.places import Placed
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.publishing import Publishing
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import check_backup_name
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import HIGHEST_LUN
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_image_name,
    check_resource_group_name,
    check_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.blob_target import BlobRequest

COMPUTE = "Microsoft.Compute"
VM_IMAGE, OS_IMAGE = "vm_image", "os_image"
GENERALIZED, SPECIALIZED = "generalized", "specialized"
MANAGED_IMAGE, GALLERY_VERSION, VHD_BLOBS = "managed_image", "gallery_version", "vhd_blobs"
# Tags that say where an image comes from, beside the user's.
OWN_TAGS = 11

# How a gallery version is published.
_PUBLISHING = (
    "regions",
    "replicas",
    "storage_account_type",
    "exclude_from_latest",
    "end_of_life",
    "replication_mode",
)
_NEEDED = {
    MANAGED_IMAGE: ("name",),
    GALLERY_VERSION: ("gallery", "definition", "version"),
    VHD_BLOBS: ("storage_account", "container"),
}
_ALLOWED = {
    MANAGED_IMAGE: (
        "name",
        "resource_group",
        "zone_resilient",
        "storage_account_type",
        "disk_encryption_set",
    ),
    GALLERY_VERSION: (
        "gallery",
        "definition",
        "version",
        "resource_group",
        *_PUBLISHING,
    ),
    VHD_BLOBS: ("storage_account", "container", "prefix", "resource_group", "auth_mode"),
}


@dataclass(frozen=True)
class TargetRequest:
    """One thing to make of the machine. `option` is where it stands among the options, `group` its resource
    group; which of the others are set depends on the `type`."""

    option: str
    type: str
    group: str
    name: str = ""
    zone_resilient: bool | None = None
    storage_account_type: str | None = None
    disk_encryption_set: str | None = None
    gallery: str = ""
    definition: str = ""
    version: str = ""
    publishing: Publishing = field(default_factory=Publishing)
    storage_account: str = ""
    container: str = ""
    prefix: str = ""
    auth_mode: str = "key"

    def id(self, subscription: str) -> str:
        """The resource id of the image or version; a URL-like text for blobs, which have none."""
        if self.type == MANAGED_IMAGE:
            return resource_id(subscription, self.group, COMPUTE, "images", self.name)
        if self.type == GALLERY_VERSION:
            return version_id(self.definition_id(subscription), self.version)
        return f"{self.storage_account}/{self.container}/{self.prefix}"

    @property
    def placed(self) -> Placed:
        """Where it is to be, for a look at the regions."""
        zonal = bool(self.zone_resilient) or str(self.storage_account_type or "").endswith("_ZRS")
        return Placed(f"{self.option}.", self.publishing, zonal)

    def definition_id(self, subscription: str) -> str:
        """Raises InvalidInput where the gallery is not named by a name or the id of one."""
        gallery = gallery_id(subscription, self.group, self.gallery, f"{self.option}.gallery")
        return definition_id(gallery, self.definition)


@dataclass(frozen=True)
class CaptureRequest:
    """A capture as it is wanted. `data_disks` None: all of them. `vm_id` names the machine."""

    vm_id: str
    kind: str
    os_state: str
    data_disks: tuple[int, ...] | None
    targets: tuple[TargetRequest, ...]
    stop: bool
    allow_running: bool
    assume_generalized: bool
    tags: dict[str, str]
    build_id: str
    expires_after: int
    awx_job_id: str | None
    backup: bool
    backup_name: str | None
    rescue: bool
    verify_tls: bool

    @property
    def generalized(self) -> bool:
        return self.os_state == GENERALIZED

    @property
    def vm_name(self) -> str:
        return parse_resource_id(self.vm_id).name

    @property
    def vm_group(self) -> str:
        return parse_resource_id(self.vm_id).resource_group

    def takes(self, lun: int | None) -> bool:
        """Whether the disk at the LUN is captured; None is the operating system disk."""
        if lun is None:
            return True
        return self.kind == VM_IMAGE and (self.data_disks is None or lun in self.data_disks)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], subscription: str) -> CaptureRequest:
        """Read the module's options. Raises InvalidInput for what cannot be right in any case."""
        group = options["resource_group"]
        check_resource_group_name(group)
        vm_id = _vm_id(options["source_vm"], group, subscription)
        targets = tuple(
            _target(f"targets[{position}]", given, group, parse_resource_id(vm_id).name)
            for position, given in enumerate(options["targets"] or [])
        )
        if not targets:
            raise InvalidInput("targets: nothing is to be made.", remedy="Name at least one target.")
        _check_distinct(targets, subscription)
        ids = [target.id(subscription) for target in targets]
        build_id = checked_build_id(options.get("build_id") or derived_build_id(vm_id, *ids))
        backup_name = options.get("backup_name") or None
        if backup_name:
            check_backup_name(backup_name)
        request = cls(
            vm_id=vm_id,
            kind=options.get("kind") or VM_IMAGE,
            os_state=options.get("os_state") or GENERALIZED,
            data_disks=_luns(options.get("data_disks")),
            targets=targets,
            stop=bool(options.get("stop")),
            allow_running=bool(options.get("allow_running")),
            assume_generalized=bool(options.get("assume_generalized")),
            tags=_tags(options.get("tags") or {}),
            build_id=build_id,
            expires_after=_hours(options.get("expires_after"), build_id),
            awx_job_id=str(options["awx_job_id"]) if options.get("awx_job_id") else None,
            backup=bool(options.get("backup")),
            backup_name=backup_name,
            rescue=bool(options.get("rescue")),
            verify_tls=_verify_tls(options),
        )
        request._check_together()
        return request

    def _check_together(self) -> None:
        if self.kind == OS_IMAGE and self.data_disks:
            raise InvalidInput(
                "data_disks: an image of the operating system alone has none.",
                remedy="Set kind to vm_image, or leave data_disks out.",
            )
        if self.allow_running and self.generalized:
            raise InvalidInput(
                "allow_running: a generalized machine is captured when it is off, what runs in it leaves new"
                " traces.",
                remedy="Set stop to true, or os_state to specialized.",
            )
        if self.allow_running and self.stop:
            raise InvalidInput(
                "allow_running: with stop the machine does not run any more.", remedy="Give one of the two."
            )
        if self.rescue and not self.backup:
            raise InvalidInput(
                "rescue: there is nothing to go back to without a backup.", remedy="Set backup to true."
            )
        if self.assume_generalized and not self.generalized:
            raise InvalidInput(
                "assume_generalized: a specialized image keeps the machine's identity.",
                remedy="Leave it out, or set os_state to generalized.",
            )


def _hours(given: int | None, build_id: str) -> int:
    hours = DEFAULT_HOURS if given is None else given
    new_build(build_id, hours, datetime.now(timezone.utc))
    return hours


def _tags(given: Mapping[str, Any]) -> dict[str, str]:
    """The user's tags. Those by which the collector knows what is temporary are no tags for an image."""
    check_tags(given, own=OWN_TAGS)
    taken = [name for name in given if name.casefold() in TAG_NAMES]
    if taken:
        raise InvalidInput(
            f"tags: {taken[0]} is one of the tags by which temporary resources are found again.",
            remedy="Leave it out.",
        )
    return {name: "" if value is None else str(value) for name, value in given.items()}


def _verify_tls(options: Mapping[str, Any]) -> bool:
    """Whether the blob service's certificate is checked, as that of Resource Manager is."""
    mode = options.get("cert_validation_mode") or os.environ.get("AZURE_CERT_VALIDATION_MODE")
    return mode != "ignore"


def _vm_id(source: str, group: str, subscription: str) -> str:
    if not is_resource_id(source):
        return resource_id(subscription, group, COMPUTE, "virtualMachines", source)
    parsed = parse_resource_id(source)
    if parsed.resource_type.lower() != "microsoft.compute/virtualmachines":
        raise InvalidInput(f"source_vm: {source} is no virtual machine.")
    if parsed.subscription.lower() != subscription.lower():
        raise InvalidInput(
            f"source_vm: {parsed.name} is in another subscription than the one of this session.",
            remedy="Set subscription_id to the machine's.",
        )
    return str(parsed)


def _luns(given: Sequence[int] | None) -> tuple[int, ...] | None:
    if given is None:
        return None
    for lun in given:
        if not 0 <= lun <= HIGHEST_LUN:
            raise InvalidInput(f"data_disks: LUN {lun} is not between 0 and {HIGHEST_LUN}.")
    return tuple(sorted(set(given)))


def _target(option: str, given: Mapping[str, Any], group: str, vm_name: str) -> TargetRequest:
    kind = given["type"]
    said = {name: value for name, value in given.items() if value not in (None, "", []) and name != "type"}
    missing = [name for name in _NEEDED[kind] if name not in said]
    if missing:
        raise InvalidInput(f"{option}: a {kind} needs {' and '.join(missing)}.")
    strange = sorted(set(said) - set(_ALLOWED[kind]))
    if strange:
        raise InvalidInput(f"{option}.{strange[0]}: a {kind} has no such thing.")
    own_group = said.pop("resource_group", group)
    check_resource_group_name(own_group)
    if kind == GALLERY_VERSION:
        said["publishing"] = Publishing.from_options(said, f"{option}.")
        said = {name: value for name, value in said.items() if name not in _PUBLISHING}
    if kind == VHD_BLOBS:
        said.setdefault("prefix", f"{vm_name}-")
    target = TargetRequest(option=option, type=kind, group=own_group, **said)
    {MANAGED_IMAGE: _check_image, GALLERY_VERSION: _check_version, VHD_BLOBS: _check_blobs}[kind](target)
    return target


def _check_image(target: TargetRequest) -> None:
    check_image_name(target.name)


def _check_version(target: TargetRequest) -> None:
    check_definition_name(f"{target.option}.definition", target.definition)
    check_version(f"{target.option}.version", target.version)


def _check_blobs(target: TargetRequest) -> None:
    if "/" in target.prefix:
        raise InvalidInput(
            f"{target.option}.prefix: {target.prefix!r} has a slash, which Azure refuses in the names of"
            " blobs that disks are made of."
        )
    blob = f"{target.prefix}os.vhd"
    BlobRequest(target.storage_account, target.container, blob, target.group, target.auth_mode, None).check()


def _check_distinct(targets: Sequence[TargetRequest], subscription: str) -> None:
    seen: dict[str, str] = {}
    for target in targets:
        key = f"{target.type} {target.id(subscription).casefold()}"
        if key in seen:
            raise InvalidInput(f"{target.option}: it is the same as {seen[key]}.")
        seen[key] = target.option
