# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Network security groups and their rules. The local network has no filter: rules are kept and shown."""

from __future__ import annotations

from typing import Any

from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import method_not_allowed
from tests.local_azure.providers.network.network_kinds import (
    INTERFACE,
    SECURITY_GROUP,
    VIRTUAL_NETWORK,
    NestedNetworkKind,
    NetworkError,
    NetworkKind,
    new_etag,
    objects_at,
    same_id,
)
from tests.local_azure.store import Json, Resource

_LISTS = (
    "sourcePortRanges",
    "destinationPortRanges",
    "sourceAddressPrefixes",
    "destinationAddressPrefixes",
)
#: Name, what it is for, sources, destinations, access, priority, direction.
_DEFAULT_RULES = (
    (
        "AllowVnetInBound",
        "Allow inbound traffic from all VMs in VNET",
        "VirtualNetwork",
        "VirtualNetwork",
        "Allow",
        65000,
        "Inbound",
    ),
    (
        "AllowAzureLoadBalancerInBound",
        "Allow inbound traffic from azure load balancer",
        "AzureLoadBalancer",
        "*",
        "Allow",
        65001,
        "Inbound",
    ),
    ("DenyAllInBound", "Deny all inbound traffic", "*", "*", "Deny", 65500, "Inbound"),
    (
        "AllowVnetOutBound",
        "Allow outbound traffic from all VMs to all VMs in VNET",
        "VirtualNetwork",
        "VirtualNetwork",
        "Allow",
        65000,
        "Outbound",
    ),
    (
        "AllowInternetOutBound",
        "Allow outbound traffic from all VMs to Internet",
        "*",
        "Internet",
        "Allow",
        65001,
        "Outbound",
    ),
    ("DenyAllOutBound", "Deny all outbound traffic", "*", "*", "Deny", 65500, "Outbound"),
)


class SecurityGroups(NetworkKind):
    type = SECURITY_GROUP
    retry_after = 1

    def compose(self, call: Call, body: Json, existing: Resource | None) -> Json:
        del existing
        group_id = self.id_of(call)
        listed = objects_at(properties_of(body).get("securityRules"), "properties.securityRules")
        rules = [self.rule(group_id, rule) for rule in listed]
        _refuse_same_priority(rules)
        return {
            "securityRules": rules,
            "defaultSecurityRules": [_default(group_id, r) for r in _DEFAULT_RULES],
        }

    def parts_of(self, resource: Resource) -> list[Json]:
        return [*resource.properties["securityRules"], *resource.properties["defaultSecurityRules"]]

    def rule(self, group_id: str, given: Json) -> Json:
        """A rule as it stands in its group's body."""
        name, settings = given.get("name"), properties_of(given)
        if not isinstance(name, str) or not name:
            raise NetworkError(400, "InvalidRequestFormat", "Each security rule needs a name.")
        for key, values in (("access", ("Allow", "Deny")), ("direction", ("Inbound", "Outbound"))):
            if str(settings.get(key)).capitalize() not in values:
                raise NetworkError(
                    400,
                    "SecurityRuleParameterContainsUnsupportedValue",
                    f"Security rule parameter {key} for rule {name} has the unsupported value "
                    f"{settings.get(key)}.",
                )
        priority = settings.get("priority")
        if isinstance(priority, bool) or not isinstance(priority, int) or not 100 <= priority <= 4096:
            raise NetworkError(
                400,
                "SecurityRuleInvalidPriority",
                f"Security rule has invalid Priority. Value provided: {priority} Allowed range 100-4096.",
            )
        return {
            "name": name,
            "id": f"{group_id}/securityRules/{name}",
            "etag": new_etag(),
            "type": f"{self.type}/securityRules",
            "properties": {
                "provisioningState": "Updating",
                **{k: v for k, v in settings.items() if k != "provisioningState"},
                **{k: settings.get(k) or [] for k in _LISTS},
            },
        }

    def _users(self, resource: Resource) -> tuple[list[str], list[str]]:
        """The interfaces and subnets that the group filters."""
        interfaces = [
            nic.id
            for nic in self.azure.store.mentioning(INTERFACE, resource.id)
            if same_id((nic.properties.get("networkSecurityGroup") or {}).get("id"), resource.id)
        ]
        subnets = [
            str(subnet["id"])
            for network in self.azure.store.mentioning(VIRTUAL_NETWORK, resource.id)
            for subnet in network.properties["subnets"]
            if same_id((subnet["properties"].get("networkSecurityGroup") or {}).get("id"), resource.id)
        ]
        return interfaces, subnets

    def render(self, resource: Resource, call: Call) -> Json:
        del call
        interfaces, subnets = self._users(resource)
        used: Json = {}
        if interfaces:
            used["networkInterfaces"] = [{"id": user} for user in interfaces]
        if subnets:
            used["subnets"] = [{"id": user} for user in subnets]
        return {**resource.body, "properties": {**resource.properties, **used}}

    def in_use(self, resource: Resource) -> ArmError | None:
        users = [user for group in self._users(resource) for user in group]
        if not users:
            return None
        return NetworkError(
            400,
            "InUseNetworkSecurityGroupCannotBeDeleted",
            f"Network security group {resource.id} cannot be deleted because it is in use by the following "
            f"resources: {', '.join(users)}. In order to delete the Network security group, remove the "
            "association with the resource(s).",
        )


class SecurityRules(NestedNetworkKind):
    type = f"{SECURITY_GROUP}/securityRules"
    member = "securityRules"

    def __init__(self, groups: SecurityGroups) -> None:
        super().__init__(groups.azure, groups)
        self._groups = groups

    def composed(self, parent: Resource, given: Json) -> Json:
        rule = self._groups.rule(parent.id, given)
        others = [r for r in parent.properties[self.member] if r["name"].lower() != rule["name"].lower()]
        _refuse_same_priority([*others, rule])
        return rule


class DefaultSecurityRules(NestedNetworkKind):
    """Every group has the same ones, which can only be looked at."""

    type = f"{SECURITY_GROUP}/defaultSecurityRules"
    member = "defaultSecurityRules"

    def __init__(self, groups: SecurityGroups) -> None:
        super().__init__(groups.azure, groups)

    async def put(self, call: Call) -> Reply:
        raise method_not_allowed(call)

    async def delete(self, call: Call) -> Reply:
        raise method_not_allowed(call)


def _refuse_same_priority(rules: list[Json]) -> None:
    seen: dict[Any, str] = {}
    for rule in rules:
        key = (rule["properties"]["priority"], str(rule["properties"]["direction"]).lower())
        if key in seen:
            raise NetworkError(
                400,
                "SecurityRuleConflict",
                f"Security rule {seen[key]} conflicts with rule {rule['name']}. Rules cannot have the same "
                "Priority and Direction.",
            )
        seen[key] = rule["name"]


def _default(group_id: str, rule: tuple[str, str, str, str, str, int, str]) -> Json:
    name, purpose, source, destination, access, priority, direction = rule
    return {
        "name": name,
        "id": f"{group_id}/defaultSecurityRules/{name}",
        "etag": new_etag(),
        "type": f"{SECURITY_GROUP}/defaultSecurityRules",
        "properties": {
            "provisioningState": "Updating",
            "description": purpose,
            "protocol": "*",
            "sourcePortRange": "*",
            "destinationPortRange": "*",
            "sourceAddressPrefix": source,
            "destinationAddressPrefix": destination,
            "access": access,
            "priority": priority,
            "direction": direction,
            **{key: [] for key in _LISTS},
        },
    }
