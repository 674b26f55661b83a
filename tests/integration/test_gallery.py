# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""gallery and gallery_info, run by ansible-playbook against the local Azure."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.integration.captures import GALLERIES, definition
from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.galleries import gallery, refused, thrice
from tests.integration.plays import Player

COMMUNITY = {
    "permissions": "community",
    "publisher_uri": "https://example.com",
    "publisher_contact": "images@example.com",
    "eula": "none",
    "public_name_prefix": "golden",
}


def test_a_gallery_is_foreseen_made_once_found_and_deleted(
    azure: LocalAzure, play: Player, group: str
) -> None:
    first = azure.id(group, GALLERIES, "first")
    named = {"resource_group": group, "name": "first"}
    args = {**named, "description": "ours", "tags": {"team": "a"}}
    look = {"name": "look", "goldenimage.azure.gallery_info": {"resource_group": group, "tags": ["team:a"]}}
    tasks: list[dict[str, Any]] = [
        {"name": "foresee", "goldenimage.azure.gallery": args, "check_mode": True},
        {"name": "make", "goldenimage.azure.gallery": args},
        {"name": "repeat", "goldenimage.azure.gallery": args},
        look,
        {"name": "delete", "goldenimage.azure.gallery": {**named, "state": "absent"}},
    ]
    mark = azure.mark()
    done = play(tasks, diff=True).succeeded().tasks
    assert azure.writes(mark) == [f"PUT {first}", f"DELETE {first}"]
    for result in (done["foresee"], done["make"]):
        assert result.changed
        assert result["actions"] == [f"Created gallery {first}"]
        assert result["diff"]["before"] == {}
        assert result["gallery"]["location"] == "eastus"
        assert result["gallery"]["sharing"]["permissions"] == "private"
    assert done["make"]["gallery"]["unique_name"] == f"{azure.subscription_id}-FIRST"
    assert not done["repeat"].changed
    assert done["look"]["galleries"] == [done["make"]["gallery"]]
    assert done["delete"].changed
    assert done["delete"]["gallery"] is None
    assert azure.get(first) is None


def test_a_gallery_is_changed_in_what_differs(azure: LocalAzure, session: AzureSession, group: str) -> None:
    named = {"resource_group": group, "name": "changed"}
    made, writes = thrice(azure, gallery, session, {**named, "description": "ours", "tags": {"team": "a"}})
    changed_id = azure.id(group, GALLERIES, "changed")
    assert writes == [f"PUT {changed_id}"]
    changed, writes = thrice(azure, gallery, session, {**named, "soft_delete": True, "tags": {"x": "y"}})
    assert writes == [f"PATCH {changed_id}"]
    assert changed.actions == [f"Changed tags, soft delete of gallery {changed_id}"]
    assert changed.before == made.after
    assert changed.after == {**made.after, "soft_delete": True, "tags": {"team": "a", "x": "y"}}
    gone, writes = thrice(azure, gallery, session, {**named, "state": "absent"})
    assert writes == [f"DELETE {changed_id}"]
    assert (gone.before, gone.after) == (changed.after, {})


