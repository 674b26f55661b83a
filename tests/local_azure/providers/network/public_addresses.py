# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Public IP addresses: addresses of the loopback network that no one else uses."""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Mapping

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import Verb
from tests.local_azure.providers.network.network_kinds import (
    PUBLIC_ADDRESS,
    TODAY,
    NetworkError,
    NetworkKind,
    object_at,
    text_at,
)
from tests.local_azure.store import Json, Resource

# Each public address of the local Azure is one of these.
_PUBLIC_RANGE = ipaddress.ip_network("127.64.0.0/10")
_TIER_SINCE = "2020-08-01"
_DOMAIN = "cloudapp.localhost"


class PublicAddresses(NetworkKind):
    type = PUBLIC_ADDRESS
    retry_after = 1

    def subscription_verbs(self) -> Mapping[str, Verb]:
        return {r"microsoft\.network/locations/[^/]+/checkdnsnameavailability": self._check_label}

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        given = properties_of(body)
        wanted = object_at(body.get("sku"), "sku")
        usual = "Standard" if call.api_version >= TODAY else "Basic"
        sku = text_at(wanted, "name", "sku") or usual
        if sku not in ("Basic", "Standard", "StandardV2"):
            raise NetworkError(
                400, "InvalidRequestFormat", f"The sku '{sku}' of a public address is unknown."
            )
        body["sku"] = {"name": sku, "tier": text_at(wanted, "tier", "sku") or "Regional"}
        method = given.get("publicIPAllocationMethod", "Dynamic" if sku == "Basic" else "Static")
        if method not in ("Static", "Dynamic"):
            raise NetworkError(400, "InvalidRequestFormat", f"The allocation method '{method}' is unknown.")
        if sku != "Basic" and method != "Static":
            raise NetworkError(
                400,
                "StandardSkuPublicIPAddressesMustBeStatic",
                f"Standard sku publicIp {self.id_of(call)} must have AllocationMethod set to Static.",
            )
        properties: Json = {
            "publicIPAddressVersion": given.get("publicIPAddressVersion", "IPv4"),
            "publicIPAllocationMethod": method,
            "idleTimeoutInMinutes": given.get("idleTimeoutInMinutes", 4),
        }
        label = text_at(object_at(given.get("dnsSettings"), "dnsSettings"), "domainNameLabel", "dnsSettings")
        if label is not None:
            self._refuse_taken(label, body["location"], self.id_of(call))
            fqdn = f"{label}.{body['location']}.{_DOMAIN}"
            properties["dnsSettings"] = {"domainNameLabel": label, "fqdn": fqdn}
        properties["ipTags"] = given.get("ipTags") or []
        old = existing.properties if existing else {}
        for key in ("ipAddress", "ipConfiguration", "deleteOption"):
            if key in old:
                properties[key] = old[key]
        if given.get("deleteOption"):
            properties["deleteOption"] = given["deleteOption"]
        return properties

    def succeed(self, resource: Resource) -> Json:
        """A static address has its number when it is made, a dynamic one when a machine starts with it."""
        if resource.properties["publicIPAllocationMethod"] == "Static":
            resource.properties.setdefault("ipAddress", new_public_address(self.azure))
        return super().succeed(resource)

    def render(self, resource: Resource, call: Call) -> Json:
        if call.api_version >= _TIER_SINCE:
            return resource.body
        return {**resource.body, "sku": {"name": resource.body["sku"]["name"]}}

    def in_use(self, resource: Resource) -> ArmError | None:
        user = (resource.properties.get("ipConfiguration") or {}).get("id")
        if user is None:
            return None
        return NetworkError(
            400,
            "PublicIPAddressCannotBeDeleted",
            f"Public IP address {resource.id} can not be deleted since it is still allocated to resource "
            f"{user}. In order to delete the public IP, disassociate/detach the Public IP address from the "
            "resource.",
        )

    # Labels.

    def _label_user(self, label: str, location: str) -> Resource | None:
        for address in self.azure.store.of_type(PUBLIC_ADDRESS):
            own = (address.properties.get("dnsSettings") or {}).get("domainNameLabel")
            if address.location == location and own is not None and own.lower() == label.lower():
                return address
        return None

    def _refuse_taken(self, label: str, location: str, by: str) -> None:
        user = self._label_user(label, location)
        if user is not None and user.id.lower() != by.lower():
            raise NetworkError(
                400,
                "DnsRecordInUse",
                f"DNS record {label}.{location}.{_DOMAIN} is already used by another public IP.",
            )

    async def _check_label(self, call: Call) -> Reply:
        location = call.path.rstrip("/").split("/")[-2].lower()
        label = call.query.get("domainNameLabel", "")
        if not label:
            raise NetworkError(400, "InvalidRequestFormat", "The query parameter domainNameLabel is missing.")
        return Reply(200, {"available": self._label_user(label, location) is None})


def new_public_address(azure: LocalAzure) -> str:
    """A loopback address that was never given out before.

    Each local Azure begins somewhere else: several with guests run side by side on one host.
    """
    begin = zlib.crc32(azure.settings.identity.subscription_id.encode())
    number = begin + azure.store.next_number("public-address")
    return str(_PUBLIC_RANGE[256 + number % (_PUBLIC_RANGE.num_addresses - 512)])
