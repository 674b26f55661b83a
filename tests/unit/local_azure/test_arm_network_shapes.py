# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What network resources look like in different api-versions, and the parts that are resources themselves."""

from __future__ import annotations

import pytest

from tests.unit.local_azure.arm_server import Arm, Json, error_of, network_path


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    group = arm.group()
    arm.subnet(group)
    return group


def shown(arm: Arm, path: str, version: str) -> Json:
    answer = arm.send("GET", path, version=version)
    assert answer.status_code == 200
    assert answer.headers["ETag"] == answer.json()["etag"]
    return dict(answer.json())


def nic(arm: Arm, group: str, name: str, version: str = "2024-05-01") -> Json:
    subnet = f"{arm.subscription}/{network_path(group, 'virtualNetworks', 'net')}/subnets/default"
    configuration = {"name": "ip", "properties": {"subnet": {"id": subnet}}}
    answer = arm.send(
        "PUT",
        network_path(group, "networkInterfaces", name),
        {"location": "westus", "properties": {"ipConfigurations": [configuration]}},
        version=version,
    )
    assert answer.status_code == 201
    arm.done(answer)
    return dict(answer.json())


def test_networks_show_what_their_api_version_has(arm: Arm, group: str) -> None:
    path = network_path(group, "virtualNetworks", "net")
    old, new = shown(arm, path, "2018-12-01"), shown(arm, path, "2024-05-01")
    assert old["properties"]["enableVmProtection"] is False
    assert "privateEndpointNetworkPolicies" not in old["properties"]["subnets"][0]["properties"]
    assert "enableVmProtection" not in new["properties"]
    assert new["properties"]["subnets"][0]["properties"]["ipamPoolPrefixAllocations"] == []
    assert new["properties"]["subnets"][0]["etag"] == new["etag"]


def test_interfaces_show_what_their_api_version_has(arm: Arm, group: str) -> None:
    made = nic(arm, group, "shapes", "2019-09-01")["properties"]
    assert made["provisioningState"] == "Succeeded"
    assert made["enableAcceleratedNetworking"] is False
    assert made["dnsSettings"]["internalDomainNameSuffix"].endswith(".internal.cloudapp.net")
    assert not {"nicType", "macAddress", "auxiliaryMode"} & made.keys()
    path = network_path(group, "networkInterfaces", "shapes")
    assert shown(arm, path, "2019-12-01")["properties"]["nicType"] == "Standard"
    new = shown(arm, path, "2022-01-01")
    assert new["kind"] == "Regular"
    assert new["properties"]["auxiliaryMode"] == "None"
    assert "enableAcceleratedNetworking" not in new["properties"]


def test_first_state_of_a_network_is_updating(arm: Arm, group: str) -> None:
    properties = {
        "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
        "subnets": [{"name": "a", "properties": {"addressPrefix": "10.1.0.0/24"}}],
    }
    path = network_path(group, "virtualNetworks", "states")
    answer = arm.send("PUT", path, {"location": "westus", "properties": properties})
    first = answer.json()["properties"]
    assert first["provisioningState"] == "Updating"
    assert first["subnets"][0]["properties"]["provisioningState"] == "Updating"
    arm.done(answer)
    last = arm.get(path)["properties"]
    assert last["provisioningState"] == "Succeeded"
    assert last["subnets"][0]["properties"]["provisioningState"] == "Succeeded"


def test_old_addresses_are_basic_and_without_tier(arm: Arm, group: str) -> None:
    path = network_path(group, "publicIPAddresses", "old")
    answer = arm.send("PUT", path, {"location": "westus", "properties": {}}, version="2019-09-01")
    assert answer.json()["sku"] == {"name": "Basic"}
    assert answer.json()["properties"]["publicIPAllocationMethod"] == "Dynamic"
    arm.done(answer)
    assert shown(arm, path, "2024-05-01")["sku"] == {"name": "Basic", "tier": "Regional"}


def test_domain_label_is_taken_once_in_a_region(arm: Arm, group: str) -> None:
    body = {"location": "westus", "properties": {"dnsSettings": {"domainNameLabel": "golden"}}}
    check = "providers/Microsoft.Network/locations/westus/CheckDnsNameAvailability"
    assert arm.get(check, "&domainNameLabel=golden") == {"available": True}
    arm.make(network_path(group, "publicIPAddresses", "label"), body)
    assert arm.get(check, "&domainNameLabel=golden") == {"available": False}
    again = arm.send("PUT", network_path(group, "publicIPAddresses", "other"), body)
    assert error_of(again) == (400, "DnsRecordInUse")
    assert again.json()["error"]["details"] == []


def rule(priority: int, access: str = "Allow") -> Json:
    return {
        "properties": {
            "protocol": "Tcp",
            "access": access,
            "direction": "Inbound",
            "priority": priority,
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": "22",
        }
    }


