# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Looking through the platform images: publishers, their offers, SKUs and versions, and one version itself.

Lists are bare JSON arrays, and ids begin with capitals, as Azure answers here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError, invalid_value
from tests.local_azure.kinds import Verb, method_not_allowed
from tests.local_azure.locations import LOCATIONS, find_location
from tests.local_azure.providers.compute.extension_catalogue import EXTENSIONS
from tests.local_azure.providers.marketplace import marketplace_catalogue as catalogue
from tests.local_azure.providers.marketplace.marketplace_catalogue import NotOfferedError, PlatformImage
from tests.local_azure.store import Json

_LEVELS = ("Publishers", "ArtifactTypes", "Offers", "Skus", "Versions")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_STARTS_WITH = re.compile(r"\s*startswith\(\s*name\s*,\s*'([^']*)'\s*\)\s*", re.IGNORECASE)
# Seen with properties in 2020-12-01; no published version has them.
_PLAIN_SKUS_SINCE = "2021-03-01"
_BYTES_SINCE = "2019-12-01"
# The first API version that shows a property; the others were always there.
_SHOWN_SINCE = {
    "hyperVGeneration": "2019-07-01",
    "disallowed": "2019-07-01",
    "architecture": "2021-11-01",
    "features": "2021-11-01",
    "imageDeprecationStatus": "2022-08-01",
}


def place_of(call: Call, resource_type: str) -> str:
    """The region in the path `.../locations/{region}/...`, by its plain name; 400 for one nobody knows."""
    place = find_location(call.names[0])
    if place is None:
        known = ", ".join(location.name for location in LOCATIONS)
        raise ArmError(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for location '{call.names[0]}' and API version "
            f"'{call.api_version}' for type '{resource_type}'. The supported locations are '{known}'.",
            gateway=True,
        )
    return place.name


class MarketplaceImages:
    def verbs(self) -> Mapping[str, Verb]:
        """By what stands behind `/subscriptions/{id}/providers/`, a pattern in lower case."""
        return {r"microsoft\.compute/locations/[^/]+/publishers(/.*)?": self._look}

    async def _look(self, call: Call) -> Reply:
        if call.method != "GET":
            raise method_not_allowed(call)
        place = place_of(call, "locations/publishers")
        try:
            return Reply(200, _answer(call, place))
        except NotOfferedError as error:
            text = f"Publisher: {error.name}" if error.publisher else f"Artifact: {_artifact(call)}"
            raise ArmError(404, "NotFound", f"{text} was not found.") from None


def _artifact(call: Call) -> str:
    kind = call.names[2] if len(call.names) > 2 else "VMImage"
    return {"vmimage": "VMImage", "vmextension": "VMExtension"}.get(kind.lower(), kind)


def _answer(call: Call, place: str) -> list[Json] | Json:
    """`names` are the region, the publisher, the artifact type, the offer, the SKU and the version."""
    names, types = call.names[1:], call.types[1:]
    if len(types) == 1:
        return [_listed(call, place, [name]) for name in _publishers()] if not names else _bad(names[0])
    publisher, offers = _published(names[0])
    if types[1].lower() != "artifacttypes" or len(names) < 2 or names[1].lower() != "vmimage":
        raise NotOfferedError(names[-1], publisher=False)
    if len(types) == len(names) < len(_LEVELS):
        raise NotOfferedError(names[-1], publisher=False)
    if len(types) == 3:
        return [_listed(call, place, [publisher, name]) for name in offers]
    if len(types) == 4:
        (publisher, offer), skus = catalogue.skus(publisher, names[2])
        return [_sku(call, place, publisher, offer, name) for name in skus]
    if len(names) < len(_LEVELS):
        return _versions(call, place, catalogue.versions(publisher, names[2], names[3]))
    if len(names) > len(_LEVELS) or not _VERSION.fullmatch(names[4]):
        raise invalid_value("version", "The value of parameter 'version' is invalid.")
    return _shown(call, place, catalogue.version(publisher, *names[2:5]), detailed=True)


