# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Long lists come in pages; thousands of resources cost what a page costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.local_azure.settings import Pace, load_or_create
from tests.local_azure.store import Resource, Store
from tests.unit.local_azure.arm_server import Arm, Json, ServerThread, compute

IMAGES = "Microsoft.Compute/images"


@pytest.fixture(scope="module")
def short_pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arm]:
    """Three resources on a page."""
    state_dir = tmp_path_factory.mktemp("pages")
    thread = ServerThread(load_or_create(state_dir, pace=Pace(speed=2000), page_size=3))
    try:
        yield Arm(thread)
    finally:
        thread.stop()


def pages(arm: Arm, path: str, query: str = "") -> list[Json]:
    body = arm.get(path, query)
    found = [body]
    while "nextLink" in body:
        assert body["nextLink"].startswith(arm.settings.url + "/")
        answer = arm.send("GET", body["nextLink"])
        assert answer.status_code == 200, answer.text
        body = answer.json()
        found.append(body)
    return found


def names(found: list[Json]) -> list[list[str]]:
    return [[entry["name"] for entry in page["value"]] for page in found]


def test_next_link_leads_through_every_page_once(short_pages: Arm) -> None:
    group = short_pages.group()
    for number in range(7):
        short_pages.disk(group, f"d{number}")
    found = pages(short_pages, compute(group, "disks"))
    assert names(found) == [["d0", "d1", "d2"], ["d3", "d4", "d5"], ["d6"]]
    assert "nextLink" not in found[-1]
    query = parse_qs(urlsplit(found[0]["nextLink"]).query)
    assert set(query) == {"api-version", "$skiptoken"}
    whole = pages(short_pages, "providers/Microsoft.Compute/disks")
    assert {"d0", "d6"} <= {name for page in names(whole) for name in page}


def test_page_goes_on_where_it_ended_whatever_happened_meanwhile(short_pages: Arm) -> None:
    group = short_pages.group()
    for number in range(5):
        short_pages.disk(group, f"d{number}")
    first = short_pages.get(compute(group, "disks"))
    short_pages.done(short_pages.send("DELETE", compute(group, "disks", "d0")))
    short_pages.disk(group, "d5")
    rest = short_pages.send("GET", first["nextLink"]).json()
    assert names([rest]) == [["d3", "d4", "d5"]]


def test_token_must_come_back_whole_and_to_its_own_list(short_pages: Arm) -> None:
    group = short_pages.group()
    for number in range(4):
        short_pages.disk(group, f"d{number}")
    link = short_pages.get(compute(group, "disks"))["nextLink"]
    for wrong in (link[:-4], link.replace("skiptoken=", "skiptoken=A"), link.replace("/disks", "/snapshots")):
        answer = short_pages.send("GET", wrong)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidParameter")


def test_lists_that_a_provider_makes_as_a_whole_come_in_pages_too(short_pages: Arm) -> None:
    group = short_pages.group()
    subnet = {"properties": {"addressPrefix": "10.0.{}.0/24"}}
    network = f"{group}/providers/Microsoft.Network/virtualNetworks/net"
    subnets = [
        {"name": f"s{n}", "properties": {"addressPrefix": subnet["properties"]["addressPrefix"].format(n)}}
        for n in range(4)
    ]
    properties = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": subnets}
    short_pages.make(network, {"location": "westus", "properties": properties})
    assert names(pages(short_pages, f"{network}/subnets")) == [["s0", "s1", "s2"], ["s3"]]


def test_groups_know_top_and_filters(arm: Arm) -> None:
    made = [arm.group().rpartition("/")[2] for _unused in range(3)]
    tagged = f"resourceGroups/{made[0]}"
    assert arm.send("PATCH", tagged, {"tags": {"Use": "golden"}}).status_code == 200
    first = arm.get("resourcegroups", "&$top=1")
    assert len(first["value"]) == 1
    assert "$top=1" in first["nextLink"]
    assert set(made) <= {name for page in names(pages(arm, "resourcegroups", "&$top=2")) for name in page}
    for wanted in ("tagName eq 'use' and tagValue eq 'golden'", "tagName eq 'Use'"):
        assert names(pages(arm, "resourcegroups", f"&$filter={wanted}")) == [[made[0]]]
    assert names(pages(arm, "resourcegroups", "&$filter=tagName eq 'Use' and tagValue eq 'x'")) == [[]]
    for wrong in ("&$top=0", "&$top=none", "&$filter=size eq 3"):
        assert arm.send("GET", "resourcegroups", query=wrong).status_code == 400


def test_resources_are_filtered_by_type_name_and_tag(arm: Arm) -> None:
    group = arm.group()
    arm.disk(group, "disk")
    arm.done(arm.send("PATCH", compute(group, "disks", "disk"), {"tags": {"use": "it's"}}))
    arm.subnet(group)
    path = f"{group}/resources"
    assert names([arm.get(path)]) == [["disk", "net"]]
    for wanted in (
        "resourceType eq 'microsoft.compute/disks'",
        "name eq 'DISK'",
        "tagName eq 'use' and tagValue eq 'it''s'",
        "resourceType eq 'Microsoft.Compute/disks' and tagName eq 'use'",
    ):
        assert names([arm.get(path, f"&$filter={wanted}")]) == [["disk"]]
    assert arm.send("GET", path, query="&$filter=colour eq 'red'").status_code == 400


def fill(store: Store, subscription: str, count: int) -> None:
    """Images as they stand in the store, without the work of making them."""
    for number in range(count):
        resource_id = f"{subscription}/resourceGroups/many/providers/{IMAGES}/i{number}"
        body = {"id": resource_id, "name": f"i{number}", "location": "westus", "properties": {"n": number}}
        store.put(Resource(resource_id, IMAGES, "many", f"i{number}", body, {}))


def steps_of(store: Store, work: object) -> int:
    """How many instructions SQLite's machine needs for it, in hundreds: work, not time."""
    count = 0

    def counted() -> None:
        nonlocal count
        count += 1

    store._db.set_progress_handler(counted, 100)
    try:
        work()  # type: ignore[operator]
    finally:
        store._db.set_progress_handler(None, 0)
    return count


def test_store_works_no_more_for_thousands_than_for_a_few(tmp_path: Path) -> None:
    subscription = "/subscriptions/22222222-0000-0000-0000-000000000000"
    guid = subscription.rpartition("/")[2]
    store = Store(tmp_path / "state.sqlite")
    works = {
        "get": lambda: store.get(f"{subscription}/resourceGroups/many/providers/{IMAGES}/i7"),
        "page": lambda: store.page(IMAGES, None, guid, 20, 50),
        "page of a group": lambda: store.page(IMAGES, "many", guid, 20, 50),
        "page of all": lambda: store.page(None, None, guid, 20, 50),
        "page of all in a group": lambda: store.page(None, "many", guid, 20, 50),
        "other type": lambda: list(store.of_type("Microsoft.Compute/disks", "many", guid)),
        "name": lambda: store.named(IMAGES, "I7"),
        "put": lambda: fill(store, subscription, 1),
        "delete": lambda: store.delete(f"{subscription}/resourceGroups/many/providers/{IMAGES}/none"),
    }
    fill(store, subscription, 100)
    before = {name: steps_of(store, work) for name, work in works.items()}
    fill(store, subscription, 3000)
    after = {name: steps_of(store, work) for name, work in works.items()}
    assert all(after[name] <= before[name] + 1 for name in works), (before, after)
    store.close()
