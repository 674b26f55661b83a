# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Networks and storage accounts, as far as machines and images need them."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.storage.blob import BlobServiceClient

from tests.local_azure.providers.network.public_addresses import new_public_address
from tests.local_azure.settings import load_or_create
from tests.unit.local_azure.arm_server import Arm, Json, error_of, network_path, storage_path


@pytest.fixture
def group(arm: Arm) -> str:
    return arm.group()


def test_network_reports_its_subnets_and_protects_used_ones(arm: Arm, group: str) -> None:
    subnet = arm.subnet(group)
    path = network_path(group, "virtualNetworks", "net")
    again = arm.send("PUT", path, {"location": "westus", **{k: arm.get(path)[k] for k in ("properties",)}})
    assert again.status_code == 200
    arm.done(again)
    added = arm.send("PUT", path + "/subnets/more", {"properties": {"addressPrefix": "10.0.1.0/24"}})
    assert (added.status_code, added.json()["name"]) == (201, "more")
    assert [s["name"] for s in arm.get(path + "/subnets")["value"]] == ["default", "more"]
    outside = arm.send("PUT", path + "/subnets/far", {"properties": {"addressPrefix": "192.168.0.0/24"}})
    assert error_of(outside) == (400, "NetcfgInvalidSubnet")
    configuration = {"name": "ip", "properties": {"subnet": {"id": subnet}}}
    nic_path = network_path(group, "networkInterfaces", "nic")
    answer = arm.send(
        "PUT", nic_path, {"location": "westus", "properties": {"ipConfigurations": [configuration]}}
    )
    assert answer.status_code == 201
    arm.done(answer)
    users = arm.get(path + "/subnets/default")["properties"]["ipConfigurations"]
    # Azure tells of them in capitals, whatever they are called.
    assert users[0]["id"].endswith("/networkInterfaces/NIC/ipConfigurations/IP")
    assert error_of(arm.send("DELETE", path)) == (400, "InUseSubnetCannotBeDeleted")
    arm.done(arm.send("DELETE", nic_path))
    answer = arm.send("DELETE", path)
    assert answer.status_code == 202
    arm.done(answer)
    assert arm.send("DELETE", path).status_code == 204


def test_public_addresses_are_different_loopback_addresses(arm: Arm, group: str) -> None:
    seen = set()
    for name in ("a", "b"):
        body = {"location": "westus", "sku": {"name": "Standard"}, "properties": {}}
        address = arm.make(network_path(group, "publicIPAddresses", name), body)
        assert address["properties"]["publicIPAllocationMethod"] == "Static"
        seen.add(address["properties"]["ipAddress"])
    assert len(seen) == 2
    assert all(a.startswith("127.") for a in seen)
    wrong = {**body, "properties": {"publicIPAllocationMethod": "Dynamic"}}
    answer = arm.send("PUT", network_path(group, "publicIPAddresses", "c"), wrong)
    assert error_of(answer) == (400, "StandardSkuPublicIPAddressesMustBeStatic")


def test_local_azures_side_by_side_give_out_different_public_addresses(tmp_path: Path) -> None:
    azures = [Mock(settings=load_or_create(tmp_path / name)) for name in ("a", "b")]
    for azure in azures:
        azure.store.next_number.side_effect = range(1, 11)
    addresses = [new_public_address(azure) for azure in azures for _number in range(10)]
    assert len(set(addresses)) == len(addresses)


