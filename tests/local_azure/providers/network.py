# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What the network types have in common, and virtual networks with their subnets."""

from __future__ import annotations

import ipaddress
import uuid
from typing import Any

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import ArmError, resource_not_found
from tests.local_azure.kinds import ResourceKind, check_tags, json_object
from tests.local_azure.store import Json, Resource

VIRTUAL_NETWORK = "Microsoft.Network/virtualNetworks"
INTERFACE = "Microsoft.Network/networkInterfaces"
PUBLIC_ADDRESS = "Microsoft.Network/publicIPAddresses"
SECURITY_GROUP = "Microsoft.Network/networkSecurityGroups"


def new_etag() -> str:
    return f'W/"{uuid.uuid4()}"'


def same_id(one: object, other: object) -> bool:
    return isinstance(one, str) and isinstance(other, str) and one.lower() == other.lower()


class NetworkKind(ResourceKind):
    """Network resources are made at once; their operation only reports so a little later."""

    name_rule = r"^\w([\w.-]{0,78}\w)?$"
    retry_after: int | None = None

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self.define("put", self._finish_put)
        self.define("delete", self._finish_delete)

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        """The properties to store; raises for what Azure refuses."""
        raise NotImplementedError

    def in_use(self, resource: Resource) -> ArmError | None:
        """Why the resource cannot be deleted now."""
        del resource
        return None

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = self.check_write(call, existing)
        properties = self.compose(call, body, existing)
        resource = self.save(call, body, properties, existing)
        operation = self.begin(
            call, resource, "put", azure_seconds=3, retry_after=self.retry_after, shows_output=True
        )
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(200 if existing else 201, self.render(resource, call), headers)

    def save(self, call: Call, body: Json, properties: Json, existing: Resource | None) -> Resource:
        """Stores the resource as it is while its operation runs."""
        resource = self.new_resource(call, {})
        if existing is not None:
            resource.id, resource.hidden = existing.id, existing.hidden
        guid = existing.properties.get("resourceGuid") if existing else str(uuid.uuid4())
        resource.body = {
            "name": resource.name,
            "id": resource.id,
            "etag": new_etag(),
            "type": self.type,
            "location": body["location"],
            **{k: body[k] for k in ("tags", "sku", "zones") if body.get(k) is not None},
            "properties": {"provisioningState": "Updating", "resourceGuid": guid, **properties},
        }
        self.azure.store.put(resource)
        return resource

    async def _finish_put(self, resource: Resource, _arguments: Json) -> Json:
        resource.body["etag"] = new_etag()
        return self.succeed(resource)

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        if "tags" in body:
            resource.body["tags"] = body["tags"]
            resource.body["etag"] = new_etag()
            self.azure.store.put(resource)
        return Reply(200, self.render(resource, call))

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        refusal = self.in_use(resource)
        if refusal is not None:
            raise refusal
        operation = self.begin(call, resource, "delete", retry_after=10)
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        refusal = self.in_use(resource)
        if refusal is not None:
            raise refusal
        await self.remove(resource)

    def referenced(self, resource_id: str, by: str) -> Resource:
        found = self.azure.store.get(resource_id)
        if found is None:
            raise bad_reference(resource_id, by)
        return found


def bad_reference(resource_id: str, by: str) -> ArmError:
    return ArmError(
        400,
        "InvalidResourceReference",
        f"Resource {resource_id} referenced by resource {by} was not found. Please make sure that the "
        "referenced resource exists, and that both resources are in the same region.",
    )


