# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Tells in which immutable respects an existing virtual machine is not the wanted one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    same_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.login import same_public_key
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_image import (
    image_reference,
    same_image,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmDisk, VmRequest

_DISK_SETTINGS = ("name", "size_gb", "storage_account_type", "caching")


def immutable_differences(
    machine: Mapping[str, Any], facts: Mapping[str, Any], request: VmRequest, subscription: str
) -> list[str]:
    """One phrase per difference, in the words of the options; what the request leaves open never differs.

    Password and custom data are not among them: Azure never returns those.
    """
    found = []
    if request.location and normalize_location(facts["location"]) != request.location:
        found.append(f"location: it is in {normalize_location(facts['location'])}, not in {request.location}")
    if request.image:
        wanted = image_reference(request.image, subscription, request.resource_group)
        current = machine["properties"].get("storageProfile", {}).get("imageReference")
        if not same_image(current, wanted):
            found.append(f"image: it was made from {_shown(current)}, not from {_shown(wanted)}")
    for option in ("admin_username", "computer_name", "os_type"):
        asked = getattr(request, option)
        if asked and asked != facts[option]:
            found.append(f"{option}: it is {facts[option]}, not {asked}")
    if request.security_type and request.security_type != (facts["security_type"] or "Standard"):
        found.append(
            f"security_type: it is {facts['security_type'] or 'Standard'}, not {request.security_type}"
        )
    if request.zone and [request.zone] != facts["zones"]:
        found.append(f"zone: it is in {', '.join(facts['zones']) or 'none'}, not in {request.zone}")
    found += _key_differences(machine, request)
    found += _disk_differences("os_disk", facts["os_disk"], request.os_disk)
    by_lun = {disk["lun"]: disk for disk in facts["data_disks"]}
    for position, disk in enumerate(request.data_disks):
        option = f"data_disks[{position}]"
        if disk.lun in by_lun:
            found += _disk_differences(option, by_lun[disk.lun], disk)
        else:
            found.append(f"{option}: it has no disk at LUN {disk.lun}")
    return found + _interface_differences(facts, request)


def _shown(reference: Mapping[str, Any] | None) -> str:
    if not reference:
        return "a disk"
    if "publisher" in reference:
        return ":".join(str(reference.get(part)) for part in ("publisher", "offer", "sku", "version"))
    return str(next(iter(reference.values())))


def _key_differences(machine: Mapping[str, Any], request: VmRequest) -> list[str]:
    linux = (machine["properties"].get("osProfile") or {}).get("linuxConfiguration") or {}
    keys = [str(key.get("keyData", "")) for key in (linux.get("ssh") or {}).get("publicKeys") or []]
    missing = [key for key in request.ssh_public_keys if not any(same_public_key(key, has) for has in keys)]
    return ["ssh_public_keys: it was made with other keys"] if missing else []


def _disk_differences(option: str, facts: Mapping[str, Any], disk: VmDisk) -> list[str]:
    found = []
    for setting in _DISK_SETTINGS:
        asked, has = getattr(disk, setting), facts.get(setting)
        # A deallocated machine does not show the size and type of its disks: nothing to compare then.
        if asked is not None and has is not None and asked != has:
            found.append(f"{option}.{setting}: it is {has}, not {asked}")
    return found


def _interface_differences(facts: Mapping[str, Any], request: VmRequest) -> list[str]:
    missing = [
        wanted
        for wanted in request.network.network_interfaces
        if not any(same_resource(wanted, has) for has in facts["network_interfaces"])
    ]
    return [f"network_interfaces: it does not have {missing[0]}"] if missing else []
