# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Resource Manager tells of the resource providers: types, places, versions.

The members of each entry are those of Azure's own answers. Templates and azure-cli choose api-versions by
them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.local_azure.kinds import ResourceKind
from tests.local_azure.locations import LOCATIONS
from tests.local_azure.store import Json

_COMPUTE = (
    "2024-11-01 2024-07-01 2024-03-01 2023-09-01 2023-07-01 2023-03-01 2022-11-01 2022-08-01 2022-03-01 "
    "2021-11-01 2021-07-01 2021-04-01 2021-03-01 2020-12-01 2020-06-01 2019-12-01 2019-07-01 2019-03-01 "
    "2018-10-01 2018-06-01 2018-04-01 2017-12-01 2017-03-30 2016-04-30-preview 2016-03-30 2015-06-15"
)
_DISKS = (
    "2025-01-02 2024-03-02 2023-10-02 2023-04-02 2023-01-02 2022-07-02 2022-03-02 2021-12-01 2021-08-01 "
    "2021-04-01 2020-12-01 2020-09-30 2020-06-30 2020-05-01 2019-11-01 2019-07-01 2019-03-01 2018-09-30 "
    "2018-06-01 2018-04-01 2017-03-30 2016-04-30-preview"
)
_GALLERIES = (
    "2024-03-03 2023-07-03 2022-08-03 2022-03-03 2022-01-03 2021-10-01 2021-07-01 2020-09-30 2019-12-01 "
    "2019-07-01 2019-03-01 2018-06-01"
)
_NETWORK = (
    "2024-05-01 2024-03-01 2024-01-01 2023-11-01 2023-09-01 2023-06-01 2023-05-01 2023-04-01 2023-02-01 "
    "2022-11-01 2022-09-01 2022-07-01 2022-05-01 2022-01-01 2021-08-01 2021-05-01 2021-03-01 2021-02-01 "
    "2020-11-01 2020-08-01 2020-07-01 2020-06-01 2020-05-01 2020-04-01 2020-03-01 2019-12-01 2019-11-01 "
    "2019-09-01 2019-07-01 2019-06-01 2019-04-01 2019-02-01 2018-12-01 2018-11-01 2018-10-01 2018-08-01 "
    "2018-07-01 2018-04-01 2018-02-01 2018-01-01 2017-11-01 2017-10-01 2017-09-01 2017-03-01 2016-09-01 "
    "2016-03-30 2015-06-15 2015-05-01-preview"
)
_STORAGE = (
    "2024-01-01 2023-05-01 2023-04-01 2023-01-01 2022-09-01 2022-05-01 2021-09-01 2021-08-01 2021-06-01 "
    "2021-04-01 2021-02-01 2021-01-01 2020-08-01-preview 2019-06-01 2019-04-01 2018-11-01 2018-07-01 "
    "2018-02-01 2017-10-01 2017-06-01 2016-12-01 2016-05-01 2016-01-01 2015-06-15"
)
_RESOURCES = (
    "2025-04-01 2024-11-01 2024-07-01 2024-03-01 2023-07-01 2022-09-01 2022-06-01 2022-05-01 2022-01-01 "
    "2021-04-01 2021-01-01 2020-10-01 2020-08-01 2020-06-01 2020-05-01 2019-10-01 2019-08-01 2019-07-01 "
    "2019-05-10 2019-05-01 2019-03-01 2018-11-01 2018-09-01 2018-08-01 2018-07-01 2018-05-01 2018-02-01 "
    "2018-01-01 2017-08-01 2017-06-01 2017-05-10 2017-05-01 2016-09-01 2016-06-01 2016-02-01 2015-11-01"
)
_AUTHORIZATION = "2022-04-01 2020-10-01-preview 2020-04-01-preview 2018-01-01-preview 2015-07-01"
_IDENTITIES = "2024-11-30 2023-01-31 2022-01-31-preview 2021-09-30-preview 2018-11-30 2015-08-31-preview"
_OTHERS = "2024-05-01 2023-05-01 2021-07-01 2021-01-01 2018-09-30 2015-06-15"
#: By the beginning of the full type's name in small letters, the longest first.
_VERSIONS = (
    ("microsoft.compute/disk", _DISKS),
    ("microsoft.compute/snapshots", _DISKS),
    ("microsoft.compute/galleries", _GALLERIES),
    ("microsoft.compute/sharedgalleries", _GALLERIES),
    ("microsoft.compute/communitygalleries", _GALLERIES),
    ("microsoft.compute", _COMPUTE),
    ("microsoft.network", _NETWORK),
    ("microsoft.storage", _STORAGE),
    ("microsoft.resources", _RESOURCES),
    ("microsoft.authorization", _AUTHORIZATION),
    ("microsoft.managedidentity", _IDENTITIES),
)
_DEFAULTS = {
    "Microsoft.Compute": "2019-12-01",
    "Microsoft.Network": "2020-03-01",
    "Microsoft.Storage": "2019-06-01",
}
#: Types that no one creates, and the applications that act for the provider, with their role there.
_HELPERS = {
    "Microsoft.Compute": ("locations", "locations/operations", "locations/publishers", "operations"),
    "Microsoft.Network": (
        "locations",
        "locations/operations",
        "locations/operationResults",
        "locations/CheckDnsNameAvailability",
        "locations/usages",
        "locations/virtualNetworkAvailableEndpointServices",
        "locations/serviceTags",
        "operations",
    ),
    "Microsoft.Storage": ("checkNameAvailability", "locations", "locations/asyncoperations", "operations"),
}
_APPLICATIONS = {
    "Microsoft.Compute": (("60e6cd67-9c8c-4951-9b3c-23c25a2169af", "e4770acb-272e-4dc8-87f3-12f44a612224"),),
    "Microsoft.Network": (
        ("2cf9eb86-36b5-49dc-86ae-9a63135dfa8c", "13ba9ab4-19f0-4804-adc4-14ece36cc7a1"),
        ("7c33bfcb-8d33-48d6-8e60-dc6404003489", "ad6261e4-fa9a-4642-aa5f-104f1b67e9e3"),
        ("1e3e4475-288f-4018-a376-df66fd7fac5f", "1d538b69-3d87-4e56-8ff8-25786fd48261"),
    ),
    "Microsoft.Storage": (("a6aa9161-5291-40bb-8c5c-923b567bee3b", "070ab87f-0efc-4423-b18b-756f3bdb0236"),),
}
#: An application whose role also manages what others made on the user's behalf.
_MANAGING = {
    "applicationId": "6d057c82-a784-47ae-8d12-ca7b38cf06b4",
    "roleDefinitionId": "c27dd31e-c1e5-4ab0-93e1-a12ba34f182e",
    "managedByRoleDefinitionId": "82e8942a-bcb6-444a-b1c4-31a3ea463a7d",
}
_PROFILES = (("2017-03-09-profile", "2015-06-15"), ("2018-03-01-hybrid", "2017-10-01"))
_WITH_PROFILES = frozenset(
    {"virtualNetworks", "publicIPAddresses", "networkInterfaces", "networkSecurityGroups", "locations"}
)
_ZONAL = frozenset({"publicIPAddresses", "virtualMachines", "disks", "snapshots"})
_AT_THE_EDGE = frozenset({"virtualNetworks", "publicIPAddresses", "networkInterfaces", "virtualMachines"})
_EDGE_ZONES = (("West US", "losangeles"), ("West US 2", "portland"), ("East US", "microsoftnewyork1"))
_MOVABLE = "CrossResourceGroupResourceMove, CrossSubscriptionResourceMove, SupportsTags, SupportsLocation"


