# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""How much of its network quotas a subscription has used in a region."""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.kinds import Verb
from tests.local_azure.providers.network.network_kinds import (
    INTERFACE,
    PUBLIC_ADDRESS,
    SECURITY_GROUP,
    VIRTUAL_NETWORK,
)
from tests.local_azure.store import Json

#: Type, name as the provider has it and as it reads, usual limit.
_QUOTAS = (
    (VIRTUAL_NETWORK, "VirtualNetworks", "Virtual Networks", 1000),
    (INTERFACE, "NetworkInterfaces", "Network Interfaces", 65536),
    (PUBLIC_ADDRESS, "PublicIPAddresses", "Public IP Addresses", 1000),
    (SECURITY_GROUP, "NetworkSecurityGroups", "Network Security Groups", 5000),
)


class NetworkUsages:
    def __init__(self, azure: LocalAzure) -> None:
        self._azure = azure

    def verbs(self) -> Mapping[str, Verb]:
        return {r"microsoft\.network/locations/[^/]+/usages": self._usages}

    async def _usages(self, call: Call) -> Reply:
        location = call.path.rstrip("/").split("/")[-2].lower()
        place = f"/subscriptions/{call.subscription}/providers/Microsoft.Network/locations/{location}/usages"
        value: list[Json] = []
        for kind, name, text, limit in _QUOTAS:
            found = self._azure.store.of_type(kind, subscription=call.subscription)
            value.append(
                {
                    "id": f"{place}/{name}",
                    "unit": "Count",
                    "currentValue": sum(resource.location == location for resource in found),
                    "limit": limit,
                    "name": {"value": name, "localizedValue": text},
                }
            )
        return Reply(200, {"value": value})
