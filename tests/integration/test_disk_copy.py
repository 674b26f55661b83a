# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""disk_copy into managed disks and snapshots, against the local Azure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.virtual_machine import ensure_vm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest
from azure.storage.blob import BlobClient

from tests.integration.cloud import LocalAzure
from tests.integration.disk_copies import SNAPSHOTS, copy, names, upload
from tests.integration.machines import golden_image, wanted
from tests.integration.plays import Player
from tests.integration.test_disk_upload_blob import Account
from tests.integration.uploads import DISKS, disk_content, raw_disk

FAR = "westeurope"


class Original(NamedTuple):
    """The disk that is copied: how to name it, the file it was uploaded from, the digest of its content."""

    source: dict[str, Any]
    raw: Path
    digest: str


@pytest.fixture(scope="module")
def web(session: AzureSession, group: str, tmp_path_factory: pytest.TempPathFactory) -> Original:
    raw = raw_disk(tmp_path_factory.mktemp("disks") / "web.raw")
    made = upload(session, raw, resource_group=group, disk_name="web", os_type="Linux", sku="Premium_LRS")
    return Original({"disk_name": "web"}, raw, made["content_sha256"])


def temporary(azure: LocalAzure, group: str) -> set[str]:
    every = names(azure, group, DISKS) | names(azure, group, SNAPSHOTS)
    return {name for name in every if name.startswith("goldenimage-copy-")}


def refusal(work: Callable[[], object]) -> str:
    with pytest.raises(AzureError) as caught:
        work()
    return str(caught.value)


def test_a_playbook_copies_a_disk_to_another_region_once(
    azure: LocalAzure, play: Player, group: str, web: Original
) -> None:
    options: dict[str, Any] = {
        "source": {"disk_name": "web"},
        "resource_group": group,
        "disk_name": "far",
        "location": "West Europe",
        "tags": {"release": "1"},
    }
    mark = azure.mark()
    planned = play.module("disk_copy", options, check=True, diff=True).succeeded().last
    assert planned.changed
    assert azure.writes(mark) == []
    made = play.module("disk_copy", options).succeeded().last
    disk = made["disk"]
    for fact in ("id", "name", "location", "sku", "os_type", "hyper_v_generation", "disk_size_bytes", "tags"):
        assert disk[fact] == planned["disk"][fact], fact
    assert (disk["location"], disk["sku"], disk["content_sha256"]) == (FAR, "Premium_LRS", web.digest)
    assert disk["tags"]["release"] == "1"
    assert disk_content(azure, group, "far") == web.raw.read_bytes()
    assert temporary(azure, group) == set()
    again = play.module("disk_copy", options, diff=True).succeeded().last
    assert not again.changed
    assert again["disk"] == disk


def test_a_disk_is_copied_within_its_region_without_a_snapshot(
    azure: LocalAzure, session: AzureSession, group: str, web: Original
) -> None:
    mark = azure.mark()
    done = copy(session, web.source, resource_group=group, disk_name="near", sku="StandardSSD_LRS")
    assert (done["disk"]["sku"], done["disk"]["content_sha256"]) == ("StandardSSD_LRS", web.digest)
    assert [write.split()[0] for write in azure.writes(mark)] == ["PUT", "PATCH"]
    assert disk_content(azure, group, "near") == web.raw.read_bytes()
    changed = copy(session, web.source, resource_group=group, disk_name="near", tags={"a": "b"})
    assert changed["actions"] == ["Changed the tags of disk near."]
    assert not copy(session, web.source, resource_group=group, disk_name="near", tags={"a": "b"})["changed"]


@pytest.mark.parametrize("location", [None, FAR])
def test_a_snapshot_of_a_disk_is_whole_when_the_copy_ends(
    azure: LocalAzure, session: AzureSession, group: str, web: Original, location: str | None
) -> None:
    options: dict[str, Any] = {
        "resource_group": group,
        "snapshot_name": f"snap-{location}",
        "location": location,
    }
    done = copy(session, web.source, **options)["snapshot"]
    assert (done["incremental"], done["location"]) == (True, location or "eastus")
    assert done["completion_percent"] == (100 if location else None)
    assert temporary(azure, group) == set()
    assert not copy(session, web.source, **options)["changed"]


