# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""gallery_image_version: versions of every kind of source, counted, published, changed and deleted."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.integration.blobs import page_blob
from tests.integration.captures import definition, machine
from tests.integration.cloud import LocalAzure
from tests.integration.galleries import refused, thrice, version, written
from tests.integration.machines import golden_image
from tests.integration.plays import Player

SNAPSHOTS = "Microsoft.Compute/snapshots"
SETS = "Microsoft.Compute/diskEncryptionSets"


@pytest.fixture(scope="module")
def image(azure: LocalAzure, group: str) -> str:
    """Id of a managed image, generation V1, with a data disk at LUN 3."""
    return golden_image(azure, group)


@pytest.fixture(scope="module")
def encryption_set(azure: LocalAzure, group: str) -> str:
    made = azure.id(group, SETS, "keys")
    vault = azure.id(group, "Microsoft.KeyVault/vaults", "vault")
    key = {"sourceVault": {"id": vault}, "keyUrl": "https://vault.vault.azure.net/keys/k/1"}
    body = {"location": "eastus", "identity": {"type": "SystemAssigned"}, "properties": {"activeKey": key}}
    azure.put(made, body)
    return made


def wanted(group: str, name: str, **more: Any) -> dict[str, Any]:
    return {"resource_group": group, "gallery": "golden", "definition": name, **more}


def snapshot(azure: LocalAzure, group: str, name: str, disk: str) -> str:
    made = azure.id(group, SNAPSHOTS, name)
    creation = {"creationData": {"createOption": "Copy", "sourceResourceId": disk}}
    azure.put(made, {"location": "eastus", "properties": creation})
    return made


def marked_generalized(azure: LocalAzure, vm: str) -> str:
    assert azure.request("POST", f"{vm}/generalize").status < 300
    return vm


def test_a_version_of_an_image_is_foreseen_made_once_found_and_deleted(
    azure: LocalAzure, play: Player, group: str, image: str
) -> None:
    made_id = f"{definition(azure, group, 'web')}/versions/1.0.0"
    args = wanted(group, "web", source="golden", tags={"team": "a"})
    module = "goldenimage.azure.gallery_image_version"
    tasks: list[dict[str, Any]] = [
        {"name": "foresee", module: args, "check_mode": True},
        {"name": "make", module: args},
        {"name": "repeat", module: args},
        {
            "name": "look",
            f"{module}_info": {"resource_group": group, "gallery": "golden", "definition": "web"},
        },
        {"name": "delete", module: wanted(group, "web", version="1.0.0", state="absent")},
    ]
    mark = azure.mark()
    done = play(tasks, diff=True).succeeded().tasks
    assert azure.writes(mark) == [f"PUT {made_id}", f"DELETE {made_id}"]
    for result in (done["foresee"], done["make"]):
        assert result["actions"] == [f"Created version {made_id} of {image}"]
        assert result["version"]["source"] == image
        assert result["version"]["tags"]["team"] == "a"
        assert result["version"]["tags"]["goldenimage_source"] == image
        assert result["diff"]["after"]["version"] == "1.0.0"
    made = done["make"]["version"]
    assert made["replication"] == [
        {"region": "eastus", "state": "Completed", "progress": 100, "details": None}
    ]
    assert made["os_disk"] == {"source": None, "caching": "None", "disk_size_gb": 4}
    assert [disk["lun"] for disk in made["data_disks"]] == [3]
    assert not done["repeat"].changed
    assert done["look"]["versions"] == [made]
    assert done["delete"]["version"] is None
    assert azure.get(made_id) is None