class VirtualNetworks(NetworkKind):
    type = VIRTUAL_NETWORK
    retry_after = 3

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        given = properties_of(body)
        prefixes = (given.get("addressSpace") or {}).get("addressPrefixes")
        if not prefixes:
            raise ArmError(
                400,
                "InvalidRequestFormat",
                "Virtual network needs properties.addressSpace.addressPrefixes with one prefix at least.",
            )
        spaces = [_prefix(text) for text in prefixes]
        network_id = self.id_of(call)
        subnets = [self.subnet(network_id, s, spaces) for s in given.get("subnets") or []]
        if existing is not None and "subnets" not in given:
            subnets = existing.properties["subnets"]
        return {
            "addressSpace": {"addressPrefixes": prefixes},
            "subnets": subnets,
            "virtualNetworkPeerings": [],
            "enableDdosProtection": False,
        }

    def subnet(self, network_id: str, given: Json, spaces: list[Any]) -> Json:
        """A subnet as it stands in its network's body."""
        name = given.get("name")
        if not isinstance(name, str) or not name:
            raise ArmError(400, "InvalidRequestFormat", "Each subnet needs a name.")
        settings = properties_of(given)
        text = settings.get("addressPrefix") or (settings.get("addressPrefixes") or [None])[0]
        subnet_id = f"{network_id}/subnets/{name}"
        if not any(_prefix(text).subnet_of(space) for space in spaces):
            raise ArmError(
                400,
                "NetcfgInvalidSubnet",
                f"Subnet '{name}' is not valid because its IP address range is outside the IP address "
                "range of "
                f"virtual network '{network_id.rpartition('/')[2]}'.",
            )
        properties: Json = {"provisioningState": "Succeeded", "addressPrefix": text}
        for key in ("networkSecurityGroup", "defaultOutboundAccess"):
            if key in settings:
                properties[key] = settings[key]
        properties |= {
            "delegations": [],
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
        del call
        for subnet in resource.properties["subnets"]:
            users = _configurations_in(self, subnet["id"])
            if users:
                subnet["properties"]["ipConfigurations"] = [{"id": u} for u in users]
        return resource.body


class Subnets(NetworkKind):
    """Subnets are kept in their network's body."""

    type = f"{VIRTUAL_NETWORK}/subnets"
    retry_after = 3

    def __init__(self, azure: LocalAzure) -> None:
        super().__init__(azure)
        self._networks = VirtualNetworks(azure)

    def _index(self, network: Resource, name: str) -> int | None:
        names = [s["name"].lower() for s in network.properties["subnets"]]
        return names.index(name.lower()) if name.lower() in names else None

    async def get(self, call: Call) -> Reply:
        network = self.require_parent(call)
        index = self._index(network, call.name)
        if index is None:
            raise resource_not_found(self.type, "/".join(call.names), call.resource_group)
        return Reply(200, self._networks.render(network, call)["properties"]["subnets"][index])

    async def list(self, call: Call) -> Reply:
        network = self._networks.render(self.require_parent(call), call)
        return Reply(200, {"value": network["properties"]["subnets"]})

    async def put(self, call: Call) -> Reply:
        network = self.require_parent(call)
        body = json_object(call)
        spaces = [_prefix(t) for t in network.properties["addressSpace"]["addressPrefixes"]]
        subnet = self._networks.subnet(network.id, {**body, "name": call.name}, spaces)
        index = self._index(network, call.name)
        if index is None:
            network.properties["subnets"].append(subnet)
        else:
            network.properties["subnets"][index] = subnet
        self.azure.store.put(network)
        operation = self._networks.begin(call, network, "put", retry_after=self.retry_after)
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(200 if index is not None else 201, subnet, headers)

    async def delete(self, call: Call) -> Reply:
        network = self.require_parent(call)
        index = self._index(network, call.name)
        if index is None:
            return Reply(204)
        refusal = subnet_in_use(self, network.properties["subnets"][index])
        if refusal is not None:
            raise refusal
        del network.properties["subnets"][index]
        self.azure.store.put(network)
        operation = self._networks.begin(call, network, "put", retry_after=10)
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))


def _prefix(text: object) -> Any:
    try:
        return ipaddress.ip_network(str(text))
    except ValueError:
        raise ArmError(
            400, "InvalidCIDRNotation", f"The address prefix {text} has an invalid CIDR notation."
        ) from None


def _configurations_in(kind: ResourceKind, subnet_id: str) -> list[str]:
    return [
        configuration["id"]
        for nic in kind.azure.store.of_type(INTERFACE)
        for configuration in nic.properties.get("ipConfigurations", [])
        if same_id((configuration["properties"].get("subnet") or {}).get("id"), subnet_id)
    ]


def subnet_in_use(kind: ResourceKind, subnet: Json) -> ArmError | None:
    users = _configurations_in(kind, subnet["id"])
    if not users:
        return None
    return ArmError(
        400,
        "InUseSubnetCannotBeDeleted",
        f"Subnet {subnet['name']} is in use by {users[0]} and cannot be deleted. In order to delete the "
        "subnet, "
        "delete all the resources within the subnet. See aka.ms/deletesubnet.",
    )
