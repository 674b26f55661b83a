# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The platform images of the local Azure: a small, real-shaped part of Azure's own catalogue."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import yaml

from tests.local_azure.azure import LocalAzure
from tests.local_azure.blob_storage.blob_vhd import FOOTER_SIZE
from tests.local_azure.errors import ArmError, missing_parameter
from tests.local_azure.providers.compute.image_sources import (
    DiskContent,
    ImageSource,
    named_controllers,
)
from tests.local_azure.store import Json

_FILE = Path(__file__).with_name("marketplace_catalogue.yaml")
DEPRECATED = "Deprecated"
V = TypeVar("V")


@dataclass(frozen=True)
class PlatformImage:
    """One version of one SKU, named as the catalogue spells it. `facts` are the catalogue's keys."""

    publisher: str
    offer: str
    sku: str
    version: str
    facts: Mapping[str, Any]

    @property
    def urn(self) -> str:
        return f"{self.publisher}:{self.offer}:{self.sku}:{self.version}"

    @property
    def plan(self) -> Json | None:
        if not self.facts.get("plan"):
            return None
        return {"publisher": self.publisher, "name": self.sku, "product": self.offer}

    @property
    def os_type(self) -> Literal["Linux", "Windows"]:
        return "Windows" if self.facts.get("os") == "Windows" else "Linux"

    @property
    def generation(self) -> Literal["V1", "V2"]:
        return "V2" if self.facts.get("hyperVGeneration") == "V2" else "V1"

    @property
    def architecture(self) -> Literal["x64", "Arm64"]:
        return "Arm64" if self.facts.get("architecture") == "Arm64" else "x64"

    @property
    def features(self) -> Mapping[str, str]:
        return cast("Mapping[str, str]", self.facts.get("features", {}))

    @property
    def state(self) -> str:
        """Active, ScheduledForDeprecation or Deprecated."""
        return str(self.facts.get("imageState", "Active"))

    @property
    def data_disks(self) -> list[tuple[int, int]]:
        """LUN and bytes of the VHD, footer included."""
        return sorted((int(lun), size) for lun, size in self.facts.get("dataDisks", {}).items())


class NotOfferedError(LookupError):
    """No such publisher, or below it no such offer, SKU or version; `publisher` says which of the two."""

    def __init__(self, name: str, *, publisher: bool) -> None:
        super().__init__(name)
        self.name = name
        self.publisher = publisher


@functools.cache
def _catalogue() -> dict[str, dict[str, dict[str, Json]]]:
    with _FILE.open(encoding="utf-8") as stream:
        return cast("dict[str, dict[str, dict[str, Json]]]", yaml.safe_load(stream))


def _entry(entries: Mapping[str, V], name: str, *, publisher: bool = False) -> tuple[str, V]:
    """Names are compared without case and given back as the catalogue has them."""
    for known, value in entries.items():
        if known.lower() == name.lower():
            return known, value
    raise NotOfferedError(name, publisher=publisher)


def publishers() -> list[str]:
    return list(_catalogue())


def offers(publisher: str) -> tuple[str, list[str]]:
    """The publisher as it is spelled, and its offers."""
    name, found = _entry(_catalogue(), publisher, publisher=True)
    return name, list(found)


def skus(publisher: str, offer: str) -> tuple[tuple[str, str], list[str]]:
    name, found = _entry(_catalogue(), publisher, publisher=True)
    offer_name, plans = _entry(found, offer)
    return (name, offer_name), list(plans)


def versions(publisher: str, offer: str, sku: str) -> list[PlatformImage]:
    """Every version of the SKU, the lowest first."""
    (publisher, offer), _unused = skus(publisher, offer)
    sku_name, facts = _entry(_catalogue()[publisher][offer], sku)
    images = []
    for entry in facts["versions"]:
        own = entry if isinstance(entry, dict) else {"name": entry}
        merged = {k: v for k, v in {**facts, **own}.items() if k not in ("versions", "name")}
        images.append(PlatformImage(publisher, offer, sku_name, own["name"], merged))
    return sorted(images, key=lambda image: version_key(image.version))


def version(publisher: str, offer: str, sku: str, name: str) -> PlatformImage:
    """`name` may be "latest": the highest version that is not deprecated, or the highest of all."""
    found = versions(publisher, offer, sku)
    if name.lower() == "latest":
        return ([i for i in found if i.state != DEPRECATED] or found)[-1]
    return _entry({image.version: image for image in found}, name)[1]


def version_key(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("."))


def has_offer(publisher: str, offer: str, plan: str) -> bool:
    try:
        versions(publisher, offer, plan)
    except NotOfferedError:
        return False
    return True


def find_platform_image(reference: Json) -> PlatformImage:
    """The image an imageReference of publisher, offer, sku and version means.

    Raises 400 InvalidParameter for a missing part and 404 PlatformImageNotFound for what is not offered.
    """
    parts = [reference.get(key) for key in ("publisher", "offer", "sku", "version")]
    for key, part in zip(("publisher", "offer", "sku", "version"), parts, strict=True):
        if not isinstance(part, str) or not part:
            raise missing_parameter(f"imageReference.{key}")
    publisher, offer, sku, wanted = map(str, parts)
    try:
        image = version(publisher, offer, sku, wanted)
    except NotOfferedError:
        raise ArmError(
            404,
            "PlatformImageNotFound",
            f"The platform image '{publisher}:{offer}:{sku}:{wanted}' is not available. Verify that all "
            "fields in the storage profile are correct. For more details about storage profile information, "
            "please refer to https://aka.ms/storageprofile",
            target="imageReference",
        ) from None
    if image.state == DEPRECATED:
        raise ArmError(
            404,
            "ImageVersionDeprecated",
            f"The platform image '{image.urn}' is deprecated.",
            target="imageReference",
        )
    return image


def platform_image_source(
    azure: LocalAzure, reference: Json, location: str, *, subscription: str = ""
) -> ImageSource:
    """What a machine or disk is made of when its imageReference names publisher, offer, sku and version.

    Every image is offered in every region; its disks are zeros of the real image's size, without the footer.
    `subscription` is the one whose resource it becomes: its id stands in the image's id.
    """
    del azure
    image = find_platform_image(reference)
    size = int(image.facts["sizeInBytes"]) - FOOTER_SIZE
    release = image.facts.get("release")
    return ImageSource(
        id=image_id(image, subscription, location),
        os_type=image.os_type,
        os_state="Generalized",
        generation=image.generation,
        architecture=image.architecture,
        security_type=image.features.get("SecurityType"),
        controllers=named_controllers(image.features),
        os_disk=DiskContent(size),
        data_disks=tuple((lun, DiskContent(bytes_ - FOOTER_SIZE)) for lun, bytes_ in image.data_disks),
        plan=image.plan,
        exact_version=image.version,
        os_release=(release[0], release[1]) if release else None,
    )


def image_id(image: PlatformImage, subscription: str, location: str) -> str:
    """As Compute writes it, capitals and all."""
    return (
        f"/Subscriptions/{subscription}/Providers/Microsoft.Compute/Locations/{location}/Publishers/"
        f"{image.publisher}/ArtifactTypes/VMImage/Offers/{image.offer}/Skus/{image.sku}/Versions/{image.version}"
    )
