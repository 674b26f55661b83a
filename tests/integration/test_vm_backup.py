# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Backups of machines against the local Azure (no guests): made, kept, restored, removed."""

from __future__ import annotations

import base64
import random
import time
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Refused

from tests.integration.backups import COLLECTION, SNAPSHOT, BackedUp, saved_contents
from tests.integration.cloud import LocalAzure
from tests.integration.machines import golden_image
from tests.integration.plays import Player, Task


@pytest.fixture(scope="module", autouse=True)
def image(azure: LocalAzure, group: str) -> str:
    return golden_image(azure, group)


@pytest.fixture(scope="module")
def running(azure: LocalAzure, session: AzureSession, group: str) -> BackedUp:
    """A machine for tests that leave it running with its disks."""
    return BackedUp(azure, session, group)


@pytest.mark.parametrize("method", ["restore_point", "snapshots"])
def test_backup_is_made_once_by_its_name_and_restored_with_all_settings(
    azure: LocalAzure, session: AzureSession, group: str, method: str
) -> None:
    vm = BackedUp(azure, session, group)
    before, old = vm.settings(), vm.disks()
    predicted = vm("present", backup="first", method=method, check=True)
    assert predicted.changed and vm.backups() == []
    made = vm("present", backup="first", method=method)
    azure.do(
        "PATCH", vm.id, {"tags": {"team": "shop", "goldenimage_generalized": "a proof that holds no more"}}
    )
    assert (made.changed, made.result["backup"]["complete"]) == (True, True)
    assert predicted.actions == made.actions
    mark = azure.mark()
    again = vm("present", backup="first", method=method)
    assert not again.changed and again.result["backup"] == made.result["backup"]
    assert azure.writes(mark) == []
    (backup,) = vm.backups()
    assert [disk.lun for disk in backup.disks] == [None, 3, 7]
    assert backup.was_running is True

    checked = vm("restored", backup="first", check=True)
    assert checked.changed and azure.writes(mark) == []
    done = vm("restored", backup="first")
    assert done.changed and not done.result["recreated"]
    assert checked.after == done.after
    assert checked.result["disks"] == done.result["disks"]
    assert vm.contents() == saved_contents(backup)
    assert vm.settings() == before
    assert vm.runs()
    # The old disks are kept, and say so.
    kept = [azure.get(each) for each in done.result["kept_disks"]]
    assert sorted(each["id"] for each in kept) == sorted(disk["id"] for disk in old.values())
    assert all("goldenimage_replaced" in each["tags"] and "managedBy" not in each for each in kept)
    for disk in vm.disks().values():
        assert not [tag for tag in disk["tags"] if "restore_" in tag or "temporary" in tag], disk["tags"]
        assert disk["tags"]["team"] == "shop"

    mark = azure.mark()
    assert not vm("restored", backup="first").changed
    assert azure.writes(mark) == []
    forced = vm("restored", backup="first", force=True, remove_replaced_disks=True, start=False)
    assert forced.result["kept_disks"] == [] and not vm.runs()
    assert vm.contents() == saved_contents(backup)
    assert all(azure.get(each) is None for each in done.result["disks"].values())
    assert all(azure.get(each) is not None for each in done.result["kept_disks"])

    removed = vm("absent", backup="first")
    assert removed.changed and removed.result["removed"] == ["first"]
    assert not vm("absent", backup="first").changed
    left = azure.get(azure.id(group) + f"/providers/{COLLECTION}")["value"]
    assert not [each for each in left if each["properties"]["source"]["id"].lower() == vm.id.lower()]
    named = azure.get(azure.id(group) + f"/providers/{SNAPSHOT}")["value"]
    assert not [each for each in named if each["name"].startswith(f"{vm.name}-")]


def test_generalized_machine_is_made_anew_with_everything_that_azure_deletes_with_it(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group, public_ip=True, open_ports=[22])
    before, old, vm_id = vm.settings(), vm.disks(), vm.body()["properties"]["vmId"]
    vm("present", backup="good")
    azure.do(
        "PATCH", vm.id, {"tags": {"team": "shop", "goldenimage_generalized": "a proof that holds no more"}}
    )
    vm.generalize()
    assert "OSState/generalized" in vm.statuses()
    checked = vm("restored", check=True)
    assert checked.result["recreated"]
    done = vm("restored")
    assert done.result["recreated"] and done.result["running"]
    assert checked.actions == done.actions
    assert vm.settings() == before
    assert vm.contents() == saved_contents(vm.backups()[0])
    assert vm.runs() and "OSState/generalized" not in vm.statuses()
    assert vm.body()["properties"]["vmId"] != vm_id
    # Azure deleted the old disks with the machine, as it was told to; snapshots are left of them.
    assert len(done.result["kept_disks"]) == 3
    sources = [
        azure.get(each)["properties"]["creationData"]["sourceResourceId"]
        for each in done.result["kept_disks"]
    ]
    assert sorted(map(str.lower, sources)) == sorted(disk["id"].lower() for disk in old.values())
    address = before["addresses"][0][1]
    assert azure.get(address)["properties"]["deleteOption"] == "Delete"
    assert not vm("restored").changed