def test_two_data_disks_of_mixed_sources_stay_two_data_disks_at_their_luns(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    definition(azure, group, "mixed")
    system = azure.disk(group, "mixed-os", osType="Linux", hyperVGeneration="V1", size_gb=4)
    first = azure.disk(group, "mixed-a", size_gb=1)
    second = snapshot(azure, group, "mixed-b", azure.disk(group, "mixed-b", size_gb=2))
    third = page_blob(azure, group, "vhds", "third.vhd", mebibytes=20)
    options = wanted(
        group,
        "mixed",
        os_disk={"source": system, "caching": "ReadOnly"},
        data_disks=[
            {"lun": 7, "source": third},
            {"lun": 0, "source": {"managed_disk": "mixed-a"}, "caching": "None"},
            {"lun": 1, "source": {"snapshot": "mixed-b"}},
        ],
    )
    done, _writes = thrice(azure, version, session, options)
    assert done.after["source"] is None
    assert done.after["os_disk"] == {"source": system, "caching": "ReadOnly", "disk_size_gb": 4}
    assert done.after["data_disks"] == [
        {"lun": 0, "source": first, "caching": "None", "disk_size_gb": 1},
        {"lun": 1, "source": second, "caching": "ReadOnly", "disk_size_gb": 2},
        {"lun": 7, "source": third, "caching": "ReadOnly", "disk_size_gb": 1},
    ]


def test_a_machine_a_disk_a_snapshot_a_blob_and_a_version_are_sources(
    azure: LocalAzure, session: AzureSession, group: str, image: str
) -> None:
    del image
    made = definition(azure, group, "sources")
    vm = marked_generalized(azure, machine(azure, group, "vm", luns=(2,)))
    of_vm, _writes = thrice(
        azure, version, session, wanted(group, "sources", source={"virtual_machine": "vm"})
    )
    assert (of_vm.after["source"], [disk["lun"] for disk in of_vm.after["data_disks"]]) == (vm, [2])
    assert azure.get(f"{made}/versions/1.0.0")["properties"]["storageProfile"]["source"] == {
        "virtualMachineId": vm
    }
    disk = azure.disk(group, "single", osType="Linux", hyperVGeneration="V1")
    taken = snapshot(azure, group, "single", disk)
    blob = page_blob(azure, group, "vhds", "system.vhd", mebibytes=20)
    for number, source in enumerate((disk, taken, blob), 1):
        done, _writes = thrice(azure, version, session, wanted(group, "sources", source=source))
        assert done.after["version"] == f"1.0.{number}"
        assert done.after["os_disk"]["source"] == source
    definition(azure, group, "heir")
    heir, _writes = thrice(azure, version, session, wanted(group, "heir", source="golden/sources"))
    assert heir.after["source"] == f"{made}/versions/1.0.3", "the latest version, by its number"
    # All of them are still known, whichever is the latest now.
    again = version(session, wanted(group, "sources", source={"virtual_machine": "vm"}))
    assert (again.changed, again.after["version"]) == (False, "1.0.0")


def test_a_machine_that_keeps_its_identity_becomes_a_specialized_version(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    definition(azure, group, "special", osState="Specialized")
    machine(azure, group, "special", luns=(0,), marked=False)
    done, _writes = thrice(
        azure, version, session, wanted(group, "special", source={"virtual_machine": "special"})
    )
    assert [disk["lun"] for disk in done.after["data_disks"]] == [0]
    marked_generalized(azure, machine(azure, group, "general", luns=()))
    said = "definition: general has OS state Generalized, definition special is for Specialized"
    refused(azure, version, session, wanted(group, "special", source={"virtual_machine": "general"}), said)


def test_a_version_in_a_gallery_of_another_subscription_is_a_source(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    second = azure.env["LOCAL_AZURE_SECOND_SUBSCRIPTION_ID"]

    def there(path: str) -> str:
        return path.replace(azure.subscription_id, second)

    azure.put(there(azure.id(group)), {"location": "eastus"})
    creation = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 1, "osType": "Linux"}
    disk = there(azure.id(group, "Microsoft.Compute/disks", "theirs"))
    azure.put(disk, {"location": "eastus", "sku": {"name": "Standard_LRS"}, "properties": creation})
    gallery = there(azure.id(group, "Microsoft.Compute/galleries", "theirs"))
    azure.put(gallery, {"location": "eastus", "properties": {}})
    identifier = {"publisher": "p", "offer": "o", "sku": "s"}
    defined = {
        "osType": "Linux",
        "osState": "Generalized",
        "hyperVGeneration": "V1",
        "identifier": identifier,
    }
    azure.put(f"{gallery}/images/base", {"location": "eastus", "properties": defined})
    storage = {"osDiskImage": {"source": {"id": disk}}}
    made = f"{gallery}/images/base/versions/4.5.6"
    profile = {"publishingProfile": {"replicationMode": "Shallow"}, "storageProfile": storage}
    azure.put(made, {"location": "eastus", "properties": profile})
    definition(azure, group, "fromafar")
    options = wanted(group, "fromafar", version="source", source=f"{gallery}/images/base")
    done, _writes = thrice(azure, version, session, options)
    assert (done.after["version"], done.after["source"]) == ("4.5.6", made)
    # The task may name a gallery of the other subscription, too.
    ours = {"gallery": gallery, "definition": "base", "version": "4.5.6", "exclude_from_latest": True}
    changed, writes = thrice(azure, version, session, ours)
    assert writes == [f"PUT {made}"]
    assert changed.after["exclude_from_latest"] is True


def test_numbers_are_counted_dated_or_those_of_the_source(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    definition(azure, group, "numbers")

    def made(how: str, name: str) -> str:
        disk = azure.disk(group, name, osType="Linux", hyperVGeneration="V1")
        options = wanted(group, "numbers", version=how, source=disk, replication_mode="Shallow")
        return str(version(session, options).after["version"])

    assert [made("next_minor", "n1"), made("next_patch", "n2"), made("next_minor", "n3")] == [
        "1.0.0",
        "1.0.1",
        "1.1.0",
    ]
    assert made("next_major", "n4") == "2.0.0"
    day = datetime.now(timezone.utc)
    dated = f"{day.year}.{day.month * 100 + day.day}"
    assert [made("date", "n5"), made("date", "n6")] == [f"{dated}.0", f"{dated}.1"]
    definition(azure, group, "own")
    options = wanted(group, "own", version="source", replication_mode="Shallow")
    done, _writes = thrice(azure, version, session, {**options, "source": "golden/numbers/1.1.0"})
    assert done.after["version"] == "1.1.0"
    disk = azure.disk(group, "n7", osType="Linux")
    refused(azure, version, session, {**options, "source": disk}, "version: the source has no version")


def test_a_changed_source_is_seen(azure: LocalAzure, session: AzureSession, group: str) -> None:
    made = definition(azure, group, "anew")
    disk = azure.disk(group, "anew", osType="Linux", hyperVGeneration="V1")
    options = wanted(group, "anew", source=disk, version="1.0.0")
    thrice(azure, version, session, options)
    azure.do("DELETE", disk)
    assert not version(session, options).changed, "what it was made of is not needed any more"
    azure.disk(group, "anew", osType="Linux", hyperVGeneration="V1")
    said = "its source has been replaced by another one of the same name since"
    refused(azure, version, session, options, "exists and is another one", said, "next_patch")
    other = azure.disk(group, "anew2", osType="Linux", hyperVGeneration="V1")
    said = f"it was made of {disk.lower()}, not of {other.lower()}"
    refused(azure, version, session, {**options, "source": other}, said)
    counted, _writes = thrice(azure, version, session, {**options, "version": "next_patch"})
    assert counted.after["version"] == "1.0.1"
    replaced, writes = thrice(azure, version, session, {**options, "replace": True})
    assert writes == [f"DELETE {made}/versions/1.0.0", f"PUT {made}/versions/1.0.0"]
    assert replaced.actions == [f"Replaced version {made}/versions/1.0.0 of {disk}"]
    assert replaced.before["tags"] != replaced.after["tags"]


def test_how_a_version_is_published_can_be_changed(
    azure: LocalAzure, session: AzureSession, group: str, encryption_set: str
) -> None:
    made = f"{definition(azure, group, 'published')}/versions/1.0.0"
    system = azure.disk(group, "published-os", osType="Linux", hyperVGeneration="V1")
    data = azure.disk(group, "published-data")
    base = wanted(
        group,
        "published",
        version="1.0.0",
        os_disk={"source": system},
        data_disks=[{"lun": 4, "source": data}],
        end_of_life="2090-01-31",
        regions=[
            {"name": "East US", "replicas": 2, "disk_encryption_set": encryption_set},
            {"name": "westus", "exclude_from_latest": True, "storage_account_type": "Premium_LRS"},
        ],
    )
    done, writes = thrice(azure, version, session, base)
    assert writes == [f"PUT {made}"]
    east, west = done.after["regions"]
    assert (east["name"], east["replicas"], east["os_disk_encryption_set"]) == ("eastus", 2, encryption_set)
    assert east["data_disk_encryption_sets"] == [{"lun": 4, "disk_encryption_set": encryption_set}]
    assert (west["exclude_from_latest"], west["storage_account_type"]) == (True, "Premium_LRS")
    fewer = [{"name": "eastus", "replicas": 1}]
    refused(azure, version, session, {**base, "regions": fewer}, "regions: version 1.0.0 is in westus too")
    protection = {
        "block_deletion_before_end_of_life": True,
        "allow_deletion_of_replicated_locations": True,
    }
    more = {
        "exclude_from_latest": True,
        "end_of_life": "2091-01-31",
        "tags": {"a": "b"},
        **protection,
    }
    named = wanted(group, "published", version="1.0.0", regions=fewer, **more)
    changed, writes = thrice(azure, version, session, named)
    assert writes == [f"PUT {made}"]
    options = ("exclude_from_latest", "end_of_life", "regions", *protection, "tags")
    assert changed.actions == [f"Changed {', '.join(options)} of version {made}"]
    assert [region["name"] for region in changed.after["regions"]] == ["eastus"]
    assert changed.after["regions"][0]["os_disk_encryption_set"] == encryption_set, "what is not said stays"
    gone = wanted(group, "published", version="1.0.0", state="absent")
    refused(azure, version, session, gone, "cannot be deleted before its end of life, 2091-01-31")
    version(session, {**named, "block_deletion_before_end_of_life": False})
    _gone, writes = thrice(azure, version, session, gone)
    assert writes == [f"DELETE {made}"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"definition": "missing"}, "there is no image definition missing in gallery golden"),
        ({"version": "1.0"}, "version: '1.0' is no version"),
        ({"source": None}, "version: next_patch is a number for a new version"),
        ({"source": None, "version": "9.9.9"}, "There is no version 9.9.9 of refused to update"),
        ({"source": None, "state": "absent"}, "version: nothing says which version is to be deleted"),
        (
            {"source": "debian:debian-12:12:latest"},
            "is a Marketplace image, of which Azure makes no gallery versions",
        ),
        ({"source": "/images/web.vhd"}, "source: /images/web.vhd"),
        ({"source": {"managed_disk": "other-gen"}}, "definition: other-gen has generation V2"),
        ({"source": {"managed_disk": "windows"}}, "definition: windows has operating system Windows"),
        ({"source": {"managed_disk": "west"}, "location": "eastus"}, "source: west is in westus"),
        ({"source": {"virtual_machine": "unmarked"}}, "unmarked has OS state Specialized"),
        ({"location": "westus"}, "source: refused is in eastus, definition refused is to be in westus"),
        ({"regions": [{"name": "westus"}]}, "refused is in eastus, which is not among its regions"),
        ({"regions": [{"name": "eastus"}, {"name": "moon"}]}, "regions: there is no region moon"),
        ({"regions": [{"name": "eastus"}, {"name": "East US"}]}, "regions: eastus is given more than once"),
        ({"replicas": 101}, "replicas: 101 is not between 1 and 100"),
        (
            {"replication_mode": "Shallow", "replicas": 3},
            "replicas: a shallow version has one replica, not 3",
        ),
        ({"end_of_life": "2001-01-01"}, "end_of_life: 2001-01-01 is in the past"),
        ({"data_disks": [{"lun": 0, "source": "refused"}]}, "data_disks[0].source:"),
        ({"undelete": True}, "undelete: it brings one deleted version back"),
        ({"undelete": True, "version": "1.0.0", "source": None}, "undelete: no deleted version 1.0.0"),
    ],
)
def test_what_cannot_be_is_refused_before_any_write(
    azure: LocalAzure, session: AzureSession, group: str, options: dict[str, Any], said: str
) -> None:
    if azure.get(azure.id(group, "Microsoft.Compute/disks", "refused")) is None:
        definition(azure, group, "refused")
        azure.disk(group, "refused", osType="Linux", hyperVGeneration="V1")
        azure.disk(group, "other-gen", osType="Linux", hyperVGeneration="V2")
        azure.disk(group, "windows", osType="Windows", hyperVGeneration="V1")
        azure.disk(group, "west", osType="Linux", hyperVGeneration="V1", location="westus")
        machine(azure, group, "unmarked", luns=())
    base = wanted(group, "refused", source={"managed_disk": "refused"})
    refused(azure, version, session, {**base, **options}, said)


def test_what_is_missing_is_said(azure: LocalAzure, session: AzureSession, group: str) -> None:
    definition(azure, group, "nothing")
    mark = azure.mark()
    with pytest.raises(NotFound, match="there is no snapshot gone in resource group"):
        version(session, wanted(group, "nothing", source={"snapshot": "gone"}))
    assert written(azure, mark) == []
