# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Sharing a gallery, and what others see of it: subscriptions, tenants and the community."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.unit.local_azure.arm_server import Arm, Json, error_of
from tests.unit.local_azure.galleries import make_definition, make_gallery, make_version

_VIEWS = "providers/Microsoft.Compute/locations/westus"
_COMMUNITY: Json = {
    "permissions": "Community",
    "communityGalleryInfo": {
        "publisherUri": "https://example.org",
        "publisherContact": "images@example.org",
        "eula": "none",
        "publicNamePrefix": "golden",
    },
}


class Published(NamedTuple):
    gallery: str
    definition: str


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group()


@pytest.fixture(scope="module")
def source(arm: Arm, group: str) -> Json:
    disks = {"osDiskImage": {"source": {"id": arm.disk(group, "os")["id"]}}}
    return disks | {"dataDiskImages": [{"lun": 0, "source": {"id": arm.disk(group, "data")["id"]}}]}


def published(arm: Arm, group: str, source: Json, profile: Json) -> Published:
    """A gallery with one version, in westus alone."""
    gallery = make_gallery(arm, group, sharingProfile=profile)
    definition = make_definition(arm, gallery)
    make_version(arm, definition, "1.0.0", source, "westus")
    return Published(gallery, definition)


@pytest.fixture(scope="module")
def shared(arm: Arm, group: str, source: Json) -> Published:
    return published(arm, group, source, {"permissions": "Groups"})


@pytest.fixture(scope="module")
def public(arm: Arm, group: str, source: Json) -> Published:
    return published(arm, group, source, _COMMUNITY)


@pytest.fixture(scope="module")
def neighbour(arm: Arm) -> Arm:
    """The same tenant's other subscription."""
    return arm.within(arm.settings.identity.home.subscriptions[1].id)


@pytest.fixture(scope="module")
def stranger(arm: Arm) -> Arm:
    """Another tenant's only subscription, signed in by its own principal."""
    identity = arm.settings.identity
    return arm.signed_in(identity.stranger).within(identity.tenants[1].subscriptions[0].id)


def share(arm: Arm, gallery: str, operation: str, *groups: tuple[str, str]) -> None:
    body: Json = {"operationType": operation}
    if groups:
        body["groups"] = [{"type": kind, "ids": [one]} for kind, one in groups]
    answer = arm.send("POST", f"{gallery}/share", body)
    assert answer.status_code == 202, answer.text
    assert not answer.content
    assert "/capsOperations/" in answer.headers["Location"]
    arm.done(answer)


def permissions(arm: Arm, gallery: str) -> Json:
    profile: Json = arm.get(gallery, query="&$select=Permissions")["properties"]["sharingProfile"]
    return profile


def unique_name(arm: Arm, gallery: str) -> str:
    return str(arm.get(gallery)["properties"]["identifier"]["uniqueName"])


def names(arm: Arm, view: str, query: str = "") -> list[str]:
    return [entry["name"] for entry in arm.get(f"{_VIEWS}/{view}", query=query)["value"]]


def subscription_of(arm: Arm) -> str:
    return arm.subscription.rpartition("/")[2]


def test_groups_are_added_taken_away_and_reset(arm: Arm, group: str, neighbour: Arm, stranger: Arm) -> None:
    gallery = make_gallery(arm, group, sharingProfile={"permissions": "Groups"})
    tenant = stranger.settings.identity.tenants[1].id
    own, other = subscription_of(arm), subscription_of(neighbour)
    share(arm, gallery, "Add", ("Subscriptions", own), ("AADTenants", tenant))
    share(arm, gallery, "Add", ("Subscriptions", other), ("Subscriptions", own))
    both = {"type": "Subscriptions", "ids": [own, other]}
    assert permissions(arm, gallery)["groups"] == [both, {"type": "AADTenants", "ids": [tenant]}]
    assert arm.get(gallery)["properties"]["sharingProfile"] == {"permissions": "Groups"}
    expanded = arm.get(gallery, query="&$expand=SharingProfile/Groups")["properties"]
    assert expanded["sharingProfile"]["groups"][0] == both
    assert expanded["sharingStatus"]["aggregatedState"] == "Succeeded"
    share(arm, gallery, "Remove", ("Subscriptions", other), ("AADTenants", tenant))
    assert permissions(arm, gallery)["groups"] == [{"type": "Subscriptions", "ids": [own]}]
    share(arm, gallery, "Reset")
    assert permissions(arm, gallery) == {"permissions": "Private"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"operationType": "Lend"},
        {"operationType": "EnableCommunity"},
        {"operationType": "Add"},
        {"operationType": "Add", "groups": [{"type": "Friends", "ids": []}]},
        {"operationType": "Add", "groups": [{"type": "Subscriptions", "ids": ["everybody"]}]},
    ],
)
def test_sharing_that_makes_no_sense_is_refused(arm: Arm, shared: Published, body: Json) -> None:
    assert arm.send("POST", f"{shared.gallery}/share", body).status_code == 400


def test_a_private_gallery_is_not_shared(arm: Arm, group: str, neighbour: Arm) -> None:
    gallery = make_gallery(arm, group)
    body = {
        "operationType": "Add",
        "groups": [{"type": "Subscriptions", "ids": [subscription_of(neighbour)]}],
    }
    assert error_of(arm.send("POST", f"{gallery}/share", body)) == (400, "BadRequest")


