# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Looking through the extensions of machines: publishers have types, types have versions.

What is answered is as recorded with azure-mgmt-compute 4.6.2, 12.0.0 and 20.0.0.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import Verb, method_not_allowed
from tests.local_azure.providers.compute.extension_catalogue import EXTENSIONS, ExtensionType
from tests.local_azure.providers.marketplace import marketplace_catalogue as catalogue
from tests.local_azure.providers.marketplace.marketplace_catalogue import NotOfferedError
from tests.local_azure.providers.marketplace.marketplace_images import place_of
from tests.local_azure.store import Json

# Not yet told with 2019-03-01, told with 2019-12-01.
_JSON_SINCE = "2019-07-01"


class ExtensionImages:
    def verbs(self) -> Mapping[str, Verb]:
        """By what stands behind `/subscriptions/{id}/providers/`, a pattern in lower case."""
        return {
            r"microsoft\.compute/locations/[^/]+/publishers/[^/]+/artifacttypes/vmextension/.+": self._look
        }

    async def _look(self, call: Call) -> Reply:
        """`types` are locations, publishers, artifacttypes, types, versions."""
        if call.method != "GET":
            raise method_not_allowed(call)
        place = place_of(call, "locations/publishers")
        publisher, types = _published(call.names[1])
        asked = [kind.lower() for kind in call.types[3:]]
        wanted = call.names[3:]
        if asked not in (["types"], ["types", "versions"]) or len(asked) - len(wanted) > 1:
            raise _not_found("Artifact: VMExtension")
        path = f"/Subscriptions/{call.subscription}/Providers/Microsoft.Compute/Locations/{place}"
        base = f"{path}/Publishers/{publisher}/ArtifactTypes/VMExtension/Types"
        if not wanted:
            return Reply(200, [_listed(place, name, base) for name in types])
        name = next((name for name in types if name.lower() == wanted[0].lower()), None)
        if name is None or asked == ["types"]:
            raise _not_found("Artifact: VMExtension")
        versions = [_listed(place, version, f"{base}/{name}/Versions") for version in types[name].versions]
        if len(wanted) == 1:
            return Reply(200, versions)
        found = next((version for version in versions if version["name"] == wanted[1]), None)
        if found is None:
            raise _not_found("Artifact: VMExtension")
        return Reply(200, {"properties": _properties(types[name], call.api_version), **found})


def _published(wanted: str) -> tuple[str, Mapping[str, ExtensionType]]:
    """The publisher as it is spelled; publishers of images have no extensions."""
    for name, types in EXTENSIONS.items():
        if name.lower() == wanted.lower():
            return name, types
    try:
        return catalogue.offers(wanted)[0], {}
    except NotOfferedError as error:
        raise _not_found(f"Publisher: {error.name}") from None


def _not_found(what: str) -> ArmError:
    return ArmError(404, "NotFound", f"{what} was not found.")


def _listed(place: str, name: str, base: str) -> Json:
    return {"location": place, "name": name, "id": f"{base}/{name}"}


def _properties(extension: ExtensionType, api_version: str) -> Json:
    properties = {
        "operatingSystem": extension.system,
        "computeRole": "IaaS",
        "vmScaleSetEnabled": extension.on_scale_sets,
        "supportsMultipleExtensions": False,
        "rollbackSupported": False,
    }
    if api_version >= _JSON_SINCE:
        properties["isJsonExtension"] = extension.json
    return properties
