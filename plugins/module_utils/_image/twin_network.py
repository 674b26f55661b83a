# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The network of a twin.

A twin comes up as the machine that its source is: it would fetch the source's jobs from queues, send its mail
and log in where the source does. So its security group lets nothing out to the Internet unless asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.parallel import in_parallel
from ansible_collections.goldenimage.azure.plugins.module_utils._image.temporary_group import TemporaryGroup
from ansible_collections.goldenimage.azure.plugins.module_utils._image.twin_request import TwinRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_network import inbound_rule

_NETWORK = "Microsoft.Network"
_ADDRESSES = "10.0.0.0/24"
_SUBNET = "default"
_LAST_PRIORITY = 4096


def interface_id(group: TemporaryGroup, request: TwinRequest) -> str:
    """Id of the twin's interface."""
    return group.resource(f"{_NETWORK}/networkInterfaces", f"{request.name}-nic")


def ensure_network(group: TemporaryGroup, request: TwinRequest, place: Mapping[str, Any]) -> str:
    """The id of the twin's interface, made with all that it needs. ``place`` as the group's resources have
    it."""
    wanted = _parts(group, request, place)
    in_parallel(lambda part: group.ensure(part, wanted[part]), wanted)
    interface = interface_id(group, request)
    group.ensure(interface, _interface(group, request, place))
    return interface


def _ids(group: TemporaryGroup, request: TwinRequest) -> tuple[str, str, str]:
    """Of the security group, the virtual network, the public address."""
    return (
        group.resource(f"{_NETWORK}/networkSecurityGroups", f"{request.name}-nsg"),
        group.resource(f"{_NETWORK}/virtualNetworks", f"{request.name}-vnet"),
        group.resource(f"{_NETWORK}/publicIPAddresses", f"{request.name}-ip"),
    )


def _parts(
    group: TemporaryGroup, request: TwinRequest, place: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Bodies by ids of what the interface refers to."""
    security_group, network, address = _ids(group, request)
    parts: dict[str, dict[str, Any]] = {
        security_group: {"location": place["location"], "properties": {"securityRules": _rules(request)}}
    }
    if request.network.own:
        space = {
            "addressSpace": {"addressPrefixes": [_ADDRESSES]},
            "subnets": [{"name": _SUBNET, "properties": {"addressPrefix": _ADDRESSES}}],
        }
        parts[network] = {**place, "properties": space}
    if request.network.public_ip:
        parts[address] = {
            **place,
            "sku": {"name": "Standard", "tier": "Regional"},
            "properties": {"publicIPAllocationMethod": "Static"},
        }
    return parts


def _rules(request: TwinRequest) -> list[dict[str, Any]]:
    rules = [
        inbound_rule(position, port, request.network.open_ports_from)
        for position, port in enumerate(request.network.open_ports)
    ]
    if not request.internet_access:
        nothing_out: dict[str, Any] = {
            "priority": _LAST_PRIORITY,
            "direction": "Outbound",
            "access": "Deny",
            "protocol": "*",
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "destinationAddressPrefix": "Internet",
            "destinationPortRange": "*",
        }
        rules.append({"name": "nothing-out", "properties": nothing_out})
    return rules


def _interface(group: TemporaryGroup, request: TwinRequest, place: Mapping[str, Any]) -> dict[str, Any]:
    security_group, network, address = _ids(group, request)
    subnet = request.network.subnet or f"{network}/subnets/{_SUBNET}"
    configuration: dict[str, Any] = {"primary": True, "subnet": {"id": subnet}}
    if request.network.public_ip:
        configuration["publicIPAddress"] = {"id": address}
    properties = {
        "ipConfigurations": [{"name": "primary", "properties": configuration}],
        "networkSecurityGroup": {"id": security_group},
    }
    return {**place, "properties": properties}