def test_a_subscription_sees_what_is_shared_with_it_and_nothing_else(
    arm: Arm, shared: Published, neighbour: Arm, stranger: Arm
) -> None:
    name = unique_name(arm, shared.gallery)
    assert name not in names(neighbour, "sharedGalleries")
    assert error_of(neighbour.send("GET", f"{_VIEWS}/sharedGalleries/{name}")) == (404, "NotFound")
    share(arm, shared.gallery, "Add", ("Subscriptions", subscription_of(neighbour)))
    listed = next(g for g in neighbour.get(f"{_VIEWS}/sharedGalleries")["value"] if g["name"] == name)
    assert listed == {
        "location": "westus",
        "name": name,
        "identifier": {"uniqueId": f"/SharedGalleries/{name}"},
    }
    assert neighbour.get(f"{_VIEWS}/sharedGalleries/{name}") == {"properties": {}, **listed}
    assert name not in names(arm, "sharedGalleries")
    assert name not in names(stranger, "sharedGalleries")
    assert name not in names(neighbour, "sharedGalleries", "&sharedTo=tenant")


def test_a_shared_version_is_shown_thinly(arm: Arm, shared: Published, neighbour: Arm) -> None:
    share(arm, shared.gallery, "Add", ("Subscriptions", subscription_of(neighbour)))
    gallery, definition = unique_name(arm, shared.gallery), shared.definition.rpartition("/")[2]
    images = f"sharedGalleries/{gallery}/images"
    [image] = neighbour.get(f"{_VIEWS}/{images}")["value"]
    identifier = arm.get(shared.definition)["properties"]["identifier"]
    assert image == {
        "properties": {
            "osType": "Linux",
            "osState": "Generalized",
            "recommended": {},
            "hyperVGeneration": "V2",
            "architecture": "x64",
            "identifier": identifier,
        },
        "location": "westus",
        "name": definition,
        "identifier": {"uniqueId": f"/SharedGalleries/{gallery}/Images/{definition}"},
    }
    [version] = neighbour.get(f"{_VIEWS}/{images}/{definition}/versions")["value"]
    assert version["properties"].pop("publishedDate")
    assert version == {
        "properties": {
            "excludeFromLatest": False,
            "storageProfile": {
                "osDiskImage": {"diskSizeGB": 1, "hostCaching": "ReadWrite"},
                "dataDiskImages": [{"lun": 0, "diskSizeGB": 1, "hostCaching": "ReadOnly"}],
            },
        },
        "location": "westus",
        "name": "1.0.0",
        "identifier": {"uniqueId": f"/SharedGalleries/{gallery}/Images/{definition}/Versions/1.0.0"},
    }
    assert neighbour.get(f"{_VIEWS}/{images}/{definition}/versions/1.0.0")["name"] == "1.0.0"
    elsewhere = _VIEWS.replace("westus", "northeurope")
    assert neighbour.send("GET", f"{elsewhere}/{images}").status_code == 404


def test_a_tenant_sees_what_is_shared_with_it(arm: Arm, shared: Published, stranger: Arm) -> None:
    name = unique_name(arm, shared.gallery)
    share(arm, shared.gallery, "Add", ("AADTenants", stranger.settings.identity.tenants[1].id))
    assert name in names(stranger, "sharedGalleries", "&sharedTo=tenant")
    assert name not in names(stranger, "sharedGalleries")
    assert stranger.get(f"{_VIEWS}/sharedGalleries/{name}")["name"] == name
    assert arm.send("GET", f"{_VIEWS}/sharedGalleries", query="&sharedTo=all").status_code == 400


def test_everybody_sees_a_community_gallery_once_it_is_open(
    arm: Arm, public: Published, stranger: Arm
) -> None:
    info = permissions(arm, public.gallery)["communityGalleryInfo"]
    [name] = info["publicNames"]
    assert (name.startswith("golden-"), info["communityGalleryEnabled"]) == (True, False)
    assert stranger.send("GET", f"{_VIEWS}/communityGalleries/{name}").status_code == 404
    share(arm, public.gallery, "EnableCommunity")
    assert permissions(arm, public.gallery)["communityGalleryInfo"]["communityGalleryEnabled"] is True
    given = {k: v for k, v in _COMMUNITY["communityGalleryInfo"].items() if k != "publicNamePrefix"}
    metadata = {**given, "publicNames": [name]}
    seen = stranger.get(f"{_VIEWS}/communityGalleries/{name}")
    assert seen == {
        "properties": {
            "communityMetadata": metadata,
            "disclaimer": "https://aka.ms/community-gallery-disclaimer",
        },
        "communityMetadata": metadata,
        "location": "westus",
        "name": name,
        "identifier": {"uniqueId": f"/CommunityGalleries/{name}"},
    }
    [image] = stranger.get(f"{_VIEWS}/communityGalleries/{name}/images")["value"]
    assert image["properties"]["identifier"] == {"publisher": "", "offer": "", "sku": ""}
    share(arm, public.gallery, "Reset")
    assert stranger.send("GET", f"{_VIEWS}/communityGalleries/{name}").status_code == 404


def test_a_community_gallery_needs_all_that_its_users_are_told(arm: Arm, group: str) -> None:
    info = {k: v for k, v in _COMMUNITY["communityGalleryInfo"].items() if k != "eula"}
    profile = {"permissions": "Community", "communityGalleryInfo": info}
    gallery = make_gallery(arm, group)
    answer = arm.send("PATCH", gallery, {"properties": {"sharingProfile": profile}})
    assert error_of(answer) == (400, "InvalidParameter")
    assert answer.json()["error"]["target"].endswith("communityGalleryInfo.eula")