def test_a_gallery_is_shared_with_exactly_those_that_are_named(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    made_id = azure.id(group, GALLERIES, "shared")
    one, two = azure.subscription_id, azure.env["LOCAL_AZURE_SECOND_SUBSCRIPTION_ID"]
    tenant = azure.env["LOCAL_AZURE_OTHER_TENANT"]

    def shared(**more: Any) -> dict[str, Any]:
        return {"resource_group": group, "name": "shared", "sharing": {"permissions": "groups", **more}}

    made, writes = thrice(azure, gallery, session, shared(subscriptions=[one], tenants=[tenant]))
    assert writes == [f"PUT {made_id}", f"POST {made_id}/share"]
    assert made.actions == [f"Created gallery {made_id}", f"Shared the gallery with {one}, {tenant}"]
    assert not gallery(session, shared(subscriptions=[one.upper()])).changed
    added, _writes = thrice(azure, gallery, session, shared(subscriptions=[two], append=True))
    assert added.after["sharing"]["subscriptions"] == [one, two]
    replaced, writes = thrice(azure, gallery, session, shared(subscriptions=[two]))
    assert writes == [f"POST {made_id}/share"]
    assert replaced.actions == [f"Ended the sharing of the gallery with {one}"]
    assert replaced.before["sharing"]["subscriptions"] == [one, two]
    assert replaced.after["sharing"]["subscriptions"] == [two]
    assert replaced.after["sharing"]["tenants"] == [tenant], "what the task does not name stays"
    assert replaced.facts is not None
    assert replaced.facts["sharing_state"] == "Succeeded"


def test_a_gallery_goes_from_groups_to_the_community_and_back_to_nobody(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    base = {"resource_group": group, "name": "public"}
    thrice(
        azure,
        gallery,
        session,
        {**base, "sharing": {"permissions": "groups", "subscriptions": [azure.subscription_id]}},
    )
    public, _writes = thrice(azure, gallery, session, {**base, "sharing": COMMUNITY})
    assert public.actions == [
        "Ended the sharing of the gallery",
        f"Changed permissions of gallery {azure.id(group, GALLERIES, 'public')}",
        "Opened the gallery to the community",
    ]
    assert public.before["sharing"]["subscriptions"] == [azure.subscription_id]
    assert public.after["sharing"]["public"] is True
    assert public.after["sharing"]["subscriptions"] == []
    assert public.after["sharing"]["public_names"][0].startswith("golden-")
    private, _writes = thrice(azure, gallery, session, {**base, "sharing": {"permissions": "private"}})
    assert private.actions == ["Ended the sharing of the gallery"]
    assert private.after["sharing"]["permissions"] == "private"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "with-hyphen"}, "name: 'with-hyphen' is no name Azure accepts for a gallery"),
        ({"location": "middleearth"}, "location: the subscription has no region 'middleearth'"),
        ({"sharing": {"permissions": "private", "tenants": ["x"]}}, "sharing.tenants: a gallery is shared"),
        ({"sharing": {"permissions": "groups", "subscriptions": ["x"]}}, "'x' is no id"),
        ({"sharing": {"permissions": "groups", "eula": "x"}}, "are those of a community gallery"),
        ({"sharing": {"permissions": "community", "eula": "x"}}, "sharing.publisher_uri: a community"),
        ({"sharing": {"permissions": "groups", "tenants": [f"{n:032x}" for n in range(6)]}}, "allows 5"),
        ({"name": "full", "location": "westus"}, "location: gallery full is in eastus, not in westus"),
        ({"name": "full", "soft_delete": True}, "is in westus, gallery full in eastus"),
        ({"name": "full", "state": "absent"}, "is not empty, it has the image definitions nested"),
    ],
)
def test_what_cannot_be_is_refused_before_any_write(
    azure: LocalAzure, session: AzureSession, group: str, options: dict[str, Any], said: str
) -> None:
    if azure.get(azure.id(group, GALLERIES, "full")) is None:
        definition(azure, group, "nested", gallery="full", location="westus")
    refused(azure, gallery, session, {"resource_group": group, "name": "refused", **options}, said)


def test_an_emptied_gallery_is_deleted_although_azure_has_not_noticed_yet(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    azure.put(azure.id(group, GALLERIES, "emptied"), {"location": "eastus", "properties": {}})
    match = {"method": "DELETE", "path": "**/galleries/emptied", "nth": [1, 2]}
    busy = rule("busy", match, "error", status=409, code="CannotDeleteResource", message="Not empty.")
    with faults(azure, busy) as hits:
        done = gallery(session, {"resource_group": group, "name": "emptied", "state": "absent"})
    assert done.changed
    assert hits["busy"] == 2
    assert azure.get(azure.id(group, GALLERIES, "emptied")) is None
