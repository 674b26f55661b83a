# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What is made of image versions: the right version, in its regions, by those who may use it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import requests

from tests.local_azure.blob_storage.blob_vhd import fixed_footer
from tests.local_azure.blob_storage.blobs import BlobAddress
from tests.local_azure.blob_storage.vhd import MIB
from tests.unit.local_azure.arm_server import Arm, Json, ServerThread, compute, error_of
from tests.unit.local_azure.galleries import (
    hidden_of,
    make_definition,
    make_gallery,
    make_version,
    version_body,
)
from tests.unit.local_azure.machines import Place

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group()


@pytest.fixture(scope="module")
def sources(arm: Arm, group: str) -> dict[int, Json]:
    """Storage profiles of versions by the size of their disk in GiB, which tells them apart."""
    return {
        size: {"osDiskImage": {"source": {"id": arm.disk(group, f"os{size}", diskSizeGB=size)["id"]}}}
        for size in (1, 2, 3, 4)
    }


@pytest.fixture(scope="module")
def definition(arm: Arm, group: str, sources: dict[int, Json]) -> str:
    """1.9.0 has 1 GiB, 1.10.0 has 2, 2.0.0 has 3 and never counts, 3.0.0 has 4 and counts in Europe."""
    path = make_definition(arm, make_gallery(arm, group))
    make_version(arm, path, "1.9.0", sources[1], "westus", "northeurope")
    make_version(arm, path, "1.10.0", sources[2], "westus")
    make_version(arm, path, "2.0.0", sources[3], "westus", publishingProfile={"excludeFromLatest": True})
    away = {"name": "westus", "excludeFromLatest": True}
    make_version(arm, path, "3.0.0", sources[4], away, "northeurope")
    return path


def disk_of(arm: Arm, group: str, location: str = "westus", **reference: Any) -> requests.Response:
    """The answer to a PUT of a new disk made of a gallery's image."""
    creation = {"createOption": "FromImage", "galleryImageReference": reference}
    body = {"location": location, "properties": {"creationData": creation}}
    return arm.send("PUT", compute(group, "disks", f"made{next(_numbers)}"), body)


def size_of(arm: Arm, answer: requests.Response) -> int:
    arm.done(answer)
    return int(arm.get(answer.json()["id"])["properties"]["diskSizeGB"])


def resource_id(arm: Arm, path: str) -> str:
    return str(arm.get(path)["id"])


def test_the_latest_version_is_the_highest_that_counts_in_the_region(
    arm: Arm, group: str, definition: str
) -> None:
    latest = resource_id(arm, definition)
    assert size_of(arm, disk_of(arm, group, id=latest)) == 2
    assert size_of(arm, disk_of(arm, group, "northeurope", id=latest)) == 4
    assert size_of(arm, disk_of(arm, group, id=f"{latest}/versions/2.0.0")) == 3


def test_an_image_is_only_there_in_its_regions(arm: Arm, group: str, definition: str) -> None:
    image = resource_id(arm, definition)
    for wanted in (image, f"{image}/versions/1.10.0"):
        answer = disk_of(arm, group, "eastus", id=wanted)
        assert error_of(answer) == (404, "GalleryImageNotFound")
        assert answer.json()["error"]["message"] == (
            f"The gallery image {wanted} is not available in eastus region. Please contact image owner to "
            "replicate to this region, or change your requested region."
        )
    assert error_of(disk_of(arm, group, id=f"{image}/versions/0.0.1")) == (404, "GalleryImageNotFound")


def test_a_definition_without_a_version_that_counts_has_no_latest(
    arm: Arm, group: str, definition: str
) -> None:
    empty = make_definition(arm, definition.rpartition("/images/")[0])
    answer = disk_of(arm, group, id=resource_id(arm, empty))
    assert error_of(answer) == (404, "GalleryImageNotFound")
    assert "There is no latest image version exists" in answer.json()["error"]["message"]


def test_what_is_made_of_a_version_has_its_content_after_the_source_is_gone(
    arm: Arm, arm_server: ServerThread, group: str, definition: str
) -> None:
    assert arm_server.server is not None
    blobs = arm_server.server.blobs
    source = arm.disk(group, "written")
    blobs.write(BlobAddress(*hidden_of(arm, source["id"])["blob"]), 8192, b"from the gallery".ljust(512))
    profile = {"osDiskImage": {"source": {"id": source["id"]}}}
    other = make_definition(arm, definition.rpartition("/images/")[0])
    version = make_version(arm, other, "1.0.0", profile, "westus")
    arm.done(arm.send("DELETE", source["id"]))
    answer = disk_of(arm, group, id=version["id"])
    arm.done(answer)
    arm.done(arm.send("DELETE", version["id"]))
    made = BlobAddress(*hidden_of(arm, answer.json()["id"])["blob"])
    assert blobs.read(made, 8192, 16) == b"from the gallery"


