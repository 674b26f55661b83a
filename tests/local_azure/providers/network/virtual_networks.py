# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Virtual networks and their subnets."""

from __future__ import annotations

import ipaddress
from typing import Any

from tests.local_azure.call import Call, properties_of
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import ResourceKind
from tests.local_azure.providers.network.network_kinds import (
    INTERFACE,
    TODAY,
    VIRTUAL_NETWORK,
    NestedNetworkKind,
    NetworkError,
    NetworkKind,
    id_at,
    new_etag,
    object_at,
    objects_at,
    same_id,
)
from tests.local_azure.store import Json, Resource

# From these api-versions on an answer has what it did not have before, or not any more.
_IPAM_SINCE = "2024-01-01"
_VM_PROTECTION_UNTIL = "2020-11-01"
_POLICIES_SINCE = "2019-04-01"
_GIVEN_ONLY = (
    "networkSecurityGroup",
    "routeTable",
    "natGateway",
    "serviceEndpoints",
    "defaultOutboundAccess",
)


class VirtualNetworks(NetworkKind):
    """Subnets are kept in their network's body."""

    type = VIRTUAL_NETWORK
    retry_after = 3

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        given = properties_of(body)
        prefixes = object_at(given.get("addressSpace"), "properties.addressSpace").get("addressPrefixes")
        if not isinstance(prefixes, list) or not prefixes:
            raise NetworkError(
                400,
                "InvalidRequestFormat",
                "Virtual network needs properties.addressSpace.addressPrefixes with one prefix at least.",
            )
        spaces = [_prefix(text) for text in prefixes]
        network_id = self.id_of(call)
        listed = objects_at(given.get("subnets"), "properties.subnets")
        subnets = [self.subnet(network_id, s, spaces) for s in listed]
        if existing is not None and "subnets" not in given:
            subnets = existing.properties["subnets"]
        elif existing is not None:
            self._refuse_dropped(existing, subnets)
        properties: Json = {"addressSpace": {"addressPrefixes": prefixes}}
        if given.get("dhcpOptions") is not None:
            options = object_at(given["dhcpOptions"], "properties.dhcpOptions")
            properties["dhcpOptions"] = {"dnsServers": options.get("dnsServers") or []}
        return {
            **properties,
            "subnets": subnets,
            "virtualNetworkPeerings": [],
            "enableDdosProtection": given.get("enableDdosProtection") is True,
        }

    def _refuse_dropped(self, existing: Resource, subnets: list[Json]) -> None:
        """A PUT of the network removes the subnets it does not name, unless they are used."""
        kept = {subnet["name"].lower() for subnet in subnets}
        for subnet in existing.properties["subnets"]:
            refusal = subnet_in_use(self, subnet)
            if subnet["name"].lower() not in kept and refusal is not None:
                raise refusal

    def parts_of(self, resource: Resource) -> list[Json]:
        subnets: list[Json] = resource.properties["subnets"]
        return subnets

    def subnet(self, network_id: str, given: Json, spaces: list[Any]) -> Json:
        """A subnet as it stands in its network's body."""
        name = given.get("name")
        if not isinstance(name, str) or not name:
            raise NetworkError(400, "InvalidRequestFormat", "Each subnet needs a name.")
        settings = properties_of(given)
        several = settings.get("addressPrefixes")
        text = settings.get("addressPrefix") or (
            several[0] if isinstance(several, list) and several else None
        )
        subnet_id = f"{network_id}/subnets/{name}"
        prefix = _prefix(text)
        if not any(space.version == prefix.version and prefix.subnet_of(space) for space in spaces):
            raise NetworkError(
                400,
                "NetcfgInvalidSubnet",
                f"Subnet '{name}' is not valid because its IP address range is outside the IP address range "
                f"of virtual network '{network_id.rpartition('/')[2]}'.",
            )
        properties: Json = {"provisioningState": "Updating"}
        properties["addressPrefix"] = text
        for key in _GIVEN_ONLY:
            if settings.get(key) is not None:
                properties[key] = settings[key]
        group = id_at(settings, "networkSecurityGroup", f"subnets.{name}")
        if group is not None:
            properties["networkSecurityGroup"] = {"id": self.referenced(group, subnet_id).id}
        table = id_at(settings, "routeTable", f"subnets.{name}")
        if table is not None:
            properties["routeTable"] = {"id": self.referenced(table, subnet_id).id}
        properties |= {
            "delegations": settings.get("delegations") or [],
            "privateEndpointNetworkPolicies": settings.get("privateEndpointNetworkPolicies", "Disabled"),
            "privateLinkServiceNetworkPolicies": settings.get("privateLinkServiceNetworkPolicies", "Enabled"),
        }
        return {
            "name": name,
            "id": subnet_id,
            "etag": new_etag(),
            "properties": properties,
            "type": f"{self.type}/subnets",
        }

    def in_use(self, resource: Resource) -> ArmError | None:
        for subnet in resource.properties["subnets"]:
            refusal = subnet_in_use(self, subnet)
            if refusal is not None:
                return refusal
        return None

    def render(self, resource: Resource, call: Call) -> Json:
        properties = {**resource.properties}
        properties["subnets"] = [self._shown(subnet, call) for subnet in resource.properties["subnets"]]
        if call.api_version < _VM_PROTECTION_UNTIL:
            properties["enableVmProtection"] = False
        return {**resource.body, "properties": properties}

    def _shown(self, subnet: Json, call: Call) -> Json:
        users = _configurations_in(self, subnet["id"])
        if call.method in ("GET", "HEAD") and call.api_version >= TODAY:
            users = sorted(_in_capitals(user) for user in users)
        given = subnet["properties"]
        shown: Json = {k: given[k] for k in ("provisioningState", "addressPrefix")}
        if call.api_version >= _IPAM_SINCE:
            shown["ipamPoolPrefixAllocations"] = []
        if users:
            shown["ipConfigurations"] = [{"id": user} for user in users]
        shown |= {k: v for k, v in given.items() if k not in shown}
        if call.api_version < _POLICIES_SINCE:
            shown = {k: v for k, v in shown.items() if not k.endswith("NetworkPolicies")}
        return {**subnet, "properties": shown}