def test_security_group_in_use_stays(arm: Arm, group: str) -> None:
    subnet = arm.subnet(group)
    rule = {
        "name": "ssh",
        "properties": {
            "protocol": "Tcp",
            "access": "Allow",
            "direction": "Inbound",
            "priority": 100,
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "destinationAddressPrefix": "*",
            "destinationPortRange": "22",
        },
    }
    path = network_path(group, "networkSecurityGroups", "nsg")
    nsg = arm.make(path, {"location": "westus", "properties": {"securityRules": [rule]}})
    assert nsg["properties"]["securityRules"][0]["properties"]["destinationPortRange"] == "22"
    configuration = {"name": "ip", "properties": {"subnet": {"id": subnet}}}
    properties = {"ipConfigurations": [configuration], "networkSecurityGroup": {"id": nsg["id"]}}
    arm.make(
        network_path(group, "networkInterfaces", "nic"), {"location": "westus", "properties": properties}
    )
    assert error_of(arm.send("DELETE", path)) == (400, "InUseNetworkSecurityGroupCannotBeDeleted")


def account(arm: Arm, group: str, name: str) -> Json:
    answer = arm.send(
        "PUT", storage_path(group, name), {"location": "westus", "sku": {"name": "Standard_LRS"}}
    )
    while arm.send("GET", answer.headers["Location"]).status_code == 202:
        pass
    return arm.get(storage_path(group, name))


def test_account_serves_real_blobs_with_its_key_and_with_a_token(arm: Arm, group: str) -> None:
    endpoint = account(arm, group, "realblobs")["properties"]["primaryEndpoints"]["blob"]
    keys = arm.send("POST", storage_path(group, "realblobs") + "/listKeys").json()["keys"]
    assert [k["keyName"] for k in keys] == ["key1", "key2"]
    bundle = str(arm.settings.state_dir / "ca.pem")
    service = BlobServiceClient(endpoint, credential=keys[1]["value"], connection_verify=bundle)
    service.create_container("mine").upload_blob("b", b"content")

    class Bearer:
        def get_token(self, *scopes: str, **_options: object) -> AccessToken:
            return AccessToken(arm.token(scopes[0]), 9999999999)

    by_token = BlobServiceClient(endpoint, credential=Bearer(), connection_verify=bundle)
    assert by_token.get_blob_client("mine", "b").download_blob().readall() == b"content"
    containers = storage_path(group, "realblobs") + "/blobServices/default/containers"
    assert [c["name"] for c in arm.get(containers)["value"]] == ["mine"]
    assert arm.send("PUT", containers + "/other", {}).status_code == 201
    assert arm.send("PUT", containers + "/other", {}).status_code == 200
    assert arm.send("DELETE", containers + "/other").status_code == 200
    assert error_of(arm.send("GET", containers + "/other")) == (404, "ContainerNotFound")
    assert error_of(arm.send("PUT", containers + "/Bad", {})) == (400, "ContainerNameInvalid")
    regenerated = arm.send(
        "POST", storage_path(group, "realblobs") + "/regenerateKey", {"keyName": "key2"}
    ).json()["keys"]
    assert regenerated[0] == keys[0]
    assert regenerated[1] != keys[1]
    with pytest.raises(ClientAuthenticationError):
        service.get_blob_client("mine", "b").download_blob()


def test_account_names_are_checked_and_unique(arm: Arm, group: str) -> None:
    account(arm, group, "taken1")
    body = {"location": "westus", "sku": {"name": "Standard_LRS"}}
    elsewhere = storage_path(arm.group(), "taken1")
    assert error_of(arm.send("PUT", elsewhere, body)) == (409, "StorageAccountAlreadyTaken")
    assert error_of(arm.send("PUT", storage_path(group, "No-Good"), body)) == (400, "AccountNameInvalid")
    check = "providers/Microsoft.Storage/checkNameAvailability"
    kind = "Microsoft.Storage/storageAccounts"
    for name, available, reason in (
        ("taken1", False, "AlreadyExists"),
        ("No-Good", False, "AccountNameInvalid"),
        ("free1", True, None),
    ):
        answer = arm.send("POST", check, {"name": name, "type": kind}).json()
        assert (answer["nameAvailable"], answer.get("reason")) == (available, reason)
    assert arm.send("DELETE", storage_path(group, "taken1")).status_code == 200
    assert arm.send("DELETE", storage_path(group, "taken1")).status_code == 204
