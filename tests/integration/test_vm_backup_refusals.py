# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What vm_backup refuses: all reasons at once, each with what to do, and before any write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Refused

from tests.integration.backups import BackedUp
from tests.integration.cloud import LocalAzure
from tests.integration.machines import golden_image
from tests.integration.plays import Player
from tests.integration.quotas import set_quota

Change = Callable[[Any], None]


@pytest.fixture(scope="module")
def vm(azure: LocalAzure, session: AzureSession, group: str) -> BackedUp:
    """A machine with a backup."""
    golden_image(azure, group)
    made = BackedUp(azure, session, group)
    made("present", backup="good")
    return made


def refused(vm: BackedUp, state: str, **options: Any) -> dict[str, str]:
    """What was found, by id; nothing was written."""
    mark = vm.azure.mark()
    with pytest.raises(Refused) as refusal:
        vm(state, **options)
    assert vm.azure.writes(mark) == []
    assert refusal.value.as_result()["findings"]
    return {finding.id: str(finding) for finding in refusal.value.findings}


@contextmanager
def seen_as(session: AzureSession, change_vm: Change | None, change_disk: Change | None) -> Iterator[None]:
    """Inside, machines and disks are read as if they were so."""
    with pytest.MonkeyPatch.context() as patch:
        for collection, change in (
            (session.compute.virtual_machines, change_vm),
            (session.compute.disks, change_disk),
        ):
            if change is not None:
                patch.setattr(collection, "get", _changed(collection.get, change))
        yield


def _changed(get: Callable[..., Any], change: Change) -> Callable[..., Any]:
    def read(*args: Any, **query: Any) -> Any:
        found = get(*args, **query)
        if found is not None:
            change(found)
        return found

    return read


def _ephemeral(vm: Any) -> None:
    vm["properties"]["storageProfile"]["osDisk"]["diffDiskSettings"] = {"option": "Local"}


def _unmanaged(vm: Any) -> None:
    disk = vm["properties"]["storageProfile"]["osDisk"]
    del disk["managedDisk"]
    disk["vhd"] = {"uri": "https://account.blob.core.windows.net/vhds/os.vhd"}


def _confidential(vm: Any) -> None:
    vm["properties"]["securityProfile"] = {"securityType": "ConfidentialVM"}


def _shared(disk: Any) -> None:
    if not disk["properties"].get("osType"):
        disk["properties"]["maxShares"] = 2


def _ultra(disk: Any) -> None:
    if not disk["properties"].get("osType"):
        disk["sku"] = {"name": "UltraSSD_LRS"}


def _encrypted(disk: Any) -> None:
    disk["properties"]["encryptionSettingsCollection"] = {"enabled": True}


def _sealed(disk: Any) -> None:
    disk["properties"]["securityProfile"] = {"securityType": "ConfidentialVM_DiskEncryptedWithPlatformKey"}


@pytest.mark.parametrize(
    ("change_vm", "change_disk", "finding"),
    [
        (_ephemeral, None, "ephemeral-os-disk"),
        (_unmanaged, None, "unmanaged-disk"),
        (_confidential, None, "confidential-vm"),
        (None, _shared, "shared-disk"),
        (None, _ultra, "ultra-disk"),
        (None, _encrypted, "encrypted-in-guest"),
        (None, _sealed, "confidential-disk"),
    ],
)
@pytest.mark.parametrize("state", ["present", "restored"])
def test_disks_that_cannot_be_backed_up_or_swapped_are_refused(
    vm: BackedUp, state: str, change_vm: Change | None, change_disk: Change | None, finding: str
) -> None:
    with seen_as(vm.session, change_vm, change_disk):
        assert finding in refused(vm, state, backup="new" if state == "present" else "good")


def test_a_disk_that_is_in_no_backup_is_not_deleted_for_having_the_place_of_one_that_is(
    azure: LocalAzure, vm: BackedUp
) -> None:
    payroll = azure.disk(vm.group, "payroll", size_gb=1)

    def moved(machine: Any) -> None:
        disk = next(each for each in machine["properties"]["storageProfile"]["dataDisks"] if each["lun"] == 7)
        disk.update(name="payroll", managedDisk={"id": payroll})

    with seen_as(vm.session, moved, None):
        found = refused(vm, "restored", backup="good", remove_replaced_disks=True)
        kept = vm("restored", backup="good", check=True).result["kept_disks"]
    assert "payroll" in found["another-disk"]
    assert payroll in kept


