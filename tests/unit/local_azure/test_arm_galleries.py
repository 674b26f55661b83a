# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Galleries and image definitions: what Azure fills in, shows, and refuses."""

from __future__ import annotations

import pytest

from tests.unit.local_azure.arm_server import Arm, Json, compute, error_of
from tests.unit.local_azure.galleries import (
    definition_body,
    gallery_path,
    make_definition,
    make_gallery,
)


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group()


@pytest.fixture(scope="module")
def gallery(arm: Arm, group: str) -> str:
    return make_gallery(arm, group)


def written_properties(arm: Arm, path: str) -> Json:
    """The properties as a client sends them back."""
    shown: Json = arm.get(path)["properties"]
    del shown["provisioningState"]
    return shown


def test_a_new_gallery_has_a_unique_name_in_capitals_and_one_operation_header(arm: Arm, group: str) -> None:
    path = gallery_path(group)
    answer = arm.send("PUT", path, {"location": "West US", "tags": {}}, version="2021-10-01")
    assert answer.status_code == 201
    assert "/locations/westus/capsOperations/" in answer.headers["Azure-AsyncOperation"]
    assert "Location" not in answer.headers
    body = answer.json()
    subscription = arm.subscription.rpartition("/")[2]
    assert body["properties"] == {
        "identifier": {"uniqueName": f"{subscription}-{path.rpartition('/')[2].upper()}"},
        "provisioningState": "Creating",
    }
    assert (body["location"], body["tags"]) == ("westus", {})
    arm.done(answer)
    again = arm.send("PUT", path, {"location": "westus", "properties": {"description": "d"}})
    assert (again.status_code, again.json()["properties"]["provisioningState"]) == (200, "Updating")
    arm.done(again)
    changed = arm.send("PATCH", path, {"tags": {"a": "b"}})
    assert (changed.status_code, changed.json()["tags"]) == (200, {"a": "b"})
    assert changed.json()["properties"]["provisioningState"] == "Succeeded"
    arm.done(changed)
    assert arm.get(path)["properties"]["description"] == "d"


def test_lists_of_galleries_have_the_group_in_capitals(arm: Arm, group: str, gallery: str) -> None:
    name = group.rpartition("/")[2]
    for place in (compute(group, "galleries"), "providers/Microsoft.Compute/galleries"):
        listed = next(g["id"] for g in arm.get(place)["value"] if g["name"] == gallery.rpartition("/")[2])
        assert f"/resourceGroups/{name.upper()}/" in listed
    assert f"/resourceGroups/{name}/" in arm.get(gallery)["id"]


@pytest.mark.parametrize("name", ["with-dash", "_first", "last.", "a" * 81])
def test_bad_gallery_names_are_refused(arm: Arm, group: str, name: str) -> None:
    answer = arm.send("PUT", compute(group, "galleries", name), {"location": "westus"})
    assert error_of(answer) == (400, "InvalidParameter")


def test_a_definition_is_filled_in_and_drops_what_is_empty(arm: Arm, gallery: str) -> None:
    body = definition_body(disallowed={})
    del body["properties"]["hyperVGeneration"]
    answer = arm.send("PUT", f"{gallery}/images/filled", body, version="2021-10-01")
    assert answer.status_code == 201
    properties = answer.json()["properties"]
    assert list(properties) == [
        "hyperVGeneration",
        "architecture",
        "osType",
        "osState",
        "identifier",
        "provisioningState",
    ]
    assert (properties["hyperVGeneration"], properties["architecture"]) == ("V1", "x64")
    arm.done(answer)
    older = arm.send("GET", f"{gallery}/images/filled", version="2019-12-01").json()["properties"]
    assert "architecture" not in older


@pytest.mark.parametrize(
    ("properties", "target"),
    [
        ({"osType": None}, "galleryImage.properties.osType"),
        ({"osState": "Frozen"}, "galleryImage.properties.osState"),
        ({"identifier": None}, "galleryImage.properties.identifier"),
        (
            {"identifier": {"publisher": "p", "offer": "o", "sku": "s."}},
            "galleryImage.properties.identifier.sku",
        ),
        ({"endOfLifeDate": "2020-01-01"}, "galleryImage.properties.endOfLifeDate"),
        ({"recommended": {"vCPUs": {"min": 4, "max": 2}}}, "galleryImage.properties.recommended.vCPUs"),
        (
            {"hyperVGeneration": "V1", "features": [{"name": "SecurityType", "value": "TrustedLaunch"}]},
            "galleryImage.properties.features[0].value",
        ),
        ({"features": [{"name": "Unknown", "value": "x"}]}, "galleryImage.properties.features[0].name"),
    ],
)
def test_definitions_that_cannot_be_are_refused(
    arm: Arm, gallery: str, properties: Json, target: str
) -> None:
    answer = arm.send("PUT", f"{gallery}/images/refused", definition_body(**properties))
    assert error_of(answer) == (400, "InvalidParameter")
    assert answer.json()["error"]["target"] == target