class Subnets(NestedNetworkKind):
    type = f"{VIRTUAL_NETWORK}/subnets"
    member = "subnets"

    def __init__(self, networks: VirtualNetworks) -> None:
        super().__init__(networks.azure, networks)
        self._networks = networks

    def composed(self, parent: Resource, given: Json) -> Json:
        spaces = [_prefix(t) for t in parent.properties["addressSpace"]["addressPrefixes"]]
        return self._networks.subnet(parent.id, given, spaces)

    def refusal_to_remove(self, entry: Json) -> ArmError | None:
        return subnet_in_use(self, entry)


def _prefix(text: object) -> Any:
    try:
        return ipaddress.ip_network(str(text))
    except ValueError:
        raise NetworkError(
            400, "InvalidCIDRNotation", f"The address prefix {text} has an invalid CIDR notation."
        ) from None


def _configurations_in(kind: ResourceKind, subnet_id: str) -> list[str]:
    return [
        configuration["id"]
        for nic in kind.azure.store.mentioning(INTERFACE, subnet_id)
        for configuration in nic.properties.get("ipConfigurations", [])
        if same_id((configuration["properties"].get("subnet") or {}).get("id"), subnet_id)
    ]


def _in_capitals(configuration_id: str) -> str:
    """A subnet tells of its users in capitals, whatever they are called."""
    parts = configuration_id.split("/")
    return "/".join(part.upper() if index in (4, 8, 10) else part for index, part in enumerate(parts))


def subnet_in_use(kind: ResourceKind, subnet: Json) -> ArmError | None:
    users = _configurations_in(kind, subnet["id"])
    if not users:
        return None
    return NetworkError(
        400,
        "InUseSubnetCannotBeDeleted",
        f"Subnet {subnet['name']} is in use by {users[0]} and cannot be deleted. In order to delete the "
        "subnet, delete all the resources within the subnet. See aka.ms/deletesubnet.",
    )
