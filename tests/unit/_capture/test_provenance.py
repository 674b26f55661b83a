# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The tags that say where an image comes from."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    new_build,
    temporary_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.provenance import (
    content_digest,
    made_by,
    provenance_tags,
)

from tests.unit._capture.machines import GROUP, VM, disk, machine, request

NOW = datetime(2026, 11, 21, 8, 0, 0, tzinfo=timezone.utc)


def test_image_plan_and_job_are_named() -> None:
    reference = {"publisher": "p", "offer": "o", "sku": "s", "version": "latest", "exactVersion": "1.2.3"}
    storage = {"osDisk": {"osType": "Linux"}, "imageReference": reference}
    plan = {"publisher": "p", "product": "o", "name": "s"}
    source = machine(body={"plan": plan}, storageProfile=storage)
    tags = provenance_tags(request(awx_job_id="7"), source, NOW)
    assert tags["goldenimage_source"] == VM
    assert tags["goldenimage_source_vm_id"] == "one"
    assert tags["goldenimage_source_image"] == "p:o:s:1.2.3"
    assert tags["goldenimage_plan"] == "p:o:s"
    assert tags["goldenimage_awx_job"] == "7"
    assert tags["goldenimage_captured"] == "2026-11-21T08:00:00Z"


def test_the_source_of_a_twin_s_image_is_the_machine_it_is_a_twin_of() -> None:
    original = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/production"
    tags = temporary_tags(new_build("build", 24, NOW), "twin", original)
    twin = machine(tags={**tags, "goldenimage_source_vm_id": "the source's own"})
    found = provenance_tags(request(), twin, NOW)
    assert found["goldenimage_source"] == original
    assert found["goldenimage_source_vm_id"] == "the source's own"
    assert found["goldenimage_twin"] == VM


def test_an_image_is_known_by_build_and_machine_as_one_build_id_may_stand_for_several_machines() -> None:
    wanted = request(build_id="nightly")
    tags = provenance_tags(wanted, machine(), NOW)
    assert made_by(tags, wanted)
    assert not made_by(tags, request(build_id="nightly", source_vm="other"))
    assert not made_by(tags, request(build_id="weekly"))
    twin = machine(tags=temporary_tags(new_build("nightly", 24, NOW), "twin", f"{VM}-production"))
    tags = provenance_tags(wanted, twin, NOW)
    assert made_by(tags, wanted)
    # The next run looks at the machine itself before it makes another twin.
    assert made_by(tags, request(build_id="nightly", source_vm="web-production"))


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({}, {"vmId": "another"}),
        ({"kind": "os_image"}, {}),
        ({"data_disks": []}, {}),
        ({"assume_generalized": False, "os_state": "specialized"}, {}),
    ],
)
def test_another_machine_state_or_choice_of_disks_is_another_content(
    options: dict[str, Any], change: dict[str, Any]
) -> None:
    disks = (disk(None), disk(3))
    assert content_digest(request(), machine(*disks)) != content_digest(
        request(**options), machine(*disks, **change)
    )


def test_a_disk_made_anew_under_its_old_name_is_another_content() -> None:
    first = content_digest(request(), machine(disk(None), disk(3)))
    assert first == content_digest(request(), machine(disk(None), disk(3)))
    assert first != content_digest(request(), machine(disk(None), disk(3, uniqueId="anew")))


def test_the_build_is_the_same_for_the_same_work_and_another_for_other_targets() -> None:
    other = request(targets=[{"type": "managed_image", "name": "other"}])
    assert request().build_id == request(resource_group="RG", source_vm="WEB").build_id
    assert request().build_id != other.build_id
