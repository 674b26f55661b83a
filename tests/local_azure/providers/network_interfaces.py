# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Network interfaces, public addresses and security groups."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, properties_of
from tests.local_azure.errors import ArmError, missing_parameter
from tests.local_azure.providers.network import (
    INTERFACE,
    PUBLIC_ADDRESS,
    SECURITY_GROUP,
    NetworkKind,
    bad_reference,
    new_etag,
    same_id,
)
from tests.local_azure.store import Json, Resource

# Loopback addresses no one else uses; each public address of the local Azure is one of them.
_PUBLIC_RANGE = ipaddress.ip_network("127.64.0.0/10")


class PublicAddresses(NetworkKind):
    type = PUBLIC_ADDRESS
    retry_after = 1

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        given = properties_of(body)
        sku = (body.get("sku") or {}).get("name", "Standard")
        body["sku"] = {"name": sku, "tier": (body.get("sku") or {}).get("tier", "Regional")}
        method = given.get("publicIPAllocationMethod", "Static" if sku == "Standard" else "Dynamic")
        if sku == "Standard" and method != "Static":
            raise ArmError(
                400,
                "StandardSkuPublicIPAddressesMustBeStatic",
                f"Standard sku publicIp {self.id_of(call)} must have AllocationMethod set to Static.",
            )
        properties: Json = {
            "publicIPAddressVersion": given.get("publicIPAddressVersion", "IPv4"),
            "publicIPAllocationMethod": method,
            "idleTimeoutInMinutes": given.get("idleTimeoutInMinutes", 4),
            "ipTags": [],
        }
        if given.get("dnsSettings"):
            label = given["dnsSettings"].get("domainNameLabel")
            fqdn = f"{label}.{body['location']}.cloudapp.localhost"
            properties["dnsSettings"] = {"domainNameLabel": label, "fqdn": fqdn}
        old = existing.properties if existing else {}
        for key in ("ipAddress", "ipConfiguration", "deleteOption"):
            if key in old:
                properties[key] = old[key]
        if given.get("deleteOption"):
            properties["deleteOption"] = given["deleteOption"]
        if method == "Static":
            properties.setdefault("ipAddress", new_public_address(self.azure))
        return properties

    def in_use(self, resource: Resource) -> ArmError | None:
        user = (resource.properties.get("ipConfiguration") or {}).get("id")
        if user is None:
            return None
        return ArmError(
            400,
            "PublicIPAddressCannotBeDeleted",
            f"Public IP address {resource.id} can not be deleted since it is still allocated to resource "
            f"{user}. In order to delete the public IP, disassociate/detach the Public IP address from the "
            "resource.",
        )


def new_public_address(azure: LocalAzure) -> str:
    """A loopback address that was never given out before."""
    number = azure.store.next_number("public-address")
    return str(_PUBLIC_RANGE[256 + number % (_PUBLIC_RANGE.num_addresses - 512)])


class SecurityGroups(NetworkKind):
    type = SECURITY_GROUP
    retry_after = 1

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        del existing
        group_id = self.id_of(call)
        rules = []
        for rule in properties_of(body).get("securityRules") or []:
            settings = {"provisioningState": "Succeeded", **properties_of(rule)}
            rules.append(
                {
                    "name": rule["name"],
                    "id": f"{group_id}/securityRules/{rule['name']}",
                    "etag": new_etag(),
                    "type": f"{self.type}/securityRules",
                    "properties": settings,
                }
            )
        return {"securityRules": rules, "defaultSecurityRules": [self._deny_all(group_id)]}

    def _deny_all(self, group_id: str) -> Json:
        return {
            "id": f"{group_id}/defaultSecurityRules/DenyAllInBound",
            "name": "DenyAllInBound",
            "etag": new_etag(),
            "type": f"{self.type}/defaultSecurityRules",
            "properties": {
                "provisioningState": "Succeeded",
                "description": "Deny all inbound traffic",
                "protocol": "*",
                "sourcePortRange": "*",
                "destinationPortRange": "*",
                "sourceAddressPrefix": "*",
                "destinationAddressPrefix": "*",
                "access": "Deny",
                "priority": 65500,
                "direction": "Inbound",
                "sourcePortRanges": [],
                "destinationPortRanges": [],
                "sourceAddressPrefixes": [],
                "destinationAddressPrefixes": [],
            },
        }

    def in_use(self, resource: Resource) -> ArmError | None:
        for nic in self.azure.store.of_type(INTERFACE):
            if same_id((nic.properties.get("networkSecurityGroup") or {}).get("id"), resource.id):
                return ArmError(
                    400,
                    "InUseNetworkSecurityGroupCannotBeDeleted",
                    f"Network security group {resource.id} cannot be deleted because it is in use by the "
                    f"following resources: {nic.id}. In order to delete the Network security group, remove "
                    "the association with the resource(s).",
                )
        return None


