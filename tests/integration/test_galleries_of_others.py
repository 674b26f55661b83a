# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""community_gallery_info and shared_gallery_info: what others show, by names that other modules take."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.gallery_browsing import (
    GalleryQuery,
    browse_galleries,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_lookup import SourceLookup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import COMMUNITY, SHARED

from tests.integration.captures import GALLERIES, definition
from tests.integration.cloud import LocalAzure
from tests.integration.machines import golden_image
from tests.integration.plays import Player

COMMUNITY_INFO = {
    "publisherUri": "https://a.example",
    "publisherContact": "a@a.example",
    "eula": "https://a.example/eula",
    "publicNamePrefix": "open",
}


def published(azure: LocalAzure, group: str, gallery: str, sharing: dict[str, Any], image: str) -> str:
    """Id of a gallery with definitions web (two versions) and db (none); it is not shared yet."""
    made = azure.id(group, GALLERIES, gallery)
    azure.put(made, {"location": "eastus", "properties": {"sharingProfile": sharing}})
    web = definition(azure, group, "web", gallery=gallery)
    definition(azure, group, "db", gallery=gallery, architecture="x64", hyperVGeneration="V2")
    for number, excluded in (("1.9.0", False), ("1.10.0", False), ("2.0.0", True)):
        profile = {
            "targetRegions": [{"name": "eastus"}],
            "replicationMode": "Shallow",
            "excludeFromLatest": excluded,
        }
        storage = {"source": {"id": image}}
        properties = {"publishingProfile": profile, "storageProfile": storage}
        azure.put(f"{web}/versions/{number}", {"location": "eastus", "properties": properties})
    return made


@pytest.fixture(scope="module")
def public_name(azure: LocalAzure, group: str) -> str:
    sharing = {"permissions": "Community", "communityGalleryInfo": COMMUNITY_INFO}
    made = published(azure, group, "open", sharing, golden_image(azure, group))
    azure.do("POST", f"{made}/share", {"operationType": "EnableCommunity"})
    info = azure.get(made)["properties"]["sharingProfile"]["communityGalleryInfo"]
    return str(info["publicNames"][0])


@pytest.fixture(scope="module")
def unique_name(azure: LocalAzure, group: str, public_name: str) -> str:
    """Of a gallery that is shared with the subscription."""
    assert public_name  # the image is there by then
    image = azure.id(group, "Microsoft.Compute/images", "golden")
    made = published(azure, group, "lent", {"permissions": "Groups"}, image)
    groups = [{"type": "Subscriptions", "ids": [azure.subscription_id]}]
    azure.do("POST", f"{made}/share", {"operationType": "Add", "groups": groups})
    return str(azure.get(made)["properties"]["identifier"]["uniqueName"])


def test_a_community_gallery_shows_its_images_and_who_publishes_them(play: Player, public_name: str) -> None:
    options = {"public_name": public_name, "location": "eastus"}
    gallery = play.module("community_gallery_info", options).succeeded().last["gallery"]
    assert gallery["publisher_uri"] == "https://a.example"
    assert gallery["eula"] == "https://a.example/eula"
    assert gallery["public_names"] == [public_name]
    database, web = gallery["images"]
    assert (database["name"], database["generation"], database["latest"]) == ("db", "V2", None)
    assert (web["name"], web["generation"], web["os_type"]) == ("web", "V1", "Linux")
    assert [each["version"] for each in web["versions"]] == ["2.0.0", "1.10.0", "1.9.0"]
    assert web["latest"] == "1.10.0"
    assert web["versions"][0]["exclude_from_latest"] is True
    assert web["versions"][1]["os_disk_size_gb"] == 4
    assert [disk["lun"] for disk in web["versions"][1]["data_disks"]] == [3]


def test_shared_galleries_are_listed_and_searched(
    azure: LocalAzure, play: Player, group: str, unique_name: str
) -> None:
    options = {"resource_group": group, "search": "LENT web"}
    galleries = play.module("shared_gallery_info", options).succeeded().last["galleries"]
    (gallery,) = [each for each in galleries if each["name"] == unique_name]
    assert [each["name"] for each in gallery["images"]] == ["web"]
    assert azure.get(azure.id(group, GALLERIES, "lent"))


def test_what_is_not_asked_for_is_not_read(
    azure: LocalAzure, session: AzureSession, unique_name: str
) -> None:
    mark = azure.mark()
    (one,) = browse_galleries(session, GalleryQuery(SHARED, "eastus", unique_name, "web"))
    assert len(azure.exchanges(mark)) == 2
    assert "versions" not in one["images"][0]
    assert browse_galleries(session, GalleryQuery(SHARED, "eastus", shared_to="tenant")) == []


@pytest.mark.parametrize("kind", [COMMUNITY, SHARED])
def test_references_name_what_they_are_listed_with(
    session: AzureSession, public_name: str, unique_name: str, kind: str
) -> None:
    name = public_name if kind == COMMUNITY else unique_name
    (gallery,) = browse_galleries(session, GalleryQuery(kind, "eastus", name, "web", versions=True))
    (web,) = gallery["images"]
    lookup = SourceLookup(session, location="eastus")
    latest = lookup.describe(lookup.parse(web["reference"]))
    assert latest.version == web["latest"]
    assert latest.pinned == web["versions"][1]["reference"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (GalleryQuery(COMMUNITY, "eastus", "nobody-1"), "nobody-1 is seen in eastus"),
        (GalleryQuery(SHARED, "eastus", "nobody-1"), "nobody-1 is seen in eastus"),
        (GalleryQuery(SHARED, "eastus", "", "none"), "no definition none"),
    ],
)
def test_what_is_not_seen_is_said(
    session: AzureSession, unique_name: str, query: GalleryQuery, said: str
) -> None:
    if query.gallery == "":
        query = GalleryQuery(query.kind, query.location, unique_name, query.definition)
    with pytest.raises(NotFound, match=said):
        browse_galleries(session, query)
