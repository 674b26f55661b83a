# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Looks through the Marketplace: publishers, their offers, SKUs and versions. Only what is asked for is read.

Source: Virtual Machine Images - List Publishers, List Offers, List Skus and List, of Azure's REST reference.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.compute import COMPUTE_API
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_facts import SourceFacts
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_marketplace import (
    collection_path,
    describe_marketplace,
    image_facts,
    version_key,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.source_names import (
    LATEST,
    MarketplaceImage,
)

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

PUBLISHERS, OFFERS, SKUS, VERSIONS = "publishers", "offers", "skus", "versions"
LEVELS = (PUBLISHERS, OFFERS, SKUS, VERSIONS)
PARTS = ("publisher", "offer", "sku", "version")
_WILD = re.compile(r"[*?\[]")
Name = tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """What is looked for. `patterns` are for publisher, offer and SKU, None: all; `words` have to be in the
    name, all of them and in any case; `newest`: at most so many versions of each SKU."""

    location: str
    level: str
    patterns: tuple[str | None, str | None, str | None]
    words: tuple[str, ...] = ()
    newest: int | None = None
    details: bool = False

    @classmethod
    def from_options(cls, options: Mapping[str, Any], location: str) -> Query:
        """Read the module's options. Raises InvalidInput for what cannot be looked for."""
        patterns = tuple(options.get(part) or None for part in PARTS[:3])
        given = [place for place, pattern in enumerate(patterns) if pattern]
        level = options.get("level") or LEVELS[max(given) + 1 if given else 0]
        if given and LEVELS.index(level) < max(given):
            named = PARTS[max(given)]
            raise InvalidInput(
                f"{named}: {level} are listed whatever their {named}s are.",
                remedy=f"Leave {named} out, or set level to {LEVELS[max(given)]}.",
            )
        newest = options.get("newest")
        if newest is not None and newest < 1:
            raise InvalidInput(f"newest: {newest} is less than 1.")
        if options.get("details") and level in LEVELS[:2]:
            raise InvalidInput(
                f"details: {level} have none.", remedy="Set level to skus or versions, or leave details out."
            )
        words = tuple(str(options.get("search") or "").casefold().split())
        publisher, offer, sku = patterns
        return cls(location, level, (publisher, offer, sku), words, newest, bool(options.get("details")))

    def found(self, name: Name) -> bool:
        """Whether all the words are in the name."""
        text = ":".join(name).casefold()
        return all(word in text for word in self.words)


class _Counting:
    """A session, for the functions that look images up, that counts its requests."""

    def __init__(self, session: AzureSession) -> None:
        self.subscription_id = session.subscription_id
        self._arm = session.arm
        self._lock = threading.Lock()
        self.requests = 0

    @property
    def arm(self) -> _Counting:
        return self

    def _count(self) -> None:
        with self._lock:
            self.requests += 1

    def get(self, path: str, api_version: str, **query: str) -> dict[str, Any] | None:
        self._count()
        return self._arm.get(path, api_version, **query)

    def list(self, path: str, api_version: str, **query: str) -> list[dict[str, Any]]:
        self._count()
        return self._arm.list(path, api_version, **query)


class Browser:
    """Looks through the Marketplace of one region."""

    def __init__(self, session: AzureSession, query: Query) -> None:
        self._counting = _Counting(session)
        self._session = cast("AzureSession", self._counting)
        self._query = query

    @property
    def requests(self) -> int:
        """How many requests Azure was sent."""
        return self._counting.requests

    def browse(self) -> list[dict[str, Any]]:
        """What was found, each with its parts and, of SKUs and versions, what else was asked for.

        Raises NotFound for a publisher, offer or SKU that is named and not there.
        """
        query = self._query
        names: list[Name] = [()]
        for place in range(min(LEVELS.index(query.level), 2) + 1):
            names = self._below(names, place)
        if query.level == VERSIONS:
            return [each for found in in_parallel(self._versions, names) for each in found]
        names = [name for name in names if query.found(name)]
        if query.level == SKUS and query.details:
            return in_parallel(lambda name: self._details(name, LATEST), names)
        return [shown(name) for name in names]

    def _below(self, names: Sequence[Name], place: int) -> list[Name]:
        """One level further. What is named exactly is not asked for where something below it will be."""
        patterns = self._query.patterns[: place + 1]
        pattern = patterns[place]
        exact = all(each and not _WILD.search(each) for each in patterns)
        if pattern and exact and LEVELS.index(self._query.level) > place:
            return [(*name, pattern) for name in names]
        fits = re.compile(translate(pattern or "*"), re.IGNORECASE)
        listed = in_parallel(self._list, names)
        return [
            (*name, found)
            for name, all_found in zip(names, listed, strict=True)
            for found in sorted(all_found, key=str.casefold)
            if fits.match(found)
        ]

    def _list(self, name: Name) -> list[str]:
        path = collection_path(self._session, self._query.location, *name)
        return [str(each["name"]) for each in self._session.arm.list(path, COMPUTE_API)]

    def _versions(self, name: Name) -> list[dict[str, Any]]:
        """Of one SKU, the highest first."""
        query = self._query
        path = collection_path(self._session, query.location, *name)
        everything = query.details and query.newest is None
        expand = {"$expand": "properties"} if everything else {}
        listed = self._session.arm.list(path, COMPUTE_API, **expand)
        found = [each for each in listed if query.found((*name, str(each["name"])))]
        found.sort(key=lambda each: version_key(str(each["name"])), reverse=True)
        versions = [str(each["name"]) for each in found[: query.newest]]
        if everything:
            return [detailed(_image(name, str(each["name"]), each)) for each in found]
        if query.details:
            return in_parallel(lambda version: self._details(name, version), versions)
        return [shown((*name, version)) for version in versions]

    def _details(self, name: Name, version: str) -> dict[str, Any]:
        image = _named(name, version)
        return detailed(describe_marketplace(self._session, image, self._query.location, terms=False))


def _named(name: Name, version: str) -> MarketplaceImage:
    publisher, offer, sku = name
    return MarketplaceImage(publisher, offer, sku, version)


def _image(name: Name, version: str, image: Mapping[str, Any]) -> SourceFacts:
    return image_facts(_named(name, version), image)


def shown(name: Name) -> dict[str, Any]:
    """A name as it is returned: its parts, and of a version the URN."""
    parts: dict[str, Any] = dict(zip(PARTS, name, strict=False))
    return {**parts, "urn": ":".join(name)} if len(name) == len(PARTS) else parts


def detailed(facts: SourceFacts) -> dict[str, Any]:
    """A version with what is known of it."""
    name = tuple((facts.pinned or "").split(":"))
    return {
        **shown(name),
        "os_type": facts.os_type,
        "generation": facts.generation,
        "architecture": facts.architecture,
        "security_type": facts.security_type,
        "disk_controllers": list(facts.disk_controllers or ()),
        "features": dict(facts.features),
        "plan": dict(facts.plan or {}),
        "os_disk_size_gb": facts.os_disk.size_gb if facts.os_disk else None,
        "data_disks": [{"lun": disk.lun, "size_gb": disk.size_gb} for disk in facts.data_disks],
        "deprecation": dict(facts.deprecation),
    }