def test_shared_and_community_ids_work_for_those_who_see_them(
    arm: Arm, group: str, sources: dict[int, Json]
) -> None:
    identity = arm.settings.identity
    neighbour = arm.within(identity.home.subscriptions[1].id)
    there = neighbour.group()
    info = {
        "publisherUri": "https://example.org",
        "publisherContact": "images@example.org",
        "eula": "none",
        "publicNamePrefix": "golden",
    }
    shared = make_gallery(arm, group, sharingProfile={"permissions": "Groups"})
    public = make_gallery(
        arm, group, sharingProfile={"permissions": "Community", "communityGalleryInfo": info}
    )
    names = {}
    for gallery in (shared, public):
        path = make_definition(arm, gallery)
        make_version(arm, path, "1.0.0", sources[2], "westus")
        names[gallery] = path.rpartition("/")[2]
    properties = arm.get(shared)["properties"]
    shared_id = f"/SharedGalleries/{properties['identifier']['uniqueName']}/Images/{names[shared]}"
    profile = arm.get(public)["properties"]["sharingProfile"]
    public_name = profile["communityGalleryInfo"]["publicNames"][0]
    public_id = f"/CommunityGalleries/{public_name}/Images/{names[public]}/Versions/1.0.0"
    early = (
        disk_of(neighbour, there, sharedGalleryImageId=shared_id),
        disk_of(neighbour, there, communityGalleryImageId=public_id),
    )
    assert [error_of(a) for a in early] == [(404, "GalleryImageNotFound")] * 2
    added = {"type": "Subscriptions", "ids": [identity.home.subscriptions[1].id]}
    arm.done(arm.send("POST", f"{shared}/share", {"operationType": "Add", "groups": [added]}))
    arm.done(arm.send("POST", f"{public}/share", {"operationType": "EnableCommunity"}))
    assert size_of(neighbour, disk_of(neighbour, there, sharedGalleryImageId=shared_id)) == 2
    assert size_of(neighbour, disk_of(neighbour, there, communityGalleryImageId=public_id)) == 2
    assert error_of(disk_of(arm, group, sharedGalleryImageId=shared_id)) == (404, "GalleryImageNotFound")
    wrong = disk_of(neighbour, there, communityGalleryImageId=shared_id)
    assert error_of(wrong) == (400, "InvalidParameter")


def test_a_vhd_blob_is_looked_into_before_it_becomes_a_version(arm: Arm, group: str, definition: str) -> None:
    blobs = Place(arm, "westus").account("galleryblobs")
    blobs.create_container("vhds")
    account = next(
        a["id"]
        for a in arm.get("providers/Microsoft.Storage/storageAccounts")["value"]
        if a["name"] == "galleryblobs"
    )
    size = 20 * MIB
    profiles = {}
    for name, footer in (("good.vhd", fixed_footer(size)), ("bad.vhd", bytes(512))):
        blob = blobs.get_blob_client("vhds", name)
        blob.create_page_blob(size + 512)
        blob.upload_page(b"from a blob".ljust(512), offset=1024, length=512)
        blob.upload_page(footer, offset=size, length=512)
        profiles[name] = {"osDiskImage": {"source": {"id": account, "uri": blob.url}}}
    other = make_definition(arm, definition.rpartition("/images/")[0])
    refused = arm.send("PUT", f"{other}/versions/1.0.0", version_body(profiles["bad.vhd"], "westus"))
    assert error_of(refused) == (400, "InvalidParameter")
    assert "expected to have cookie value 'conectix'" in refused.json()["error"]["message"]
    made = make_version(arm, other, "1.0.1", profiles["good.vhd"], "westus")
    assert made["properties"]["storageProfile"]["osDiskImage"] == {
        "sizeInGB": 1,
        "hostCaching": "ReadWrite",
        "source": profiles["good.vhd"]["osDiskImage"]["source"],
    }
    blobs.get_container_client("vhds").delete_blob("good.vhd")
    answer = disk_of(arm, group, id=made["id"])
    arm.done(answer)
    assert hidden_of(arm, answer.json()["id"])["size"] == size
