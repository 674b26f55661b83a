# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What speaks against a twin, and what the requests for one hold, for kinds of machines that are rare."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_body import twin_body
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_disks import disk_body
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_request import TwinRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_source import (
    SourceDisk,
    SourceMachine,
    findings_about_machine,
)

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
GROUP = "/subscriptions/s/resourceGroups/shop/providers"
MACHINE = f"{GROUP}/Microsoft.Compute/virtualMachines/web"


def request(**options: Any) -> TwinRequest:
    return TwinRequest.from_options({"source_vm": MACHINE, **options}, "s", NOW)


def disk(lun: int | None = None, sku: str = "Premium_LRS", **properties: Any) -> SourceDisk:
    name = "os" if lun is None else f"data-{lun}"
    attachment: dict[str, Any] = {"caching": "ReadOnly", "managedDisk": {"id": f"{GROUP}/disks/{name}"}}
    attachment |= {"osType": "Linux"} if lun is None else {"lun": lun, "writeAcceleratorEnabled": True}
    body = {
        "id": f"{GROUP}/disks/{name}",
        "sku": {"name": sku},
        "properties": {"diskSizeGB": 64, **properties},
    }
    return SourceDisk(lun, attachment, body)


def machine(*disks: SourceDisk, **members: Any) -> SourceMachine:
    properties = {
        "provisioningState": "Succeeded",
        "hardwareProfile": {"vmSize": "Standard_M8ms"},
        "storageProfile": {"diskControllerType": "NVMe"},
        **members.pop("properties", {}),
    }
    body = {"id": MACHINE, "name": "web", "location": "westeurope", "properties": properties, **members}
    return SourceMachine(body, disks or (disk(),))


def found(source: SourceMachine, **options: Any) -> list[str]:
    return [finding.id for finding in findings_about_machine(request(**options), source)]


def test_an_ordinary_machine_has_nothing_against_it() -> None:
    assert found(machine(disk(), disk(0), disk(5))) == []


@pytest.mark.parametrize(
    ("against", "expected"),
    [
        (SourceDisk(None, {"diffDiskSettings": {"option": "Local"}}, {}), "ephemeral-disk"),
        (SourceDisk(None, {"vhd": {"uri": "https://a.blob.core.windows.net/c/d.vhd"}}, {}), "unmanaged-disk"),
        (SourceDisk(3, {"managedDisk": {"id": "gone"}}, {}), "missing-disk"),
        (disk(3, maxShares=2), "shared-disk"),
        (disk(3, diskState="ActiveUpload"), "disk-in-upload"),
    ],
)
def test_disks_that_cannot_be_copied_are_told(against: SourceDisk, expected: str) -> None:
    assert found(machine(disk(), against)) == [expected]


def test_machines_that_are_being_made_or_are_generalized_are_told() -> None:
    assert found(machine(properties={"provisioningState": "Creating"})) == ["source-in-transition"]
    generalized = {"instanceView": {"statuses": [{"code": "OSState/generalized"}]}}
    assert found(machine(properties=generalized)) == ["source-generalized"]


def test_disks_without_restore_points_are_copied_by_snapshots_unless_more_is_asked() -> None:
    source = machine(disk(), disk(0, "PremiumV2_LRS"))
    assert source.method(request()) == "snapshots"
    assert machine(disk(), disk(0)).method(request()) == "restore_point"
    assert found(source) == []
    assert found(source, method="restore_point") == ["no-restore-point"]
    assert found(source, consistency="application") == ["no-consistency"]


