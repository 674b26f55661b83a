# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Galleries as those see them who do not own them: thin, by region, without resource ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import Verb, method_not_allowed
from tests.local_azure.locations import find_location
from tests.local_azure.providers.galleries.gallery_kinds import DEFINITION, VERSION
from tests.local_azure.providers.galleries.gallery_replication import replicated
from tests.local_azure.providers.marketplace.marketplace_images import place_of
from tests.local_azure.store import Json, Resource

_OPTIONAL = ("endOfLifeDate", "disallowed", "features", "purchasePlan", "privacyStatementUri", "eula")


class Public(NamedTuple):
    """A gallery under the name it has for others."""

    gallery: Resource
    name: str


class GalleryView:
    """The tree `locations/{region}/{segment}/{gallery}/images/{definition}/versions/{version}`.

    Subclasses say which galleries there are for the caller and how these look. A definition or version is
    seen in the regions that it has been replicated to.
    """

    #: As in unique ids; in paths its first letter is small.
    segment: str

    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure

    def verbs(self) -> Mapping[str, Verb]:
        """By what stands behind `/subscriptions/{id}/providers/`, a pattern in lower case."""
        return {rf"microsoft\.compute/locations/[^/]+/{self.segment.lower()}(/.*)?": self._look}

    # What subclasses say.

    def galleries(self, call: Call) -> Iterator[Public]:
        """What a list shows; without one there is no such list."""
        del call
        raise _missing()

    def gallery(self, call: Call, name: str) -> Resource | None:
        """The gallery of that name, if the caller may see it."""
        raise NotImplementedError

    def gallery_body(self, public: Public, *, listed: bool) -> Json:
        """Everything but location, name and identifier."""
        raise NotImplementedError

    def definition_properties(self, definition: Resource) -> Json:
        properties = definition.properties
        shown: Json = {
            "osType": properties["osType"],
            "osState": properties["osState"],
            "recommended": properties.get("recommended") or {},
            "hyperVGeneration": properties["hyperVGeneration"],
            "architecture": properties["architecture"],
            "identifier": properties["identifier"],
        }
        return shown | {key: properties[key] for key in _OPTIONAL if key in properties}

    def version_properties(self, version: Resource) -> Json:
        profile = version.properties["publishingProfile"]
        storage = version.properties["storageProfile"]
        shown: Json = {"publishedDate": profile["publishedDate"]}
        if "endOfLifeDate" in profile:
            shown["endOfLifeDate"] = profile["endOfLifeDate"]
        disks: Json = {"osDiskImage": _disk(storage["osDiskImage"])}
        if storage.get("dataDiskImages"):
            disks["dataDiskImages"] = [{"lun": d["lun"], **_disk(d)} for d in storage["dataDiskImages"]]
        return {**shown, "excludeFromLatest": profile["excludeFromLatest"], "storageProfile": disks}

    # The tree.

    async def _look(self, call: Call) -> Reply:
        if call.method != "GET":
            raise method_not_allowed(call)
        region = place_of(call, f"locations/{self.segment[0].lower()}{self.segment[1:]}")
        types = [t.lower() for t in call.types[2:]]
        if types != ["images", "versions"][: len(types)]:
            raise _missing()
        names = call.names[1:]
        if not names:
            seen = [p for p in self.galleries(call) if self._is_in(p.gallery, region)]
            value = [self._framed(self.gallery_body(p, listed=True), region, [p.name]) for p in seen]
            return Reply(200, {"value": value})
        gallery = self.gallery(call, names[0])
        if gallery is None or not self._is_in(gallery, region):
            raise _missing()
        public = Public(gallery, names[0])
        if not types:
            return Reply(200, self._framed(self.gallery_body(public, listed=False), region, [public.name]))
        return Reply(200, self._nested(public, region, names[1:], deep=len(types) == 2))

    def _nested(self, public: Public, region: str, names: tuple[str, ...], *, deep: bool) -> Json:
        definitions = self._azure.store.below(public.gallery.id, DEFINITION)
        seen = [d for d in definitions if self._is_in(d, region)]
        if not deep:
            return self._one_or_all(public, region, seen, names, self.definition_properties)
        definition = _named(seen, names[0])
        stored = self._azure.store.below(definition.id, VERSION)
        versions = [v for v in stored if _is_usable(v) and replicated(v, region)]
        return self._one_or_all(public, region, versions, names[1:], self.version_properties, definition.name)

    def _one_or_all(
        self,
        public: Public,
        region: str,
        seen: list[Resource],
        names: tuple[str, ...],
        properties: Callable[[Resource], Json],
        *above: str,
    ) -> Json:
        def framed(resource: Resource) -> Json:
            chain = [public.name, *above, resource.name]
            return self._framed({"properties": properties(resource)}, region, chain)

        if names:
            return framed(_named(seen, names[0]))
        return {"value": [framed(resource) for resource in seen]}

    def _framed(self, body: Json, region: str, chain: list[str]) -> Json:
        place = find_location(region)
        kinds = ("", "Images/", "Versions/")
        unique = "/".join(f"{kind}{name}" for kind, name in zip(kinds, chain, strict=False))
        return {
            **body,
            "location": place.compute_name if place else region,
            "name": chain[-1],
            "identifier": {"uniqueId": f"/{self.segment}/{unique}"},
        }

    def _is_in(self, resource: Resource, region: str) -> bool:
        """A gallery or definition is seen where it is itself and where one of its versions is."""
        if resource.location == region:
            return True
        return any(replicated(v, region) for v in self._azure.store.below(resource.id, VERSION))


def _is_usable(version: Resource) -> bool:
    """Whether it has been finished once; the sizes of its disks are known since then."""
    return version.state in ("Succeeded", "Updating") and bool(version.hidden.get("sizes"))


def _named(resources: list[Resource], name: str) -> Resource:
    found = next((r for r in resources if r.name.lower() == name.lower()), None)
    if found is None:
        raise _missing()
    return found


def _disk(disk: Json) -> Json:
    return {"diskSizeGB": disk["sizeInGB"], "hostCaching": disk["hostCaching"]}


def _missing() -> ArmError:
    return ArmError(404, "NotFound", "The entity was not found in this Azure location.")