def test_a_whole_snapshot_reaches_another_region_too(
    azure: LocalAzure, session: AzureSession, group: str, web: Original
) -> None:
    made = copy(session, web.source, resource_group=group, snapshot_name="whole", incremental=False)
    assert made["snapshot"]["incremental"] is False
    mark = azure.mark()
    done = copy(
        session, {"snapshot_name": "whole"}, resource_group=group, disk_name="from-whole", location=FAR
    )
    assert (done["disk"]["location"], done["disk"]["sku"]) == (FAR, "Standard_LRS")
    made_on_the_way = [write for write in azure.writes(mark) if "goldenimage-copy-" in write]
    assert [write.split()[0] for write in made_on_the_way] == ["PUT"] * 3 + ["DELETE"] * 3
    assert disk_content(azure, group, "from-whole") == web.raw.read_bytes()
    assert temporary(azure, group) == set()


def test_an_incremental_snapshot_is_copied_to_another_region_by_azure_alone(
    azure: LocalAzure, session: AzureSession, group: str, web: Original
) -> None:
    copy(session, web.source, resource_group=group, snapshot_name="base")
    options: dict[str, Any] = {"resource_group": group, "snapshot_name": "base-far", "location": FAR}
    mark = azure.mark()
    begun = copy(session, {"snapshot_name": "base"}, wait=False, **options)
    assert begun["actions"][0].startswith("Began to copy")
    assert [write.split()[0] for write in azure.writes(mark)] == ["PUT"]
    done = copy(session, {"snapshot_name": "base"}, **options)["snapshot"]
    assert done["completion_percent"] == 100
    assert not copy(session, {"snapshot_name": "base"}, **options)["changed"]


def test_the_disk_of_another_group_is_named_by_its_id(
    azure: LocalAzure, session: AzureSession, group: str, web: Original
) -> None:
    other = azure.group(f"{group}-other")
    disk_id = azure.id(group, DISKS, "WEB")
    for named in ({"disk_name": disk_id}, {**web.source, "resource_group": group}):
        done = copy(session, named, resource_group=other, snapshot_name="named")
    assert not done["changed"]


class Vhd(NamedTuple):
    """A blob with the content of a disk, and how a task names it."""

    account: Account
    source: dict[str, Any]


@pytest.fixture(scope="module")
def vhd(azure: LocalAzure, session: AzureSession, group: str, web: Original) -> Vhd:
    account = Account(azure, group)
    source: dict[str, Any] = {"storage_account": account.name, "container": "vhds", "blob": "web.vhd"}
    upload(session, web.raw, resource_group=group, **source)
    return Vhd(account, source)


@pytest.mark.parametrize("location", [None, FAR])
def test_a_blob_becomes_a_disk_to_boot_from(
    azure: LocalAzure, session: AzureSession, group: str, vhd: Vhd, location: str | None
) -> None:
    options: dict[str, Any] = {
        "resource_group": group,
        "disk_name": f"imported-{location}",
        "location": location,
        "os_type": "Linux",
        "hyper_v_generation": "V1",
    }
    planned = copy(session, vhd.source, check_mode=True, **options)["disk"]
    disk = copy(session, vhd.source, **options)["disk"]
    for fact in ("location", "os_type", "hyper_v_generation", "content_sha256", "disk_size_bytes", "tags"):
        assert disk[fact] == planned[fact], fact
    assert (disk["os_type"], disk["hyper_v_generation"]) == ("Linux", "V1")
    name = options["disk_name"]
    assert disk_content(azure, group, name) == disk_content(azure, group, "web")
    assert temporary(azure, group) == set()
    assert not copy(session, vhd.source, **options)["changed"]


def test_a_blob_becomes_a_snapshot(session: AzureSession, group: str, vhd: Vhd) -> None:
    options: dict[str, Any] = {"resource_group": group, "snapshot_name": "imported"}
    assert copy(session, vhd.source, **options)["snapshot"]["incremental"] is False
    text = refusal(lambda: copy(session, vhd.source, incremental=True, **options))
    assert "incremental" in text


