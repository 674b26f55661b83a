# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Reads the name of a source: a text or dictionary, for every kind there is. Azure is not asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    ResourceId,
    is_resource_id,
    parse_resource_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import (
    check_definition_name,
    check_gallery_name,
    version_number,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.blob_urls import (
    checked_blob_url,
    is_url,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.names import (
    check_disk_name,
    check_resource_group_name,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    COMMUNITY,
    COMPUTE,
    LATEST,
    MANAGED_DISK,
    MANAGED_IMAGE,
    PUBLIC_SEGMENTS,
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

_TYPES = {
    "images": MANAGED_IMAGE,
    "disks": MANAGED_DISK,
    "snapshots": SNAPSHOT,
    "virtualmachines": VIRTUAL_MACHINE,
}
_COLLECTIONS = {
    MANAGED_IMAGE: "images",
    MANAGED_DISK: "disks",
    SNAPSHOT: "snapshots",
    VIRTUAL_MACHINE: "virtualMachines",
}
_URN_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MARKETPLACE_VERSION = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
_PLATFORM_ID = re.compile(
    r"/subscriptions/[^/\s]+/providers/microsoft\.compute/locations/[^/\s]+/publishers/(?P<publisher>[^/\s]+)"
    r"/artifacttypes/vmimage/offers/(?P<offer>[^/\s]+)/skus/(?P<sku>[^/\s]+)"
    r"(?:/versions/(?P<version>[^/\s]+))?/?",
    re.IGNORECASE,
)
_PUBLIC_ID = re.compile(
    r"/(?P<segment>\w+)/(?P<gallery>[\w.-]+)/images/(?P<definition>[^/\s]+)(?:/versions/(?P<version>[^/\s]+))?/?",
    re.IGNORECASE | re.ASCII,
)
_PATH_STARTS = ("/", "./", "../", "~")
_SUBSCRIPTIONS = "/subscriptions/"
_URN_PARTS = 4
_SPELLINGS = (
    "publisher:offer:sku:version; a resource id; /CommunityGalleries/... or /SharedGalleries/...;"
    " gallery/definition or gallery/definition/version; the name of a managed image; the URL of a blob;"
    " or a path beginning with / or ./"
)
# Spellings of keys in dictionaries: those of Azure's requests and of azure.azcollection, and older ones.
_ALIASES = {
    "communityGalleryImageId": "community_gallery_image_id",
    "sharedGalleryImageId": "shared_gallery_image_id",
    "exactVersion": "exact_version",
    "product": "offer",
    "gallery_name": "gallery",
    "gallery_image_name": "definition",
    "image_definition": "definition",
    "image": "definition",
    "vm": VIRTUAL_MACHINE,
    "disk": MANAGED_DISK,
    "blob": "url",
    "blob_url": "url",
}
_MARKET_KEYS = {"publisher", "offer", "sku"}
# A source as image_source_info describes it: the text that names exactly this version.
_DESCRIBED = {"kind", "pinned"}
_PLACE_KEYS = {"resource_group", "subscription_id"}


class SourceParser:
    """Reads names as they are meant in one place: names alone are of this subscription and resource group.

    `option` is the option that holds them, with which messages begin.
    """

    def __init__(self, subscription: str, resource_group: str | None = None, option: str = "source") -> None:
        self._subscription = subscription
        self._group = resource_group or None
        self._option = option

    def parse(self, given: object) -> SourceName:
        """The source that a text or a dictionary names. Raises InvalidInput when it names none."""
        if isinstance(given, Mapping):
            return self._of_mapping({_ALIASES.get(str(key), str(key)): value for key, value in given.items()})
        if isinstance(given, str) and given.strip():
            return self._of_text(given.strip())
        raise self._error("it names nothing.", f"Give one of: {_SPELLINGS}.")

    # A text.

    def _of_text(self, text: str) -> SourceName:
        if is_url(text):
            return VhdBlob(checked_blob_url(self._option, text))
        if text.startswith(_PATH_STARTS):
            return self._of_path(text)
        if ":" in text:
            return self._urn(text)
        return self._gallery_path(text) if "/" in text else self._named(MANAGED_IMAGE, text, {})

    def _of_path(self, text: str) -> SourceName:
        """What begins like a path: an id of Azure's, or a file."""
        lowered = text.lower()
        for kind, segment in PUBLIC_SEGMENTS.items():
            if lowered.startswith(f"/{segment.lower()}/"):
                return self._public(kind, text)
        return self._of_id(text) if lowered.startswith(_SUBSCRIPTIONS) else DiskFile(text)

    def _urn(self, text: str) -> MarketplaceImage:
        parts = text.split(":")
        if len(parts) != _URN_PARTS:
            raise self._error(
                f"{text!r} is no Marketplace image.",
                "It reads publisher:offer:sku:version, where the version may be latest.",
            )
        return self._marketplace(*parts)

    def _marketplace(self, publisher: str, offer: str, sku: str, version: str) -> MarketplaceImage:
        for what, part in (("publisher", publisher), ("offer", offer), ("SKU", sku)):
            if not _URN_PART.fullmatch(part):
                raise self._error(
                    f"{part!r} is no {what} of the Marketplace.",
                    "It has letters, digits and any of . _ -, and begins with a letter or digit.",
                )
        if version.lower() == LATEST:
            version = LATEST
        elif not _MARKETPLACE_VERSION.fullmatch(version):
            raise self._error(
                f"{version!r} is no version of a Marketplace image.",
                "It has three numbers, such as 24.04.202410170, or is latest.",
            )
        return MarketplaceImage(publisher, offer, sku, version)

    def _public(self, kind: str, text: str) -> PublicGalleryImage:
        found = _PUBLIC_ID.fullmatch(text)
        if found is None or found["segment"].lower() != PUBLIC_SEGMENTS[kind].lower():
            raise self._error(
                f"{text} is not the id of an image there.",
                f"It reads /{PUBLIC_SEGMENTS[kind]}/GALLERY/Images/DEFINITION/Versions/VERSION.",
            )
        check_definition_name(self._option, found["definition"])
        version = self._version(found["version"])
        return PublicGalleryImage(kind, found["gallery"], found["definition"], version)

    def _of_id(self, text: str) -> SourceName:
        platform = _PLATFORM_ID.fullmatch(text)
        if platform:
            version = platform["version"] or LATEST
            return self._marketplace(platform["publisher"], platform["offer"], platform["sku"], version)
        if not is_resource_id(text):
            raise self._error(f"{text} is no resource id.", "Check it for what is missing or too much.")
        parsed = parse_resource_id(text)
        if parsed.provider.lower() == COMPUTE.lower():
            types = tuple(kind.lower() for kind in parsed.types)
            if types in (("galleries", "images"), ("galleries", "images", "versions")):
                return self._gallery_id(parsed)
            if len(types) == 1 and types[0] in _TYPES:
                return ArmResource(_TYPES[types[0]], str(parsed))
        raise self._error(
            f"{text} is the id of no source of images.",
            "Give the id of a managed image, image definition, image version, managed disk, snapshot or"
            " virtual machine.",
        )

    def _gallery_id(self, parsed: ResourceId) -> GalleryImage:
        gallery, definition, *versions = parsed.names
        version = versions[0] if versions else None
        return self._gallery(parsed.subscription, parsed.resource_group, gallery, definition, version)

    def _gallery(
        self, subscription: str, group: str | None, gallery: str, definition: str, version: str | None
    ) -> GalleryImage:
        check_gallery_name(self._option, gallery)
        check_definition_name(self._option, definition)
        return GalleryImage(
            subscription,
            self._place(group, f"gallery {gallery}"),
            gallery,
            definition,
            self._version(version),
        )

    def _gallery_path(self, text: str) -> GalleryImage:
        parts = text.split("/")
        if len(parts) not in (2, 3):
            raise self._error(
                f"{text!r} names no source.",
                "An image in a gallery is gallery/definition or gallery/definition/version, a file begins"
                " with / or ./",
            )
        return self._gallery(
            self._subscription, self._group, parts[0], parts[1], parts[2] if len(parts) > 2 else None
        )

    def _version(self, text: str | None) -> str | None:
        """None for the latest."""
        if text is None or text.lower() == LATEST:
            return None
        if version_number(text) is None:
            raise self._error(
                f"{text!r} is no version of a gallery image.",
                "It has three numbers, such as 1.0.0, or is latest.",
            )
        return text

    def _place(self, group: str | None, what: str) -> str:
        if not group:
            raise self._error(
                f"nothing says in which resource group {what} is.",
                "Set resource_group, or give the resource id.",
            )
        check_resource_group_name(group)
        return group

    # A dictionary.

    def _of_mapping(self, all_given: Mapping[str, Any]) -> SourceName:
        given = {key: value for key, value in all_given.items() if value not in (None, "")}
        keys = set(given)
        if keys >= _DESCRIBED:
            return self.parse(str(given["pinned"]))
        if keys >= _MARKET_KEYS and keys <= _MARKET_KEYS | {"version", "exact_version"}:
            version = str(given.get("exact_version") or given.get("version") or LATEST)
            publisher, offer, sku = (str(given[key]) for key in ("publisher", "offer", "sku"))
            return self._marketplace(publisher, offer, sku, version)
        for key, kind in (("community_gallery_image_id", COMMUNITY), ("shared_gallery_image_id", SHARED)):
            if key in keys and keys <= {key, "exact_version"}:
                return self._exact(self._public(kind, str(given[key])), given)
        if "id" in keys and keys <= {"id", "exact_version"}:
            return self._exact(self._of_id(str(given["id"])), given)
        found = self._of_key(keys, given) or self._of_names(keys, given)
        if found is not None:
            return found
        raise self._error(
            f"a dictionary with {', '.join(sorted(all_given)) or 'nothing in it'} names no source.",
            "Give publisher, offer, sku and version; gallery, definition and version; name, managed_disk,"
            " snapshot or virtual_machine with resource_group; or one of id, urn, url, path,"
            " shared_gallery_image_id and community_gallery_image_id.",
        )

    def _of_key(self, keys: set[str], given: Mapping[str, Any]) -> SourceName | None:
        """The only key says what its value is."""
        if keys == {"urn"}:
            return self._urn(str(given["urn"]))
        if keys == {"url"}:
            return VhdBlob(checked_blob_url(self._option, str(given["url"])))
        return DiskFile(str(given["path"])) if keys == {"path"} else None

    def _of_names(self, keys: set[str], given: Mapping[str, Any]) -> SourceName | None:
        if keys >= {"gallery", "definition"} and keys <= {"gallery", "definition", "version"} | _PLACE_KEYS:
            return self._gallery(
                str(given.get("subscription_id", self._subscription)),
                given.get("resource_group", self._group),
                str(given["gallery"]),
                str(given["definition"]),
                str(given["version"]) if "version" in given else None,
            )
        for key in ("name", *_COLLECTIONS):
            if key in keys and keys <= {key} | _PLACE_KEYS:
                return self._named(MANAGED_IMAGE if key == "name" else key, str(given[key]), given)
        return None

    def _exact(self, source: SourceName, given: Mapping[str, Any]) -> SourceName:
        """What a machine's imageReference says: the version that its latest was."""
        exact = given.get("exact_version")
        if not exact or not isinstance(source, (GalleryImage, PublicGalleryImage)) or source.version:
            return source
        version = self._version(str(exact))
        if isinstance(source, PublicGalleryImage):
            return PublicGalleryImage(source.kind, source.gallery, source.definition, version)
        return GalleryImage(
            source.subscription, source.resource_group, source.gallery, source.definition, version
        )

    def _named(self, kind: str, name: str, given: Mapping[str, Any]) -> SourceName:
        """A resource by its name, or by its id where a name belongs."""
        if is_resource_id(name):
            found = self._of_id(name)
            if found.kind != kind:
                raise self._error(f"{name} is no {kind.replace('_', ' ')}.", "Check the id.")
            return found
        check_disk_name(self._option, name)  # the rule for the names of images and snapshots too
        subscription = str(given.get("subscription_id", self._subscription))
        group = self._place(given.get("resource_group", self._group), f"{kind.replace('_', ' ')} {name}")
        return ArmResource(kind, resource_id(subscription, group, COMPUTE, _COLLECTIONS[kind], name))

    def _error(self, why: str, remedy: str) -> InvalidInput:
        return InvalidInput(f"{self._option}: {why}", remedy=remedy)
