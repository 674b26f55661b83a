# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Route tables and application security groups. Nothing is routed or filtered by them: they are shown."""

from __future__ import annotations

from tests.local_azure.call import Call, properties_of
from tests.local_azure.errors import ArmError
from tests.local_azure.providers.network.network_kinds import (
    VIRTUAL_NETWORK,
    NestedNetworkKind,
    NetworkError,
    NetworkKind,
    new_etag,
    objects_at,
    same_id,
    text_at,
)
from tests.local_azure.store import Json, Resource

_ROUTE_TABLE = "Microsoft.Network/routeTables"
_HOPS = ("VirtualNetworkGateway", "VnetLocal", "Internet", "VirtualAppliance", "None")


class ApplicationSecurityGroups(NetworkKind):
    type = "Microsoft.Network/applicationSecurityGroups"

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        del call, body, existing
        return {}


class RouteTables(NetworkKind):
    type = _ROUTE_TABLE

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        del existing
        given, table = properties_of(body), self.id_of(call)
        routes = [self.route(table, route) for route in objects_at(given.get("routes"), "properties.routes")]
        return {
            "disableBgpRoutePropagation": given.get("disableBgpRoutePropagation") is True,
            "routes": routes,
        }

    def parts_of(self, resource: Resource) -> list[Json]:
        routes: list[Json] = resource.properties["routes"]
        return routes

    def route(self, table: str, given: Json) -> Json:
        """A route as it stands in its table's body."""
        settings = properties_of(given)
        name, hop = text_at(given, "name", "routes"), text_at(settings, "nextHopType", "routes")
        prefix = text_at(settings, "addressPrefix", "routes")
        address = text_at(settings, "nextHopIpAddress", "routes")
        if not name or not prefix or hop not in _HOPS:
            raise NetworkError(
                400,
                "InvalidRequestFormat",
                f"A route needs a name, an address prefix and one of the next hops {', '.join(_HOPS)}.",
            )
        if bool(address) != (hop == "VirtualAppliance"):
            raise NetworkError(
                400,
                "RouteNextHopIpAddressInvalid",
                f"Route {name} must have a next hop address if, and only if, its next hop is an appliance.",
            )
        return {
            "name": name,
            "id": f"{table}/routes/{name}",
            "etag": new_etag(),
            "properties": {
                "provisioningState": "Updating",
                "addressPrefix": prefix,
                "nextHopType": hop,
                **({"nextHopIpAddress": address} if address else {}),
                "hasBgpOverride": False,
            },
            "type": f"{self.type}/routes",
        }

    def _subnets(self, resource: Resource) -> list[Json]:
        return [
            {"id": subnet["id"]}
            for network in self.azure.store.mentioning(VIRTUAL_NETWORK, resource.id)
            for subnet in network.properties["subnets"]
            if same_id((subnet["properties"].get("routeTable") or {}).get("id"), resource.id)
        ]

    def render(self, resource: Resource, call: Call) -> Json:
        del call
        subnets = self._subnets(resource)
        used = {"subnets": subnets} if subnets else {}
        return {**resource.body, "properties": {**resource.properties, **used}}

    def in_use(self, resource: Resource) -> ArmError | None:
        if not self._subnets(resource):
            return None
        return NetworkError(
            400,
            "InUseRouteTableCannotBeDeleted",
            f"Route table {resource.name} is in use and cannot be deleted.",
        )


class Routes(NestedNetworkKind):
    type = f"{_ROUTE_TABLE}/routes"
    member = "routes"

    def __init__(self, tables: RouteTables) -> None:
        super().__init__(tables.azure, tables)
        self._tables = tables

    def composed(self, parent: Resource, given: Json) -> Json:
        return self._tables.route(parent.id, given)
