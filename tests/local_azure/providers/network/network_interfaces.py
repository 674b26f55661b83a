# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Network interfaces with their addresses in subnets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import secrets
from typing import Any

from tests.local_azure.call import Call, properties_of
from tests.local_azure.errors import ArmError
from tests.local_azure.providers.network.network_kinds import (
    INTERFACE,
    TODAY,
    NetworkError,
    NetworkKind,
    bad_reference,
    id_at,
    new_etag,
    object_at,
    objects_at,
    same_id,
)
from tests.local_azure.store import Json, Resource

_TYPES_SINCE = "2019-12-01"


class Interfaces(NetworkKind):
    type = INTERFACE
    first_state = "Succeeded"

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        given = properties_of(body)
        old = existing.properties if existing else {}
        nic_id = self.id_of(call)
        listed = objects_at(given.get("ipConfigurations"), "properties.ipConfigurations")
        if not listed:
            raise _missing("properties.ipConfigurations")
        previous = {c["name"]: c for c in old.get("ipConfigurations", [])}
        configurations = [
            self._configuration(nic_id, c, index, previous.get(str(c.get("name"))))
            for index, c in enumerate(listed)
        ]
        self._release_addresses(old, configurations)
        mac = secrets.token_hex(3).upper()
        dns = object_at(given.get("dnsSettings"), "properties.dnsSettings")
        properties: Json = {
            "ipConfigurations": configurations,
            "dnsSettings": {
                "dnsServers": dns.get("dnsServers") or [],
                "appliedDnsServers": [],
                "internalDomainNameSuffix": _domain(configurations[0]["properties"]["subnet"]["id"]),
            },
            "macAddress": old.get("macAddress", f"00-0D-3A-{mac[:2]}-{mac[2:4]}-{mac[4:]}"),
        }
        if given.get("enableAcceleratedNetworking") is not None:
            properties["enableAcceleratedNetworking"] = given["enableAcceleratedNetworking"] is True
        properties["enableIPForwarding"] = given.get("enableIPForwarding") is True
        group = id_at(given, "networkSecurityGroup", "properties")
        if group is not None:
            properties["networkSecurityGroup"] = {"id": self.referenced(group, nic_id).id}
        for key in ("primary", "virtualMachine"):
            if key in old:
                properties[key] = old[key]
        return {**properties, "hostedWorkloads": [], "tapConfigurations": []}

    def parts_of(self, resource: Resource) -> list[Json]:
        configurations: list[Json] = resource.properties["ipConfigurations"]
        return configurations

    def render(self, resource: Resource, call: Call) -> Json:
        """An interface has a hardware address while a machine has the interface."""
        given = resource.properties
        properties = {k: v for k, v in given.items() if k != "macAddress" or "virtualMachine" in given}
        if call.api_version < TODAY:
            properties.setdefault("enableAcceleratedNetworking", False)
            if call.api_version >= _TYPES_SINCE:
                properties["nicType"] = "Standard"
            return {**resource.body, "properties": properties}
        # Where accelerated networking was not asked for or refused, today's versions leave it open.
        properties |= {
            "vnetEncryptionSupported": False,
            "nicType": "Standard",
            "allowPort25Out": True,
            "auxiliaryMode": "None",
        }
        return {**resource.body, "properties": properties, "kind": "Regular"}

    def _configuration(self, nic_id: str, given: Json, index: int, previous: Json | None) -> Json:
        name, path = given.get("name"), f"properties.ipConfigurations[{index}]"
        if not isinstance(name, str) or not name:
            raise _missing(f"{path}.name")
        settings = properties_of(given)
        subnet_id = id_at(settings, "subnet", path)
        if subnet_id is None:
            raise _missing(f"{path}.properties.subnet.id")
        configuration_id = f"{nic_id}/ipConfigurations/{name}"
        subnet = self._subnet(subnet_id, configuration_id)
        kept = properties_of(previous or {}).get("privateIPAddress")
        address = settings.get("privateIPAddress")
        properties: Json = {
            "provisioningState": "Succeeded",
            "privateIPAddress": self._checked(address, subnet) or kept or self._private_address(subnet),
            "privateIPAllocationMethod": settings.get("privateIPAllocationMethod", "Dynamic"),
        }
        public = self._public_address(settings, configuration_id, path)
        if public is not None:
            properties["publicIPAddress"] = public
        properties |= {
            "subnet": {"id": subnet["id"]},
            "primary": bool(settings.get("primary", index == 0)),
            "privateIPAddressVersion": "IPv4",
        }
        return {
            "name": name,
            "id": configuration_id,
            "etag": new_etag(),
            "type": f"{self.type}/ipConfigurations",
            "properties": properties,
        }

    def _public_address(self, settings: Json, configuration_id: str, path: str) -> Json | None:
        """Takes the public address that the configuration names."""
        public_id = id_at(settings, "publicIPAddress", path)
        if public_id is None:
            return None
        public = self.referenced(public_id, configuration_id)
        user = (public.properties.get("ipConfiguration") or {}).get("id")
        if user is not None and not same_id(user, configuration_id):
            raise NetworkError(
                400,
                "PublicIPAddressInUse",
                f"Resource {configuration_id} is referencing public IP address {public.id} that is already "
                f"allocated to resource {user}.",
            )
        public.properties["ipConfiguration"] = {"id": configuration_id}
        self.azure.store.put(public)
        option = properties_of(settings["publicIPAddress"]).get("deleteOption")
        return {"id": public.id, **({"properties": {"deleteOption": option}} if option else {})}

    def _subnet(self, subnet_id: str, by: str) -> Json:
        network_id, _unused, name = subnet_id.rpartition("/subnets/")
        network = self.azure.store.get(network_id)
        for subnet in network.properties["subnets"] if network else []:
            if subnet["name"].lower() == name.lower():
                found: Json = subnet
                return found
        raise bad_reference(subnet_id, by)

    @staticmethod
    def _checked(address: Any, subnet: Json) -> str | None:
        """An address that was asked for, which has to be one of the subnet's."""
        if address is None:
            return None
        prefix = subnet["properties"]["addressPrefix"]
        try:
            inside = ipaddress.ip_address(str(address)) in ipaddress.ip_network(prefix)
        except ValueError:
            inside = False
        if not inside:
            raise NetworkError(
                400,
                "PrivateIPAddressNotInSubnet",
                f"Private static IP address {address} does not belong to the range of subnet prefix "
                f"{prefix}.",
            )
        return str(address)

    def _private_address(self, subnet: Json) -> str:
        """The first free one; Azure keeps the first four of each subnet for itself."""
        taken = {
            c["properties"]["privateIPAddress"]
            for nic in self.azure.store.mentioning(INTERFACE, subnet["id"])
            for c in nic.properties.get("ipConfigurations", [])
            if same_id(c["properties"]["subnet"]["id"], subnet["id"])
        }
        network = ipaddress.ip_network(subnet["properties"]["addressPrefix"])
        for offset in range(4, network.num_addresses - 1):
            if str(network[offset]) not in taken:
                return str(network[offset])
        raise NetworkError(
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
        return NetworkError(
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


def _missing(path: str) -> ArmError:
    return NetworkError(400, "InvalidRequestFormat", f"Cannot parse the request: {path} is missing.")


def _domain(subnet_id: str) -> str:
    """Machines of one network find each other by names below this one."""
    digest = hashlib.sha256(subnet_id.rpartition("/subnets/")[0].lower().encode()).digest()
    label = base64.b32encode(digest).decode().lower()[:26]
    return f"{label}.bx.internal.cloudapp.net"
