# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The network of a virtual machine: an existing one is checked, or one is made and later removed with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import merged_tags
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    InvalidInput,
    NotFound,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.resource_ids import (
    is_resource_id,
    normalize_location,
    parse_resource_id,
    resource_id,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_body import Connection
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest

if TYPE_CHECKING:
    from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

NETWORK_API = "2024-05-01"
OWNER_TAG = "goldenimage_vm"
_NETWORK = "Microsoft.Network"
_ADDRESSES = "10.0.0.0/24"
_SUBNET = "default"
_FIRST_PRIORITY = 1000
_IN_USE = ("InUse", "AnotherOperationInProgress", "RetryableError")
_SECONDS_BETWEEN_TRIES = 2.0


class OwnNetwork:
    """The virtual network and the security group that belong to one machine; a tag says to which."""

    def __init__(self, session: AzureSession, resource_group: str, vm_name: str) -> None:
        self._arm = session.arm
        self._vm_name = vm_name
        at = (session.subscription_id, resource_group, _NETWORK)
        self.network_id = resource_id(*at, "virtualNetworks", f"{vm_name}-vnet")
        self.security_group_id = resource_id(*at, "networkSecurityGroups", f"{vm_name}-nsg")

    @property
    def connection(self) -> Connection:
        return Connection(f"{self.network_id}/subnets/{_SUBNET}", self.security_group_id)

    def existing(self) -> list[str]:
        """Ids of the parts that are there and belong to the machine, in the order in which they can go."""
        return [part for part in (self.network_id, self.security_group_id) if self._belongs(self._get(part))]

    def check_free(self) -> None:
        """Raises InvalidInput when a network of that name is there and is not the machine's."""
        for part in (self.network_id, self.security_group_id):
            found = self._get(part)
            if found is not None and not self._belongs(found):
                raise InvalidInput(
                    f"{part} exists and was not made for virtual machine {self._vm_name}.",
                    remedy="Give virtual_network and subnet to use it, or give the machine another name.",
                )

    def create(self, request: VmRequest, location: str) -> None:
        """Make both parts at the same time, and wait for them: the machine refers to them."""
        tags = {**merged_tags({}, request.tags, True), OWNER_TAG: self._vm_name}
        rules = [
            inbound_rule(position, port, request.network.open_ports_from)
            for position, port in enumerate(request.network.open_ports)
        ]
        group = {"location": location, "tags": tags, "properties": {"securityRules": rules}}
        self._arm.put(self.security_group_id, group, NETWORK_API, Waiter(wait=False))
        subnets = [{"name": _SUBNET, "properties": {"addressPrefix": _ADDRESSES}}]
        space = {"addressSpace": {"addressPrefixes": [_ADDRESSES]}, "subnets": subnets}
        network = {"location": location, "tags": tags, "properties": space}
        self._arm.put(self.network_id, network, NETWORK_API, Waiter())
        self._wait_for(self.security_group_id)

    def remove(self, timeout: float) -> list[str]:
        """Delete what belongs to the machine; returns the ids. `timeout` is in seconds."""
        parts = self.existing()
        for part in parts:
            delete_when_free(self._arm, part, timeout)
        return parts

    def _wait_for(self, part: str) -> None:
        def read() -> dict[str, Any] | None:
            return self._get(part)

        made = settled(part, read(), read, Waiter())
        state = ((made or {}).get("properties") or {}).get("provisioningState")
        if state != "Succeeded":
            raise OperationFailed(f"Could not create {part}: its provisioning state is {state}.", target=part)

    def _get(self, part: str) -> dict[str, Any] | None:
        try:
            return self._arm.get(part, NETWORK_API)
        except NotFound:
            return None

    def _belongs(self, resource: dict[str, Any] | None) -> bool:
        owner = ((resource or {}).get("tags") or {}).get(OWNER_TAG)
        # Azure does not tell names apart by case; a tag's value keeps the one it was given.
        return owner is not None and str(owner).lower() == self._vm_name.lower()


def delete_when_free(arm: Any, part: str, timeout: float) -> None:
    """Delete a network resource. Azure lets go of what a deleted machine used only after a while."""
    started = time.monotonic()
    while True:
        try:
            arm.delete(part, NETWORK_API, Waiter(timeout=timeout))
            return
        except AzureError as error:
            busy = any(word in (error.code or "") for word in _IN_USE)
            if not busy or time.monotonic() - started > timeout:
                raise
        time.sleep(_SECONDS_BETWEEN_TRIES)


def inbound_rule(position: int, port: int, sources: tuple[str, ...]) -> dict[str, Any]:
    """A security group rule that lets TCP connections to the port in; `position`: its place among them."""
    source: dict[str, Any] = (
        {"sourceAddressPrefix": sources[0]} if len(sources) == 1 else {"sourceAddressPrefixes": list(sources)}
    )
    return {
        "name": f"allow-{port}",
        "properties": {
            "priority": _FIRST_PRIORITY + position,
            "direction": "Inbound",
            "access": "Allow",
            "protocol": "Tcp",
            **source,
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": str(port),
        },
    }


def subnet_id(session: AzureSession, request: VmRequest) -> str:
    """The id that the options subnet and virtual_network stand for."""
    subnet = request.network.subnet or ""
    if is_resource_id(subnet):
        if parse_resource_id(subnet).resource_type.lower() != "microsoft.network/virtualnetworks/subnets":
            raise InvalidInput(f"subnet: {subnet} is no subnet.")
        return subnet
    network = request.network.virtual_network or ""
    if not is_resource_id(network):
        network = resource_id(
            session.subscription_id, request.resource_group, _NETWORK, "virtualNetworks", network
        )
    return f"{network}/subnets/{subnet}"


def find_connection(session: AzureSession, request: VmRequest, location: str) -> Connection:
    """Check the existing network the request names. Raises InvalidInput for what Azure would refuse."""
    if request.network.network_interfaces:
        for position, interface in enumerate(request.network.network_interfaces):
            _check_interface(session, f"network_interfaces[{position}]", interface, location)
        return Connection(network_interface_ids=request.network.network_interfaces)
    wanted = subnet_id(session, request)
    network_id = wanted.rpartition("/subnets/")[0]
    network = _get(session, network_id)
    if network is None:
        raise InvalidInput(
            f"virtual_network: there is no virtual network {network_id}.",
            remedy="Check its name, and give its id when it is in another resource group.",
        )
    _check_region("virtual_network", network, location)
    if _get(session, wanted) is None:
        raise InvalidInput(
            f"subnet: virtual network {network['name']} has no subnet {wanted.rpartition('/')[2]}."
        )
    return Connection(wanted)


def _get(session: AzureSession, part: str) -> dict[str, Any] | None:
    try:
        return session.arm.get(part, NETWORK_API)
    except NotFound:
        return None


def _check_region(option: str, resource: dict[str, Any], location: str) -> None:
    region = normalize_location(resource["location"])
    if region != location:
        raise InvalidInput(f"{option}: {resource['id']} is in region {region}, the machine in {location}.")


def _check_interface(session: AzureSession, option: str, interface: str, location: str) -> None:
    is_interface = (
        is_resource_id(interface)
        and parse_resource_id(interface).resource_type.lower() == "microsoft.network/networkinterfaces"
    )
    if not is_interface:
        raise InvalidInput(f"{option}: {interface!r} is not the id of a network interface.")
    found = _get(session, interface)
    if found is None:
        raise InvalidInput(f"{option}: there is no network interface {interface}.")
    _check_region(option, found, location)
    owner = (found["properties"].get("virtualMachine") or {}).get("id")
    if owner:
        raise InvalidInput(f"{option}: {interface} belongs to virtual machine {owner}.")