def test_newest_backups_are_kept_and_others_backups_are_left_alone(
    azure: LocalAzure, session: AzureSession, group: str, running: BackedUp
) -> None:
    other = BackedUp(azure, session, group)
    other("present", backup="mine")
    strange = azure.id(group, SNAPSHOT, "strange")
    disk = running.disks()["os"]["id"]
    creation = {"createOption": "Copy", "sourceResourceId": disk}
    azure.put(strange, {"location": "eastus", "properties": {"creationData": creation}})
    for number in range(3):
        running("present", backup=f"b{number}", method="snapshots" if number == 1 else "restore_point")
        time.sleep(1.1)
    done = running("present", backup="b3", keep=2)
    assert sorted(done.result["removed"]) == ["b0", "b1"]
    assert [each.name for each in running.backups()] == ["b3", "b2"]
    assert [each.name for each in other.backups()] == ["mine"]
    assert azure.get(strange) is not None
    mark = azure.mark()
    assert not running("present", backup="b3", keep=2).changed
    assert azure.writes(mark) == []
    with pytest.raises(InvalidInput, match="what to remove is not said"):
        running("absent")
    assert sorted(running("absent", keep=0).result["removed"]) == ["b2", "b3"]
    assert running.backups() == []


def test_stopped_machine_is_not_backed_up_again_unless_something_has_happened_to_it(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group)
    vm("present")
    time.sleep(1.1)
    assert vm("present").changed  # it runs, and may have written
    vm.power("deallocate")
    time.sleep(1.1)
    first = vm("present")
    assert first.changed
    assert not vm("present").changed
    time.sleep(1.1)
    vm.power("start")
    vm.power("deallocate")
    time.sleep(1.1)
    assert vm("present").changed
    assert vm("restored", start=None).result["running"] is False


def test_data_disk_attached_after_the_backup_stays_and_one_detached_since_comes_back(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group)
    vm("present", backup="b")
    later = azure.disk(group, f"later-{vm.name}")
    storage = vm.body()["properties"]["storageProfile"]
    kept = [disk for disk in storage["dataDisks"] if disk["lun"] != 3]
    added = {"lun": 9, "createOption": "Attach", "managedDisk": {"id": later}}
    azure.do("PATCH", vm.id, {"properties": {"storageProfile": {"dataDisks": [*kept, added]}}})
    vm("restored")
    assert vm.contents() == {**saved_contents(vm.backups()[0]), "lun 9": None}
    assert vm.disks()["lun 9"]["id"] == later

    # Made anew, a generalized machine has it too: a copy, where Azure deletes the disk with the machine.
    entry = {**vm.body()["properties"]["storageProfile"]["dataDisks"][-1], "deleteOption": "Delete"}
    others = vm.body()["properties"]["storageProfile"]["dataDisks"][:-1]
    azure.do("PATCH", vm.id, {"properties": {"storageProfile": {"dataDisks": [*others, entry]}}})
    vm.generalize()
    vm("restored")
    assert vm.contents() == {**saved_contents(vm.backups()[0]), "lun 9": later}
    assert azure.get(later) is None


def test_backups_may_be_in_another_group_and_outlive_their_machine(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group)
    elsewhere = azure.group(f"{group}-backups", "westus")
    where: dict[str, Any] = {"backup_resource_group": elsewhere}
    for method in ("snapshots", "restore_point"):
        vm("present", backup=method.replace("_", "-"), method=method, **where)
    assert vm.backups() == []
    azure.do("DELETE", vm.id)
    with pytest.raises(AzureError, match="no virtual machine"):
        vm("restored", **where)
    assert sorted(vm("absent", keep=0, **where).result["removed"]) == ["restore-point", "snapshots"]


def test_unfinished_backup_is_waited_for_and_a_broken_one_is_made_anew(
    azure: LocalAzure, running: BackedUp
) -> None:
    begun = running("present", backup="slow", wait=False)
    assert begun.changed
    ended = running("present", backup="slow")
    assert not ended.changed and ended.result["backup"]["complete"]
    with pytest.raises(InvalidInput, match="no backup gone"):
        running("restored", backup="gone")

    made = running("present", backup="holed", method="snapshots").result["backup"]
    azure.do("DELETE", made["disks"][1]["content_id"])
    with pytest.raises(InvalidInput, match=r"holed .* has failed"):
        running("restored", backup="holed")
    again = running("present", backup="holed", method="snapshots")
    assert again.changed and again.result["backup"]["complete"]
    assert again.result["removed"] == ["holed"]
    running("absent", keep=0)