class Interfaces(NetworkKind):
    type = INTERFACE

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        given = properties_of(body)
        old = existing.properties if existing else {}
        nic_id = self.id_of(call)
        if not given.get("ipConfigurations"):
            raise missing_parameter("ipConfigurations")
        previous = {c["name"]: c for c in old.get("ipConfigurations", [])}
        configurations = [
            self._configuration(nic_id, c, index, previous.get(c.get("name")))
            for index, c in enumerate(given["ipConfigurations"])
        ]
        self._release_addresses(old, configurations)
        mac = secrets.token_hex(3).upper()
        properties: Json = {
            "provisioningState": "Succeeded",
            "ipConfigurations": configurations,
            "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
            "macAddress": old.get("macAddress", f"00-0D-3A-{mac[:2]}-{mac[2:4]}-{mac[4:]}"),
            "enableAcceleratedNetworking": bool(given.get("enableAcceleratedNetworking", False)),
            "enableIPForwarding": bool(given.get("enableIPForwarding", False)),
            "hostedWorkloads": [],
            "tapConfigurations": [],
            "nicType": "Standard",
        }
        group = given.get("networkSecurityGroup")
        if group:
            properties["networkSecurityGroup"] = {"id": self.referenced(group["id"], nic_id).id}
        for key in ("virtualMachine", "primary"):
            if key in old:
                properties[key] = old[key]
        return properties

    def _configuration(self, nic_id: str, given: Json, index: int, previous: Json | None) -> Json:
        name = given.get("name")
        if not isinstance(name, str) or not name:
            raise missing_parameter(f"ipConfigurations[{index}].name")
        settings = properties_of(given)
        subnet_id = (settings.get("subnet") or {}).get("id")
        if not isinstance(subnet_id, str):
            raise missing_parameter(f"ipConfigurations[{index}].properties.subnet.id")
        configuration_id = f"{nic_id}/ipConfigurations/{name}"
        subnet = self._subnet(subnet_id, configuration_id)
        kept = properties_of(previous or {}).get("privateIPAddress")
        properties: Json = {
            "provisioningState": "Succeeded",
            "privateIPAddress": settings.get("privateIPAddress") or kept or self._private_address(subnet),
            "privateIPAllocationMethod": settings.get("privateIPAllocationMethod", "Dynamic"),
            "subnet": {"id": subnet["id"]},
            "primary": bool(settings.get("primary", index == 0)),
            "privateIPAddressVersion": "IPv4",
        }
        public_id = (settings.get("publicIPAddress") or {}).get("id")
        if public_id:
            public = self.referenced(public_id, configuration_id)
            user = (public.properties.get("ipConfiguration") or {}).get("id")
            if user is not None and not same_id(user, configuration_id):
                raise ArmError(
                    400,
                    "PublicIPAddressInUse",
                    f"Resource {configuration_id} is referencing public IP address {public.id} that is "
                    f"already allocated to resource {user}.",
                )
            public.properties["ipConfiguration"] = {"id": configuration_id}
            self.azure.store.put(public)
            properties["publicIPAddress"] = {"id": public.id}
            option = settings["publicIPAddress"].get("properties", {}).get("deleteOption")
            if option:
                properties["publicIPAddress"]["properties"] = {"deleteOption": option}
        return {
            "name": name,
            "id": configuration_id,
            "etag": new_etag(),
            "type": f"{self.type}/ipConfigurations",
            "properties": properties,
        }

    def _subnet(self, subnet_id: str, by: str) -> Json:
        network_id, _unused, name = subnet_id.rpartition("/subnets/")
        network = self.azure.store.get(network_id)
        for subnet in network.properties["subnets"] if network else []:
            if subnet["name"].lower() == name.lower():
                found: Json = subnet
                return found
        raise bad_reference(subnet_id, by)

    def _private_address(self, subnet: Json) -> str:
        """The first free one; Azure keeps the first four of each subnet for itself."""
        taken = {
            c["properties"]["privateIPAddress"]
            for nic in self.azure.store.of_type(INTERFACE)
            for c in nic.properties.get("ipConfigurations", [])
            if same_id(c["properties"]["subnet"]["id"], subnet["id"])
        }
        network = ipaddress.ip_network(subnet["properties"]["addressPrefix"])
        for offset in range(4, network.num_addresses - 1):
            if str(network[offset]) not in taken:
                return str(network[offset])
        raise ArmError(
            400,
            "SubnetIsFull",
            f"Subnet {subnet['name']} with address prefix {network} does not have enough capacity for 1 IP "
            "addresses.",
        )

    def _release_addresses(self, old: Json, configurations: list[Json]) -> None:
        """Frees the public addresses that an update or deletion no longer names."""
        kept = {
            ((c["properties"].get("publicIPAddress") or {}).get("id") or "").lower() for c in configurations
        }
        for configuration in old.get("ipConfigurations", []):
            public_id = (configuration["properties"].get("publicIPAddress") or {}).get("id")
            public = self.azure.store.get(public_id) if public_id and public_id.lower() not in kept else None
            if public is not None:
                public.properties.pop("ipConfiguration", None)
                self.azure.store.put(public)

    def in_use(self, resource: Resource) -> ArmError | None:
        machine = (resource.properties.get("virtualMachine") or {}).get("id")
        if machine is None:
            return None
        return ArmError(
            400,
            "NicInUse",
            f"Network Interface {resource.id} is used by existing resource {machine}. In order to delete the "
            "network interface, it must be dissociated from the resource. To learn more, see "
            "aka.ms/deletenic.",
        )

    async def remove(self, resource: Resource) -> None:
        self._release_addresses(resource.properties, [])
        await super().remove(resource)

    async def remove_with_addresses(self, resource: Resource) -> None:
        """Deletes the interface and those of its public addresses that are to go with it."""
        going = [
            public
            for c in resource.properties["ipConfigurations"]
            for public in (
                self.azure.store.get((c["properties"].get("publicIPAddress") or {}).get("id") or ""),
            )
            if public is not None and public.properties.get("deleteOption") == "Delete"
        ]
        await self.remove(resource)
        for public in going:
            await asyncio.sleep(0)
            self.azure.store.delete(public.id)
