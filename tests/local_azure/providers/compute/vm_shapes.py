# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A virtual machine's body as each API version shows it.

Which version brought which member is taken from the specifications of Microsoft.Compute and from answers
recorded with 2017-03-30, 2019-03-01, 2019-12-01, 2020-12-01 and 2024-07-01.
"""

from __future__ import annotations

import copy
from typing import Any

from tests.local_azure.store import Json, Resource

_ETAG_SINCE = "2024-07-01"
_TIME_CREATED_SINCE = "2021-11-01"
_DELETE_OPTION_SINCE = "2021-03-01"
_EXACT_VERSION_SINCE = "2019-12-01"
_TO_BE_DETACHED_SINCE = "2019-03-01"
# How large a platform image makes a disk was not told before the disk was there; of managed images it was.
_PLATFORM_SIZE_SINCE = "2019-07-01"
_EXTENSION_OPERATIONS_SINCE = "2018-06-01"
_SECURITY_PROFILE_SINCE = "2019-12-01"
_WINDOWS_PATCHES_SINCE = "2020-06-01"
_LINUX_PATCHES_SINCE = "2020-12-01"
_ASSESSMENT_SINCE = "2021-03-01"
_AGENT_UPDATES_SINCE = "2022-03-01"
# Up to then told of every machine; since then of those whose agent Azure updates: in its early regions.
_AGENT_UPDATES_TOLD_UNTIL = "2024-07-01"
_AGENT_UPDATED = frozenset({"eastus2euap", "centraluseuap"})


def has_etag(version: str) -> bool:
    return version >= _ETAG_SINCE


def shaped(machine: Resource, version: str) -> Json:
    """A copy of the body as `version` shows it; deallocated, a machine does not know its disks' sizes."""
    body = copy.deepcopy(machine.body)
    properties: Json = body["properties"]
    storage = properties["storageProfile"]
    for disk in (storage["osDisk"], *storage["dataDisks"]):
        _shape_disk(disk, version, deallocated=machine.hidden.get("power") == "deallocated")
    if version < _PLATFORM_SIZE_SINCE and "publisher" in storage.get("imageReference", {}):
        _drop_planned_sizes(storage, machine.hidden.get("disk_plans") or [])
    if version < _EXACT_VERSION_SINCE:
        storage.get("imageReference", {}).pop("exactVersion", None)
    if version < _TIME_CREATED_SINCE:
        properties.pop("timeCreated", None)
    if version < _SECURITY_PROFILE_SINCE:
        properties.pop("securityProfile", None)
    for entry in properties.get("networkProfile", {}).get("networkInterfaces", []):
        if version < _DELETE_OPTION_SINCE:
            _drop(entry, "properties", "deleteOption")
    if "osProfile" in properties:
        _shape_os_profile(properties["osProfile"], version, machine.location)
    if has_etag(version):
        body["etag"] = etag(machine)
    return body


def etag(machine: Resource) -> str:
    return f'"{machine.hidden.get("version", 1)}"'


def _drop(entry: Json, holder: str, key: str) -> None:
    inner = entry.get(holder, {})
    inner.pop(key, None)
    if not inner:
        entry.pop(holder, None)


def _drop_planned_sizes(storage: Json, plans: list[Json]) -> None:
    unsaid = {plan["key"] for plan in plans if plan.get("shown_gb") and not plan.get("size_gb")}
    for disk in (storage["osDisk"], *storage["dataDisks"]):
        if str(disk.get("lun", "os")) in unsaid:
            disk.pop("diskSizeGB", None)


def _shape_disk(disk: Json, version: str, *, deallocated: bool) -> None:
    if version < _DELETE_OPTION_SINCE:
        disk.pop("deleteOption", None)
    if version < _TO_BE_DETACHED_SINCE:
        disk.pop("toBeDetached", None)
    if deallocated and "managedDisk" in disk:
        disk.pop("diskSizeGB", None)
        disk["managedDisk"].pop("storageAccountType", None)


def _shape_os_profile(profile: Json, version: str, location: str) -> None:
    if version < _EXTENSION_OPERATIONS_SINCE:
        profile.pop("allowExtensionOperations", None)
        profile.pop("requireGuestProvisionSignal", None)
    for key, since in (
        ("windowsConfiguration", _WINDOWS_PATCHES_SINCE),
        ("linuxConfiguration", _LINUX_PATCHES_SINCE),
    ):
        configuration: Any = profile.get(key)
        if configuration is None:
            continue
        if version < since:
            configuration.pop("patchSettings", None)
        elif version < _ASSESSMENT_SINCE:
            configuration["patchSettings"].pop("assessmentMode", None)
        updated = location in _AGENT_UPDATED
        if version >= _AGENT_UPDATES_SINCE and (updated or version < _AGENT_UPDATES_TOLD_UNTIL):
            configuration["enableVMAgentPlatformUpdates"] = updated
