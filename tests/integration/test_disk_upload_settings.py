# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What a managed disk shall be: refused where Azure has it not, and followed where a disk can be changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player, PlayResult
from tests.integration.uploads import DISKS, EFI_SYSTEM, MIB, Tasks, raw_disk, refused, succeeded

SETS = "Microsoft.Compute/diskEncryptionSets"
BOTH_KEYS = "EncryptionAtRestWithPlatformAndCustomerKeys"


def encryption_set(
    azure: LocalAzure, group: str, name: str, *, kind: str | None = None, location: str = "eastus"
) -> str:
    """Make one; returns its id."""
    path = azure.id(group, SETS, name)
    key: dict[str, Any] = {"activeKey": {"keyUrl": "https://vault.vault.azure.net/keys/key/1"}}
    if kind is not None:
        key["encryptionType"] = kind
    azure.put(path, {"location": location, "identity": {"type": "SystemAssigned"}, "properties": key})
    return path


@pytest.fixture(scope="module")
def sets(azure: LocalAzure, group: str) -> dict[str, str]:
    return {
        "one": encryption_set(azure, group, "one"),
        "both": encryption_set(azure, group, "both", kind=BOTH_KEYS),
        "confidential": encryption_set(
            azure, group, "confidential", kind="ConfidentialVmEncryptedWithCustomerKey"
        ),
        "far": encryption_set(azure, group, "far", location="westus2"),
        "missing": azure.id(group, SETS, "missing"),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


@pytest.fixture(scope="module")
def tasks(play: Player, group: str, folder: Path) -> Tasks:
    path = raw_disk(folder / "efi.raw", boot=EFI_SYSTEM, filled=MIB)
    return Tasks(play, path=str(path), resource_group=group, disk_name="never")


BAD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "no zones": ({"location": "westus", "zone": "1"}, ("zone: region westus", "Leave zone out")),
    "zone of a redundant disk": ({"sku": "Premium_ZRS", "zone": "1"}, ("in all zones", "_LRS")),
    "ultra to boot from": ({"sku": "UltraSSD_LRS", "os_type": "Linux"}, ("cannot be booted from",)),
    "trusted launch": (
        {"security_type": "TrustedLaunch", "os_type": "Linux"},
        ("security_type", "no uploaded disk the type TrustedLaunch", "Use TrustedLaunchSupported"),
    ),
    "confidential": (
        {"security_type": "ConfidentialVM_DiskEncryptedWithPlatformKey", "os_type": "Linux"},
        ("no uploaded disk", "Use TrustedLaunchAndConfidentialVMSupported"),
    ),
    "security of data": ({"security_type": "TrustedLaunchSupported"}, ("without os_type",)),
    "missing set": ({"disk_encryption_set": "missing"}, ("no disk encryption set missing",)),
    "set elsewhere": ({"disk_encryption_set": "far"}, ("far is in westus2", "eastus")),
    "confidential set": ({"disk_encryption_set": "confidential"}, ("confidential VMs alone",)),
}


@pytest.fixture(scope="module")
def refusals(azure: LocalAzure, tasks: Tasks, sets: dict[str, str], folder: Path) -> PlayResult:
    wanted = Tasks(tasks._play, **tasks._common)
    for name, (given, _words) in BAD.items():
        options = dict(given)
        if "disk_encryption_set" in options:
            options["disk_encryption_set"] = sets[options["disk_encryption_set"]]
        wanted.add(name, **options)
    bios = str(raw_disk(folder / "bios.raw", filled=MIB))
    wanted.add("bios", path=bios, os_type="Linux", security_type="TrustedLaunchSupported")
    mark = azure.mark()
    run = wanted.run()
    assert azure.writes(mark) == []
    return run


@pytest.mark.parametrize("name", BAD)
def test_what_azure_has_not_is_refused_before_any_write(refusals: PlayResult, name: str) -> None:
    refused(refusals, name, *BAD[name][1])


def test_a_disk_that_boots_by_bios_is_for_no_trusted_launch(refusals: PlayResult) -> None:
    refused(refusals, "bios", "needs a disk that boots by UEFI (V2)")


def test_settings_arrive_stay_and_follow(
    azure: LocalAzure, group: str, tasks: Tasks, sets: dict[str, str]
) -> None:
    data: dict[str, Any] = {
        "disk_name": "data",
        "sku": "PremiumV2_LRS",
        "zone": "2",
        "disk_encryption_set": sets["both"],
    }
    system: dict[str, Any] = {
        "disk_name": "system",
        "os_type": "Linux",
        "sku": "Premium_LRS",
        "security_type": "TrustedLaunchSupported",
    }
    first = Tasks(tasks._play, **tasks._common).add("data", **data).add("system", **system).run()
    assert succeeded(first, "data")["disk"]["disk_encryption_set"] == sets["both"]
    assert succeeded(first, "system")["disk"]["security_type"] == "TrustedLaunchSupported"
    made = azure.get(azure.id(group, DISKS, "data"))
    assert made["properties"]["creationData"]["logicalSectorSize"] == 512
    assert made["properties"]["encryption"] == {"type": BOTH_KEYS, "diskEncryptionSetId": sets["both"]}
    assert made["zones"] == ["2"]

    again = Tasks(tasks._play, **tasks._common).add("data", **data).add("system", **system)
    again.add("zone", **{**data, "zone": "1"}).add("redundant", **{**system, "sku": "Premium_ZRS"})
    again.add("security", **{**system, "security_type": "TrustedLaunchAndConfidentialVMSupported"})
    again.add("checked key", keywords={"check_mode": True}, **{**data, "disk_encryption_set": sets["one"]})
    mark = azure.mark()
    run = again.run()
    assert azure.writes(mark) == []
    assert not succeeded(run, "data").changed and not succeeded(run, "system").changed
    refused(run, "zone", "its zone is 2, not 1")
    refused(run, "redundant", "its sku is Premium_LRS, which Azure does not change to Premium_ZRS")
    refused(run, "security", "its security_type is TrustedLaunchSupported")

    changed = Tasks(tasks._play, **tasks._common)
    changed.add("key", keywords={"diff": True}, **{**data, "disk_encryption_set": sets["one"]})
    result = succeeded(changed.run(), "key")
    assert result["actions"] == ["Changed the disk encryption set of disk data."]
    assert result["disk"] == succeeded(run, "checked key")["disk"]
    assert result["diff"]["before"]["disk_encryption_set"] == sets["both"]
    assert result["diff"]["after"]["disk_encryption_set"] == sets["one"]
    kept = azure.get(azure.id(group, DISKS, "data"))["properties"]["encryption"]
    assert kept == {"type": "EncryptionAtRestWithCustomerKey", "diskEncryptionSetId": sets["one"]}
