# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Every spelling of a source is read as the source that it means, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    COMMUNITY,
    KIND_WORDS,
    KINDS,
    MANAGED_DISK,
    MANAGED_IMAGE,
    SHARED,
    SNAPSHOT,
    VIRTUAL_MACHINE,
    ArmResource,
    DiskFile,
    GalleryImage,
    MarketplaceImage,
    PublicGalleryImage,
    SourceName,
    VhdBlob,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_parsing import SourceParser
from hypothesis import given
from hypothesis import strategies as st

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
COMPUTE = f"{GROUP}/providers/Microsoft.Compute"
OTHER = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/other/providers/Microsoft.Compute"
PLATFORM = (
    f"/Subscriptions/{SUBSCRIPTION}/Providers/Microsoft.Compute/Locations/westus/Publishers/Debian/"
    "ArtifactTypes/VMImage/Offers/debian-12/Skus/12-gen2"
)
BLOB = "https://account.blob.core.windows.net/vhds/web.vhd"
DEBIAN = MarketplaceImage("Debian", "debian-12", "12-gen2")


def parsed(text: Any, group: str | None = "rg") -> SourceName:
    return SourceParser(SUBSCRIPTION, group).parse(text)


def own(version: str | None = None, group: str = "rg") -> GalleryImage:
    return GalleryImage(SUBSCRIPTION, group, "g", "web", version)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("Debian:debian-12:12-gen2:latest", DEBIAN),
        ("Debian:debian-12:12-gen2:LATEST", DEBIAN),
        (PLATFORM, DEBIAN),
        (f"{PLATFORM}/Versions/0.2.3", MarketplaceImage("Debian", "debian-12", "12-gen2", "0.2.3")),
        ("/CommunityGalleries/pub-1/Images/web", PublicGalleryImage(COMMUNITY, "pub-1", "web")),
        (
            "/communitygalleries/pub-1/images/web/versions/1.0.0",
            PublicGalleryImage(COMMUNITY, "pub-1", "web", "1.0.0"),
        ),
        ("/SharedGalleries/u-G/Images/web/Versions/latest", PublicGalleryImage(SHARED, "u-G", "web")),
        ("g/web", own()),
        ("g/web/latest", own()),
        ("g/web/1.2.3", own("1.2.3")),
        (f"{COMPUTE}/galleries/g/images/web", own()),
        (f"{COMPUTE}/galleries/g/images/web/versions/1.2.3/", own("1.2.3")),
        ("web", ArmResource(MANAGED_IMAGE, f"{COMPUTE}/images/web")),
        (f"{COMPUTE}/images/web", ArmResource(MANAGED_IMAGE, f"{COMPUTE}/images/web")),
        (f"{COMPUTE}/disks/d", ArmResource(MANAGED_DISK, f"{COMPUTE}/disks/d")),
        (f"{COMPUTE}/snapshots/s", ArmResource(SNAPSHOT, f"{COMPUTE}/snapshots/s")),
        (f"{COMPUTE}/virtualMachines/v", ArmResource(VIRTUAL_MACHINE, f"{COMPUTE}/virtualMachines/v")),
        (BLOB, VhdBlob(BLOB)),
        ("/srv/web.vhd", DiskFile("/srv/web.vhd")),
        ("./web.qcow2", DiskFile("./web.qcow2")),
        ("~/web.raw", DiskFile("~/web.raw")),
    ],
)
def test_every_text_that_names_a_source(text: str, source: SourceName) -> None:
    assert parsed(text) == source
    assert parsed(f" {text} ") == source