def test_all_reasons_are_told_at_once_by_the_module(azure: LocalAzure, play: Player, vm: BackedUp) -> None:
    """Disks that really are encrypted, and a lock."""
    disk = vm.disks()["lun 7"]
    encrypted = {"properties": {"encryptionSettingsCollection": {"enabled": True}}}
    azure.do("PATCH", disk["id"], encrypted)
    options = {"resource_group": vm.group, "name": vm.name, "backup": "many"}
    try:
        with locked(azure, vm, "ReadOnly"):
            mark = azure.mark()
            failed = play.module("vm_backup", options).failed_with(
                "for 2 reasons", "LUN 7", "Lock keep", "(2)"
            )
            assert azure.writes(mark) == []
    finally:
        azure.do("PATCH", disk["id"], {"properties": {"encryptionSettingsCollection": {"enabled": False}}})
    found = failed["failure"]["findings"]
    assert [each["id"] for each in found] == ["encrypted-in-guest", "locked"]
    assert all(each["remedy"] for each in found)


@contextmanager
def locked(azure: LocalAzure, vm: BackedUp, level: str) -> Iterator[None]:
    lock = f"{azure.id(vm.group)}/providers/Microsoft.Authorization/locks/keep"
    assert azure.request("PUT", lock, {"properties": {"level": level}}).status < 300
    try:
        yield
    finally:
        azure.request("DELETE", lock)


def test_locks_are_refused_only_where_they_stand_in_the_way(azure: LocalAzure, vm: BackedUp) -> None:
    with locked(azure, vm, "ReadOnly"):
        assert list(refused(vm, "restored")) == ["locked"]
    with locked(azure, vm, "CanNotDelete"):
        found = refused(vm, "restored", remove_replaced_disks=True)
        assert "CanNotDelete" in found["locked"]
        assert list(refused(vm, "absent", keep=0)) == ["locked"]
        assert vm("restored", check=True).changed


def test_generalized_machine_under_a_deletion_lock_is_not_restored(
    azure: LocalAzure, session: AzureSession, vm: BackedUp
) -> None:
    def generalized(machine: Any) -> None:
        view = machine["properties"].get("instanceView", {"statuses": []})
        view["statuses"].append({"code": "OSState/generalized"})

    with locked(azure, vm, "CanNotDelete"), seen_as(session, generalized, None):
        assert list(refused(vm, "restored")) == ["locked"]


def test_missing_rights_are_named(azure: LocalAzure, vm: BackedUp) -> None:
    environ = {
        **azure.env,
        "AZURE_CLIENT_ID": azure.env["LOCAL_AZURE_READER_CLIENT_ID"],
        "AZURE_SECRET": azure.env["LOCAL_AZURE_READER_SECRET"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", azure.env["REQUESTS_CA_BUNDLE"])
        with open_session({}, environ) as reader:
            patch.setattr(vm, "session", reader)
            for state, options, actions in (
                ("present", {"backup": "new"}, ("restorePointCollections/restorePoints/write",)),
                ("present", {"backup": "new", "method": "snapshots"}, ("snapshots/write",)),
                ("restored", {}, ("disks/write", "virtualMachines/deallocate/action")),
                ("absent", {"keep": 0}, ("restorePointCollections/delete",)),
            ):
                mark = azure.mark()
                with pytest.raises(Refused) as refusal:
                    vm(state, **options)
                assert azure.writes(mark) == []
                assert {finding.id for finding in refusal.value.findings} == {"missing-right"}
                for action in actions:
                    assert f"Microsoft.Compute/{action}" in str(refusal.value)


@pytest.mark.parametrize(
    ("state", "quota", "options"),
    [
        ("restored", "StandardDiskCount", {}),
        ("present", "StandardSnapshotCount", {"method": "snapshots", "backup": "new"}),
    ],
)
def test_exhausted_quota_is_refused(
    azure: LocalAzure, vm: BackedUp, state: str, quota: str, options: dict[str, Any]
) -> None:
    set_quota(azure, quota, 1)
    try:
        assert quota in refused(vm, state, **options)["quota"]
    finally:
        set_quota(azure, quota, 50000)


def test_premium_v2_disks_are_backed_up_by_snapshots(vm: BackedUp, session: AzureSession) -> None:
    def premium_v2(disk: Any) -> None:
        if not disk["properties"].get("osType"):
            disk["sku"] = {"name": "PremiumV2_LRS"}

    with seen_as(session, None, premium_v2):
        assert vm("present", backup="v2", check=True).result["backup"]["method"] == "snapshots"
        assert "not-crash-consistent" in refused(vm, "present", backup="v2", method="restore_point")


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"backup": "a/b"}, "backup: 'a/b'"),
        ({"keep": 41, "backup": "x"}, "keep: 41"),
        ({"build_id": "No"}, "build_id"),
        ({"keep": 0}, "keep: 0"),
    ],
)
def test_bad_options_are_refused(vm: BackedUp, options: dict[str, Any], fragment: str) -> None:
    mark = vm.azure.mark()
    with pytest.raises(AzureError, match=fragment):
        vm("present", **options)
    assert vm.azure.writes(mark) == []


def test_missing_machine_is_refused(azure: LocalAzure, vm: BackedUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vm, "name", "missing")
    for state in ("present", "restored"):
        mark = azure.mark()
        with pytest.raises(AzureError, match="missing"):
            vm(state)
        assert azure.writes(mark) == []
