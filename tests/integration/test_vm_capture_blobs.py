# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Machines captured to VHD blobs: copied by the blob service, with nothing left on the way."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import is_temporary
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.target_blobs import BlobsTarget
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.temporary_snapshots import (
    TemporarySnapshots,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Refused
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_to_blob import BlobCopy
from azure.storage.blob import BlobServiceClient

from tests.integration.blobs import page_blob
from tests.integration.captures import captured, image, machine, power_and_flag
from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.machines import COMPUTE
from tests.integration.plays import Player
from tests.integration.quotas import set_quota


class Account(NamedTuple):
    name: str
    service: BlobServiceClient

    def blobs(self, prefix: str) -> dict[str, dict[str, str]]:
        """Metadata by name."""
        container = self.service.get_container_client("vhds")
        listed = container.list_blobs(name_starts_with=prefix, include=["metadata"])
        return {blob.name: dict(blob.metadata or {}) for blob in listed}


@pytest.fixture(scope="module")
def account(azure: LocalAzure, group: str) -> Account:
    """A storage account with the container "vhds"."""
    url = page_blob(azure, group, "vhds", "other.vhd", mebibytes=1)
    endpoint = url.rpartition("/vhds/")[0]
    name = next(
        str(each["name"])
        for each in azure.get(f"{azure.id(group)}/providers/Microsoft.Storage/storageAccounts")["value"]
    )
    key = azure.request("POST", azure.id(group, "Microsoft.Storage/storageAccounts", name) + "/listKeys")
    service = BlobServiceClient(
        endpoint,
        credential=key.body["keys"][0]["value"],
        connection_verify=azure.env["SSL_CERT_FILE"],
    )
    return Account(name, service)


def blobs(account: Account, **more: Any) -> dict[str, Any]:
    return {"type": "vhd_blobs", "storage_account": account.name, "container": "vhds", **more}


def snapshots(azure: LocalAzure, group: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = azure.get(f"{azure.id(group)}/providers/{COMPUTE}/snapshots")["value"]
    return listed


def changes(azure: LocalAzure, mark: int) -> list[str]:
    """What was written. To list an account's keys changes nothing."""
    return [write for write in azure.writes(mark) if not write.endswith("/listKeys")]


def test_every_disk_becomes_a_blob_once_and_nothing_is_left(
    azure: LocalAzure, play: Player, group: str, account: Account
) -> None:
    vm = machine(azure, group, "blobs")
    options = {"resource_group": group, "source_vm": "blobs", "targets": [blobs(account)]}
    mark = azure.mark()
    foreseen = play.module("vm_capture", options, check=True, diff=True).succeeded().last
    assert changes(azure, mark) == []
    done = play.module("vm_capture", options, diff=True).succeeded().last
    assert done["actions"] == [
        "Powered off virtual machine blobs",
        f"Captured blobs to vhd blobs {account.name}/vhds/blobs-",
    ]
    assert foreseen["actions"] == done["actions"]
    assert power_and_flag(azure, vm) == ("stopped", False), "no target needs the mark"
    found = account.blobs("blobs-")
    assert sorted(found) == ["blobs-lun0.vhd", "blobs-lun5.vhd", "blobs-os.vhd"]
    for metadata in found.values():
        assert metadata["goldenimage_source"] == vm
        assert metadata["goldenimage_build"] == done["build_id"]
    target = done["targets"][0]
    assert [(disk["lun"], disk["disk_size_gb"]) for disk in target["data_disks"]] == [(0, 1), (5, 6)]
    assert target["os_disk"]["url"].endswith("/vhds/blobs-os.vhd")
    assert snapshots(azure, group) == []
    mark = azure.mark()
    assert not play.module("vm_capture", options).succeeded().last.changed
    assert changes(azure, mark) == []


def test_blobs_are_what_an_image_is_made_of(
    azure: LocalAzure, session: AzureSession, play: Player, group: str, account: Account
) -> None:
    machine(azure, group, "reborn", luns=())
    done = captured(session, group, "reborn", blobs(account, prefix="reborn-1.0-"))
    disk = {"source": done.targets[0]["os_disk"]["url"], "os_type": "Linux"}
    options = {"resource_group": group, "name": "reborn", "os_disk": disk, "hyper_v_generation": "V1"}
    made = play.module("managed_image", options).succeeded().last
    assert made["image"]["os_disk"]["disk_size_gb"] == 4


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


def killed(*_arguments: Any) -> None:
    raise Killed


def test_snapshots_of_another_machine_s_build_of_the_same_name_are_not_taken_for_one_s_own(
    azure: LocalAzure, session: AzureSession, group: str, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = machine(azure, group, "theirs", luns=())
    mine = machine(azure, group, "mine", luns=())
    with monkeypatch.context() as patch:
        patch.setattr(BlobsTarget, "_left", lambda *_arguments: None)
        patch.setattr(BlobCopy, "run", killed)
        with pytest.raises(Killed):
            captured(session, group, "theirs", blobs(account), build_id="nightly")
    (left,) = snapshots(azure, group)
    mark = azure.mark()
    captured(session, group, "mine", blobs(account), build_id="nightly")
    (made,) = (write for write in azure.writes(mark) if write.startswith("PUT ") and "/snapshots/" in write)
    assert made != f"PUT {left['id']}"
    assert account.blobs("mine-")["mine-os.vhd"]["goldenimage_source"] == mine
    assert snapshots(azure, group) == [left]
    captured(session, group, "theirs", blobs(account), build_id="nightly")
    assert account.blobs("theirs-")["theirs-os.vhd"]["goldenimage_source"] == theirs
    assert snapshots(azure, group) == []


def test_a_run_killed_when_only_its_snapshots_were_left_to_remove_leaves_that_to_the_next(
    azure: LocalAzure, session: AzureSession, group: str, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(azure, group, "untidy", luns=(4,))
    with monkeypatch.context() as patch:
        patch.setattr(BlobsTarget, "_left", lambda *_arguments: None)
        patch.setattr(TemporarySnapshots, "remove_all", killed)
        with pytest.raises(Killed):
            captured(session, group, "untidy", blobs(account))
    assert len(snapshots(azure, group)) == 2
    assert not captured(session, group, "untidy", blobs(account), check=True).changed
    assert len(snapshots(azure, group)) == 2
    assert not captured(session, group, "untidy", blobs(account)).changed
    assert snapshots(azure, group) == []


@pytest.mark.parametrize("where", ["before the copy", "before the signature"])
def test_a_killed_copy_is_gone_on_with(  # noqa: PLR0917 - fixtures
    azure: LocalAzure,
    session: AzureSession,
    group: str,
    account: Account,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    name = "killed-" + where.rpartition(" ")[2]
    machine(azure, group, name, luns=(3,))

    with monkeypatch.context() as patch:
        # A killed run cleans nothing up.
        patch.setattr(BlobsTarget, "_left", lambda *_arguments: None)
        if where == "before the copy":
            patch.setattr(BlobCopy, "run", killed)
        else:
            patch.setattr(BlobsTarget, "_sign", killed)
        with pytest.raises(Killed):
            captured(session, group, name, blobs(account))
    left = snapshots(azure, group)
    assert len(left) == 2
    assert all(is_temporary(snapshot) for snapshot in left)
    assert captured(session, group, name, blobs(account)).changed
    assert len(account.blobs(name)) == 2
    assert snapshots(azure, group) == []
    assert not captured(session, group, name, blobs(account)).changed


def test_a_copy_that_fails_leaves_nothing(
    azure: LocalAzure, session: AzureSession, group: str, account: Account
) -> None:
    machine(azure, group, "uncopied", luns=(3,))
    grant = {"method": "POST", "path": "**/snapshots/*-lun3/beginGetAccess"}
    with (
        faults(azure, rule("refused", grant, "fail_operation", code="InternalExecutionError", message="No.")),
        pytest.raises(AzureError, match="InternalExecutionError"),
    ):
        captured(session, group, "uncopied", blobs(account))
    assert snapshots(azure, group) == []
    assert captured(session, group, "uncopied", blobs(account)).changed


def test_what_blobs_are_refused_for(
    azure: LocalAzure, session: AzureSession, group: str, account: Account
) -> None:
    machine(azure, group, "one", luns=())
    captured(session, group, "one", blobs(account, prefix="taken-"))
    machine(azure, group, "closed", luns=(2,), power="running", data={"networkAccessPolicy": "DenyAll"})
    mark = azure.mark()
    leave: dict[str, Any] = {"stop": True, "assume_generalized": True}
    cases: list[tuple[dict[str, Any], dict[str, Any], list[str]]] = [
        (blobs(account, prefix="taken-"), leave, ["export-denied", "name-taken"]),
        (blobs(account), {"os_state": "specialized", "allow_running": True}, ["export-denied", "vm-running"]),
        (
            blobs(account, container="missing"),
            {"kind": "os_image", **leave},
            ["place-missing"],
        ),
    ]
    for target, options, expected in cases:
        with pytest.raises(Refused) as refusal:
            captured(session, group, "closed", target, **options)
        assert sorted(finding.id for finding in refusal.value.findings) == expected
    assert changes(azure, mark) == []


def test_too_few_snapshots_are_left_of_the_quota(
    azure: LocalAzure, session: AzureSession, group: str, account: Account
) -> None:
    machine(azure, group, "quota")
    set_quota(azure, "StandardSnapshotCount", 2)
    mark = azure.mark()
    try:
        with pytest.raises(
            Refused, match=r"limited to 2, \d+ are there and 3 more needed as temporary snapshots"
        ):
            captured(session, group, "quota", blobs(account), image("quota"))
    finally:
        set_quota(azure, "StandardSnapshotCount", 50000)
    assert changes(azure, mark) == []