@pytest.mark.parametrize(
    ("given_dictionary", "source"),
    [
        ({"publisher": "Debian", "offer": "debian-12", "sku": "12-gen2"}, DEBIAN),
        ({"publisher": "Debian", "product": "debian-12", "sku": "12-gen2", "version": ""}, DEBIAN),
        (
            {"publisher": "D", "offer": "d", "sku": "s", "version": "latest", "exactVersion": "1.2.3"},
            MarketplaceImage("D", "d", "s", "1.2.3"),
        ),
        ({"urn": "Debian:debian-12:12-gen2:latest"}, DEBIAN),
        ({"id": f"{COMPUTE}/galleries/g/images/web", "exactVersion": "2.0.0"}, own("2.0.0")),
        ({"id": f"{COMPUTE}/disks/d"}, ArmResource(MANAGED_DISK, f"{COMPUTE}/disks/d")),
        ({"name": "web"}, ArmResource(MANAGED_IMAGE, f"{COMPUTE}/images/web")),
        (
            {"name": "web", "resource_group": "other"},
            ArmResource(MANAGED_IMAGE, f"{OTHER}/images/web"),
        ),
        ({"managed_disk": "d"}, ArmResource(MANAGED_DISK, f"{COMPUTE}/disks/d")),
        ({"snapshot": f"{OTHER}/snapshots/s"}, ArmResource(SNAPSHOT, f"{OTHER}/snapshots/s")),
        (
            {"vm": "v", "resource_group": "other"},
            ArmResource(VIRTUAL_MACHINE, f"{OTHER}/virtualMachines/v"),
        ),
        ({"gallery": "g", "definition": "web", "version": "1.2.3"}, own("1.2.3")),
        ({"gallery_name": "g", "image": "web", "resource_group": "other"}, own(group="other")),
        (
            {"communityGalleryImageId": "/CommunityGalleries/p/Images/web"},
            PublicGalleryImage(COMMUNITY, "p", "web"),
        ),
        (
            {"shared_gallery_image_id": "/SharedGalleries/p/Images/web", "exact_version": "1.0.0"},
            PublicGalleryImage(SHARED, "p", "web", "1.0.0"),
        ),
        ({"blob_url": BLOB}, VhdBlob(BLOB)),
        ({"path": "web.vhd"}, DiskFile("web.vhd")),
        ({"kind": "gallery", "os_type": "Linux", "pinned": "g/web/1.0.0"}, own("1.0.0")),
    ],
)
def test_every_dictionary_that_names_a_source(given_dictionary: dict[str, str], source: SourceName) -> None:
    assert parsed(given_dictionary) == source


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names nothing"),
        (None, "names nothing"),
        (7, "names nothing"),
        ("Debian:debian-12:12-gen2", "publisher:offer:sku:version"),
        ("Debian:debian 12:12-gen2:latest", "no offer"),
        ("Debian:debian-12:12-gen2:newest", "no version"),
        ("g/web/1.0", "no version"),
        ("g/web/1.0.99999999999", "no version"),
        ("g-1/web", "gallery"),
        ("g/web/1.0.0/more", "names no source"),
        ("images/web.vhd/a/b", "./"),
        ("/CommunityGalleries/pub", "/CommunityGalleries/GALLERY/Images"),
        ("/subscriptions/s", "no resource id"),
        (f"{COMPUTE}/availabilitySets/a", "no source"),
        (f"{GROUP}/providers/Microsoft.Storage/storageAccounts/a", "no source"),
        ("-web", "no name"),
        (f"{BLOB}?sv=1&sig=s3cr3t", "query"),
        ("https://account.blob.core.windows.net/vhds/web.img", r"\.vhd"),
        ({}, "nothing in it"),
        ({"publisher": "Debian"}, "publisher names no source"),
        ({"id": f"{COMPUTE}/images/web", "name": "web"}, "names no source"),
        ({"managed_disk": f"{COMPUTE}/images/web"}, "no managed disk"),
        ({"gallery": "g", "definition": "web", "colour": "red"}, "colour"),
    ],
)
def test_what_names_no_source_is_refused_with_the_option_and_what_to_give(text: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        SourceParser(SUBSCRIPTION, "rg", "from_here").parse(text)
    assert "from_here" in str(refused.value) or "resource_group" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("text", ["web", "g/web", {"snapshot": "s"}])
def test_a_name_alone_wants_a_resource_group(text: Any) -> None:
    with pytest.raises(InvalidInput, match="resource group"):
        parsed(text, None)


def test_only_images_have_a_reference_for_a_machine() -> None:
    assert DEBIAN.reference == {
        "publisher": "Debian",
        "offer": "debian-12",
        "sku": "12-gen2",
        "version": "latest",
    }
    assert own().reference == {"id": f"{COMPUTE}/galleries/g/images/web"}
    assert own("1.0.0").reference == {"id": f"{COMPUTE}/galleries/g/images/web/versions/1.0.0"}
    community = PublicGalleryImage(COMMUNITY, "p", "web", "1.0.0")
    assert community.reference == {
        "communityGalleryImageId": "/CommunityGalleries/p/Images/web/Versions/1.0.0"
    }
    for source in (
        ArmResource(SNAPSHOT, f"{COMPUTE}/snapshots/s"),
        VhdBlob(BLOB),
        DiskFile("/a"),
    ):
        assert source.reference is None


def test_a_sentence_has_a_word_for_every_kind() -> None:
    assert set(KIND_WORDS) == set(KINDS)


_TEXT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_]{0,20}[A-Za-z0-9])?", fullmatch=True)
_PARTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
_VERSIONS = st.tuples(*[st.integers(0, 2**31 - 1)] * 3).map(lambda parts: ".".join(map(str, parts)))
_IDS = st.builds(
    lambda kind, group, name: ArmResource(
        kind,
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.Compute/{_of(kind)}/{name}",
    ),
    st.sampled_from([MANAGED_IMAGE, MANAGED_DISK, SNAPSHOT, VIRTUAL_MACHINE]),
    _NAMES,
    _NAMES,
)
_SOURCES = st.one_of(
    st.builds(MarketplaceImage, _PARTS, _PARTS, _PARTS, st.one_of(st.just("latest"), _VERSIONS)),
    st.builds(
        PublicGalleryImage, st.sampled_from([COMMUNITY, SHARED]), _NAMES, _NAMES, st.none() | _VERSIONS
    ),
    st.builds(GalleryImage, st.just(SUBSCRIPTION), _NAMES, _NAMES, _NAMES, st.none() | _VERSIONS),
    _IDS,
    st.builds(lambda name: VhdBlob(f"https://account.blob.core.windows.net/vhds/{name}.vhd"), _NAMES),
    st.builds(DiskFile, st.text(_TEXT + "/._- ", min_size=1).map(lambda text: f"./x{text}x")),
)


def _of(kind: str) -> str:
    return {
        MANAGED_IMAGE: "images",
        MANAGED_DISK: "disks",
        SNAPSHOT: "snapshots",
        VIRTUAL_MACHINE: "virtualMachines",
    }[kind]


@given(_SOURCES)
def test_the_canonical_text_of_a_source_is_read_as_that_source(source: SourceName) -> None:
    assert parsed(str(source), None) == source


@given(_SOURCES)
def test_the_reference_of_an_image_is_read_as_that_image(source: SourceName) -> None:
    if source.reference is not None:
        assert parsed(source.reference, None) == source


@given(st.text() | st.dictionaries(st.text(), st.text()))
def test_whatever_is_given_is_a_source_or_a_clear_refusal(anything: Any) -> None:
    try:
        source = parsed(anything)
    except InvalidInput as refused:
        assert refused.remedy or "Azure refuses" in str(refused)
    else:
        assert source.kind in KINDS
