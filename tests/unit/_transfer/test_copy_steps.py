# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The way from a disk or snapshot to its copy, and how what lies on it is known again."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_source import (
    ImportSource,
    Original,
    ResourceSource,
    creation_data,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_steps import (
    Temporary,
    steps_to,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_target import ResourceTarget

NEAR, FAR = "eastus", "westeurope"


def source(kind: str, *, incremental: bool = False, **given: Any) -> ResourceSource:
    resource = {"location": "East US", "properties": {"incremental": incremental}}
    known = {"identity": "1234", "virtual_size": 1 << 30, "content_sha256": None, **given}
    return ResourceSource(kind=kind, id=f"/{kind}", resource=resource, **known)


BLOB = ImportSource("blob", "https://a.b/c/d.vhd", "1234", 1 << 30, None, account="/account", location=NEAR)


@pytest.mark.parametrize(
    ("origin", "kind", "way"),
    [
        (source("disk"), "disk", "snapshot Copy near, snapshot CopyStart far, disk Copy far"),
        (source("disk"), "snapshot", "snapshot Copy near, snapshot CopyStart far"),
        (source("snapshot", incremental=True), "snapshot", "snapshot CopyStart far"),
        (source("snapshot", incremental=True), "disk", "snapshot CopyStart far, disk Copy far"),
        (BLOB, "snapshot", "disk Import near, snapshot Copy near, snapshot CopyStart far"),
        (source("snapshot"), "snapshot", "disk Copy near, snapshot Copy near, snapshot CopyStart far"),
    ],
)
def test_only_incremental_snapshots_go_to_another_region(origin: Original, kind: str, way: str) -> None:
    steps = steps_to(origin, kind, FAR, incremental=True)
    places = {NEAR: "near", FAR: "far"}
    assert ", ".join(f"{step.kind} {step.option} {places[step.location]}" for step in steps) == way
    assert all(step.incremental for step in steps if step.kind == "snapshot")


@pytest.mark.parametrize("kind", ["disk", "snapshot"])
@pytest.mark.parametrize(("origin", "option"), [(source("disk"), "Copy"), (BLOB, "Import")])
def test_within_a_region_the_copy_is_made_at_once(origin: Original, option: str, kind: str) -> None:
    (step,) = steps_to(origin, kind, NEAR, incremental=False)
    assert (step.kind, step.option, step.incremental) == (kind, option, False)


@pytest.mark.parametrize("sku", ["PremiumV2_LRS", "UltraSSD_LRS"])
@pytest.mark.parametrize(("told", "size"), [(None, 512), (4096, 4096)])
def test_a_disk_keeps_the_sectors_of_its_source_where_azure_would_make_other_ones(
    sku: str, told: int | None, size: int
) -> None:
    disk = source("disk")
    disk.resource["properties"]["creationData"] = {"logicalSectorSize": told}
    assert creation_data(disk, "Copy", "/disk", sku)["logicalSectorSize"] == size
    assert creation_data(BLOB, "Import", BLOB.id, sku)["logicalSectorSize"] == 512
    assert "logicalSectorSize" not in creation_data(disk, "Copy", "/disk", "Premium_LRS")


def target(**given: Any) -> ResourceTarget:
    wanted = dict.fromkeys(ResourceTarget._fields, None)
    return ResourceTarget(**{**wanted, "kind": "disk", "resource_group": "rg", "name": "far", **given})


def test_a_copy_is_not_changed_to_a_kind_of_storage_that_azure_does_not_change_it_to() -> None:
    present = {"location": NEAR, "sku": {"name": "Premium_LRS"}, "properties": {}}
    assert target(sku="StandardSSD_LRS").differences(present) == []
    (reason,) = target(sku="Premium_ZRS").differences(present)
    assert "its sku is Premium_LRS, which Azure does not change to Premium_ZRS" in reason


def test_a_disk_in_all_zones_is_in_none() -> None:
    with pytest.raises(InvalidInput, match="zone: a disk of type Premium_ZRS"):
        target(sku="Premium_ZRS", zone="1").check()


def test_what_is_temporary_is_named_by_source_and_target_and_expires() -> None:
    first = Temporary.of(source("disk"), "/target")
    assert first == Temporary.of(source("disk"), "/TARGET")
    assert first.name(0) not in {
        Temporary.of(source("disk"), "/other").name(0),
        Temporary.of(source("disk", identity="5678"), "/target").name(0),
        first.name(1),
    }
    tags = first.tags()
    expires = datetime.strptime(tags["goldenimage_expires"], "%Y-%m-%dT%H:%M:%S%z")
    assert timedelta(days=1) < expires - datetime.now(timezone.utc) < timedelta(days=7)
    assert first.is_own({"tags": tags})
    assert not first.is_own({"tags": {"goldenimage_build": "another"}})
    assert not first.is_own({})