def test_rules_of_a_security_group_are_resources(arm: Arm, group: str) -> None:
    path = network_path(group, "networkSecurityGroups", "rules")
    made = arm.make(path, {"location": "westus"})["properties"]
    assert [r["properties"]["priority"] for r in made["defaultSecurityRules"]] == [
        65000,
        65001,
        65500,
        65000,
        65001,
        65500,
    ]
    added = arm.send("PUT", f"{path}/securityRules/ssh", rule(100))
    assert (added.status_code, added.json()["properties"]["provisioningState"]) == (201, "Updating")
    arm.done(added)
    assert arm.get(f"{path}/securityRules/ssh")["properties"]["sourcePortRanges"] == []
    same = arm.send("PUT", f"{path}/securityRules/again", rule(100))
    assert error_of(same) == (400, "SecurityRuleConflict")
    high = arm.send("PUT", f"{path}/securityRules/high", rule(5000))
    assert error_of(high) == (400, "SecurityRuleInvalidPriority")
    wrong = arm.send("PUT", f"{path}/securityRules/wrong", rule(200, "Perhaps"))
    assert error_of(wrong) == (400, "SecurityRuleParameterContainsUnsupportedValue")
    assert [r["name"] for r in arm.get(f"{path}/securityRules")["value"]] == ["ssh"]
    assert arm.send("DELETE", f"{path}/securityRules/ssh").status_code == 202
    assert error_of(arm.send("GET", f"{path}/securityRules/ssh")) == (404, "NotFound")


def test_subnet_that_a_network_does_not_name_any_more_must_not_be_used(arm: Arm, group: str) -> None:
    nic(arm, group, "user")
    body = {"location": "westus", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}
    body["properties"]["subnets"] = []  # type: ignore[index]
    answer = arm.send("PUT", network_path(group, "virtualNetworks", "net"), body)
    assert error_of(answer) == (400, "InUseSubnetCannotBeDeleted")


def test_private_address_has_to_be_one_of_the_subnet(arm: Arm, group: str) -> None:
    subnet = f"{arm.subscription}/{network_path(group, 'virtualNetworks', 'net')}/subnets/default"
    settings = {"subnet": {"id": subnet}, "privateIPAddress": "192.168.1.1"}
    body = {
        "location": "westus",
        "properties": {"ipConfigurations": [{"name": "ip", "properties": settings}]},
    }
    answer = arm.send("PUT", network_path(group, "networkInterfaces", "far"), body)
    assert error_of(answer) == (400, "PrivateIPAddressNotInSubnet")


def test_usages_count_what_is_there(arm: Arm) -> None:
    place = "providers/Microsoft.Network/locations/northeurope/usages"
    before = {u["name"]["value"]: u["currentValue"] for u in arm.get(place)["value"]}
    arm.make(network_path(arm.group(), "networkSecurityGroups", "counted"), {"location": "northeurope"})
    after = {u["name"]["value"]: u["currentValue"] for u in arm.get(place)["value"]}
    assert after == {**before, "NetworkSecurityGroups": before["NetworkSecurityGroups"] + 1}


def test_provider_tells_types_versions_and_zones(arm: Arm) -> None:
    body = arm.get("providers/Microsoft.Network")
    types = {entry["resourceType"]: entry for entry in body["resourceTypes"]}
    assert body["registrationState"] == "Registered"
    assert types["virtualNetworks"]["defaultApiVersion"] in types["virtualNetworks"]["apiVersions"]
    assert "Sweden Central" in types["networkInterfaces"]["locations"]
    zones = {z["location"]: z["zones"] for z in types["publicIPAddresses"]["zoneMappings"]}
    assert sorted(zones["West Europe"]) == ["1", "2", "3"]


def test_default_rules_can_only_be_looked_at(arm: Arm, group: str) -> None:
    path = network_path(group, "networkSecurityGroups", "defaults")
    arm.make(path, {"location": "westus"})
    rules = arm.get(f"{path}/defaultSecurityRules")["value"]
    assert len(rules) == 6
    assert arm.get(f"{path}/defaultSecurityRules/AllowVnetInBound") == rules[0]
    refused = arm.send("PUT", f"{path}/defaultSecurityRules/AllowVnetInBound", {"properties": {}})
    assert error_of(refused) == (405, "HttpMethodNotAllowed")


def test_route_table_has_routes_and_stays_while_a_subnet_uses_it(arm: Arm, group: str) -> None:
    path = network_path(group, "routeTables", "table")
    out = {"name": "out", "properties": {"addressPrefix": "0.0.0.0/0", "nextHopType": "Internet"}}
    table = arm.make(path, {"location": "westus", "properties": {"routes": [out]}})
    assert table["properties"]["routes"][0]["properties"]["provisioningState"] == "Succeeded"
    appliance = {
        "addressPrefix": "10.9.0.0/16",
        "nextHopType": "VirtualAppliance",
        "nextHopIpAddress": "10.0.0.9",
    }
    arm.make(f"{path}/routes/in", {"properties": appliance})
    assert [route["name"] for route in arm.get(f"{path}/routes")["value"]] == ["out", "in"]
    for wrong in ({**appliance, "nextHopType": "Internet"}, {**appliance, "nextHopType": "Moon"}):
        assert arm.send("PUT", f"{path}/routes/wrong", {"properties": wrong}).status_code == 400
    subnet = network_path(group, "virtualNetworks", "net") + "/subnets/routed"
    routed = {"addressPrefix": "10.0.200.0/24", "routeTable": {"id": table["id"]}}
    made = arm.make(subnet, {"properties": routed})
    assert arm.get(path)["properties"]["subnets"] == [{"id": made["id"]}]
    assert error_of(arm.send("DELETE", path)) == (400, "InUseRouteTableCannotBeDeleted")
    arm.done(arm.send("DELETE", subnet))
    arm.done(arm.send("DELETE", path))


def test_application_security_group_is_made_and_deleted(arm: Arm, group: str) -> None:
    path = network_path(group, "applicationSecurityGroups", "web")
    assert set(arm.make(path, {"location": "westus"})["properties"]) == {"provisioningState", "resourceGuid"}
    arm.done(arm.send("DELETE", path))
    assert arm.send("GET", path).status_code == 404