def _publishers() -> list[str]:
    """Those of images and those of extensions."""
    return sorted({*catalogue.publishers(), *EXTENSIONS}, key=str.lower)


def _published(wanted: str) -> tuple[str, list[str]]:
    """The publisher as it is spelled, and its offers; publishers of extensions have no images."""
    spelled = next((name for name in EXTENSIONS if name.lower() == wanted.lower()), None)
    return catalogue.offers(wanted) if spelled is None else (spelled, [])


def _bad(publisher: str) -> list[Json]:
    catalogue.offers(publisher)
    raise NotOfferedError(publisher, publisher=False)


def _id(call: Call, place: str, names: Sequence[str]) -> str:
    path = f"/Subscriptions/{call.subscription}/Providers/Microsoft.Compute/Locations/{place}"
    with_type = [names[0], "VMImage", *names[1:]] if len(names) > 1 else names
    return path + "".join(f"/{level}/{name}" for level, name in zip(_LEVELS, with_type, strict=False))


def _listed(call: Call, place: str, names: Sequence[str]) -> Json:
    return {"location": place, "name": names[-1], "id": _id(call, place, names)}


def _sku(call: Call, place: str, publisher: str, offer: str, sku: str) -> Json:
    listed = _listed(call, place, [publisher, offer, sku])
    if call.api_version >= _PLAIN_SKUS_SINCE:
        return listed
    return {"properties": _upgrades(catalogue.versions(publisher, offer, sku)[-1].facts), **listed}


def _upgrades(facts: Mapping[str, object]) -> Json:
    supported = bool(facts.get("automaticOSUpgradeSupported", False))
    return {"automaticOSUpgradeProperties": {"automaticOSUpgradeSupported": supported}}


def _versions(call: Call, place: str, images: list[PlatformImage]) -> list[Json]:
    """Applies $filter, $orderby, $top and $expand."""
    order = call.query.get("$orderby", "name asc").lower().split()
    if not order or order[0] != "name" or order[1:] not in ([], ["asc"], ["desc"]):
        raise invalid_value("$orderby")
    wanted = call.query.get("$filter")
    if wanted:
        start = _STARTS_WITH.fullmatch(wanted)
        if start is None:
            raise invalid_value("$filter")
        images = [image for image in images if image.version.startswith(start[1])]
    top = call.query.get("$top")
    if top is not None and not top.isdecimal():
        raise invalid_value("$top")
    if order[1:] == ["desc"]:
        images = images[::-1]
    expanded = call.query.get("$expand", "").lower() == "properties"
    return [_shown(call, place, i, detailed=expanded) for i in images[: int(top) if top else None]]


def _shown(call: Call, place: str, image: PlatformImage, *, detailed: bool) -> Json:
    listed = _listed(call, place, [image.publisher, image.offer, image.sku, image.version])
    return {"properties": _properties(image, call.api_version), **listed} if detailed else listed


def _properties(image: PlatformImage, api_version: str) -> Json:
    facts = image.facts
    status: Json = {"imageState": image.state}
    if "scheduledDeprecationTime" in facts:
        status["scheduledDeprecationTime"] = facts["scheduledDeprecationTime"]
    size = {"sizeInGb": facts["sizeInGb"]} if "sizeInGb" in facts else {}
    properties: Json = {
        "hyperVGeneration": image.generation,
        "architecture": image.architecture,
        "replicaType": "Unmanaged",
        "disallowed": {"vmDiskType": "None"},
        **_upgrades(facts),
        "imageDeprecationStatus": status,
    }
    if image.features:
        properties["features"] = [{"name": k, "value": v} for k, v in image.features.items()]
    if image.plan:
        properties["plan"] = image.plan
    properties["osDiskImage"] = {
        "operatingSystem": image.os_type,
        **size,
        **({"sizeInBytes": facts["sizeInBytes"]} if api_version >= _BYTES_SINCE else {}),
    }
    properties["dataDiskImages"] = [{"lun": lun, "sizeInBytes": bytes_} for lun, bytes_ in image.data_disks]
    return {k: v for k, v in properties.items() if api_version >= _SHOWN_SINCE.get(k, "")}
