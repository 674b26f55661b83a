# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Tells in which immutable respects an existing managed image is not the wanted one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    normalize_location,
    same_resource,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_facts import image_facts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import (
    DiskRequest,
    ImageRequest,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_tags import SOURCES_TAG
from ansible_collections.goldenimage.azure.plugins.module_utils._image.sources import Reference

_SETTINGS = ("caching", "storage_account_type", "disk_size_gb", "disk_encryption_set", "os_type", "os_state")


class Wanted(NamedTuple):
    """The sources of a request: the machine's id, or what each disk can refer to; None: unknown."""

    source_vm: str | None
    references: Sequence[Sequence[Reference]]
    identity: str | None


def differences(current: Mapping[str, Any], request: ImageRequest, wanted: Wanted) -> list[str]:
    """One phrase per difference, in the words of the options; what the request leaves open never differs."""
    facts = image_facts(current)
    found = []
    if str(facts["provisioning_state"]).lower() == "failed":
        found.append("it was never completed (provisioning state Failed)")
    if request.location and normalize_location(facts["location"]) != request.location:
        found.append(f"location: it is in {normalize_location(facts['location'])}, not in {request.location}")
    for option in ("hyper_v_generation", "zone_resilient"):
        asked = getattr(request, option)
        if asked is not None and asked != (facts[option] or (False if option == "zone_resilient" else None)):
            found.append(f"{option}: it has {facts[option]}, not {asked}")
    found += _source_differences(facts, request, wanted)
    recorded = facts["tags"].get(SOURCES_TAG)
    if not found and wanted.identity and recorded and recorded != wanted.identity:
        found.append("its source was replaced by another one of the same name after the image was made")
    return found


def _source_differences(facts: dict[str, Any], request: ImageRequest, wanted: Wanted) -> list[str]:
    made_from = facts["source_virtual_machine"]
    if wanted.source_vm:
        if same_resource(made_from, wanted.source_vm):
            return []
        return [f"source_vm: it was made from {made_from or 'disks'}, not from {wanted.source_vm}"]
    if made_from and request.os_disk:
        return [f"os_disk: it was made from virtual machine {made_from}, not from disks"]
    if request.os_disk is None:
        return []
    found = _disk_differences(facts["os_disk"] or {}, request.os_disk, wanted.references[0])
    by_lun = {disk["lun"]: disk for disk in facts["data_disks"]}
    luns = sorted(disk.lun for disk in request.data_disks if disk.lun is not None)
    if luns != sorted(by_lun):
        return [*found, f"data_disks: it has {_luns(sorted(by_lun))}, not {_luns(luns)}"]
    for disk, candidates in zip(request.data_disks, wanted.references[1:], strict=True):
        found += _disk_differences(by_lun[disk.lun], disk, candidates)
    return found


def _disk_differences(
    facts: Mapping[str, Any], disk: DiskRequest, candidates: Sequence[Reference]
) -> list[str]:
    source = facts.get("source")
    found = []
    if not any(_same_source(source, candidate) for candidate in candidates):
        found.append(f"{disk.option}.source: it was made from {source}, not from {disk.source}")
    for setting in _SETTINGS:
        asked, has = getattr(disk, setting), facts.get(setting)
        same = same_resource(has, asked) if setting == "disk_encryption_set" else has == asked
        if asked is not None and not same:
            found.append(f"{disk.option}.{setting}: it has {has}, not {asked}")
    return found


def _same_source(source: str | None, candidate: Reference) -> bool:
    if candidate.member == "blobUri":
        return source == candidate.value
    return same_resource(source, candidate.value)


def _luns(luns: Sequence[int]) -> str:
    return f"LUN {', '.join(map(str, luns))}" if luns else "none"