def test_a_copy_is_as_its_original() -> None:
    profile = {"securityType": "TrustedLaunch"}
    encrypted = {"type": "EncryptionAtRestWithCustomerKey", "diskEncryptionSetId": f"{GROUP}/keys"}
    kept: dict[str, Any] = {
        "osType": "Linux",
        "hyperVGeneration": "V2",
        "purchasePlan": {"name": "p"},
        "supportedCapabilities": {"architecture": "Arm64", "diskControllerTypes": "SCSI, NVMe"},
        "securityProfile": profile,
    }
    original = disk(**kept, encryption=encrypted, tier="P10", uniqueId="u", diskState="Attached")
    zonal = original._replace(disk={**original.disk, "zones": ["2"]})
    creation = {"createOption": "Restore", "sourceResourceId": "point"}
    assert disk_body(machine(), zonal, creation) == {
        "location": "westeurope",
        "zones": ["2"],
        "sku": {"name": "Premium_LRS"},
        "properties": {**kept, "creationData": creation, "diskSizeGB": 64, "encryption": encrypted},
    }


def test_a_copy_of_a_disk_whose_speed_is_chosen_has_the_same_speed_and_sectors() -> None:
    original = disk(0, "UltraSSD_LRS", diskIOPSReadWrite=9000, diskMBpsReadWrite=200)
    original = original._replace(
        disk={
            **original.disk,
            "properties": {**original.properties, "creationData": {"logicalSectorSize": 512}},
        }
    )
    properties = disk_body(machine(), original, {"createOption": "Copy"})["properties"]
    assert (properties["diskIOPSReadWrite"], properties["diskMBpsReadWrite"]) == (9000, 200)
    assert properties["creationData"] == {"createOption": "Copy", "logicalSectorSize": 512}
    plain = disk_body(machine(), disk(0, diskIOPSReadWrite=500), {})["properties"]
    assert "diskIOPSReadWrite" not in plain


def test_a_twin_has_the_machines_hardware_and_nothing_by_which_it_would_act_for_it() -> None:
    given = {
        "securityProfile": {"securityType": "TrustedLaunch", "encryptionAtHost": True},
        "licenseType": "Windows_Server",
        "additionalCapabilities": {"ultraSSDEnabled": True, "hibernationEnabled": True},
        "osProfile": {"adminUsername": "ops"},
        "priority": "Spot",
        "availabilitySet": {"id": "set"},
        "userData": "c2VjcmV0",
    }
    identity = {"identity": {"type": "SystemAssigned"}, "tags": {"team": "shop"}}
    plan = {"name": "p", "product": "o", "publisher": "x"}
    source = machine(disk(), disk(0), disk(5), properties=given, zones=["1"], plan=plan, **identity)
    body = twin_body(request(), source, "nic", lambda each: f"copy-{each.ending}")
    assert set(body) == {"location", "zones", "plan", "properties"}
    assert body["plan"] == plan
    properties = body["properties"]
    assert set(properties) == {
        "hardwareProfile",
        "storageProfile",
        "networkProfile",
        "diagnosticsProfile",
        "securityProfile",
        "licenseType",
        "additionalCapabilities",
    }
    assert properties["additionalCapabilities"] == {"ultraSSDEnabled": True}
    storage = properties["storageProfile"]
    assert storage["diskControllerType"] == "NVMe"
    assert storage["osDisk"] == {
        "osType": "Linux",
        "createOption": "Attach",
        "managedDisk": {"id": "copy-os"},
        "deleteOption": "Detach",
        "caching": "ReadOnly",
    }
    assert [(each["lun"], each["managedDisk"]["id"]) for each in storage["dataDisks"]] == [
        (0, "copy-data-0"),
        (5, "copy-data-5"),
    ]
    assert all(each["writeAcceleratorEnabled"] for each in storage["dataDisks"])
    smaller = twin_body(request(size="Standard_B2s"), source, "nic", lambda each: each.ending)
    assert smaller["properties"]["hardwareProfile"] == {"vmSize": "Standard_B2s"}


def test_names_that_are_made_up_fit_azures_limits() -> None:
    longest = f"{GROUP}/Microsoft.Compute/virtualMachines/{'w' * 64}"
    made = TwinRequest.from_options({"source_vm": longest}, "s", NOW)
    assert len(made.name) == 64
    assert made.name.endswith("-twin")
    assert made.group == f"goldenimage-twin-{made.build.id}"
    assert made.build.id == TwinRequest.from_options({"source_vm": longest.upper()}, "S", NOW).build.id