def test_publisher_offer_and_sku_are_unique_in_a_gallery(arm: Arm, group: str, gallery: str) -> None:
    same = {"publisher": "Same", "offer": "o", "sku": "s"}
    make_definition(arm, gallery, identifier=same)
    shouted = {key: value.upper() for key, value in same.items()}
    answer = arm.send("PUT", f"{gallery}/images/second", definition_body(identifier=shouted))
    assert error_of(answer) == (409, "Conflict")
    assert "Choose a different publisher, offer, sku combination." in answer.json()["error"]["message"]
    make_definition(arm, make_gallery(arm, group), identifier=same)


@pytest.mark.parametrize(
    ("change", "target"),
    [
        ({"osType": "Windows"}, "galleryImage.properties.osType"),
        ({"osState": "Specialized"}, "galleryImage.properties.osState"),
        ({"hyperVGeneration": "V1"}, "galleryImage.properties.hyperVGeneration"),
        ({"architecture": "Arm64"}, "galleryImage.properties.architecture"),
        (
            {"identifier": {"publisher": "p", "offer": "o", "sku": "other"}},
            "galleryImage.properties.identifier.sku",
        ),
        (
            {"features": [{"name": "SecurityType", "value": "TrustedLaunch"}]},
            "galleryImage.properties.features",
        ),
    ],
)
def test_what_a_definition_is_cannot_change(arm: Arm, gallery: str, change: Json, target: str) -> None:
    path = make_definition(arm, gallery)
    whole = written_properties(arm, path)
    answer = arm.send("PATCH", path, {"properties": {**whole, **change}})
    assert error_of(answer) == (409, "PropertyChangeNotAllowed")
    assert answer.json()["error"]["target"] == target


def test_features_change_when_the_request_says_that_they_may(arm: Arm, gallery: str) -> None:
    path = make_definition(arm, gallery)
    features = [{"name": "SecurityType", "value": "TrustedLaunchSupported"}]
    changed = {"features": features, "allowUpdateImage": True, "description": "new"}
    whole = written_properties(arm, path)
    arm.done(arm.send("PATCH", path, {"properties": {**whole, **changed}}))
    shown = arm.get(path)["properties"]
    assert (shown["features"], shown["description"]) == (features, "new")
    assert "allowUpdateImage" not in shown


def test_what_is_nested_needs_its_parent_and_keeps_it(arm: Arm, group: str) -> None:
    lonely = compute(group, "galleries", "nowhere") + "/images/d"
    answer = arm.send("PUT", lonely, definition_body())
    assert error_of(answer) == (404, "ParentResourceNotFound")
    assert answer.json()["error"]["message"].endswith("Parent resource 'nowhere' not found.")
    gallery = make_gallery(arm, group)
    orphan = arm.send("PUT", f"{gallery}/images/none/versions/1.0.0", {"location": "westus"})
    assert error_of(orphan) == (404, "ParentResourceNotFound")
    name = gallery.rpartition("/")[2]
    assert f"Parent resource '{name}/none' not found." in orphan.json()["error"]["message"]
    definition = make_definition(arm, gallery)
    refused = arm.send("DELETE", gallery)
    assert error_of(refused) == (409, "CannotDeleteResource")
    assert definition in refused.json()["error"]["message"]
    missing = arm.send("GET", f"{gallery}/images/none").json()["error"]
    assert f"'Microsoft.Compute/galleries/{name}/images/none'" in missing["message"]
    gone = arm.send("DELETE", definition)
    assert gone.status_code == 202
    assert gone.headers["Location"]
    arm.done(gone)
    arm.done(arm.send("DELETE", gallery))
    assert arm.send("DELETE", gallery).status_code == 204


def test_gallery_requests_are_counted_in_buckets_of_their_own(arm: Arm, group: str, gallery: str) -> None:
    header = "x-ms-ratelimit-remaining-resource"
    counted = {
        gallery: "GetGallery3Min",
        f"{gallery}/images": "ListGalleryImagesInGallery3Min",
        compute(group, "galleries"): "ListGalleryInResourceGroup3Min",
        "providers/Microsoft.Compute/locations/westus/sharedGalleries": "ListGallery3Min",
    }
    for path, bucket in counted.items():
        assert f"Microsoft.Compute/{bucket};" in arm.send("GET", path).headers[header], path