def test_what_azure_does_not_import_is_refused_before_anything_is_made(
    azure: LocalAzure, session: AzureSession, group: str, vhd: Vhd
) -> None:
    with BlobClient.from_blob_url(
        vhd.account.sas_url("folder/web.img", read=True, create=True, write=True),
        connection_verify=azure.env["SSL_CERT_FILE"],
    ) as client:
        client.start_copy_from_url(vhd.account.sas_url("web.vhd", read=True))
    options: dict[str, Any] = {"resource_group": group, "disk_name": "unmade"}
    source = {"sas_url": vhd.account.sas_url("folder/web.img", read=True)}
    mark = azure.mark()
    assert "has to end in .vhd" in refusal(lambda: copy(session, source, **options))
    text = refusal(lambda: copy(session, vhd.source, os_type="Linux", **options))
    assert "hyper_v_generation" in text
    second = azure.env["LOCAL_AZURE_SECOND_SUBSCRIPTION_ID"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "subscription_id", second)
        elsewhere = {"sas_url": vhd.account.sas_url("web.vhd", read=True)}
        azure.put(azure.id(group).replace(azure.subscription_id, second), {"location": "eastus"})
        mark = azure.mark()
        assert "is in no storage account" in refusal(lambda: copy(session, elsewhere, **options))
    assert azure.writes(mark) == []


def test_a_disk_of_another_subscription_is_copied(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    second = azure.env["LOCAL_AZURE_SECOND_SUBSCRIPTION_ID"]
    elsewhere = azure.id(group).replace(azure.subscription_id, second)
    azure.put(elsewhere, {"location": "eastus"})
    disk = f"{elsewhere}/providers/{DISKS}/theirs"
    creation = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 1}
    azure.put(disk, {"location": "eastus", "properties": creation})
    made = copy(session, {"disk_name": disk}, resource_group=group, disk_name="ours", location=FAR)
    assert made["disk"]["disk_size_bytes"] == 1 << 30
    account = Account(azure, group)
    target: dict[str, Any] = {"storage_account": account.name, "container": "vhds", "blob": "theirs.vhd"}
    assert (
        copy(session, {"disk_name": disk}, resource_group=group, **target)["blob"]["size"] == (1 << 30) + 512
    )
    assert azure.get(disk)["properties"]["diskState"] == "Unattached"


def test_another_disk_is_replaced_by_force_only_and_one_that_somebody_reads_never(
    azure: LocalAzure, session: AzureSession, group: str, web: Original
) -> None:
    azure.disk(group, "taken")
    options: dict[str, Any] = {"resource_group": group, "disk_name": "taken"}
    text = refusal(lambda: copy(session, web.source, **options))
    assert "is no copy of disk web" in text and "force" in text
    assert copy(session, web.source, force=True, **options)["actions"][0] == "Deleted disk taken."
    text = refusal(lambda: copy(session, web.source, location=FAR, **options))
    assert "its location is eastus, not westeurope" in text
    disk = azure.disk(group, "granted")
    azure.do("POST", f"{disk}/beginGetAccess", {"access": "Read", "durationInSeconds": 600})
    text = refusal(lambda: copy(session, web.source, force=True, resource_group=group, disk_name="granted"))
    assert "ActiveSAS" in text


def test_the_disk_of_a_running_machine_becomes_a_snapshot_but_no_blob_and_is_not_replaced(
    azure: LocalAzure, session: AzureSession, group: str, web: Original
) -> None:
    machine = VmRequest.from_options(wanted(group, "busy", image=golden_image(azure, group)))
    ensure_vm(session, machine, check_mode=False, waiter=Waiter())
    disk = azure.get(azure.id(group, "Microsoft.Compute/virtualMachines", "busy"))
    name = disk["properties"]["storageProfile"]["osDisk"]["name"]
    made = copy(session, {"disk_name": name}, resource_group=group, snapshot_name="of-busy")
    assert (made["changed"], made["snapshot"]["content_sha256"]) == (True, None)
    account = Account(azure, group)
    target: dict[str, Any] = {"storage_account": account.name, "container": "vhds", "blob": "busy.vhd"}
    text = refusal(lambda: copy(session, {"disk_name": name}, resource_group=group, **target))
    assert "is attached to" in text and "snapshot" in text
    text = refusal(lambda: copy(session, web.source, force=True, resource_group=group, disk_name=name))
    assert "cannot be replaced" in text


