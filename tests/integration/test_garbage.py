# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""garbage, run by ansible-playbook against a local Azure of its own: it looks at a whole subscription."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image import garbage, temporary_group

from tests.integration.cloud import CHECKOUT, LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.plays import Player
from tests.integration.watched_cloud import QUICK, watched_cloud

COMPUTE = "Microsoft.Compute"
NETWORK = "Microsoft.Network"
PAST = "2020-01-01T00:00:00Z"
FUTURE = (datetime.now(timezone.utc) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    with watched_cloud(tmp_path_factory.mktemp("garbage"), *QUICK) as started:
        yield started


@pytest.fixture(scope="module")
def player(cloud: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Player:
    return Player(tmp_path_factory.mktemp("plays"), cloud.env)


def tags(build: str, expires: str = PAST, **changes: str) -> dict[str, str]:
    found = {
        "goldenimage_temporary": "twin",
        "goldenimage_build": build,
        "goldenimage_expires": expires,
        "goldenimage_source": "/subscriptions/s/resourceGroups/g/providers/m/t/n",
        **changes,
    }
    return {name: value for name, value in found.items() if value}


class Seeds:
    """Makes resources with tags."""

    def __init__(self, azure: LocalAzure) -> None:
        self.azure = azure

    def group(self, name: str, tagged: dict[str, str] | None = None) -> str:
        group_id = self.azure.id(name)
        self.azure.put(group_id, {"location": "eastus", "tags": tagged or {}})
        return group_id

    def disk(self, group: str, name: str, tagged: dict[str, str] | None = None) -> str:
        disk_id = self.azure.id(group, f"{COMPUTE}/disks", name)
        properties = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 1}
        self.azure.put(disk_id, {"location": "eastus", "tags": tagged or {}, "properties": properties})
        return disk_id

    def network(self, group: str, name: str, tagged: dict[str, str] | None = None) -> str:
        network_id = self.azure.id(group, f"{NETWORK}/virtualNetworks", name)
        subnets = [{"name": "default", "properties": {"addressPrefix": "10.1.0.0/24"}}]
        properties = {"addressSpace": {"addressPrefixes": ["10.1.0.0/24"]}, "subnets": subnets}
        self.azure.put(network_id, {"location": "eastus", "tags": tagged or {}, "properties": properties})
        return network_id

    def interface(self, group: str, network: str, name: str, tagged: dict[str, str] | None = None) -> str:
        interface_id = self.azure.id(group, f"{NETWORK}/networkInterfaces", name)
        address = {"name": "ip", "properties": {"subnet": {"id": f"{network}/subnets/default"}}}
        body = {"location": "eastus", "tags": tagged or {}, "properties": {"ipConfigurations": [address]}}
        self.azure.put(interface_id, body)
        return interface_id

    def machine(self, group: str, disk: str, interface: str, tagged: dict[str, str], delete: str) -> str:
        machine_id = self.azure.id(group, f"{COMPUTE}/virtualMachines", "left")
        os_disk = {
            "createOption": "Attach",
            "osType": "Linux",
            "managedDisk": {"id": disk},
            "deleteOption": delete,
        }
        properties = {
            "hardwareProfile": {"vmSize": "Standard_DS1_v2"},
            "storageProfile": {"osDisk": os_disk},
            "networkProfile": {"networkInterfaces": [{"id": interface}]},
        }
        self.azure.put(machine_id, {"location": "eastus", "tags": tagged, "properties": properties})
        return machine_id


@pytest.fixture(scope="module")
def seeds(cloud: LocalAzure) -> Seeds:
    return Seeds(cloud)


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [piece["id"] for piece in found]


def test_what_has_expired_goes_in_order_and_what_has_not_or_is_not_ours_stays(
    cloud: LocalAzure, player: Player, seeds: Seeds
) -> None:
    seeds.group("shop")
    network = seeds.network("shop", "left-net", tags("old"))
    interface = seeds.interface("shop", network, "left-nic", tags("old"))
    disk = seeds.disk("shop", "left-disk", tags("old"))
    machine = seeds.machine("shop", disk, interface, tags("old"), "Detach")
    read = seeds.disk("shop", "left-read", tags("old"))
    cloud.do("POST", f"{read}/beginGetAccess", {"access": "Read", "durationInSeconds": 3600})
    seeds.group("left", tags("older"))
    inside = seeds.disk("left", "inside", tags("older", FUTURE))

    staying = [
        seeds.disk("shop", "young", tags("young", FUTURE)),
        seeds.disk("shop", "plain"),
        seeds.disk("shop", "no-build", tags("", PAST)),
        seeds.disk("shop", "no-purpose", tags("old", goldenimage_temporary="")),
        seeds.disk("shop", "no-expiry", tags("old", goldenimage_expires="")),
        seeds.disk("shop", "bad-expiry", tags("old", goldenimage_expires="tomorrow")),
        seeds.group("going-on", tags("going-on", FUTURE)),
        seeds.disk("going-on", "inside", tags("going-on", PAST)),
    ]
    mark = cloud.mark()
    listed, predicted = player.each("garbage", [{}, {"dry_run": False, "check_mode": True}], diff=True)
    assert [listed.changed, predicted.changed] == [False, True]
    expected = [machine, interface, disk, read, network, cloud.id("left")]
    for result in (listed, predicted):
        assert sorted(ids(result["garbage"])) == sorted(expected)
        assert ids(result["garbage"])[0] == machine
        assert ids(result["garbage"])[-2:] == [network, cloud.id("left")]
        assert result["garbage"][-1]["holds"] == [inside]
        assert sorted(ids(result["kept"])) == sorted([staying[0], cloud.id("going-on")])
    assert cloud.writes(mark) == []

    done, again = player.each("garbage", [{"dry_run": False}, {"dry_run": False}], diff=True)
    assert [done.changed, again.changed] == [True, False]
    assert ids(done["garbage"]) == ids(listed["garbage"])
    gone = {f"DELETE {each}" for each in expected}
    assert {write for write in cloud.writes(mark) if write.startswith("DELETE ")} == gone
    assert set(cloud.writes(mark)) - gone == {f"POST {read}/endGetAccess"}
    for each in (*expected, inside):
        assert cloud.request("GET", each).status == 404, each
    for each in staying:
        assert cloud.request("GET", each).status == 200, each
    assert [piece["build_id"] for piece in again["kept"]] == ["young", "going-on"]


def test_a_build_is_removed_by_its_id_before_it_expires_and_no_other(
    cloud: LocalAzure, player: Player, seeds: Seeds
) -> None:
    seeds.group("home")
    mine = [
        seeds.disk("home", "mine", tags("mine", FUTURE)),
        seeds.group("goldenimage-twin-mine", tags("mine", FUTURE)),
    ]
    others = [
        seeds.disk("home", "others", tags("others", FUTURE)),
        seeds.disk("home", "expired", tags("mine-too", PAST)),
    ]
    done = player.module("garbage", {"build_id": "mine", "dry_run": False}).succeeded().last
    assert ids(done["garbage"]) == mine
    assert all(cloud.request("GET", each).status == 404 for each in mine)
    assert all(cloud.request("GET", each).status == 200 for each in others)
    cloud.do("DELETE", cloud.id("home"))


def test_a_group_that_holds_something_else_stays_as_a_whole_and_is_named(
    cloud: LocalAzure, player: Player, seeds: Seeds
) -> None:
    held = seeds.group("held", tags("held"))
    inside = seeds.disk("held", "inside", tags("held"))
    guest = seeds.disk("held", "guest")
    other_build = seeds.group("shared", tags("one"))
    second = seeds.disk("shared", "second", tags("two"))
    # Deleted with the machine, and not the build's, although it is in another group.
    seeds.group("elsewhere")
    adopted = seeds.disk("elsewhere", "adopted")
    taking = seeds.group("taking", tags("taking"))
    network = seeds.network("taking", "net", tags("taking"))
    interface = seeds.interface("taking", network, "nic", tags("taking"))
    seeds.machine("taking", adopted, interface, tags("taking"), "Delete")
    mark = cloud.mark()
    result = player.module("garbage", {"dry_run": False}).last
    assert not result.changed
    reasons = {piece["id"]: piece["reason"] for piece in result["refused"]}
    assert set(reasons) == {held, other_build, taking}
    assert guest in reasons[held]
    assert second in reasons[other_build]
    assert adopted in reasons[taking]
    assert cloud.writes(mark) == []
    assert len([text for text in result["warnings"] if "is not removed" in text]) == 3
    assert cloud.get(inside) is not None

    for group in (held, other_build, taking):
        cloud.do("DELETE", group)


def test_what_somebody_puts_into_a_group_after_the_look_at_it_keeps_it_alive(
    cloud: LocalAzure, seeds: Seeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = seeds.group("a-first", tags("late")), seeds.group("b-second", tags("late"))
    put_in: list[str] = []

    def slow(session: AzureSession, group_id: str, waiter: Waiter) -> None:
        put_in.append(seeds.disk("b-second", "put-in-meanwhile"))
        temporary_group.delete_group(session, group_id, waiter)

    monkeypatch.setattr(garbage, "delete_group", slow)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", cloud.env["REQUESTS_CA_BUNDLE"])
    wanted = garbage.Wanted("late", datetime.now(timezone.utc))
    with open_session({}, cloud.env) as session, pytest.raises(garbage.GarbageError, match="put-in-mean"):
        garbage.collect(session, wanted, dry_run=False, waiter=Waiter())
    assert cloud.request("GET", first).status == 404
    assert cloud.get(put_in[0]) is not None
    cloud.do("DELETE", second)


def test_what_cannot_be_removed_is_told_after_everything_else_is_gone(
    cloud: LocalAzure, player: Player, seeds: Seeds
) -> None:
    seeds.group("rest")
    stuck, loose = (seeds.disk("rest", name, tags("rest")) for name in ("a-stuck", "b-loose"))
    match = {"method": "DELETE", "path": "**/disks/a-stuck"}
    with faults(cloud, rule("stuck", match, "error", status=409, code="OperationNotAllowed", message="No.")):
        failed = player.module("garbage", {"dry_run": False}).failed_with("1 of 2", stuck)
    assert ids(failed["failure"]["left"]) == [stuck]
    assert ids(failed["failure"]["removed"]) == [loose]
    assert cloud.request("GET", loose).status == 404
    cloud.do("DELETE", cloud.id("rest"))


def test_a_build_id_that_no_build_can_have_is_refused(cloud: LocalAzure, player: Player) -> None:
    mark = cloud.mark()
    player.module("garbage", {"build_id": "", "dry_run": False}).failed_with("build_id")
    assert cloud.writes(mark) == []


def test_the_playbook_only_looks_unless_told_to_remove_and_fails_on_what_has_to_stay_if_asked(
    cloud: LocalAzure, player: Player, seeds: Seeds
) -> None:
    playbook = CHECKOUT / "playbooks" / "collect_garbage.yml"
    held = seeds.group("held-too", tags("held"))
    guest = seeds.disk("held-too", "guest")
    seeds.group("swept")
    left = seeds.disk("swept", "left", tags("left"))
    mark = cloud.mark()
    looked = player(playbook)
    assert looked.rc == 0, looked.output
    assert f"would be removed: {left}" in looked.stdout
    assert cloud.writes(mark) == []
    swept = player(playbook, collect_garbage_remove=True, collect_garbage_build_id="")
    assert swept.rc == 0, swept.output
    assert swept.custom_stats["collect_garbage_removed"] == [left]
    assert guest in swept.custom_stats["collect_garbage_refused"][held]
    assert cloud.writes(mark) == [f"DELETE {left}"]
    player(playbook, collect_garbage_fail=True).failed_with(held)
