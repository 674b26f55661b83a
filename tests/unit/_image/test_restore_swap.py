# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""How a machine is to have its restored disks."""

from __future__ import annotations

from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import BackupDisk
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_machine import (
    AttachedDisk,
    Machine,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_plan import NewDisk
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_swap import (
    attachment,
    lasting_machine_tags,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_tags import DELETE_OPTION_TAG
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import VmState

DISKS = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/disks"


def machine(*disks: AttachedDisk, **tags: str) -> Machine:
    return Machine({"id": "/x/vm", "name": "vm", "tags": tags}, VmState(None, False, "", None), disks)


def saved(lun: int | None, caching: str, *, accelerated: bool) -> BackupDisk:
    return BackupDisk(lun, "d", f"{DISKS}/d", "/content", 8, "Premium_LRS", caching, accelerated)


def new(lun: int | None, disk: BackupDisk | None, made: Any = None) -> NewDisk:
    return NewDisk(lun, f"{DISKS}/d-r1", "/content", "Restore", disk, None, made, None)


def test_caching_and_write_accelerator_are_those_of_the_backup() -> None:
    now = AttachedDisk(3, {"lun": 3, "caching": "None", "deleteOption": "Delete"}, None)
    assert attachment(new(3, saved(3, "ReadOnly", accelerated=True)), machine(now)) == {
        "lun": 3,
        "name": "d-r1",
        "createOption": "Attach",
        "managedDisk": {"id": f"{DISKS}/d-r1"},
        "caching": "ReadOnly",
        "writeAcceleratorEnabled": True,
        "deleteOption": "Delete",
    }
    accelerated = AttachedDisk(None, {"caching": "ReadWrite", "writeAcceleratorEnabled": True}, None)
    entry = attachment(new(None, saved(None, "ReadWrite", accelerated=False)), machine(accelerated))
    assert "writeAcceleratorEnabled" not in entry and "lun" not in entry


def test_a_disk_whose_place_is_empty_for_now_goes_with_the_machine_as_before() -> None:
    made = {"id": f"{DISKS}/d-r1", "tags": {DELETE_OPTION_TAG: "Delete"}}
    assert (
        attachment(new(3, saved(3, "None", accelerated=False), made), machine())["deleteOption"] == "Delete"
    )
    assert "deleteOption" not in attachment(new(3, saved(3, "None", accelerated=False)), machine())


def test_a_disk_that_is_in_no_backup_is_attached_as_it_was() -> None:
    now = AttachedDisk(9, {"lun": 9, "caching": "ReadWrite", "writeAcceleratorEnabled": True}, None)
    entry = attachment(new(9, None), machine(now))
    assert (entry["caching"], entry["writeAcceleratorEnabled"]) == ("ReadWrite", True)


def test_the_proof_of_generalization_goes_in_any_case() -> None:
    assert lasting_machine_tags(machine(GoldenImage_Generalized="x", team="shop")) == {"team": "shop"}
