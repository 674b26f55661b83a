# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Names and tags of backups and of the disks that a restore makes."""

from __future__ import annotations

import json
import random
import string
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, WaitTimeout
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup import (
    check_backup_name,
    collection_name,
    default_backup_name,
    disk_key,
    lun_of,
    moment,
    packed_facts,
    snapshot_name,
    unpacked_facts,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.backup_waiting import wait_until_done
from ansible_collections.goldenimage.azure.plugins.module_utils._image.restore_tags import (
    fits,
    lasting_tags,
    machine_described,
    machine_tags,
    replaced_by,
    replaces_tag,
    users_tags,
)

MACHINE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/web"
DISK = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/disks/web-os"


@pytest.mark.parametrize(
    "name",
    ["a", "before-generalizing", "2026.03_x", "x" * 40, default_backup_name(datetime.now(timezone.utc))],
)
def test_names_that_fit_are_taken(name: str) -> None:
    check_backup_name(name)


@pytest.mark.parametrize("name", ["", "x" * 41, "-a", "a-", "a b", "a/b", "\u00e4"])
def test_names_that_azure_would_refuse_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="backup:"):
        check_backup_name(name)


def test_snapshots_of_machines_with_long_names_fit_and_differ() -> None:
    long = MACHINE + "-" + "n" * 60
    names = {snapshot_name(vm, "b" * 40, lun) for vm in (long, long + "1", MACHINE) for lun in (None, 0, 63)}
    assert len(names) == 9
    assert all(len(name) <= 80 for name in names)
    assert snapshot_name(MACHINE, "b", 3) == snapshot_name(MACHINE.upper(), "b", 3).lower().replace(
        "WEB", "web"
    )


def test_another_machine_of_the_same_name_has_another_collection() -> None:
    first, second = (
        collection_name({"name": "n" * 64, "properties": {"vmId": vm_id}})
        for vm_id in ("11111111-1", "22222222-2")
    )
    assert first != second
    assert len(first) <= 80


def test_places_of_disks_are_read_as_they_are_written() -> None:
    assert [lun_of(disk_key(lun)) for lun in (None, 0, 63)] == [None, 0, 63]


def test_facts_that_somebody_has_spoiled_are_not_there() -> None:
    assert unpacked_facts(packed_facts(build="b", running=True, caching=None)) == {
        "build": "b",
        "running": True,
    }
    assert [unpacked_facts(text) for text in (None, "", "{", "[1]", "no")] == [{}] * 5


@pytest.mark.parametrize(
    ("text", "shifted"),
    [
        ("2024-08-26T05:58:14.9256607+00:00", 0),
        ("2024-08-26T05:58:14Z", 0),
        ("2024-08-26T13:58:14.1+08:00", 0),
        ("2024-08-26T05:58:15", 1),
    ],
)
def test_azures_times_are_read_with_any_offset(text: str, shifted: int) -> None:
    base = datetime(2024, 8, 26, 5, 58, 14, tzinfo=timezone.utc)
    assert moment(text) == base + timedelta(seconds=shifted)
    assert moment(None).year == moment("soon").year == 1970


def test_a_machines_description_survives_its_tags_in_any_order() -> None:
    description = {"body": {"properties": {"userData": random_text(2000)}}, "lost": ["\u00e4"]}
    tags = machine_tags(description)
    assert all(len(value) <= 256 for value in tags.values())
    shuffled = list(tags.items())
    random.Random(1).shuffle(shuffled)
    assert machine_described({"tags": {name.upper(): value for name, value in shuffled}}) == description
    del tags[min(tags)]
    assert machine_described({"tags": tags}) is None
    assert machine_described({}) is None


def test_what_does_not_fit_into_tags_is_known_beforehand() -> None:
    assert fits(machine_tags({"body": random_text(4000)}))
    assert not fits(machine_tags({"body": random_text(40000)}))


def random_text(length: int) -> str:
    return "".join(random.Random(length).choices(string.printable, k=length))


def test_tags_of_a_restore_pass_and_the_users_stay() -> None:
    tags = {
        "team": "shop",
        "goldenimage_build": "b",
        "goldenimage_restored_from": "x",
        "goldenimage_restore_of": "x",
        "GoldenImage_Temporary": "restore",
        **replaces_tag(DISK),
        **machine_tags({"a": 1}),
    }
    assert lasting_tags({"tags": tags}) == {
        "team": "shop",
        "goldenimage_build": "b",
        "goldenimage_restored_from": "x",
    }
    assert users_tags({"tags": tags}) == {"team": "shop"}
    assert replaced_by({"id": DISK + "-r1", "tags": tags}) == DISK
    assert replaced_by({"id": DISK}) is None
    assert replaces_tag(None) == {}
    assert json.dumps(tags)


def test_waiting_tells_how_far_it_is_and_ends_in_time() -> None:
    clock = [0.0]
    said: list[str] = []

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    waiter = Waiter(True, 5, said.append, clock=lambda: clock[0], sleep=sleep)
    states = iter(["10 percent", "90 percent", None])
    wait_until_done("The copy", lambda: next(states), waiter)
    assert [text.split(" percent")[0] for text in said] == ["10", "90"]
    with pytest.raises(WaitTimeout, match="The copy is not done after 5 s: 0 percent"):
        wait_until_done("The copy", lambda: "0 percent", waiter)
    assert clock[0] <= 7
    wait_until_done("The copy", lambda: "0 percent", Waiter(False, 5))