def test_modules_say_the_same_in_check_mode_and_list_what_there_is(play: Player, running: BackedUp) -> None:
    named = {"resource_group": running.group, "name": running.name}
    options = {**named, "backup": "played", "tags": {"team": "shop"}}
    tasks: list[Task] = [
        {"name": "foresee", "goldenimage.azure.vm_backup": options, "check_mode": True, "diff": True},
        {"name": "back up", "goldenimage.azure.vm_backup": options, "diff": True},
        {"name": "again", "goldenimage.azure.vm_backup": options, "diff": True},
        {"name": "list", "goldenimage.azure.vm_backup_info": named},
        {"name": "none", "goldenimage.azure.vm_backup_info": {**named, "backup": "other"}},
        {"name": "restore", "goldenimage.azure.vm_backup": {**named, "state": "restored"}, "diff": True},
        {"name": "remove", "goldenimage.azure.vm_backup": {**named, "state": "absent", "backup": "played"}},
    ]
    done = play(tasks).succeeded().tasks
    assert [done[name].changed for name in ("foresee", "back up", "again", "restore", "remove")] == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert done["foresee"]["actions"] == done["back up"]["actions"]
    assert done["foresee"]["diff"] == done["back up"]["diff"]
    assert done["again"]["diff"]["before"] == done["again"]["diff"]["after"]
    assert done["list"]["backups"] == [done["back up"]["backup"]]
    assert done["none"]["backups"] == []
    difference = done["restore"]["diff"]
    assert set(difference["before"]["disks"]) == set(difference["after"]["disks"]) == {"os", "lun 3", "lun 7"}
    assert difference["after"]["disks"] == done["restore"]["disks"]
    assert running.backups() == []


def test_role_backs_nothing_up_that_it_cannot_name(play: Player) -> None:
    for option in ("backup", "rescue"):
        role = {"name": "goldenimage.azure.linux_generalize"}
        variables = {"linux_generalize_confirm": "x", f"linux_generalize_{option}": True}
        tasks: list[Task] = [{"name": "role", "ansible.builtin.include_role": role, "vars": variables}]
        play(tasks).failed_with("linux_generalize_vm_id is ''", "Nothing was changed")


def test_what_a_machine_made_anew_loses_is_told_beforehand_and_what_cannot_be_noted_is_refused(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group)
    azure.do("PATCH", vm.id, {"identity": {"type": "SystemAssigned"}})
    noise = base64.b64encode(random.Random(1).randbytes(20000)).decode()
    azure.do("PATCH", vm.id, {"properties": {"userData": noise}})
    vm("present", backup="b")
    vm.generalize()
    mark = azure.mark()
    with pytest.raises(Refused, match="does not fit into the tags"):
        vm("restored")
    assert azure.writes(mark) == []


def test_user_data_and_identities_are_those_of_before(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = BackedUp(azure, session, group)
    identity = azure.id(group, "Microsoft.ManagedIdentity/userAssignedIdentities", "worker")
    place = f"{azure.url}{identity}?api-version=2023-01-31"
    assert azure.request("PUT", place, {"location": "eastus"}).status < 300
    both = {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {identity: {}}}
    azure.do("PATCH", vm.id, {"identity": both})
    data = base64.b64encode(b"#cloud-config\n{}\n").decode()
    azure.do("PATCH", vm.id, {"properties": {"userData": data}})
    before = vm.settings()
    vm("present", backup="b")
    vm.generalize()
    for check in (True, False):
        done = vm("restored", check=check)
        assert any("system-assigned identity" in warning for warning in done.warnings)
    assert vm.settings() == before
    assert azure.get(vm.id, query="&$expand=userData")["properties"]["userData"] == data


def test_backup_of_the_same_build_is_kept_to_until_the_machine_was_restored_from_it(
    session: AzureSession, azure: LocalAzure, group: str
) -> None:
    vm = BackedUp(azure, session, group)
    options: dict[str, Any] = {"build_id": "web-1", "reuse_hours": 24}
    first = vm("present", **options).result["backup"]["name"]
    again = vm("present", **options)
    assert (again.changed, again.result["backup"]["name"]) == (False, first)
    time.sleep(1.1)  # names have whole seconds
    other = vm("present", **{**options, "build_id": "web-2"})
    assert other.changed
    vm("restored", backup=first, force=True)
    time.sleep(1.1)
    after = vm("present", **options)
    assert after.changed, "what the machine has lived through since is not in it"
    assert after.result["backup"]["name"] != first
    with pytest.raises(InvalidInput, match="reuse_hours"):
        vm("present", backup="named", reuse_hours=24)
    with pytest.raises(InvalidInput, match="reuse_hours"):
        vm("present", reuse_hours=0)