@pytest.mark.parametrize(
    "case",
    [
        ({"disk_name": "web"}, ("copied to itself",)),
        ({"disk_name": "x", "location": "mars"}, ("no region 'mars'",)),
        ({"disk_name": "x", "location": FAR, "wait": False}, ("wait:", "temporary")),
        ({"snapshot_name": "x", "location": FAR, "incremental": False}, ("incremental",)),
        ({"snapshot_name": "x", "zone": "1"}, ("zone",)),
        ({"disk_name": "x", "incremental": True}, ("incremental",)),
        ({"disk_name": "a b"}, ("disk_name",)),
        ({"disk_name": "x", "sku": "UltraSSD_LRS"}, ("cannot be booted",)),
        ({"disk_name": "x", "sku": "Standard_ZRS"}, ("no disk is of type",)),
        ({"snapshot_name": "x", "sku": "StandardSSD_LRS"}, ("no snapshot is of type",)),
        ({"disk_name": "x", "zone": "2", "location": "westus"}, ("zone",)),
        ({"disk_name": "x", "disk_encryption_set": "des1"}, ("disk_encryption_set", "resource id")),
        ({"disk_name": "x", "tags": {"GoldenImage_Copy_Of": ""}}, ("GoldenImage_Copy_Of",)),
        ({"disk_name": "x", "resource_group": "none"}, ("ResourceGroupNotFound",)),
        ({"disk_name": "x", "source": {"disk_name": "none"}}, ("no managed disk none",)),
        ({"disk_name": "x", "os_type": "Linux", "hyper_v_generation": "V1"}, ("has its source's",)),
        ({"disk_name": "x", "source": {"disk_name": "/subscriptions/s/resourceGroups/g"}}, ("no managed",)),
        ({"disk_name": "x", "wait_timeout": 0}, ("wait_timeout",)),
    ],
    ids=lambda case: " ".join(case[0]),
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(
    azure: LocalAzure,
    session: AzureSession,
    web: Original,
    group: str,
    case: tuple[dict[str, Any], tuple[str, ...]],
) -> None:
    given, words = case
    options: dict[str, Any] = {
        "source": {**web.source, "resource_group": group},
        "resource_group": group,
        **given,
    }
    mark = azure.mark()
    text = refusal(lambda: copy(session, **options))
    for word in words:
        assert word in text
    assert azure.writes(mark) == []


def test_a_missing_encryption_set_is_refused_and_one_that_is_there_encrypts_the_copy(
    azure: LocalAzure, session: AzureSession, group: str, web: Original
) -> None:
    keys = azure.id(group, "Microsoft.Compute/diskEncryptionSets", "keys")
    options: dict[str, Any] = {"resource_group": group, "disk_name": "secret", "disk_encryption_set": keys}
    assert "no disk encryption set keys" in refusal(lambda: copy(session, web.source, **options))
    vault = azure.id(group, "Microsoft.KeyVault/vaults", "vault")
    active = {"sourceVault": {"id": vault}, "keyUrl": "https://vault.vault.azure.net/keys/k/1"}
    body = {"location": "eastus", "identity": {"type": "SystemAssigned"}, "properties": {"activeKey": active}}
    azure.put(keys, body)
    made = copy(session, web.source, **options)["disk"]
    assert made["disk_encryption_set"].lower() == keys.lower()
    assert not copy(session, web.source, **options)["changed"]


def test_a_disk_that_waits_for_its_upload_is_no_source(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    creation = {"createOption": "Upload", "uploadSizeBytes": (20 << 20) + 512}
    disk = azure.id(group, DISKS, "waiting")
    azure.put(disk, {"location": "eastus", "properties": {"creationData": creation}})
    options: dict[str, Any] = {"resource_group": group, "disk_name": "of-waiting"}
    assert "waits for its upload" in refusal(lambda: copy(session, {"disk_name": "waiting"}, **options))


def test_a_disk_whose_upload_was_given_up_is_no_source_although_azure_takes_it_for_whole(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    disk = azure.disk(group, "given-up")
    azure.do("PATCH", disk, {"tags": {"goldenimage_upload": "discarded"}})
    mark = azure.mark()
    options: dict[str, Any] = {"resource_group": group, "disk_name": "of-given-up"}
    assert "was not completed" in refusal(lambda: copy(session, {"disk_name": "given-up"}, **options))
    assert azure.writes(mark) == []
