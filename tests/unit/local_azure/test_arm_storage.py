# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Storage accounts: their shapes by api-version, and signatures that really open blobs."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import AccessPolicy, BlobServiceClient, ContainerSasPermissions

from tests.unit.local_azure.arm_server import Arm, Json, error_of, storage_path

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group()


def account(arm: Arm, group: str, version: str = "2023-05-01", **body: object) -> Json:
    path = storage_path(group, f"account{next(_numbers)}")
    request = {"location": "westus", "sku": {"name": "Standard_LRS"}, **body}
    answer = arm.send("PUT", path, request, version=version)
    assert (answer.status_code, answer.text) == (202, "")
    assert "Azure-AsyncOperation" not in answer.headers
    while (result := arm.send("GET", answer.headers["Location"])).status_code == 202:
        pass
    assert result.json() == arm.send("GET", path, version=version).json()
    return dict(result.json())


def test_account_of_2018_has_no_secrets_of_later_times(arm: Arm, group: str) -> None:
    made = account(arm, group, "2018-11-01", sku={"name": "Standard_GRS"}, kind="Storage")
    properties = made["properties"]
    assert made["sku"] == {"name": "Standard_GRS", "tier": "Standard"}
    assert properties["supportsHttpsTrafficOnly"] is False
    assert properties["secondaryLocation"] == "eastus"
    assert properties["primaryEndpoints"].keys() == {"blob", "queue", "table", "file"}
    assert properties["encryption"]["services"]["blob"].keys() == {"enabled", "lastEnabledTime"}
    assert not {"keyCreationTime", "privateEndpointConnections", "accessTier"} & properties.keys()


def test_account_of_today_is_closed_unless_opened(arm: Arm, group: str) -> None:
    properties = account(arm, group)["properties"]
    assert properties["allowBlobPublicAccess"] is False
    assert properties["supportsHttpsTrafficOnly"] is True
    assert properties["accessTier"] == "Hot"
    assert properties["keyCreationTime"].keys() == {"key1", "key2"}


def test_account_type_of_2015_is_the_sku(arm: Arm, group: str) -> None:
    path = storage_path(group, f"account{next(_numbers)}")
    body = {"location": "westus", "properties": {"accountType": "Premium_LRS"}}
    assert arm.send("PUT", path, body, version="2015-06-15").status_code == 202
    assert arm.get(path)["sku"] == {"name": "Premium_LRS", "tier": "Premium"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sku": {"name": "Golden_LRS"}},
        {"sku": {"name": "Standard_LRS"}, "kind": "Cupboard"},
        {"sku": {"name": "Standard_LRS"}, "properties": {"minimumTlsVersion": "SSL3"}},
        {"sku": {"name": "Standard_LRS"}, "properties": {"allowSharedKeyAccess": "yes"}},
    ],
)
def test_wrong_account_is_refused(arm: Arm, group: str, body: Json) -> None:
    answer = arm.send("PUT", storage_path(group, "refused"), {"location": "westus", **body})
    assert error_of(answer) == (400, "InvalidParameter")


def test_account_is_changed_in_place(arm: Arm, group: str) -> None:
    made = account(arm, group)
    change = {"tags": {"a": "b"}, "properties": {"minimumTlsVersion": "TLS1_3"}}
    changed = arm.send("PATCH", storage_path(group, made["name"]), change).json()
    assert (changed["tags"], changed["properties"]["minimumTlsVersion"]) == ({"a": "b"}, "TLS1_3")


def blobs(arm: Arm, made: Json, credential: str | None) -> BlobServiceClient:
    bundle = str(arm.settings.state_dir / "ca.pem")
    endpoint = made["properties"]["primaryEndpoints"]["blob"]
    return BlobServiceClient(endpoint, credential=credential, connection_verify=bundle)


def first_key(arm: Arm, group: str, made: Json) -> str:
    keys = arm.send("POST", storage_path(group, made["name"]) + "/listKeys").json()["keys"]
    return str(keys[0]["value"])


def test_signature_of_an_account_opens_its_blobs_until_the_key_is_changed(arm: Arm, group: str) -> None:
    made = account(arm, group)
    path = storage_path(group, made["name"])
    request = {
        "signedServices": "b",
        "signedResourceTypes": "sco",
        "signedPermission": "rwdlac",
        "signedExpiry": "2099-01-01T00:00:00.0000000Z",
        "signedProtocol": "https",
        "keyToSign": "key1",
    }
    token = arm.send("POST", f"{path}/ListAccountSas", request).json()["accountSasToken"]
    service = blobs(arm, made, token)
    service.create_container("made").upload_blob("b", b"content")
    assert service.get_blob_client("made", "b").download_blob().readall() == b"content"
    arm.send("POST", f"{path}/regenerateKey", {"keyName": "key1"})
    with pytest.raises(HttpResponseError):
        service.get_blob_client("made", "b").download_blob()
    for wrong in ("signedServices", "signedExpiry"):
        lacking = {k: v for k, v in request.items() if k != wrong}
        assert error_of(arm.send("POST", f"{path}/ListAccountSas", lacking)) == (400, "InvalidParameter")


def test_signature_of_a_container_opens_that_container_only(arm: Arm, group: str) -> None:
    made = account(arm, group)
    own = blobs(arm, made, first_key(arm, group, made))
    for name in ("open", "closed"):
        own.create_container(name).upload_blob("b", b"content")
    request = {
        "canonicalizedResource": f"/blob/{made['name']}/open",
        "signedResource": "c",
        "signedPermission": "rl",
        "signedExpiry": "2099-01-01T00:00:00Z",
    }
    path = f"{storage_path(group, made['name'])}/ListServiceSas"
    service = blobs(arm, made, arm.send("POST", path, request).json()["serviceSasToken"])
    assert service.get_blob_client("open", "b").download_blob().readall() == b"content"
    with pytest.raises(HttpResponseError):
        service.get_blob_client("closed", "b").download_blob()
    foreign = {**request, "canonicalizedResource": "/blob/another/open"}
    assert error_of(arm.send("POST", path, foreign)) == (400, "InvalidParameter")


def test_signature_by_a_stored_policy_ends_with_the_policy(arm: Arm, group: str) -> None:
    made = account(arm, group)
    container = blobs(arm, made, first_key(arm, group, made)).create_container("policy")
    container.upload_blob("b", b"content")
    ends = datetime.now(timezone.utc) + timedelta(hours=1)
    policy = AccessPolicy(ContainerSasPermissions(read=True), ends, datetime(2020, 1, 1, tzinfo=timezone.utc))
    container.set_container_access_policy({"revocable": policy})
    request = {
        "canonicalizedResource": f"/blob/{made['name']}/policy",
        "signedResource": "c",
        "signedIdentifier": "revocable",
    }
    path = f"{storage_path(group, made['name'])}/ListServiceSas"
    service = blobs(arm, made, arm.send("POST", path, request).json()["serviceSasToken"])
    assert service.get_blob_client("policy", "b").download_blob().readall() == b"content"
    container.set_container_access_policy({})
    with pytest.raises(HttpResponseError):
        service.get_blob_client("policy", "b").download_blob()


def test_usages_count_accounts_of_the_region(arm: Arm) -> None:
    place = "providers/Microsoft.Storage/locations/westeurope/usages"
    before = arm.get(place)["value"][0]["currentValue"]
    account(arm, arm.group("westeurope"), location="westeurope")
    assert arm.get(place)["value"][0]["currentValue"] == before + 1