class ProviderRegistry:
    """Knows the providers by the kinds of resources they have; `kinds` may still grow."""

    def __init__(self, kinds: Sequence[ResourceKind]) -> None:
        self._kinds = kinds

    def namespaces(self) -> list[str]:
        return sorted({kind.namespace for kind in self._kinds})

    def knows(self, resource_type: str) -> bool:
        wanted = resource_type.lower()
        return wanted == "microsoft.resources/resourcegroups" or any(
            kind.type.lower() == wanted for kind in self._kinds
        )

    def by_namespace(self, subscription: str) -> Mapping[str, Json]:
        return {name.lower(): self.body(name, subscription) for name in self.namespaces()}

    def newest_version(self, resource_type: str) -> str:
        return versions_of(resource_type)[0]

    def body(self, namespace: str, subscription: str) -> Json:
        """One provider as Azure shows it; without a subscription as the tenant sees it."""
        names = {kind.type.partition("/")[2] for kind in self._kinds if kind.namespace == namespace}
        listed = [*sorted(names), *_HELPERS.get(namespace, ())]
        place = f"/subscriptions/{subscription}" if subscription else ""
        body: Json = {"id": f"{place}/providers/{namespace}", "namespace": namespace}
        applications = _APPLICATIONS.get(namespace, ())
        if applications:
            body["authorizations"] = [
                {"applicationId": application, "roleDefinitionId": role} for application, role in applications
            ]
            if namespace == "Microsoft.Network":
                body["authorizations"].append(dict(_MANAGING))
        body["resourceTypes"] = [_type(namespace, name, helper=name not in names) for name in listed]
        body["registrationState"] = "Registered"
        body["registrationPolicy"] = (
            "RegistrationFree" if namespace == "Microsoft.Resources" else "RegistrationRequired"
        )
        return body


def versions_of(resource_type: str) -> list[str]:
    """The api-versions of a type, the newest first."""
    key = resource_type.lower()
    return next((text for begin, text in _VERSIONS if key.startswith(begin)), _OTHERS).split()


def _type(namespace: str, name: str, *, helper: bool) -> Json:
    top = name.partition("/")[0]
    entry: Json = {
        "resourceType": name,
        "locations": [] if name == "locations" else [place.display_name for place in LOCATIONS],
        "apiVersions": versions_of(f"{namespace}/{name}"),
    }
    if not helper and namespace in _DEFAULTS:
        entry["defaultApiVersion"] = _DEFAULTS[namespace]
    if namespace == "Microsoft.Network" and name in _WITH_PROFILES:
        entry["apiProfiles"] = [{"profileVersion": p, "apiVersion": v} for p, v in _PROFILES]
    if name in _ZONAL:
        entry["zoneMappings"] = [
            {"location": place.display_name, "zones": ["2", "3", "1"]} for place in LOCATIONS
        ]
    if name in _AT_THE_EDGE:
        entry["locationMappings"] = [
            {"location": place, "type": "EdgeZone", "extendedLocations": [zone]}
            for place, zone in _EDGE_ZONES
        ]
    nested = helper or top != name
    entry["capabilities"] = "None" if nested else _MOVABLE
    return entry
